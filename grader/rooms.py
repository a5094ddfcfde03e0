"""Where submissions run, seen from the judge: `open_room` finds the strongest isolation that this machine offers.

A room makes sessions; a session is one worker, which has run nothing yet. Whatever happens in a session, closing it
ends every process in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from time import monotonic

import psutil

from grader.channel import Channel, Markers, RoomError, Session, once
from grader.fallback import ProcessRoom
from grader.policy import Limits, View

# The hidden switch that makes tests exercise the fallback on a machine that could do better.
FORCE = "MLSECOPS_GRADER_ISOLATION"


class JailRoom:
    """Linux: sessions are forked from a zygote that sits in its own namespaces. Isolation `full`."""

    isolation = "full"

    def __init__(self, view: View, limits: Limits, libraries: tuple[str, ...]):
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings = {"root": str(view.root), "modules": view.modules, "limits": asdict(limits), "libraries": libraries}
        command = [sys.executable, "-m", "grader.zygote", str(theirs.fileno()), json.dumps(settings)]
        environment = {"OPENBLAS_NUM_THREADS": "1", "PATH": os.environ.get("PATH", "")}
        self._zygote = subprocess.Popen(  # noqa: S603 - our own module
            command,
            cwd=view.root,
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()

    def wait_until_ready(self) -> None:
        """Wait for the zygote's imports, then try a session, because only that shows what this machine allows.

        Raises:
            RoomError: this machine cannot isolate fully.
        """
        answer = json.loads(self._control.recv(65536) or b'{"error": "the zygote ended while it started"}')
        if "error" in answer:
            self.close()
            raise RoomError(answer["error"])
        try:
            self.session().__exit__()
        except RoomError:
            self.close()
            raise

    def session(self) -> Session:
        """A fresh worker.

        Raises:
            RoomError: the zygote is gone, or the jail could not be closed.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with self._lock, theirs:
                socket.send_fds(self._control, [b"fork"], [theirs.fileno()])
                message, handles, _, _ = socket.recv_fds(self._control, 4096, 1)
            if not handles:
                raise RoomError(message.decode() or "the zygote is gone")
        except (OSError, RoomError) as error:
            ours.close()
            raise RoomError(str(error)) from None
        process = handles[0]
        try:
            hello, handles, _, _ = socket.recv_fds(ours, 4096, 1)
            answer = json.loads(hello or b'{"error": "the worker ended before it started"}')
            if "error" in answer:
                raise RoomError(answer["error"])
            pid = _pid_outside(process)
        except (OSError, RoomError) as error:
            os.close(process)
            ours.close()
            raise RoomError(str(error)) from None
        return Session(Channel(ours), Markers(handles[0]), answer["layers"], pid, once(lambda: _kill(process)))

    def close(self) -> None:
        """End the zygote and, with it, everything in its namespaces."""
        self._control.close()
        try:
            self._zygote.wait(5)
        except subprocess.TimeoutExpired:
            self._zygote.kill()
            self._zygote.wait()


def _pid_outside(process: int) -> int:
    for line in Path(f"/proc/self/fdinfo/{process}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise RoomError("this kernel does not tell a process handle's id")


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)
    os.close(process)


class Watch(threading.Thread):
    """Ends sessions whose processes together use too much: many small ones slip through a limit per process.

    Args:
        memory: bytes for one session.
    """

    _EVERY = 0.2
    _YOUNG = 0.3
    # Seconds of processor time that a session may use at a stretch beyond one processor's worth. Notebooks compute in
    # one thread; one that keeps dozens of processes busy would take the processor from the others, whose time runs.
    _AHEAD = 2.0

    def __init__(self, memory: int):
        super().__init__(daemon=True)
        self._memory = memory
        self._sessions: dict[Session, _Budget] = {}
        self._stop = threading.Event()

    @contextlib.contextmanager
    def over(self, session: Session):
        """Watch a session for the length of a `with` block."""
        self._sessions[session] = _Budget(self._AHEAD)
        try:
            yield session
        finally:
            del self._sessions[session]

    def run(self) -> None:
        """Look at all sessions that are not brand new, until `stop`."""
        while not self._stop.wait(self._EVERY):
            for session, budget in list(self._sessions.items()):
                if monotonic() - session.started < self._YOUNG:
                    continue
                memory, processor = usage_of(session.pid)
                session.over_memory |= memory > self._memory
                session.over_processor |= budget.spend(processor) < 0
                if session.over_memory or session.over_processor:
                    session.kill()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()


class _Budget:
    """Seconds of processor time: one comes in per second of wall time, up to `most`."""

    def __init__(self, most: float):
        self._most = self._left = most
        self._used, self._time = 0.0, monotonic()

    def spend(self, used: float) -> float:
        """What is left, now that `used` seconds have gone in all; what an ended process used may be missing in it."""
        now = monotonic()
        self._left = min(self._most, self._left + now - self._time) - max(0.0, used - self._used)
        self._used, self._time = max(used, self._used), now
        return self._left


def usage_of(pid: int) -> tuple[int, float]:
    """Bytes of memory and seconds of processor time that a process and its descendants use.

    Memory shared between them counts once.
    """
    memory, processor = 0, 0.0
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                processor += times.user + times.system + times.children_user + times.children_system
                memory += _memory(process)
    return memory, processor


def _memory(process: psutil.Process) -> int:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except OSError:
        return process.memory_info().rss
    numbers = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return sum(int(numbers[name].split()[0]) for name in ("Pss_Anon", "Pss_Shmem") if name in numbers) * 1024


def open_room(view: View, limits: Limits, libraries: tuple[str, ...]):
    """The best room that this machine offers, and why it is not a better one ("" when it is the best there is).

    Args:
        view, limits: what submissions may see and use.
        libraries: modules to import before the first submission.

    Raises:
        RoomError: not even the fallback works.
    """
    if os.environ.get(FORCE) == "partial":
        return ProcessRoom(view, limits), "asked for"
    if sys.platform != "linux":
        return ProcessRoom(view, limits), f"{sys.platform} has no Linux namespaces"
    room = JailRoom(view, limits, libraries)
    try:
        room.wait_until_ready()
    except RoomError as error:
        return ProcessRoom(view, limits), str(error)
    return room, ""

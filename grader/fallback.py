"""Where Linux namespaces are not available: a plain process with limits. Isolation `partial`.

It keeps the judge safe from a learner's code (another process, nothing unpickled, time and memory limited, killed with
what it started), but it does not hide the file system or the network. Every start pays for the interpreter and for the
libraries that the notebook imports.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import BinaryIO

import psutil

from classroom.exchange.codec import UncodableError
from classroom.exchange.marker import MARKER
from grader.channel import Channel, LineBrokenError, LineTimeoutError, Markers, RoomError, Session, once
from grader.policy import CHECK_STUB, Limits, View, clean_environment, limit_this_process

# Seconds that an interpreter with IPython may take to start.
_START = 60.0

# Runs in isolated mode (-I), so that nothing in the learner's folder is imported by accident. The grader's own modules
# come from the checkout, whose path is then forgotten: imports find the copied view. (Reading the file system still
# finds the checkout. That is what makes this `partial`.)
_BOOT = """
import json, sys
root, view, limits, marker = json.loads(sys.argv[1])
sys.path.insert(0, root)
from grader import fallback, policy, worker
sys.path.remove(root)
sys.path.insert(0, view)
for name in [n for n in sys.modules if n.split(".")[0] in policy.PACKAGES]: del sys.modules[name]
fallback.be_worker(worker, limits, marker)
"""


class ProcessRoom:
    """Starts one process per session."""

    isolation = "partial"

    def __init__(self, view: View, limits: Limits):
        self._view, self._limits = view, limits

    def session(self) -> Session:
        """A fresh worker in a temporary folder that holds a copy of what it may import."""
        folder = Path(tempfile.mkdtemp(prefix="mlsecops-grading-")).resolve()
        course, scratch, marker = folder / "course", folder / "course" / "scratch", folder / "marker"
        scratch.mkdir(parents=True)
        _copy_view(self._view, course)
        marker.touch()
        environment = clean_environment(str(scratch), str(marker))
        # Windows starts no Python without these.
        environment |= {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
        settings = json.dumps([str(self._view.root), str(course), asdict(self._limits), str(marker)])
        worker = subprocess.Popen(  # noqa: S603 - our own start-up code
            [sys.executable, "-I", "-c", _BOOT, settings],
            cwd=scratch,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=os.name == "posix",
        )
        ours, theirs = socket.socketpair()
        pumps = [
            threading.Thread(target=_to_worker, args=(theirs, worker.stdin), daemon=True),
            threading.Thread(target=_from_worker, args=(worker.stdout, theirs), daemon=True),
        ]
        for pump in pumps:
            pump.start()
        family = _Family(worker, str(marker))
        reader = os.open(marker, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        layers = ["process", *(["rlimits"] if os.name == "posix" else [])]

        def end() -> None:
            family.end()
            theirs.close()
            shutil.rmtree(folder, ignore_errors=True)

        session = Session(Channel(ours), Markers(reader), layers, worker.pid, once(end))
        # The start takes seconds on a busy machine; it must not count against the first cell.
        try:
            session.channel.ask({"cell": "pass"}, _START)
        except (LineTimeoutError, LineBrokenError, UncodableError):
            session.__exit__()
            raise RoomError("a worker did not start") from None
        session.started = monotonic()
        return session

    def close(self) -> None:
        """Nothing is left to close: every session cleans up after itself."""


def _copy_view(view: View, course: Path) -> None:
    for source in view.course:
        target = course / source.relative_to(view.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, target)
    check = course / view.check.relative_to(view.root)
    check.parent.mkdir(parents=True, exist_ok=True)
    check.write_text(CHECK_STUB, encoding="utf-8")


def _to_worker(source: socket.socket, target: BinaryIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        while chunk := source.recv(1 << 16):
            target.write(chunk)
            target.flush()


def _from_worker(source: BinaryIO, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while chunk := source.read1(1 << 16):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)  # the judge should hear at once that the worker hung up


class _Family:
    """A worker and all that it started, also what left its session; found by the environment that they inherit."""

    def __init__(self, worker: subprocess.Popen, mark: str):
        self._worker, self._mark = worker, mark

    def end(self) -> None:
        """Kill them all. A process that cleared its environment *and* lost its parents escapes: `partial`."""
        # More than one round, because a process can start another one while we look.
        for _ in range(3):
            victims = self._members()
            for process in victims:
                try:
                    process.kill()
                except psutil.Error:
                    pass
            self._worker.kill()
            psutil.wait_procs(victims, timeout=2)
            if not victims:
                break
        self._worker.wait()
        self._worker.stdin.close()

    def _members(self) -> list[psutil.Process]:
        found = {}
        try:
            found = {p.pid: p for p in psutil.Process(self._worker.pid).children(recursive=True)}
        except psutil.Error:
            pass
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARKER) == self._mark and process.status() != "zombie":
                    found[process.pid] = process
            except (psutil.Error, OSError):
                continue
        return list(found.values())


def be_worker(worker: ModuleType, limits: dict, marker: str) -> None:
    """The life of a worker: limits first, then requests from standard input until it closes."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    worker.silence()
    if os.name == "posix":
        allowed = Limits(**limits)
        limit_this_process(allowed, **({"DATA": allowed.memory} if sys.platform == "linux" else {}))
    worker.serve(requests, answers, worker.make_shell(), limits["step"], marker)

"""The process that every submission is forked from: all libraries imported, no learner's code, no answer, no key.

It moves into the jail's root before it imports anything but the grader's own machinery, so nothing that the jail hides
was ever in its memory. It imports but computes nothing: torch would start threads, which a fork loses.

Run as `python -m grader.zygote SOCKET JSON`, where SOCKET is the descriptor of a Unix socket to the judge. For each
message `fork` with one descriptor (the worker's end of its channel) it answers with a handle on the new process.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import socket
import sys
from pathlib import Path

from grader import jail, worker
from grader.policy import PACKAGES, Limits, View, clean_environment


def main(arguments: list[str]) -> int:
    """Set up, report `full` or why not, then fork on request until the judge hangs up."""
    control = socket.socket(fileno=int(arguments[0]))
    settings = json.loads(arguments[1])
    view, limits = View(Path(settings["root"]), tuple(settings["modules"])), Limits(**settings["limits"])
    jail.die_with_parent()
    os.environ.clear()
    os.environ.update(clean_environment(view.scratch, view.marker))
    try:
        jail.build(view)
    except (jail.JailError, OSError) as error:
        control.send(json.dumps({"error": str(error)}).encode())
        return 1
    sys.path[:] = [str(view.root), *(p for p in sys.path if p and Path(p) != view.root and Path(p).exists())]
    for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
        sys.modules.pop(name)  # the packages as seen from outside; the jail's own are found from here on
    shell = worker.make_shell()
    for name in settings["libraries"]:
        importlib.import_module(name)
    if outsiders := [name for name in sys.modules if view.hides(name)]:
        raise RuntimeError(f"the jail must not know {outsiders}")
    gc.collect()
    gc.freeze()  # what exists now is never looked at again, so that forks go on sharing it
    control.send(json.dumps({"ready": True}).encode())
    _fork_on_request(control, view, limits, shell)
    return 0


def _fork_on_request(control: socket.socket, view: View, limits: Limits, shell: worker.Shell) -> None:
    namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    while True:
        message, handles, _, _ = socket.recv_fds(control, 64, 1)
        if not message:
            return
        try:
            child = jail.fork_into_new_pid_namespace(namespace)
        except (jail.JailError, OSError) as error:
            control.send(f"error: {error}".encode())
        else:
            if child == 0:
                _be_worker(handles[0], view, limits, shell)
            process = os.pidfd_open(child)
            socket.send_fds(control, [b"ok"], [process])
            os.close(process)
        finally:
            for handle in handles:
                os.close(handle)
        _bury()


def _bury() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _be_worker(handle: int, view: View, limits: Limits, shell: worker.Shell) -> None:
    status = 1
    try:
        os.closerange(3, handle)
        os.closerange(handle + 1, 4096)
        worker.silence()
        channel = socket.socket(fileno=handle)
        try:
            marker, layers = jail.enter(view, limits)
        except (jail.JailError, OSError) as error:
            channel.sendall(json.dumps({"error": str(error)}).encode())
            return
        # The judge reads this first message, and takes the marker's reading end, before it sends any code.
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [marker]))]
        channel.sendmsg([json.dumps({"layers": layers}).encode()], ancillary)
        os.close(marker)
        gc.enable()
        stream = channel.makefile("rwb")
        worker.serve(stream, stream, shell, limits.step, view.marker)
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

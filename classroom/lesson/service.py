"""A service to attack: a web service in a child process that ends when the kernel does."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from classroom.lesson.sandbox import ROOT

# The child watches its standard input from the first moment on. However the kernel ends (closed, interrupted, killed),
# the pipe closes with it, and the child ends, too. A session of its own keeps an interrupt of the kernel from it.
_SERVER = """
import os, sys, threading, time
sys.path.append({root!r})
_server = None
def _end_with_parent():
    while os.read(0, 4096):
        pass
    if _server is not None:
        _server.should_exit = True
        time.sleep(5)
    os._exit(0)
threading.Thread(target=_end_with_parent, daemon=True).start()
exec(compile({code!r}, "<service>", "exec"), globals())
import socket, uvicorn
_listener = socket.create_server(("127.0.0.1", 0))
_options = dict(log_level="error", access_log=False, timeout_graceful_shutdown=1, **{options!r})
_server = uvicorn.Server(uvicorn.Config(app, **_options))
print(chr(10) + "port", _listener.getsockname()[1], flush=True)
_server.run(sockets=[_listener])
sys.stderr.flush()
os._exit(0)  # all is closed; taking torch apart would cost another second
"""


class Service:
    """A web service in a child process, on a port of this computer that was free; started by `serve`.

    `url` is its address. Also a context manager, which stops it at the end of the block.
    """

    def __init__(self, code: str, folder: Path, environment: dict, timeout: float, options: dict):
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter on the lesson's own source
            [sys.executable, "-I", "-c", _SERVER.format(root=str(ROOT), code=code, options=options)],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            **_own_session(),
        )
        too_late = threading.Timer(timeout, self._process.kill)
        too_late.start()
        try:
            port = next((line.split()[1] for line in self._process.stdout if line.startswith(b"port ")), None)
        except BaseException:  # an interrupt while it starts
            self.stop()
            raise
        finally:
            too_late.cancel()
        if port is None:
            self._process.wait()
            lines = self.errors.strip().splitlines() or ["it ended without a word"]
            self.stop()
            raise RuntimeError(f"the service did not start: {lines[-1]}")
        self.port = int(port)
        self.url = f"{'https' if 'ssl_certfile' in options else 'http'}://127.0.0.1:{self.port}"

    @property
    def errors(self) -> str:
        """What the service has written to standard error so far."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    @property
    def running(self) -> bool:
        """True until the service has ended."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the service and wait for it; a second call does nothing."""
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()
        try:
            self._process.wait(timeout=8)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def __repr__(self) -> str:
        return "service: running" if self.running else "service: stopped"


def _own_session() -> dict:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def serve(
    code: str,
    folder: Path,
    *,
    environment: dict[str, str] | None = None,
    timeout: float = 60,
    **options,
) -> Service:
    """Start a web service that only this computer can reach, in a child process that ends when this one does.

    Args:
        code: Python source that defines `app`, an ASGI application. It can import this course's package.
        folder: a `workspace()`; the service's current directory.
        environment: variables that the service finds besides those of this process.
        timeout: seconds until a service that has not come up is killed.
        options: settings of `uvicorn.Config`, such as `proxy_headers=False`, or `ssl_certfile` and `ssl_keyfile`.

    Returns:
        The running `Service`.

    Raises:
        RuntimeError: the code failed, or took too long; with the last line of its error output.
    """
    return Service(code, Path(folder), environment or {}, timeout, options)

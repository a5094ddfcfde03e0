"""Experiment tracking with MLflow 3: a server that ends with us, what one lets strangers do, cleaned addresses."""

import base64
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

WAIT = 10  # seconds for one answer


def sanitized(address: str) -> str:
    """Return an address with what opens doors taken out: user and password, and values that are named as secrets.

    The host stays as it is written; the part behind ``#`` goes.

    Raises:
        ValueError: it is no address with a scheme and a host. The message does not repeat it.
    """
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises for what is no number
    except ValueError:
        raise ValueError("not an address") from None
    if not parts.scheme or not parts.hostname:
        raise ValueError("not an address: a scheme and a host are needed")
    place = parts.netloc.rpartition("@")[2]
    path = _PARAMETER.sub(_without_secret, parts.path)
    query = _PARAMETER.sub(_without_secret, f"&{parts.query}")[1:]
    return urlunsplit((parts.scheme, place, path, query, ""))


_PARAMETER = re.compile(r"([&;])([^=&;]+)=([^&;]+)")
_SECRETS = {"token", "key", "password", "passwd", "pwd", "secret", "sig", "signature", "credential", "code", "auth"}


def _without_secret(match: re.Match) -> str:
    words = set(re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", unquote(match[2])).lower()))
    return f"{match[1]}{match[2]}=[removed]" if words & (_SECRETS | {"apikey", "accesstoken"}) else match[0]


@dataclass(frozen=True)
class Exposure:
    """What a stranger gets from a tracking server: an HTTP status by what was tried, 0 where nothing answered.

    ``open`` is true when a stranger could write or read.
    """

    statuses: dict[str, int]

    @property
    def open(self) -> bool:
        return any(200 <= status < 300 for status in self.statuses.values())


def exposure(address: str, password: tuple[str, str] | None = None) -> Exposure:
    """Try what a stranger would: list experiments, and make one (its name says what it is).

    Args:
        address: of the server, such as ``http://127.0.0.1:5000``.
        password: a user and a password to try; None: none.

    Raises:
        ValueError: no http or https address.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise ValueError("an http or https address is needed")
    base = address.rstrip("/") + "/api/2.0/mlflow/experiments/"
    tried = {"list": ("search", {"max_results": 1}), "create": ("create", {"name": "exposure check, to be deleted"})}
    return Exposure({name: _post(base + path, content, password) for name, (path, content) in tried.items()})


def _post(address: str, content: dict, password: tuple[str, str] | None) -> int:
    request = urllib.request.Request(address, json.dumps(content).encode(), {"Content-Type": "application/json"})  # noqa: S310
    if password:
        token = base64.b64encode(":".join(password).encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=WAIT) as answer:  # noqa: S310 - http and https only, see above
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


# It starts the server in its own process group and waits for its standard input to close. However our process ends
# (killed, too), the pipe closes with it, and the group with all workers is killed: they would hold the port for ever.
_GUARD = """
import os, signal, subprocess, sys
import threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
threading.Thread(target=lambda: os._exit(child.wait() or 1), daemon=True).start()
while os.read(0, 4096):
    pass
if os.name == "posix":
    os.killpg(0, signal.SIGKILL)
subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True)
"""


class TrackingServer:
    """An MLflow server on this computer, for as long as the ``with`` block lasts and the process lives.

    Args:
        folder: for its database, artifacts and log; made if needed.
        login: whether it asks for one. User and password are then in the attribute ``login``, made up anew.
        python: an interpreter in which ``mlflow[auth]`` is installed.
        timeout: seconds until it has to answer.

    Raises:
        RuntimeError: it does not answer in time, or ends; the message ends with the last line of its log.
    """

    def __init__(self, folder: Path, login: bool = True, python: str = sys.executable, timeout: float = 120) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.login = ("admin", secrets.token_urlsafe(18)) if login else None
        store = [
            "--backend-store-uri",
            f"sqlite:///{folder / 'runs.db'}",
            "--artifacts-destination",
            str(folder / "files"),
        ]
        command = [
            python,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
            *store,
        ]
        more = {}
        if self.login:
            command += ["--app-name", "basic-auth"]
            (folder / "auth.ini").write_text(
                f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{folder / 'users.db'}\n"
                f"admin_username = {self.login[0]}\nadmin_password = {self.login[1]}\n"
                "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            )
            (folder / "auth.ini").chmod(0o600)
            more = {
                "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
                "MLFLOW_AUTH_ADMIN_PASSWORD": self.login[1],
                "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
            }
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            self._guard = subprocess.Popen(  # noqa: S603 - an interpreter that the caller named
                [sys.executable, "-c", _GUARD, *command],
                cwd=folder,
                env=os.environ | more,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + timeout
        while not self._answers():
            if self._guard.poll() is not None or time.monotonic() > end:
                self.close()
                lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise RuntimeError(f"the tracking server did not start: {lines[-1] if lines else 'no message'}")
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.address + "/health", timeout=WAIT) as answer:  # noqa: S310
                return answer.status == 200
        except OSError:
            return False

    def close(self) -> None:
        """End it with all its workers; a second call does nothing."""
        if self._guard.stdin and not self._guard.stdin.closed:
            self._guard.stdin.close()
            self._guard.wait(timeout=30)

    def __enter__(self) -> "TrackingServer":
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

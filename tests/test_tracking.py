"""Addresses without passwords, what a tracking server lets strangers do, and a real one that ends with us."""

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from classroom.drills.leaks import NOTED, mlflow_python, strangers_view
from mlsecops.tracking import TrackingServer, exposure, sanitized

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("address", "clean"),
    [
        ("https://ann:s3cret@host.example/a?b=1#c", "https://host.example/a?b=1"),
        ("https://ann@host:8443", "https://host:8443"),
        ("https://:s3cret@host/", "https://host/"),
        ("postgresql+psycopg2://u:p%40ss@db/x", "postgresql+psycopg2://db/x"),
        ("http://[::1]:5000/?api_key=s3cret&page=2", "http://[::1]:5000/?api_key=[removed]&page=2"),
        ("https://a/b?X-Amz-Signature=s3cret&n=&m", "https://a/b?X-Amz-Signature=[removed]&n=&m"),
        ("https://a@s3cret@host/", "https://host/"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("https://h/?author=ann&monkey=2&design=3", "https://h/?author=ann&monkey=2&design=3"),
        (
            "https://Host.Example/;token=s3cret?t%6Fken=s3cret",
            "https://Host.Example/;token=[removed]?t%6Fken=[removed]",
        ),
        ("https://h/?X-Amz-Credential=s3cret&apiKey=s3cret", "https://h/?X-Amz-Credential=[removed]&apiKey=[removed]"),
    ],
)
def test_what_opens_doors_is_taken_out(address, clean):
    assert sanitized(address) == clean


@pytest.mark.parametrize("address", ["", "s3cret", "ann:s3cret@host", "http://", "http://[s3cret", "http://h:s3cret/"])
def test_what_is_no_address_is_not_repeated(address):
    with pytest.raises(ValueError, match="not an address") as caught:
        sanitized(address)
    assert "s3cret" not in str(caught.value)


@contextmanager
def answering(status):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            code = 200 if self.headers.get("Authorization") == "Basic YWRtaW46cmlnaHQ=" else status
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_strangers_view():
    with answering(401) as address:
        assert exposure(address).statuses == {"list": 401, "create": 401} and not exposure(address).open
        assert exposure(address, ("admin", "right")).open and not exposure(address, ("admin", "wrong")).open
    assert exposure(address).statuses == {"list": 0, "create": 0}
    with answering(200) as address:
        assert exposure(address).open
    with pytest.raises(ValueError, match="http or https"):
        exposure("file:///etc/passwd")


def test_a_server_that_cannot_start_is_one_sentence(tmp_path):
    with pytest.raises(RuntimeError, match=r"did not start: .*[Nn]o module named.*mlflow"):
        TrackingServer(tmp_path, python=sys.executable, timeout=30)


needs_mlflow = pytest.mark.skipif(not mlflow_python(), reason="MLflow is not installed, see lesson H4, part 8")


@pytest.mark.slow
@needs_mlflow
def test_what_was_noted_is_what_a_real_server_answers(tmp_path):
    assert strangers_view(tmp_path).T.to_dict() == NOTED
    assert not mlflow_processes()


@pytest.mark.slow
@needs_mlflow
def test_a_killed_notebook_leaves_no_server(tmp_path):
    code = (
        "import sys; from pathlib import Path; from mlsecops.tracking import TrackingServer\n"
        "server = TrackingServer(Path(sys.argv[1]), python=sys.argv[2]); print(server.address, flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path), mlflow_python()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as notebook:
        port = int(notebook.stdout.readline().rsplit(":", 1)[1])
        os.kill(notebook.pid, signal.SIGKILL)
    end = time.monotonic() + 20
    while mlflow_processes() and time.monotonic() < end:
        time.sleep(0.2)
    assert not mlflow_processes()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def mlflow_processes():
    import psutil

    return [one.pid for one in psutil.process_iter(["cmdline"]) if "mlflow" in " ".join(one.info["cmdline"] or ())
            and one.pid != os.getpid() and "pytest" not in " ".join(one.info["cmdline"])]  # fmt: skip

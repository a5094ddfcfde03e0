"""The real thing on a loopback port: uvicorn, TLS, a limit that holds, and an end that leaves nothing behind."""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from asgi import VALID
from serving_setup import HASH_KEY, SECRET, trained

from mlsecops.salary.storage import save
from mlsecops.serving import derive, issue_key, read_anchor, verify_audit_log
from mlsecops.serving.interval import load_width, save_width
from mlsecops.serving.run import self_signed, serve

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def model_dir(tmp_path):
    model, width = trained()
    save(model, tmp_path / "model")
    save_width(width, tmp_path / "model")
    return tmp_path / "model"


def test_over_tls_until_standard_input_closes(model_dir, tmp_path):
    code = (
        "import sys; from mlsecops.serving import run;"
        f"run.tempfile.tempdir = {str(tmp_path)!r};"  # where this run's certificate will lie
        f"sys.exit(run.serve({str(model_dir)!r}, port=0, tls=True, demo=True, until_stdin_closes=True))"
    )
    settings = {"SALARY_AUDIT_FOLDER": str(tmp_path / "log"), "SALARY_ANCHOR_FOLDER": str(tmp_path / "anchors")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ | settings, **pipes)
    try:
        key = server.stdout.readline().split()[1]
        address = server.stdout.readline().split()[-1]
        (certificate,) = tmp_path.glob("mlsecops-tls-*/certificate.pem")
        trusting = ssl.create_default_context(cafile=str(certificate))
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        statuses = Counter(status(address, headers | {"X-Forwarded-For": f"10.0.0.{n}"}, trusting) for n in range(65))
        assert statuses == {200: 60, 429: 5}
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            status(address, headers, ssl.create_default_context())
        with pytest.raises(ConnectionError):  # what talks without TLS gets nothing
            plain(address)
        server.stdin.close()
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.stdout.close()
        server.wait()
    assert not list(tmp_path.glob("mlsecops-tls-*"))
    anchor = read_anchor(tmp_path / "anchors" / "anchor-0.jsonl")
    assert anchor["seq"] == 64
    # The demonstration's secret ended with it, so here only the wrong key can be tried.
    assert not verify_audit_log(tmp_path / "log" / "audit-0.jsonl", derive(SECRET, "audit"), anchor).ok


def status(address, headers, context):
    """POST a good query; the port is ours before the service listens, so the first call waits."""
    request = urllib.request.Request(address + "/predict", json.dumps(VALID).encode(), headers)
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def plain(address):
    host, port = address.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if b"200" not in connection.recv(100):
            raise ConnectionError("no answer")


WORKERS, LIMIT, CLIENTS, REQUESTS = 3, 150, 8, 20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="ends the service by a signal")
@pytest.mark.parametrize(("storage", "connections"), [("redis", 10), ("memory", 3)])
def test_workers_under_load(storage, connections, model_dir, tmp_path, request):
    """With Redis the workers keep one limit together, without it each its own; and every request is on record."""
    issued = [issue_key(owner, HASH_KEY) for owner in ("ada", "grace")]
    logs, anchors = tmp_path / "log", tmp_path / "anchors"
    settings = {
        "SALARY_SECRET": SECRET,
        "SALARY_API_KEYS": f"[{','.join(key.model_dump_json() for _, key in issued)}]",
        "SALARY_REQUESTS_PER_MINUTE": str(LIMIT),
        "SALARY_ADDRESS_REQUESTS_PER_MINUTE": "100000",
        "SALARY_QUERY_BUDGET": "100000",
        "SALARY_AUDIT_FOLDER": str(logs),
        "SALARY_ANCHOR_FOLDER": str(anchors),
    }
    if storage == "redis":
        settings["SALARY_REDIS_URL"] = request.getfixturevalue("redis_address")
    command = [sys.executable, "-m", "mlsecops", "serve", "--model", str(model_dir), "--port", "0"]
    command += ["--workers", str(WORKERS)]
    server = subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.PIPE, text=True)
    family = []
    try:
        port = int(server.stdout.readline().rpartition(":")[2])
        deadline = time.monotonic() + 120
        while len(list(logs.glob("*.jsonl"))) < WORKERS or not is_up(port):  # all of them, not only the first
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        family = psutil.Process(server.pid).children(recursive=True)
        started = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(load, port, issued[n % 2][0], connections) for n in range(CLIENTS)]
            answers = [answer for client in clients for answer in client.result()]
        minutes = (time.monotonic() - started) / 60
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        assert not psutil.wait_procs(family, timeout=60)[1]
    finally:
        for process in [server, *family]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        server.wait()
        server.stdout.close()
    assert len(answers) == CLIENTS * connections * REQUESTS and {status for _, status, _ in answers} <= {200, 429}
    passed = Counter(key for key, status, _ in answers if status == 200)
    for key, _ in issued:
        if storage == "redis":
            assert LIMIT <= passed[key] <= LIMIT * (1 + int(minutes))  # exactly the limit, unless it took a minute
        else:
            assert passed[key] > LIMIT
    recorded = []
    for number in range(WORKERS):
        log = logs / f"audit-{number}.jsonl"
        assert verify_audit_log(log, derive(SECRET, "audit"), read_anchor(anchors / f"anchor-{number}.jsonl")).ok
        recorded += [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    on_record = sorted((line["request_id"], line["status"]) for line in recorded)
    assert on_record == sorted((identifier, status) for _, status, identifier in answers)


def is_up(port):
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10):
        return True
    return False


def load(port, key, connections):
    """Ask REQUESTS times on each of the connections; returns the key, status and request id of every answer."""
    headers, answers = {"X-API-Key": key, "Content-Type": "application/json"}, []
    for _ in range(connections):  # now and then a new one, which another worker may take
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            for _ in range(REQUESTS):
                connection.request("POST", "/predict", json.dumps(VALID), headers)
                with connection.getresponse() as answer:
                    answer.read()
                    answers.append((key, answer.status, answer.headers["X-Request-ID"]))
    return answers


def test_what_cannot_be_served(tmp_path, model_dir, monkeypatch, capsys):
    monkeypatch.setenv("SALARY_MODEL", "")
    monkeypatch.delenv("SALARY_SECRET", raising=False)
    assert serve(model_dir) == 2 and "secret" in capsys.readouterr().err
    monkeypatch.setenv("SALARY_SECRET", SECRET)
    assert serve(tmp_path / "nothing") == 2
    (model_dir / "interval.json").write_text('{"log_half_width": "wide"}')
    assert serve(model_dir) == 2 and SECRET not in capsys.readouterr().err


def test_width_beside_the_model(model_dir):
    assert load_width(model_dir) == trained()[1]


def test_certificate(tmp_path):
    certificate, key = self_signed(tmp_path)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    if os.name == "posix":
        assert Path(key).stat().st_mode & 0o077 == 0

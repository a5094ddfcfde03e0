"""The audit chain: what was done to it is found, and a crash costs no more than the line being written."""

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from asgi import ask
from serving_setup import SECRET, Clock, hardened, trained

from mlsecops import audit_log as audit_module
from mlsecops.audit_log import AuditError, open_worker_log
from mlsecops.serving import AuditLog, Settings, create_app, derive, read_anchor, verify_audit_log

ROOT = Path(__file__).resolve().parents[1]
KEY = derive(SECRET, "audit")


def written(path, count=20, **options):
    """Write a log of ``count`` lines; returns its lines and its head."""
    log = AuditLog(path, KEY, **options)
    for number in range(count):
        log.append({"path": "/predict", "status": 200, "note": f"line {number}\nété \ud800"})
    log.close()
    return path.read_bytes().splitlines(keepends=True), log.head()


def edited(lines):
    return [*lines[:7], lines[7].replace(b"200", b"403"), *lines[8:]]


def resigned(lines):
    """The edit of somebody who has found the key, and signs the one line again."""
    import hmac

    text = lines[7].replace(b"200", b"403")[: -audit_module.TAIL]
    return [*lines[:7], text + f',"mac":"{hmac.digest(KEY, text, "sha256").hex()}"}}\n'.encode(), *lines[8:]]


TAMPERED = {
    "edit": (edited, "line 7 was altered"),
    "edit with the key": (resigned, "line 8 does not follow"),
    "delete": (lambda lines: [*lines[:7], *lines[8:]], "line 7 does not follow"),
    "delete the first": (lambda lines: lines[1:], "line 0 does not follow"),
    "reorder": (lambda lines: [*lines[:7], lines[8], lines[7], *lines[9:]], "line 7 does not follow"),
    "duplicate": (lambda lines: [*lines[:8], *lines[7:]], "line 8 does not follow"),
    "insert": (lambda lines: [*lines[:7], b'{"seq":7}\n', *lines[7:]], "line 7 was altered"),
    "truncate": (lambda lines: lines[:-1], "truncated: line 19 was anchored, the log has 19"),
    "empty": (lambda lines: [], "truncated"),
    "cut a line short": (lambda lines: [*lines[:-1], lines[-1][:-9]], "line 19 is torn"),
    "line break lost": (lambda lines: [*lines[:-1], lines[-1][:-1]], "line 19 is torn"),
    "spaces": (
        lambda lines: [*lines[:7], lines[7].replace(b'"seq":7,', b'"seq": 7,'), *lines[8:]],
        "line 7 was altered",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found(name, tmp_path):
    tamper, problem = TAMPERED[name]
    path = tmp_path / "audit.jsonl"
    lines, head = written(path)
    assert verify_audit_log(path, KEY, head) == (20, "")
    path.write_bytes(b"".join(tamper(lines)))
    check = verify_audit_log(path, KEY, head)
    assert not check.ok and problem in check.problem


def test_truncation_is_invisible_without_an_anchor(tmp_path):
    lines, _ = written(tmp_path / "audit.jsonl")
    (tmp_path / "audit.jsonl").write_bytes(b"".join(lines[:5]))
    assert verify_audit_log(tmp_path / "audit.jsonl", KEY).ok


def test_a_log_written_anew_with_the_key_is_not_the_anchored_one(tmp_path):
    _, head = written(tmp_path / "audit.jsonl")
    (tmp_path / "audit.jsonl").unlink()
    other = AuditLog(tmp_path / "audit.jsonl", KEY)
    for _ in range(30):
        other.append({"path": "/predict", "status": 403})
    other.close()
    assert "not the one that was anchored" in verify_audit_log(tmp_path / "audit.jsonl", KEY, head).problem


def test_wrong_key_and_compressed_file(tmp_path):
    lines, head = written(tmp_path / "audit.jsonl")
    assert verify_audit_log(tmp_path / "audit.jsonl", b"x" * 32).problem == "line 0 was altered"
    with gzip.open(tmp_path / "audit.jsonl.gz", "wb") as file:
        file.writelines(lines)
    assert verify_audit_log(tmp_path / "audit.jsonl.gz", KEY, head).ok


class TestContinuing:
    def test_after_an_ordinary_end(self, tmp_path):
        path, anchor = tmp_path / "audit.jsonl", tmp_path / "anchor.jsonl"
        written(path, 25, anchor=anchor, anchor_every=10)
        assert [json.loads(line)["seq"] for line in anchor.read_text().splitlines()] == [9, 19, 24]
        written(path, 5, anchor=anchor, anchor_every=10)
        assert verify_audit_log(path, KEY, read_anchor(anchor)) == (30, "")

    def test_after_a_torn_line(self, tmp_path):
        path = tmp_path / "audit.jsonl"
        lines, _ = written(path)
        path.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
        AuditLog(path, KEY).close()
        assert verify_audit_log(path, KEY) == (20, "")
        last = json.loads(path.read_bytes().splitlines()[-1])
        assert (last["event"], last["bytes_removed"]) == ("recovered", 40)

    def test_a_file_that_is_torn_in_its_first_line(self, tmp_path):
        (tmp_path / "audit.jsonl").write_bytes(b'{"seq":0,')
        AuditLog(tmp_path / "audit.jsonl", KEY).close()
        assert verify_audit_log(tmp_path / "audit.jsonl", KEY) == (1, "")

    def test_not_after_somebody_else_s_line(self, tmp_path):
        lines, _ = written(tmp_path / "audit.jsonl")
        (tmp_path / "audit.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1].replace(b"200", b"403"))
        with pytest.raises(AuditError, match="not ours"):
            AuditLog(tmp_path / "audit.jsonl", KEY)

    def test_not_when_anchored_lines_are_gone(self, tmp_path):
        path, anchor = tmp_path / "audit.jsonl", tmp_path / "anchor.jsonl"
        lines, _ = written(path, anchor=anchor)
        path.write_bytes(b"".join(lines[:10]))
        with pytest.raises(AuditError, match="before line 19"):
            AuditLog(path, KEY, anchor=anchor)

    @pytest.mark.parametrize("size", [200_000, 40])
    def test_zeros_of_a_power_cut_are_removed(self, size, tmp_path):
        lines, _ = written(tmp_path / "audit.jsonl")
        (tmp_path / "audit.jsonl").write_bytes(b"".join(lines) + lines[0][:30] + b"\0" * size)
        AuditLog(tmp_path / "audit.jsonl", KEY).close()
        assert verify_audit_log(tmp_path / "audit.jsonl", KEY) == (21, "")
        assert b'"bytes_removed":%d,' % (size + 30) in (tmp_path / "audit.jsonl").read_bytes()

    def test_not_after_junk_that_is_no_torn_line(self, tmp_path):
        lines, _ = written(tmp_path / "audit.jsonl")
        (tmp_path / "audit.jsonl").write_bytes(b"".join(lines) + b"x" * 200_000)
        with pytest.raises(AuditError, match="no line of ours"):
            AuditLog(tmp_path / "audit.jsonl", KEY)
        assert (tmp_path / "audit.jsonl").stat().st_size > 200_000  # nothing was cut

    def test_one_chain_per_worker(self, tmp_path):
        first, lock = open_worker_log(tmp_path, KEY, anchor_folder=tmp_path / "anchors")
        second, other = open_worker_log(tmp_path, KEY, anchor_folder=tmp_path / "anchors")
        for log in (first, second, first):
            log.append({"status": 200})
        first.close()
        lock.release()
        again, lock = open_worker_log(tmp_path, KEY, anchor_folder=tmp_path / "anchors")
        again.append({"status": 200})
        again.close(), second.close(), lock.release(), other.release()
        for number, count in enumerate((3, 1)):
            anchor = read_anchor(tmp_path / "anchors" / f"anchor-{number}.jsonl")
            assert verify_audit_log(tmp_path / f"audit-{number}.jsonl", KEY, anchor) == (count, "")


class TestFailing:
    def test_a_short_write_leaves_no_trace(self, tmp_path, monkeypatch):
        path = tmp_path / "audit.jsonl"
        log, real = AuditLog(path, KEY), os.write
        log.append({"status": 200})
        monkeypatch.setattr(audit_module.os, "write", lambda file, data: real(file, data[:30]))
        with pytest.raises(AuditError, match="disk is full"):
            log.append({"status": 201})
        monkeypatch.undo()
        log.append({"status": 202})
        log.close()
        assert verify_audit_log(path, KEY, log.head()) == (2, "")

    def test_no_record_no_prediction(self, tmp_path, monkeypatch):
        service = hardened(tmp_path)

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(audit_module.os, "write", full)
        answer = service.client()()
        assert answer.status == 503 and b"predicted" not in answer.body
        assert answer.headers["x-content-type-options"] == "nosniff"

    def test_ready_is_false_while_nothing_can_be_written(self, tmp_path, monkeypatch):
        service = hardened(tmp_path)
        ask = service.client()

        def ready(path="/ready"):
            return ask(b"", method="GET", path=path).status

        assert ready() == 200
        with monkeypatch.context() as broken:
            broken.setattr(audit_module.os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
            assert ask().status == 503 and (ready(), ready("/health")) == (503, 200)
        assert ready() == ready() == 200 and json.loads(service.logged().splitlines()[-1])["seq"] == 0  # one line
        with monkeypatch.context() as broken:
            broken.setattr(audit_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
            assert ready() == 503
        service.log.unlink()  # what is written now, nobody will read
        assert ready() == 503

    def test_trouble_with_the_anchor_is_no_customer_s(self, tmp_path, caplog):
        anchors = tmp_path / "anchors"
        service = hardened(tmp_path, anchor_folder=anchors, anchor_every=1)
        (anchors / "anchor-0.jsonl").mkdir()  # cannot be opened for writing
        assert service.client().many(5) == [200] * 5 and caplog.text.count("cannot be written") == 1
        (anchors / "anchor-0.jsonl").rmdir()
        (anchors / "anchor-0.jsonl").write_bytes(b'{"seq":3,"m')  # the disk was full
        assert read_anchor(anchors / "anchor-0.jsonl") is None
        service.client()()
        anchor = read_anchor(anchors / "anchor-0.jsonl")
        assert anchor["seq"] == 5 and verify_audit_log(service.log, KEY, anchor) == (6, "")


CRASHING = """
import sys
sys.path.insert(0, {root!r})
from mlsecops.audit_log import AuditLog
log = AuditLog({path!r}, {key!r})
number = 0
while True:
    log.append({{"status": 200, "filling": "x" * 500}})
    number += 1
    print(number, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_process_loses_at_most_the_line_it_was_writing(tmp_path):
    path, kept = tmp_path / "audit.jsonl", 0
    for pause in (0.05, 0.0):
        source = CRASHING.format(root=str(ROOT), path=str(path), key=KEY)
        child = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(pause)
        child.kill()
        said = child.stdout.read().split(b"\n")
        child.wait()
        acknowledged = max([1, *(int(word) for word in said[:-1] if word)])
        AuditLog(path, KEY).close()
        check = verify_audit_log(path, KEY)
        assert check.ok and check.lines >= kept + acknowledged
        kept = check.lines


def test_what_the_service_writes(tmp_path):
    service = hardened(
        tmp_path / "log", anchor_folder=tmp_path / "anchors", anchor_every=1, clock=Clock(1_700_000_000.25)
    )
    call = service.client(address="192.0.2.77")
    answers = [call(), call(key="wrong"), call({"years_exp": "canary-7f3a"}), call(b"", method="GET", path="/health")]
    lines = [json.loads(line) for line in service.logged().splitlines()]
    assert [line["status"] for line in lines] == [200, 401, 422]  # probes of the health would bury the rest
    names = "seq time request_id key_id address method path status features previous mac"
    assert list(lines[0]) == names.split()
    assert lines[0]["time"] == 1_700_000_000.25 and lines[0]["features"]["country"] == "Germany"
    assert [line["request_id"] for line in lines] == [answer.headers["x-request-id"] for answer in answers[:3]]
    assert [line["key_id"] for line in lines] == [service.keys[0].partition(".")[0], None, lines[0]["key_id"]]
    log = service.logged()
    assert "192.0.2.77" not in log and service.keys[0] not in log and "canary" not in log
    assert len({line["address"] for line in lines}) == 1
    anchor = read_anchor(tmp_path / "anchors" / "anchor-0.jsonl")
    assert verify_audit_log(service.log, KEY, anchor) == (3, "")


def test_the_service_closes_its_log(tmp_path):
    settings = Settings(secret=SECRET, audit_folder=tmp_path, anchor_folder=tmp_path / "anchors")
    answers = []

    def live(app):
        async def whole_life():
            async with app.router.lifespan_context(app):
                answers.append(await ask(app, "POST", "/predict", [], [b""]))

        asyncio.run(whole_life())

    for _ in range(2):  # made in one thread and run in another, as some servers do
        thread = threading.Thread(target=live, args=[create_app(trained()[0], settings, interval=1.0)])
        thread.start()
        thread.join()
    assert [answer.status for answer in answers] == [401, 401]
    anchor = read_anchor(tmp_path / "anchors" / "anchor-0.jsonl")
    assert verify_audit_log(tmp_path / "audit-0.jsonl", KEY, anchor) == (2, "")


def test_a_hundred_thousand_lines(tmp_path):
    """One second of processor time is the promise; the benchmark prints how much of it is used."""
    line_count = 100_000
    log = AuditLog(tmp_path / "audit.jsonl", KEY)
    fields = {
        "time": 1.5,
        "request_id": "0" * 16,
        "key_id": "0" * 8,
        "address": "0" * 32,
        "features": {"years_exp": 5.0},
    }
    for _ in range(line_count):
        log.append(fields)
    log.close()
    start = time.process_time()
    assert verify_audit_log(tmp_path / "audit.jsonl", KEY, log.head()) == (line_count, "")
    assert time.process_time() - start < 2  # twice the promise: this machine may be busy

"""Logs in segments and in folders: they verify as a whole, and what is missing is named."""

import gzip
import json
import subprocess
import sys

import pytest
from serving_setup import SECRET, Clock, hardened

from mlsecops.__main__ import main
from mlsecops.audit_folder import merged, verify
from mlsecops.audit_log import AuditError, AuditLog, derive, segments, verify_audit_log

KEY = derive(SECRET, "audit")


@pytest.fixture
def rotated(tmp_path):
    """A chain in four files, of 60 lines and those that the segments begin and end with; and its anchor."""
    log = AuditLog(tmp_path / "audit-0.jsonl", KEY, anchor=tmp_path / "anchor-0.jsonl", segment_bytes=4000)
    for number in range(60):
        log.append({"time": 100.0 + number, "key_id": "ada", "status": 200, "features": None})
    log.close()
    assert len(segments(tmp_path / "audit-0.jsonl")) == 4
    return tmp_path


def check(folder):
    return verify([folder], KEY, folder)


def test_rotated_segments_hold(rotated):
    assert check(rotated).ok and check(rotated).files == 4 and check(rotated).lines == 66
    closing, opening = (
        json.loads(segments(rotated / "audit-0.jsonl")[n].read_bytes().splitlines()[-1 + n]) for n in (0, 1)
    )
    assert closing["event"] == "closed" and closing["head"]["seq"] == closing["seq"] - 1
    assert opening["event"] == "opened" and opening["continues"]["mac"] == closing["mac"]
    assert verify_audit_log(rotated / "audit-0.000002.jsonl", KEY) == (66, "")  # one stands for its chain
    first = rotated / "audit-0.000001.jsonl"
    (rotated / "audit-0.000001.jsonl.gz").write_bytes(gzip.compress(first.read_bytes()))
    assert check(rotated).lines == 66
    first.unlink()
    assert check(rotated).ok


def changed(path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))


SECOND = "audit-0.000002.jsonl"
DAMAGES = {
    "edit": (
        lambda d: changed(d / SECOND, lambda ls: [*ls[:3], ls[3].replace(b"200", b"403"), *ls[4:]]),
        "was altered",
        SECOND,
    ),
    "delete": (lambda d: changed(d / SECOND, lambda ls: ls[:3] + ls[4:]), "does not follow", SECOND),
    "reorder": (lambda d: changed(d / SECOND, lambda ls: [*ls[:3], ls[4], ls[3], *ls[5:]]), "not follow", SECOND),
    "cut": (lambda d: changed(d / SECOND, lambda ls: ls[:-2]), "truncated", SECOND),
    "cut at the end": (lambda d: changed(d / "audit-0.jsonl", lambda ls: ls[:-1]), "truncated", "audit-0.jsonl"),
    "first segment": (lambda d: (d / "audit-0.000001.jsonl").unlink(), "000001.jsonl is missing", "000001.jsonl"),
    "a segment": (lambda d: (d / SECOND).unlink(), f"{SECOND} is missing", SECOND),
    "renumbered": (
        lambda d: ((d / SECOND).unlink(), (d / "audit-0.000003.jsonl").rename(d / SECOND)),
        "a segment is missing before",
        SECOND,
    ),
    "swapped": (
        lambda d: (
            (d / SECOND).rename(d / "x"),
            (d / "audit-0.000003.jsonl").rename(d / SECOND),
            (d / "x").rename(d / "audit-0.000003.jsonl"),
        ),
        "a segment is missing before",
        SECOND,
    ),
    "last": (lambda d: (d / "audit-0.jsonl").unlink(), "truncated", "audit-0.000003.jsonl"),
    "all": (
        lambda d: [path.rename(d / path.name.replace("0", "1", 1)) for path in d.glob("audit-0*")],
        "audit-0 is missing",
        "audit-0",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_was_done_to_it_is_named(name, rotated):
    damage, problem, file = DAMAGES[name]
    damage(rotated)
    found = check(rotated)
    assert not found.ok and problem in found.problem and found.file.endswith(file)


def test_a_last_segment_is_missed_without_an_anchor(rotated):
    (rotated / "audit-0.jsonl").unlink()
    assert "the segment after audit-0.000003.jsonl is missing" in verify([rotated], KEY).problem


class TestDyingBetweenSegments:
    def ended(self, folder):
        """A log whose last line closes its segment: all that happened before it died."""
        log = AuditLog(folder / "audit-0.jsonl", KEY, segment_bytes=1)
        log.append({"status": 200})
        log._write({"event": "closed", "segment": 1, "head": log.head()})
        log.close()

    @pytest.mark.parametrize("renamed", [False, True])
    def test_the_next_start_goes_on(self, renamed, tmp_path):
        self.ended(tmp_path)
        if renamed:
            (tmp_path / "audit-0.jsonl").rename(tmp_path / "audit-0.000001.jsonl")
        log = AuditLog(tmp_path / "audit-0.jsonl", KEY)
        log.append({"status": 201})
        log.close()
        assert verify([tmp_path], KEY) == verify([tmp_path / "audit-0.jsonl"], KEY)
        assert verify([tmp_path], KEY).ok and verify([tmp_path], KEY).files == 2

    def test_a_rename_that_fails_is_done_later(self, tmp_path, monkeypatch):
        log = AuditLog(tmp_path / "audit-0.jsonl", KEY, segment_bytes=1)
        log.append({"status": 200})

        def refused(*_):
            raise OSError(30, "Read-only file system")

        with monkeypatch.context() as broken:
            broken.setattr(type(tmp_path), "rename", refused)
            for _ in range(2):
                with pytest.raises(AuditError, match="Read-only"):
                    log.append({"status": 201})
            assert not log.writable()
        assert log.writable()
        log.close()
        assert verify([tmp_path], KEY).lines == 4


def test_segments_end_by_age(tmp_path):
    for _ in range(2):  # also over a restart
        log = AuditLog(tmp_path / "audit-0.jsonl", KEY, segment_seconds=3600)
        for time in (10.0, 20.0) if log.head() is None else (3000.0, 4000.0, 4001.0):
            log.append({"time": time})
        log.close()
    assert verify([tmp_path], KEY).files == 2 and len((tmp_path / "audit-0.jsonl").read_text().splitlines()) == 3


def test_workers_are_read_as_one_log(tmp_path):
    service = hardened(tmp_path, workers=3)
    for number in range(30):
        service.clock.now += 1
        service.client(number * 7 % 3)()
    (tmp_path / "audit-1.jsonl").write_bytes((tmp_path / "audit-1.jsonl").read_bytes() + b'{"seq":')  # being written
    times = [line["time"] for line in merged([tmp_path])]
    assert len(times) == 30 and times == sorted(times)


class TestStrangers:
    def flood(self, folder, addresses, count, **options):
        service = hardened(folder, **options)
        for number in range(count):
            service.clock.now += 60 / count / 1.1
            service.client(key=None, address=f"192.0.2.{number % addresses}")(path=f"/{number}", method="GET")
        service.clock.now += 60
        assert service.client()().status == 200  # the next request of anybody writes what was counted
        return [json.loads(line) for line in service.logged().splitlines()], service

    @pytest.mark.parametrize("addresses", [1, 250])
    def test_a_flood_takes_little_room(self, addresses, tmp_path):
        lines, service = self.flood(tmp_path, addresses, 2000, clock=Clock(1_700_000_040.0))
        assert service.log.stat().st_size < 20_000 and verify_audit_log(service.log, KEY).ok
        assert sum(line.get("count", 1) for line in lines) == 2001
        if addresses == 1:
            first, counted, honest = lines
            assert counted["address"] == first["address"] and counted["statuses"] == {"404": 19, "429": 1980}
            assert counted["status"] == 429 and counted["paths"] == 32 and counted["first"] < counted["last"]
            assert counted["features"] is None and honest["status"] == 200
        else:
            assert lines[-2]["address"] is None and lines[-2]["count"] > 1500

    def test_what_was_counted_is_written_at_the_end(self, tmp_path):
        service = hardened(tmp_path)
        service.client(key=None).many(5)
        service.apps[0].state.record.close()
        assert [json.loads(line).get("count") for line in service.logged().splitlines()] == [None, 4]

    def test_a_long_path_is_cut_as_it_is_written(self, tmp_path):
        service = hardened(tmp_path)
        service.client(key=None)(path="/" + "\x01" * 300, method="GET")
        assert len(service.logged()) < 700


class TestCommand:
    def test_verify_log(self, rotated, capsys):
        (rotated / "key").write_text(KEY.hex())
        command = ["verify-log", str(rotated), "--key-file", str(rotated / "key"), "--format", "json"]
        assert main([*command, "--anchor", str(rotated / "anchor-0.jsonl")]) == 0
        assert json.loads(capsys.readouterr().out)["lines"] == 66
        DAMAGES["a segment"][0](rotated)
        assert main(command) == 1
        found = json.loads(capsys.readouterr().out)
        assert found["line"] == 20 and found["file"].endswith(SECOND) and not found["ok"]

    def test_the_key_of_the_service(self, rotated, monkeypatch, capsys):
        assert main(["verify-log", str(rotated)]) == 2
        monkeypatch.setenv("SALARY_SECRET", SECRET)
        assert main(["verify-log", str(rotated)]) == 0 and "66 lines in 4 files hold" in capsys.readouterr().out

    def test_what_cannot_be_read(self, rotated, monkeypatch, capsys):
        monkeypatch.setenv("SALARY_SECRET", SECRET)
        (rotated / "empty").mkdir()
        (rotated / "key").write_text("no key")
        for more in (["none"], ["empty"], [".", "--anchor", "none"], [".", "--key-file", "key"]):
            paths = [text if text.startswith("--") else str(rotated / text) for text in more]
            assert main(["verify-log", *paths]) == 2
        assert capsys.readouterr().out == ""

    def test_it_needs_no_model(self):
        code = "import sys, mlsecops.__main__, mlsecops.audit_folder; print({'torch', 'pandas'} & set(sys.modules))"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"

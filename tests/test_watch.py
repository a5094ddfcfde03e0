"""watch: every attack raises its alert once, whoever dies, whatever is rotated, however the workers share the log."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from classroom.drills.traffic import Traffic, halves
from mlsecops.__main__ import main
from mlsecops.audit_log import AuditLog
from mlsecops.monitoring.detectors import Calibration, Reference
from mlsecops.monitoring.rules import Clients
from mlsecops.monitoring.streaming import detector_of
from mlsecops.monitoring.watch import Watcher
from mlsecops.salary.dataset import DATA

LOG = DATA / "audit_log.jsonl.gz"
INCIDENT = json.loads((DATA / "audit_log.incident.json").read_bytes())
KEY = bytes.fromhex(INCIDENT["audit_key"])
LINES = [json.loads(line) for line in gzip.decompress(LOG.read_bytes()).splitlines()]


@pytest.fixture(scope="module")
def calibration():
    """What honest clients are like; none of them is in the log."""
    people, public = halves()
    traffic = Traffic(people, public, sorted(set(public["country"])), np.random.default_rng(7))
    return Calibration.fit(traffic.honest(9000).drop(columns="kind"), Reference.of(public))


def alerts_of(log, state, **options):
    with (state.parent / f"{state.name}.out").open("a+") as out:
        Watcher(log, state, KEY, **options).run(out, lambda alert: None)
        out.seek(0)
        return [json.loads(line) for line in out]


def resigned(folder, workers=1, lines=LINES, **options):
    """The committed log's requests once more, as so many workers would have written them."""
    logs = [AuditLog(folder / f"audit-{n}.jsonl", KEY, **options) for n in range(workers)]
    for number, line in enumerate(lines):
        logs[number * 7 % workers].append({k: v for k, v in line.items() if k not in ("seq", "previous", "mac")})
    for log in logs:
        log.close()
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return alerts_of(LOG, tmp_path_factory.mktemp("watch") / "state")


def raised(alerts, attack):
    """The alerts on an attack's keys or addresses while it lasted, and up to a minute later."""
    return [
        alert
        for alert in alerts
        if attack["from"] <= alert["time"] <= attack["to"] + 60
        and (alert["key_id"] in attack["key_ids"] or (not alert["key_id"] and alert["address"] in attack["addresses"]))
    ]


def test_every_attack_raises_an_alert_and_no_honest_client(calibration, tmp_path):
    alerts = alerts_of(LOG, tmp_path / "state", detector=detector_of(calibration))
    for attack in INCIDENT["attacks"]:
        assert raised(alerts, attack), attack["name"]
    hostile = {key for attack in INCIDENT["attacks"] for key in attack["key_ids"]}
    assert {alert["key_id"] for alert in alerts} <= {None, *hostile}
    assert INCIDENT["busy_but_honest"]["office address"][0] not in {a["address"] for a in alerts if not a["key_id"]}
    names = "id time rule key_id address atlas aisvs evidence runbook"
    assert all(list(alert) == names.split() for alert in alerts)
    assert len({alert["id"] for alert in alerts}) == len(alerts)


def test_without_statistics_the_extractions_are_lost(undisturbed):
    found = {attack["name"]: {a["rule"] for a in raised(undisturbed, attack)} for attack in INCIDENT["attacks"]}
    assert found["scan of paths"] == {"scanning"} and found["guessing of keys"] == {"guessing"}
    assert found["probing with nonsense"] == {"nonsense"} and found["fast extraction"] == {"exhausting"}
    assert not found["slow extraction"] and not found["extraction by five keys"]


@pytest.mark.parametrize("options", [{}, {"workers": 4}, {"segment_bytes": 100_000}])
def test_workers_and_segments_change_nothing(options, undisturbed, tmp_path):
    folder = resigned(tmp_path, **options)
    assert len(list(folder.glob("audit-*"))) == {"workers": 4, "segment_bytes": 12}.get(next(iter(options), ""), 1)
    assert alerts_of(folder, tmp_path / "state") == undisturbed


def test_it_goes_on_in_a_log_that_grows_and_is_rotated(undisturbed, tmp_path):
    (tmp_path / "log").mkdir()
    log = AuditLog(tmp_path / "log" / "audit-0.jsonl", KEY, segment_bytes=200_000)
    for number, line in enumerate(LINES):
        log.append({k: v for k, v in line.items() if k not in ("seq", "previous", "mac")})
        if number % 300 == 5:
            alerts_of(tmp_path / "log", tmp_path / "state")
    log.close()
    assert alerts_of(tmp_path / "log", tmp_path / "state") == undisturbed


def test_a_line_that_is_being_written_is_waited_for(tmp_path):
    whole = (resigned(tmp_path, lines=LINES[:300]) / "audit-0.jsonl").read_bytes()
    log = tmp_path / "audit-0.jsonl"
    log.write_bytes(whole[:-50])
    before = alerts_of(log, tmp_path / "state")
    assert not [alert for alert in before if alert["rule"] == "chain"]
    log.write_bytes(whole)
    assert alerts_of(log, tmp_path / "state") == before


def edited(lines):
    return [*lines[:40], lines[40].replace(b'"status":200', b'"status":201'), *lines[41:]]


@pytest.mark.parametrize(
    ("later", "damage", "said"),
    [
        (False, edited, "line 40 was altered"),
        (False, lambda ls: ls[:40] + ls[41:], "line 40 does not follow"),
        (True, lambda ls: ls[:-1], "no longer there"),
        (True, lambda ls: [*ls[:-1], ls[-1].replace(b"time", b"tame")], "no longer there"),
        (True, lambda ls: [], "no longer there"),
        (True, None, "is missing"),
    ],
)
def test_a_chain_that_breaks_is_an_alert_and_the_watch_goes_on(later, damage, said, tmp_path):
    log = resigned(tmp_path, lines=LINES[:300]) / "audit-0.jsonl"
    if later:
        alerts_of(tmp_path, tmp_path / "state")
    if damage:
        log.write_bytes(b"".join(damage(log.read_bytes().splitlines(keepends=True))))
    else:
        log.rename(tmp_path / "audit-1.jsonl")
    alerts = alerts_of(tmp_path, tmp_path / "state")
    alerts = alerts_of(tmp_path, tmp_path / "state")
    assert Counter(alert["rule"] for alert in alerts)["chain"] == 1
    assert said in next(alert for alert in alerts if alert["rule"] == "chain")["evidence"]["problem"]
    assert Counter(alert["rule"] for alert in alerts)["scanning"] >= 1


KILLED = """
import sys
from pathlib import Path
from mlsecops.monitoring import watch
watch.BATCH = 40
out = open(sys.argv[3], "a+")
print("ready", flush=True)
watch.Watcher(Path(sys.argv[1]), Path(sys.argv[2]), bytes.fromhex(sys.argv[4])).run(out, lambda alert: None)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_ten_kills_lose_and_double_nothing(undisturbed, tmp_path):
    command = [sys.executable, "-c", KILLED, str(LOG), str(tmp_path / "state"), str(tmp_path / "out"), KEY.hex()]
    for kill in range(10):
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(0.01 + 0.02 * kill)
        child.kill()
        child.stdout.close()
        child.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()] == undisturbed


@pytest.mark.parametrize("step", range(8))
def test_whichever_step_it_dies_in(step, undisturbed, tmp_path, monkeypatch):
    """It dies in the n-th of its saves or writings, before or after; a kill would only sometimes hit these."""

    class DiedError(Exception):
        pass

    steps = 0

    def mortal(function):
        def call(*arguments):
            nonlocal steps
            steps += 1
            if steps == step * 2 + 1:
                raise DiedError
            value = function(*arguments)
            steps += 1
            if steps == step * 2 + 2:
                raise DiedError
            return value

        return call

    with monkeypatch.context() as dying:
        dying.setattr("mlsecops.monitoring.watch.BATCH", 260)
        dying.setattr(Watcher, "_save", mortal(Watcher._save))
        dying.setattr(Watcher, "_deliver", mortal(Watcher._deliver))
        with pytest.raises(DiedError):
            alerts_of(LOG, tmp_path / "state")
    assert alerts_of(LOG, tmp_path / "state") == undisturbed


def test_what_it_remembers_is_bounded():
    clients = Clients(30)
    for number in range(20_000):
        query = {"a": number, "b": number, "c": number}
        line = {"time": float(number), "key_id": f"k{number % 997}", "status": 200, "features": query}
        list(clients.take(line, None))
        assert len(clients._keys) <= 30
    for number in range(1000):
        query = {"a": number, "b": number, "c": number}
        list(clients.take({"time": 3e4, "key_id": f"k{number % 5}", "status": 200, "features": query}, None))
    assert clients._held == sum(len(client.recent) for client in clients._keys.values()) <= 300


def fresh_query(number, key="k"):
    return {"time": float(number), "key_id": key, "status": 200, "features": dict.fromkeys("abc", number)}


def test_a_flood_of_strangers_does_not_make_it_forget_a_thief():
    clients, found = Clients(50), []
    for number in range(40):
        found += clients.take(fresh_query(number), lambda *_: {"p": 0.0})
        for address in range(60):
            list(clients.take({"time": float(number), "key_id": None, "status": 401, "address": f"a{address}"}, None))
        assert len(clients._addresses) <= 50
    assert len(found) == 1


def test_busy_clients_lose_queries_and_no_alert():
    """More queries are held than there is room for: each of 40 keys still raises its one alert of the day."""
    clients, found = Clients(40), []
    for number in range(300):
        for key in range(40):
            found += clients.take(fresh_query(number, f"k{key}"), lambda *_: {"p": 0.0})
    assert clients._held <= 400 and len(found) == 40


SCAN = [{"time": 2e9 + n, "key_id": None, "status": 404, "address": "a" * 32, "path": f"/{n}"} for n in range(40)]


def test_closed_segments_may_be_removed_and_a_log_begun_anew(tmp_path):
    (tmp_path / "log").mkdir()
    folder = resigned(tmp_path / "log", lines=LINES[:600], segment_bytes=50_000)
    before = alerts_of(folder, tmp_path / "state")
    for path in folder.glob("audit-0.0*.jsonl"):
        path.unlink()
    with (folder / "audit-0.jsonl").open("ab") as file:
        file.write(chained(folder / "audit-0.jsonl", SCAN))
    assert [a["rule"] for a in alerts_of(folder, tmp_path / "state")[len(before) :]] == ["scanning"]
    (folder / "audit-0.jsonl").unlink()
    resigned(folder, lines=SCAN)
    rules = [a["rule"] for a in alerts_of(folder, tmp_path / "state")[len(before) + 1 :]]
    assert rules[0] == "chain" and len(rules) <= 2


def chained(path, fields):
    """Lines that follow the last one of a log."""
    import hashlib
    import hmac

    last = path.read_bytes().splitlines(keepends=True)[-1]
    number, previous, made = json.loads(last)["seq"] + 1, hashlib.sha256(last).hexdigest(), b""
    for one in fields:
        text = f'{{"seq":{number},{json.dumps(one)[1:-1]},"previous":"{previous}"'.encode()
        line = text + f',"mac":"{hmac.digest(KEY, text, "sha256").hex()}"}}\n'.encode()
        number, previous, made = number + 1, hashlib.sha256(line).hexdigest(), made + line
    return made


FORGED = [
    b'{"time":1800000400,"key_id":null,"status":404}',
    b'{"time":1800000400,"key_id":"k","status":[1]}',
    b'{"time":1800000400,"key_id":null,"status":404,"event":"strangers"}',
    b'{"time":1800000400,"key_id":"k","status":200,"features":"abc"}',
    b'{"time":1800000400,"key_id":null,"status":404,"event":"strangers","statuses":{"x":1}}',
    b'{"time":1e999,"key_id":"k","status":200}',
    b'{"time":1e300,"key_id":"k","status":200}',
    b'{"time":' + b"9" * 401 + b',"key_id":"k","status":200}',
    b"[" * 100_000,
    b"x",
]


@pytest.mark.parametrize("key", [KEY, None])
@pytest.mark.parametrize("line", FORGED)
def test_no_line_stops_it_or_mutes_what_comes_after(line, key, tmp_path):
    log = resigned(tmp_path, lines=LINES[:30]) / "audit-0.jsonl"
    log.write_bytes(log.read_bytes() + line + b"\n" + chained(log, SCAN))
    with (tmp_path / "out").open("a+") as out:
        for _ in range(2):
            Watcher(log, tmp_path / "state", key).run(out, lambda alert: time.gmtime(alert["time"]))
        out.seek(0)
        rules = [json.loads(row)["rule"] for row in out]
    assert rules.count("scanning") == 1 and rules.count("chain") in (1, 2)


def test_what_somebody_else_wrote_is_not_believed(tmp_path):
    log = resigned(tmp_path, lines=LINES[:30]) / "audit-0.jsonl"
    forged = b"".join(json.dumps(one).encode() + b"\n" for one in SCAN)
    log.write_bytes(log.read_bytes() + forged)
    assert {alert["rule"] for alert in alerts_of(log, tmp_path / "state")} == {"chain"}


def test_many_lines_that_are_none_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr("mlsecops.monitoring.watch.BATCH", 50)
    log = resigned(tmp_path, lines=LINES[:30]) / "audit-0.jsonl"
    log.write_bytes(log.read_bytes() + b"x\n" * 130 + chained(log, SCAN))
    assert {alert["rule"] for alert in alerts_of(log, tmp_path / "state")} == {"chain", "scanning"}


def test_what_another_wrote_into_the_same_file_is_not_taken_back(tmp_path, monkeypatch):
    out = tmp_path / "out"
    log = resigned(tmp_path, lines=SCAN) / "audit-0.jsonl"
    saves = []

    def dies(self):
        saves.append(0)
        if len(saves) == 2:  # the alerts are written, and that is not noted
            raise KeyboardInterrupt
        save(self)

    save = Watcher._save
    with out.open("a+") as file, monkeypatch.context() as dying:
        dying.setattr(Watcher, "_save", dies)
        with pytest.raises(KeyboardInterrupt):
            Watcher(log, tmp_path / "state", KEY).run(file, lambda alert: None)
    with out.open("a") as file:
        file.write('{"from": "another"}\n')
    with out.open("a+") as file:
        Watcher(log, tmp_path / "state", KEY).run(file, lambda alert: None)
    rows = [json.loads(row) for row in out.read_text().splitlines()]
    assert {"from": "another"} in rows and len({row["id"] for row in rows if "id" in row}) == 1


class TestCommand:
    @pytest.fixture
    def command(self, tmp_path):
        (tmp_path / "key").write_text(KEY.hex())
        return ["watch", str(LOG), "--state", str(tmp_path / "s"), "--key-file", str(tmp_path / "key"), "--once"]

    @pytest.mark.parametrize("text", ["", "\n", "00", "00" * 31, "00" * 33])
    def test_a_key_of_another_size_is_refused(self, text, command, tmp_path, capsys):
        """An empty one would switch verification off."""
        (tmp_path / "key").write_text(text)
        assert main(command) == main(["verify-log", str(LOG), "--key-file", str(tmp_path / "key")]) == 2
        assert "32" in capsys.readouterr().err

    def test_an_anchor_that_was_emptied_is_refused(self, command, tmp_path, capsys):
        (tmp_path / "anchor").write_text("junk\n")
        assert main(["verify-log", str(LOG), "--key-file", command[5], "--anchor", str(tmp_path / "anchor")]) == 2
        assert "anchor holds no note" in capsys.readouterr().err

    def test_a_second_watch_on_the_same_state_is_refused(self, command, tmp_path, capsys):
        from filelock import FileLock

        with FileLock(tmp_path / "s.lock"):
            assert main(command) == 2
        assert "another watch" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("option", "value"),
        [("--clients", "0"), ("--clients", "-1"), ("--seconds", "inf"), ("--seconds", "-1"), ("--seconds", "1e300")],
    )
    def test_numbers_that_make_no_sense(self, option, value, command):
        with pytest.raises(SystemExit) as ended:
            main([*command, option, value])
        assert ended.value.code == 2

    @pytest.mark.parametrize("option", ["--calibration", "--declared", "--state"])
    @pytest.mark.parametrize("text", ["", "[" * 100_000, "[]", '{"reference": {"parts": [1]}}', "\udcff"])
    def test_files_that_are_something_else(self, option, text, command, tmp_path, capsys):
        (tmp_path / "odd").write_text(text, errors="surrogateescape")
        assert main([*command, option, str(tmp_path / "odd")]) == 2
        said = capsys.readouterr().err
        assert "odd" in said or "declaration" in said
        assert "Traceback" not in said

    def test_a_log_that_is_no_log_is_named(self, command, tmp_path, capsys):
        (tmp_path / "junk.jsonl.gz").write_bytes(b"junk")
        assert main([command[0], str(tmp_path / "junk.jsonl.gz"), *command[2:]]) == 2
        assert "junk.jsonl.gz" in capsys.readouterr().err

    def test_once(self, undisturbed, tmp_path, capsys):
        (tmp_path / "key").write_text(KEY.hex())
        command = ["watch", str(LOG), "--state", str(tmp_path / "state"), "--key-file", str(tmp_path / "key"), "--once"]
        assert main(command) == 1
        said = capsys.readouterr()
        assert [json.loads(line) for line in said.out.splitlines()] == undisturbed
        assert len(said.err.splitlines()) == len(undisturbed) and "guessing: address 26a5" in said.err
        assert main(command) == 0 and capsys.readouterr().out == ""

    def test_with_statistics(self, calibration, tmp_path, capsys):
        (tmp_path / "key").write_text(KEY.hex())
        (tmp_path / "cal.json").write_text(calibration.to_json())
        command = ["watch", str(LOG), "--state", str(tmp_path / "state"), "--key-file", str(tmp_path / "key"), "--once"]
        assert main([*command, "--calibration", str(tmp_path / "key")]) == 2
        assert capsys.readouterr().err.endswith("is no calibration; the command clients makes one with --save\n")
        assert main([*command, "--calibration", str(tmp_path / "cal.json")]) == 1
        alerts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len({alert["key_id"] for alert in alerts if alert["rule"] == "extraction"}) == 7

    def test_what_cannot_be_read(self, tmp_path, monkeypatch, capsys):
        monkeypatch.delenv("SALARY_SECRET", raising=False)
        state = ["--state", str(tmp_path / "state"), "--once"]
        assert main(["watch", str(LOG), *state]) == 2  # no key
        assert main(["watch", str(tmp_path / "none"), *state, "--unverified"]) == 2
        (tmp_path / "state").write_text("[]")
        assert main(["watch", str(LOG), *state, "--unverified"]) == 2
        assert "Traceback" not in capsys.readouterr().err

    def test_it_needs_no_model(self):
        code = "import sys, mlsecops.monitoring.watch; print({'torch', 'pandas'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
        assert done.stdout == "set()\n"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    people, public = halves()
    traffic = Traffic(people, public, sorted(set(public["country"])), np.random.default_rng(11))
    log = AuditLog(tmp_path_factory.mktemp("quiet") / "audit-0.jsonl", KEY)
    for row in traffic.honest(1_500).to_dict("records"):
        asked = {name: row[name] for name in traffic.fields}
        log.append({"time": row["time"], "key_id": str(row["client"]), "status": 200, "features": asked})
    log.close()
    return next(tmp_path_factory.getbasetemp().glob("quiet*"))


class TestClients:
    """The command `clients`: a log of clients against a log of legitimate ones."""

    def run(self, quiet, tmp_path, *more):
        (tmp_path / "key").write_text(KEY.hex())
        command = ["clients", str(LOG), "--calibration", str(quiet), "--key-file", str(tmp_path / "key")]
        return main([*command, *more])

    def test_the_thieves_are_found_and_kept_for_watch(self, quiet, tmp_path, capsys):
        saved = tmp_path / "saved.json"
        assert self.run(quiet, tmp_path, "--fpr", "0.06", "--format", "json", "--save", str(saved)) == 1
        found = json.loads(capsys.readouterr().out)
        assert set(found) == {"fpr", "threshold", "calibration_units", "units"} and found["calibration_units"] == 1_500
        assert {"id", "p", "flagged", "queries", "fresh", "statistics"} == set(found["units"][0])
        flagged = {unit["id"] for unit in found["units"] if unit["flagged"]}
        assert {key for attack in INCIDENT["attacks"][3:] for key in attack["key_ids"]} <= flagged
        assert len(flagged) < 20 and len(found["units"]) == 47
        assert Calibration.from_json(saved.read_text()).threshold == found["threshold"]
        assert self.run(quiet, tmp_path, "--fpr", "0.06") == 1
        assert "of 47 flagged, where 2.8 honest ones might be" in capsys.readouterr().out

    def test_what_it_refuses_in_one_line(self, quiet, tmp_path, capsys):
        wrong = tmp_path / "people.csv"
        wrong.write_text("a,b\n1,2\n")
        for words, more in (
            ("are too few to calibrate", ("--fpr", "0.01")),
            ("a rate between 0 and 1", ("--fpr", "0")),
            ("lacks", ("--fpr", "0.06", "--reference", str(wrong))),
            ("No such file", ("--reference", str(tmp_path / "none"), "--fpr", "0.06")),
        ):
            assert self.run(quiet, tmp_path, *more) == 2
            err = capsys.readouterr().err
            assert words in err and err.count("\n") == 1, err
        broken = tmp_path / "audit-0.jsonl"
        broken.write_bytes(gzip.decompress(LOG.read_bytes()).replace(b'"status":422', b'"status":200', 1))
        assert main(["clients", str(broken), "--calibration", str(quiet), "--key-file", str(tmp_path / "key")]) == 2
        assert "line" in capsys.readouterr().err

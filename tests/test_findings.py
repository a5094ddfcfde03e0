"""What the commands report: the shape of SARIF, fingerprints that outlive a move, hostile names, exit codes."""

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlsecops.__main__ import REQUIREMENT_RULES, main
from mlsecops.controls import ATLAS
from mlsecops.findings import Finding, as_json, as_sarif, plain
from mlsecops.supply_chain import Problem

ROOT = Path(__file__).parent.parent
ONE = Finding("unpinned", "medium", "app/requirements.txt", "torch may be any version", line=3)


def read(text):
    """A SARIF log's only run, after every property that the standard requires was looked at."""
    log = json.loads(text)
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json")
    (one,) = log["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    assert all(rule.get("shortDescription", {"text": "x"})["text"] for rule in driver["rules"])
    for result in one["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"].isprintable()
        (location,) = result["locations"]
        place = location["physicalLocation"]
        uri = place["artifactLocation"]["uri"]
        assert uri.isascii() and not uri.startswith("/") and not set(uri) & set(' :\\"<>')
        assert place.get("region", {"startLine": 1})["startLine"] >= 1
        assert result["partialFingerprints"]["mlsecops/v1"]
    prints = [result["partialFingerprints"]["mlsecops/v1"] for result in one["results"]]
    assert len(set(prints)) == len(prints)
    return one


def fingerprint(finding):
    (result,) = read(as_sarif([finding], "tool", {}))["results"]
    return result["partialFingerprints"]["mlsecops/v1"]


def test_sarif_says_rule_level_place_and_message():
    found = [ONE, replace(ONE, rule="odd", severity="high", line=0, cell="c1", where="byte 7", fix="Pin it.")]
    one = read(as_sarif(found, "tool", {"unpinned": "no exact version", "never": ""}, "https://example.org/"))
    assert one["tool"]["driver"] == {
        "name": "tool",
        "informationUri": "https://example.org/",
        "rules": [
            {"id": "unpinned", "shortDescription": {"text": "no exact version"}},
            {"id": "never"},
            {"id": "odd"},
        ],
    }
    first, second = one["results"]
    assert (first["level"], second["level"]) == ("warning", "error")
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "app/requirements.txt"},
        "region": {"startLine": 3},
    }
    assert "region" not in second["locations"][0]["physicalLocation"]
    assert second["message"]["text"] == "torch may be any version (cell c1, byte 7). Pin it."
    assert "informationUri" not in read(as_sarif([], "tool", {}))["tool"]["driver"]


def test_a_fingerprint_outlives_a_move_and_nothing_else():
    same = fingerprint(ONE)
    assert fingerprint(replace(ONE, line=30)) == same
    assert fingerprint(replace(ONE, fix="Pin it.")) == same
    assert fingerprint(replace(ONE, where="a.pkl: byte 4")) == fingerprint(replace(ONE, where="a.pkl: byte 99"))
    others = [
        replace(ONE, **change)
        for change in (
            {"detail": "numpy may be any version"}, {"rule": "unhashed"}, {"path": "requirements.txt"}, {"cell": "c1"},
            {"where": "a.pkl: byte 4"}, {"where": "b.pkl: byte 4"},
        )
    ]  # fmt: skip
    assert len({same, *map(fingerprint, others)}) == len(others) + 1


def test_equal_findings_are_counted():
    results = read(as_sarif([ONE, replace(ONE, line=9), ONE], "tool", {}))["results"]
    prints = [result["partialFingerprints"]["mlsecops/v1"].split(":") for result in results]
    assert [count for _, count in prints] == ["1", "2", "3"] and len({digest for digest, _ in prints}) == 1


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/etc/a b.pkl", "etc/a%20b.pkl"), ("x:y/ä?#%.pkl", "x%3Ay/%C3%A4%3F%23%25.pkl"),
        ("a\x1b[2J\n.pkl", "a%1B%5B2J%0A.pkl"), ("\udcff.pkl", "%FF.pkl"),
    ],
)  # fmt: skip
def test_no_name_breaks_a_report(path, uri):
    odd = Finding("rule\x1b", "low", path, f"{path}\x1b]0;x\x07\u202e", where=path)
    (result,) = read(as_sarif([odd], "tool", {}))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri
    assert as_json([path]).isascii() and json.loads(as_json([path])) == [path]
    assert plain(path).isprintable()


class Print:
    def __reduce__(self):
        return print, ("ran",)


def write(folder):
    """Fills a folder with files of every verdict, and gives it back."""
    folder.mkdir()
    (folder / "good.pkl").write_bytes(pickle.dumps({"w": [1.0]}))
    (folder / "evil.pkl").write_bytes(pickle.dumps(Print()))
    (folder / "odd.onnx").write_bytes(b"\x08\x07")
    (folder / "requirements.txt").write_text("torch\n-r more.txt\n")
    (folder / "more.txt").write_text("\nreqeusts==1.0\n")
    return folder


def sarif(capsys, command, *names):
    """A command's exit code and its SARIF run; standard output must hold nothing else."""
    capsys.readouterr()
    code = main([command, *map(str, names), "--format", "sarif"])
    return code, read(capsys.readouterr().out)


def brief(one):
    return {
        (place["artifactLocation"]["uri"], result["ruleId"], result["level"], place.get("region", {}).get("startLine"))
        for result in one["results"]
        for place in [result["locations"][0]["physicalLocation"]]
    }


def test_scan_model_as_sarif(tmp_path, capsys):
    folder = write(tmp_path / "m")
    code, one = sarif(capsys, "scan-model", folder, folder / "gone.pkl")
    assert code == 2 and one["tool"]["driver"]["name"] == "mlsecops scan-model"
    found = brief(one)
    assert ("evil.pkl", "calls-unlisted", "error", None) in found
    assert ("gone.pkl", "unreadable", "error", None) in found
    assert {level for uri, _, level, _ in found if uri == "odd.onnx"} == {"warning"}
    assert not [uri for uri, *_ in found if uri == "good.pkl"]
    assert str(tmp_path) not in json.dumps(one)
    assert sarif(capsys, "scan-model", folder / "good.pkl")[0] == 0
    assert sarif(capsys, "scan-model", folder / "odd.onnx")[0] == 1
    (tmp_path / "empty").mkdir()
    code, one = sarif(capsys, "scan-model", tmp_path / "empty")
    assert code == 2 and [result["ruleId"] for result in one["results"]] == ["unreadable"]


def test_check_requirements_as_sarif_names_the_file_that_holds_the_line(tmp_path, capsys):
    folder = write(tmp_path / "m")
    code, one = sarif(capsys, "check-requirements", folder / "requirements.txt")
    assert code == 1
    assert brief(one) == {("requirements.txt", "unpinned", "warning", 1), ("more.txt", "typosquat", "error", 2)}
    (folder / "huge.txt").write_text("#" * 2_000_000)
    for name in ("gone.txt", "huge.txt"):
        code, one = sarif(capsys, "check-requirements", folder / name)
        assert code == 2 and brief(one) == {(name, "unreadable", "error", None)}
        assert str(tmp_path) not in json.dumps(one)
    (folder / "fine.txt").write_text("torch==2.13.0\n")
    assert sarif(capsys, "check-requirements", folder / "fine.txt")[0] == 0


@pytest.mark.parametrize("command", ["scan-model", "check-requirements"])
def test_fingerprints_of_a_moved_folder(tmp_path, capsys, monkeypatch, command):
    def prints(*names):
        _, one = sarif(capsys, command, *names)
        return {result["partialFingerprints"]["mlsecops/v1"] for result in one["results"]}

    here = write(tmp_path / "a")
    names = ["evil.pkl", "gone"] if command == "scan-model" else ["requirements.txt", "gone"]
    before = prints(*(here / name for name in names))
    there = here.rename(tmp_path / "elsewhere")
    file = there / "requirements.txt"
    file.write_text("# a line above\n" + file.read_text())
    assert before and prints(*(there / name for name in names)) == before
    monkeypatch.chdir(there)
    assert {digest for digest in prints(*names)} == before


def test_files_of_one_name_in_two_folders_stay_apart(tmp_path, capsys):
    folders = [write(tmp_path / name) for name in ("a", "b")]
    _, one = sarif(capsys, "scan-model", *(folder / "evil.pkl" for folder in folders))
    assert {uri for uri, *_ in brief(one)} == {"a/evil.pkl", "b/evil.pkl"}


def test_a_folder_that_cannot_be_listed_does_not_pass(tmp_path, capsys, monkeypatch):
    (tmp_path / "good.pkl").write_bytes(pickle.dumps({"w": [1.0]}))
    closed = tmp_path / "closed"
    closed.mkdir()
    scandir = os.scandir

    def refuse(path):
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    code, one = sarif(capsys, "scan-model", tmp_path)
    assert code == 2 and brief(one) == {("closed", "unreadable", "error", None)}


def test_json_has_a_result_and_a_severity(tmp_path, capsys):
    folder = write(tmp_path / "m")
    main(["scan-model", *(str(folder / n) for n in ("good.pkl", "evil.pkl", "odd.onnx", "gone")), "--format", "json"])
    assert [row["result"] for row in json.loads(capsys.readouterr().out)] == ["pass", "fail", "unknown", "unknown"]
    main(["check-requirements", str(folder / "requirements.txt"), "--format", "json"])
    rows = json.loads(capsys.readouterr().out)
    assert [(row["rule"], row["severity"]) for row in rows] == [("unpinned", "medium"), ("typosquat", "high")]


def test_every_rule_about_requirements_has_a_severity():
    listed = Problem.__doc__.split("Rules:")[1].strip().rstrip(".").replace(",", " ").split()
    assert set(listed) == set(REQUIREMENT_RULES)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not allow such names")
@pytest.mark.parametrize("name", ["a\x1b[2J\nb.pkl", "\udcff\udc80.pkl", '"<&%41 .pkl', "\u202elkp.pkl"])
def test_a_hostile_file_name_breaks_no_format(tmp_path, name):
    write(tmp_path / "m")
    (tmp_path / "m" / "evil.pkl").rename(tmp_path / "m" / name)
    for form in ("table", "json", "sarif"):
        done = command("scan-model", str(tmp_path / "m"), "--format", form)
        assert done.returncode == 1 and not done.stderr
        assert b"\x1b" not in done.stdout and "\u202e" not in done.stdout.decode()
        if form == "sarif":
            read(done.stdout)
        elif form == "json":
            assert len(json.loads(done.stdout)) == 5


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "mlsecops", *arguments], cwd=ROOT, **({"capture_output": True} | options)
    )


@pytest.mark.skipif(os.name == "nt", reason="pipes and signals of Unix")
class TestEndings:
    def test_nobody_reads_the_output(self, tmp_path):
        reading, writing = os.pipe()
        os.close(reading)
        folder = str(write(tmp_path / "m"))
        done = command("scan-model", folder, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
        assert done.returncode == 2 and done.stderr == b"stopped: Broken pipe\n"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
    def test_the_disk_is_full(self, tmp_path):
        folder = str(write(tmp_path / "m"))
        with Path("/dev/full").open("wb") as full:
            done = command("scan-model", folder, "--format", "sarif", capture_output=False, stdout=full, stderr=-1)
        assert done.returncode == 2 and done.stderr == b"stopped: No space left on device\n"

    def test_a_closed_error_stream_leaves_the_output_alone(self, tmp_path):
        code = f"{sys.executable} -m mlsecops check-requirements /nothing --format json 2>&-"
        done = subprocess.run(["sh", "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
        assert done.returncode == 2 and json.loads(done.stdout) == []

    def test_ctrl_c(self, tmp_path):
        fifo = tmp_path / "requirements.txt"
        os.mkfifo(fifo)
        started = subprocess.Popen(
            [sys.executable, "-m", "mlsecops", "check-requirements", fifo], cwd=ROOT, stdout=-1, stderr=-1
        )
        with fifo.open("wb"):  # opens when the command does
            started.send_signal(signal.SIGINT)
            out, error = started.communicate(timeout=20)
        assert (started.returncode, out, error) == (130, b"", b"interrupted\n")


def test_atlas_names_are_those_of_its_release_2026_09():
    assert ATLAS["AML.T0020"] == "Training Data Poisoning"

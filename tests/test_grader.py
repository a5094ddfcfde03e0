"""The grader from the command line: a mixed folder, resuming, interrupting, keys, names, and the fallback."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import math
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import unicodedata
from dataclasses import replace

import numpy as np
import psutil
import pytest

import classroom.questions
from classroom.exchange import codec
from classroom.exchange.answer import Answer
from classroom.questions import Verdict, lab_of
from grader import reports, seeds, submissions
from grader.channel import Channel, Markers, Session
from grader.generator import Generator
from grader.judge import Examination, decide
from grader.policy import Limits
from grader.rooms import Watch
from tests.attacks.test_attacks import ROOT, notebook
from tests.light_lab import QUESTIONS, SOLUTION

ALL = list(SOLUTION.values())
linux = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only; elsewhere grading is partial")


def grader(*arguments, **settings):
    """Run the command line and return what came of it."""
    command = [sys.executable, "-m", "grader", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, **settings)


def grade(subs, out, key, *more, **settings):
    """Grade with full isolation where this machine has it, else with what it has."""
    command = ["grade", subs, "--lab", "tests.light_lab", "--out", out, "--key-file", key, "--allow-partial", *more]
    return grader(*command, **settings)


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "course.key"
    assert grader("new-key", path).returncode == 0
    return path


def rows_of(out):
    with (out / "grades.csv").open(encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


# --- a mixed folder ---------------------------------------------------------------------------------------------------

BROKEN = "def double(n:\n    return"
SPIN = "while True: pass"
# name: (cells or raw text, score, status)
MIXED = {
    **{f"right-{n}": (ALL, 80, "ok") for n in range(4)},
    "wrong": ([f"def {name}(*a): return 0" for name in SOLUTION], 0, "ok"),
    "partial": (ALL[:3], 30, "ok"),
    "half-right": (["def double(n): return 2 * n if n % 2 else 0"], None, "ok"),
    "blank": (["def double(n):\n    raise NotImplementedError", "import classroom.check"], 0, "ok"),
    "no-code": ([], 0, "empty"),
    "empty-file": ("", 0, "empty"),
    "truncated": (notebook(ALL)[:-40], 0, "malformed"),
    "not-a-notebook": ('["a list"]', 0, "malformed"),
    "not-json": ("PK\x03\x04 this is a zip", 0, "malformed"),
    "deep-json": ("[" * 200_000, 0, "malformed"),
    "syntax-error": ([BROKEN, *ALL[1:]], 70, "ok"),
    "raises": (["raise ValueError('here')", *ALL], 80, "ok"),
    "infinite-loop-cell": ([*ALL[:4], SPIN, *ALL[4:]], 80, "timeout"),
    "infinite-loop-call": ([*ALL, f"def count(word):\n    {SPIN}"], 70, "timeout"),
    "sleeping-child": (["import subprocess\nsubprocess.Popen(['sleep', '600'])", *ALL], 80, "ok"),
    "memory-hog": (["hog = bytearray(1 << 40)", *ALL], 80, "memory"),
    "self-kill-cell": ([*ALL[:4], "import os\nos._exit(1)", *ALL[4:]], 80, "died"),
    "self-kill-call": ([*ALL, "import os\ndef even(n): os._exit(1)"], 70, "died"),
    "deleted-cells": ([ALL[0], ALL[7]], 20, "ok"),
    "duplicated-cells": ([ALL[0], "def double(n): return 0", ALL[0], *ALL[1:]], 80, "ok"),
    "last-one-wins": ([*ALL, "def double(n): return 0"], 70, "ok"),
    "reordered": (ALL[::-1], 80, "ok"),
    "huge-output": (["for _ in range(200): print('x' * 500_000)", *ALL], 80, "ok"),
    "magics": (
        ["%time x = 1", "!echo $HOME", "import asyncio\nawait asyncio.sleep(0)", *ALL],
        80,
        "ok",
    ),
    "async-answer": (["async def double(n): return 2 * n", *ALL[1:]], 80, "ok"),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, key):
    place = tmp_path_factory.mktemp("mixed")
    subs, out = place / "subs", place / "out"
    subs.mkdir()
    for name, (content, _, _) in MIXED.items():
        (subs / f"{name}.ipynb").write_text(content if isinstance(content, str) else notebook(content))
    (subs / "in-a-folder").mkdir()
    (subs / "in-a-folder" / "whatever.ipynb").write_text(notebook(ALL))
    (subs / "empty-folder").mkdir()
    (subs / "essay.pdf").write_text("not even the right kind of file")
    (subs / ".DS_Store").write_text("")
    started = time.monotonic()
    done = grade(subs, out, key, "--timeout", 12)
    assert done.returncode == 0, done.stderr
    return {"subs": subs, "out": out, "seconds": time.monotonic() - started, "done": done}


@linux
@pytest.mark.parametrize("name", sorted(MIXED))
def test_each_has_its_row_score_and_status(mixed, name):
    _, score, status = MIXED[name]
    row = rows_of(mixed["out"])[name]
    assert row["status"] == status
    if score is not None:
        assert float(row["score"]) == score


@linux
def test_folders_and_foreign_files_have_rows_too(mixed):
    rows = rows_of(mixed["out"])
    assert len(rows) == len(MIXED) + 3 >= 30
    assert (rows["in-a-folder"]["score"], rows["in-a-folder"]["status"]) == ("80", "ok")
    assert rows["empty-folder"]["status"] == "empty"
    assert rows["essay.pdf"]["status"] == "malformed"


@linux
def test_the_slow_do_not_hold_up_the_rest(mixed):
    assert mixed["seconds"] < 60
    assert f"{len(MIXED) + 3}/{len(MIXED) + 3}" in mixed["done"].stderr, "no progress bar"


@linux
def test_results_follow_the_schema(mixed):
    result = json.loads((mixed["out"] / "results" / "partial.json").read_text())
    assert set(result) == {
        *("schema", "student", "submission_sha256", "lab", "questions_version", "seed_id", "isolation", "layers"),
        *("status", "score", "max", "questions", "flags", "failed_cells", "seconds"),
    }
    assert len(result["submission_sha256"]) == 64
    assert result["isolation"] in ("full", "partial")
    assert [set(q) for q in result["questions"]] == [{"id", "score", "max", "message", "misconception"}] * len(
        QUESTIONS
    )


@linux
def test_feedback_names_the_misconception_and_the_broken_cell(mixed):
    page = (mixed["out"] / "feedback" / "wrong.html").read_text()
    assert "Zero is the double of zero only." in page
    assert "double &lt;&amp;&gt;" in page
    assert "code cell 1: ValueError: here" in (mixed["out"] / "feedback" / "raises.html").read_text()


@linux
def test_same_key_same_bytes_and_resume_ends_with_the_same_file(mixed, key, tmp_path):
    first = (mixed["out"] / "grades.csv").read_bytes()
    fast = tmp_path / "subs"
    fast.mkdir()
    for name in ("right-0", "partial", "half-right", "truncated", "syntax-error"):
        (fast / f"{name}.ipynb").write_bytes((mixed["subs"] / f"{name}.ipynb").read_bytes())
    assert grade(fast, tmp_path / "a", key).returncode == 0
    assert grade(fast, tmp_path / "b", key, "--workers", 1).returncode == 0
    once = (tmp_path / "a" / "grades.csv").read_bytes()
    assert once == (tmp_path / "b" / "grades.csv").read_bytes()
    assert all(line in first.splitlines() for line in once.splitlines())

    kept = tmp_path / "b" / "results" / "right-0.json"
    (tmp_path / "b" / "results" / "partial.json").unlink()
    (tmp_path / "b" / "results" / "half-right.json").write_text('{"schema": 1, "half')
    changed = kept.stat().st_mtime_ns
    assert grade(fast, tmp_path / "b", key, "--resume").returncode == 0
    assert (tmp_path / "b" / "grades.csv").read_bytes() == once
    assert kept.stat().st_mtime_ns == changed, "a finished result was graded again"


@linux
def test_another_key_another_seed_and_a_changed_notebook_is_graded_again(mixed, tmp_path):
    subs = tmp_path / "subs"
    subs.mkdir()
    (subs / "right-0.ipynb").write_text(notebook(ALL))
    other = tmp_path / "other.key"
    grader("new-key", other)
    assert grade(subs, tmp_path / "out", other).returncode == 0
    result = json.loads((tmp_path / "out" / "results" / "right-0.json").read_text())
    assert result["seed_id"] != json.loads((mixed["out"] / "results" / "right-0.json").read_text())["seed_id"]
    (subs / "right-0.ipynb").write_text(notebook(ALL[:1]))
    assert grade(subs, tmp_path / "out", other, "--resume").returncode == 0
    assert rows_of(tmp_path / "out")["right-0"]["score"] == "10"


@linux
def test_interrupting_leaves_finished_results_whole(key, tmp_path):
    subs, out = tmp_path / "subs", tmp_path / "out"
    subs.mkdir()
    for number in range(6):
        (subs / f"a{number}.ipynb").write_text(notebook(ALL))
    (subs / "slow.ipynb").write_text(notebook(["import time\ntime.sleep(40)", *ALL]))
    command = [sys.executable, "-m", "grader", "grade", subs, "--lab", "tests.light_lab", "--out", out]
    command += ["--key-file", key, "--allow-partial", "--timeout", "300"]
    run = subprocess.Popen(list(map(str, command)), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    for _ in range(300):
        if len(list((out / "results").glob("a*.json"))) == 6:
            break
        time.sleep(0.1)
    time.sleep(0.3)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 130, errors
    assert "--resume" in errors
    assert {p.name for p in (out / "results").iterdir()} == {f"a{n}.json" for n in range(6)}
    assert all(json.loads(p.read_text())["score"] == 80 for p in (out / "results").iterdir())


@linux
def test_a_killed_judge_leaves_no_process_and_a_resumed_run_ends_with_the_same_file(key, tmp_path):
    subs, out = tmp_path / "subs", tmp_path / "out"
    subs.mkdir()
    for number in range(4):
        (subs / f"a{number}.ipynb").write_text(notebook(ALL))
    (subs / "slow.ipynb").write_text(notebook(["import time\ntime.sleep(3)", *ALL]))
    assert grade(subs, tmp_path / "whole", key).returncode == 0
    command = [sys.executable, "-m", "grader", "grade", subs, "--lab", "tests.light_lab", "--out", out]
    command += ["--key-file", key, "--allow-partial"]
    run = subprocess.Popen(list(map(str, command)), cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for _ in range(300):
        if len(list((out / "results").glob("a*.json"))) == 4:
            break
        time.sleep(0.1)
    started = psutil.Process(run.pid).children(recursive=True)
    assert len(started) >= 3, "the zygote, its process 1, the generator"
    run.kill()
    run.wait()
    assert not psutil.wait_procs(started, timeout=5)[1], "processes outlive a killed judge"
    assert not (out / "grades.csv").exists()
    assert grade(subs, out, key, "--resume").returncode == 0
    assert (out / "grades.csv").read_bytes() == (tmp_path / "whole" / "grades.csv").read_bytes()


@linux
@pytest.mark.parametrize("pause", (0.0, 0.2))
def test_interrupting_twice_ends_it_for_good(key, tmp_path, pause):
    subs, out = tmp_path / "subs", tmp_path / "out"
    subs.mkdir()
    (subs / "slow.ipynb").write_text(notebook(["import time\ntime.sleep(40)", *ALL]))
    command = [sys.executable, "-m", "grader", "grade", subs, "--lab", "tests.light_lab", "--out", out]
    command += ["--key-file", key, "--allow-partial", "--timeout", "300"]
    run = subprocess.Popen(list(map(str, command)), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    time.sleep(2.5)
    started = psutil.Process(run.pid).children(recursive=True)
    assert len(started) >= 3
    run.send_signal(signal.SIGINT)
    time.sleep(pause)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=20)
    assert not psutil.wait_procs(started, timeout=5)[1]
    assert not list((out / "results").iterdir())


@linux
def test_what_cannot_be_written_is_said_in_a_sentence(key, tmp_path, monkeypatch):
    import errno

    from grader import __main__ as command

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "grades")

    (tmp_path / "subs").mkdir()
    (tmp_path / "subs" / "a.ipynb").write_text(notebook(ALL))
    monkeypatch.setattr(reports, "_write", full)
    said = []
    monkeypatch.setattr("builtins.print", lambda *texts, **_: said.extend(texts))
    where = [str(tmp_path / "subs"), "--out", str(tmp_path / "out"), "--key-file", str(key), "--allow-partial"]
    assert command.main(["grade", *where, "--lab", "tests.light_lab"]) == 1
    assert any("No space left on device" in text and "--resume" in text for text in said)


# --- the fallback, forced ---------------------------------------------------------------------------------------------

FORCED = {**os.environ, "MLSECOPS_GRADER_ISOLATION": "partial"}


def test_official_grading_refuses_less_than_full(key, tmp_path):
    (tmp_path / "subs").mkdir()
    (tmp_path / "subs" / "a.ipynb").write_text(notebook(ALL))
    command = ["grade", tmp_path / "subs", "--lab", "tests.light_lab", "--out", tmp_path / "out", "--key-file", key]
    done = grader(*command, env=FORCED)
    assert done.returncode == 2
    assert "--allow-partial" in done.stderr
    assert not (tmp_path / "out" / "grades.csv").exists()


@pytest.mark.skipif(os.name != "posix", reason="written for Windows too, not run there")
def test_the_fallback_grades_and_says_so(key, tmp_path):
    subs = tmp_path / "subs"
    subs.mkdir()
    for name in ("right-0", "infinite-loop-call", "self-kill-cell", "sleeping-child", "huge-output"):
        (subs / f"{name}.ipynb").write_text(notebook(MIXED[name][0]))
    (subs / "careless.ipynb").write_text(notebook([*ALL, "import pickle\nload = pickle.loads"]))
    done = grade(subs, tmp_path / "out", key, "--timeout", 30, env=FORCED)
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "out")
    for name in ("right-0", "infinite-loop-call", "self-kill-cell", "sleeping-child", "huge-output"):
        assert (float(rows[name]["score"]), rows[name]["status"]) == MIXED[name][1:], name
    assert rows["careless"]["light-q8"] == "0"
    for path in (tmp_path / "out" / "results").iterdir():
        assert json.loads(path.read_text())["isolation"] == "partial"


# --- keys and wrong calls ---------------------------------------------------------------------------------------------


def test_a_key_is_secret_and_never_overwritten(key):
    text = key.read_text()
    assert len(bytes.fromhex(text)) == 32
    if os.name == "posix":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert grader("new-key", key).returncode == 2
    assert key.read_text() == text


@pytest.mark.skipif(os.name != "posix", reason="permissions of files")
def test_a_key_that_others_can_read_is_refused(tmp_path):
    seeds.new_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(seeds.KeyFileError, match="chmod 600"):
        seeds.read_key(tmp_path / "key")


def test_seeds_depend_on_every_part():
    lab = seeds.lab_key(b"k" * 32, "H2b")
    made = {
        seeds.question_seed(lab, "ann", "h2b-q1"),
        seeds.question_seed(lab, "ann", "h2b-q2"),
        seeds.question_seed(lab, "bob", "h2b-q1"),
        seeds.question_seed(seeds.lab_key(b"k" * 32, "H2a"), "ann", "h2b-q1"),
        seeds.question_seed(seeds.lab_key(b"l" * 32, "H2b"), "ann", "h2b-q1"),
    }
    assert len(made) == 5
    assert lab != b"k" * 32


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--lab": "H9"}, "no lab"),
        ({"--lab": "tests.no_such_lab"}, "no_such_lab"),
        ({"--key-file": "no-such-key"}, "new-key"),
        ({"--out": str(ROOT / "data" / "out")}, "which submissions can read"),
        ({"--timeout": "0"}, "--timeout"),
    ],
)
def test_wrong_calls_exit_with_2(key, tmp_path, change, says):
    (tmp_path / "subs").mkdir()
    (tmp_path / "subs" / "a.ipynb").write_text(notebook(ALL))
    options = {"--lab": "tests.light_lab", "--out": str(tmp_path / "out"), "--key-file": str(key), **change}
    done = grader("grade", tmp_path / "subs", *[part for pair in options.items() for part in pair])
    assert done.returncode == 2
    assert says in done.stderr


# --- verdicts ---------------------------------------------------------------------------------------------------------


def decided(judge, answers):
    return decide(replace(QUESTIONS[0], judge=judge), answers, None)


@pytest.mark.parametrize(("score", "counts"), [(2.0, 1.0), (-1.0, 0.0), (math.nan, 0.0), (0.25, 0.25)])
def test_scores_stay_between_nothing_and_everything(score, counts):
    verdict, flag = decided(lambda answers, truth: Verdict(score, "said"), [Answer(1)])
    assert (verdict.score, verdict.message, flag) == (counts, "said", "")


def test_an_answer_that_trips_the_judge_up_earns_nothing_and_is_flagged():
    verdict, flag = decided(lambda answers, truth: 1 / 0, [Answer(1)])
    assert verdict.score == 0
    assert flag == "judge-failed:light-q1:ZeroDivisionError"


def test_what_is_not_there_is_not_judged():
    verdict, _ = decided(lambda answers, truth: Verdict(1.0, "never"), [Answer(error="_missing")] * 3)
    assert (verdict.score, verdict.message) == (0, "`double` is not defined.")


def test_an_unknown_misconception_is_dropped_and_our_errors_are_explained():
    answers = [Answer(error="_timeout"), Answer(1)]
    verdict, _ = decided(lambda answers, truth: Verdict(0.5, "Half.", "no-such"), answers)
    assert verdict.misconception == ""
    assert verdict.message == "Half. At least one call took longer than allowed."


class FakeRoom:
    """A room whose workers answer with what `answer(request)` returns: bytes of a line without its number."""

    isolation = "full"

    def __init__(self, answer):
        self._answer = answer

    def session(self):
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.close(writer)
        return Session(Channel(ours), Markers(reader), [], os.getpid(), lambda: None)

    def _serve(self, sock):
        with contextlib.suppress(OSError), sock, sock.makefile("rwb") as lines:
            for line in lines:
                request = json.loads(line)
                lines.write(b'{"id":%d,%s}\n' % (request["id"], self._answer(request)))
                lines.flush()


def examined(answer, calls=8):
    cases = {q.id: {"inputs": [[n] for n in range(calls)], "truth": None} for q in QUESTIONS[:2]}
    exam = Examination(["pass"], QUESTIONS[:2], cases, FakeRoom(answer), Watch(1 << 40), Limits())
    exam.run()
    return exam


def value(text: bytes) -> bytes:
    return b'"value":{"event":"returned","value":' + text + b"}"


def test_many_large_answers_are_as_much_too_large_as_one():
    line = value(b'"' + b"a" * (codec.MAX_BYTES // 4) + b'"')
    exam = examined(lambda request: line)
    for answers in exam.answers.values():
        assert len(answers) == 8
        assert sum(len(answer.value or "") for answer in answers) <= codec.MAX_BYTES
        assert answers[-1].error == "_too_large"
    many = value(b"[" + b"[]," * (codec.MAX_NODES // 5) + b"[]]")
    answers = examined(lambda request: many).answers["light-q1"]
    assert [answer.error for answer in answers] == ["", ""] + ["_too_large"] * 6
    small = examined(lambda request: value(b'"abc"'))
    assert [answer.value for answer in small.answers["light-q1"]] == ["abc"] * 8


def test_a_defect_of_ours_costs_one_row_its_grade_and_no_row_is_lost(key, tmp_path, monkeypatch, capsys):
    from grader import __main__ as command
    from grader import judge

    subs = tmp_path / "subs"
    subs.mkdir()
    for name in ("ann", "bob"):
        (subs / f"{name}.ipynb").write_text(notebook([*ALL, f"x = '{name}'"]))
    ran = Examination.run

    def broken(self):
        if "bob" in self.cells[-1]:
            raise KeyError("a defect")
        ran(self)

    monkeypatch.setattr(judge.Examination, "run", broken)
    arguments = ["grade", str(subs), "--out", str(tmp_path / "out"), "--key-file", str(key), "--allow-partial"]
    arguments += ["--lab", "tests.light_lab"]
    assert command.main(arguments) == 0
    assert "bob" in capsys.readouterr().err
    rows = rows_of(tmp_path / "out")
    assert (rows["ann"]["score"], rows["bob"]["score"]) == ("80", "0")
    monkeypatch.undo()
    assert command.main([*arguments, "--resume"]) == 0
    assert rows_of(tmp_path / "out")["bob"]["score"] == "80", "a failed grading is no result to keep"


def test_the_version_changes_with_what_can_change_a_result_and_with_nothing_else(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "classroom", tmp_path / "classroom")
    here = tmp_path / "classroom" / "questions"
    assert {path.name for path in classroom.questions.SHARED} == {"exchange", "scoring.py", "exact.py"}
    monkeypatch.setattr(
        classroom.questions, "SHARED", (here.parent / "exchange", here / "scoring.py", here / "exact.py")
    )
    lab = dataclasses.replace(lab_of("H2b"), source=here / "h2b")
    (here / "h2b" / "deeper").mkdir()
    (here / "h2b" / "deeper" / "table.json").write_text("{}")
    for name, counts in {
        "h2b/q3.py": True,
        "h2b/streams.py": True,
        "h2b/deeper/table.json": True,
        "scoring.py": True,
        "exact.py": True,
        "../exchange/stage.py": True,
        "h2a/q1.py": False,
        "h3/__init__.py": False,
        "../check.py": False,
        "../lesson/display.py": False,
        "h2b/__pycache__/q3.cpython-311.pyc": False,
    }.items():
        before, file = lab.version(), here / name
        file.parent.mkdir(exist_ok=True)
        with file.open("a") as more:
            more.write("#")
        assert (lab.version() != before) == counts, name
    before = lab.version()
    (here / "h2b" / "new.csv").touch()
    assert lab.version() != before, "a new file may be read by a question"


@pytest.mark.parametrize("damage", [{"questions": None}, {"questions": []}, {"score": "80"}, {"status": 7}])
def test_a_result_that_was_tampered_with_is_not_resumed_from(damage):
    scored = [{"id": q.id, "score": 10.0, "max": 10} for q in QUESTIONS]
    result = {"questions": scored, "score": 80.0, "max": 80, "status": "ok"}
    assert reports.is_whole(result, QUESTIONS)
    assert not reports.is_whole(result | damage, QUESTIONS)


# --- names ------------------------------------------------------------------------------------------------------------


def test_names_that_a_file_system_may_take_for_one_stay_apart(tmp_path):
    for name in ("ann.ipynb", "ANN.ipynb", "be\u0301a.ipynb", "b\u00e9a.ipynb", "STRASSE.ipynb", "stra\u00dfe.ipynb"):
        (tmp_path / name).write_text(notebook(ALL))
    found = submissions.find(tmp_path)
    folded = {unicodedata.normalize("NFC", s.student).casefold() for s in found}
    assert len(folded) == len(list(tmp_path.iterdir())) == len(found)
    flagged = [s.student for s in found if "name-taken" in submissions.read(s, "H2b").flags]
    assert len(flagged) == len(found) - 3
    assert all(name.endswith(" (2)") for name in flagged)


def test_a_notebook_that_would_fill_the_memory_is_refused(tmp_path):
    (tmp_path / "a.ipynb").write_text('{"cells":[' + "[]," * 3_000_000 + "[]]}")
    (tmp_path / "b.ipynb").write_text('{"cells":[' + '{"x": "' + "a" * 40_000_000 + '"}]}')
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "d.ipynb").mkdir()
    opened = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0  # noqa: PTH208
    assert {submissions.read(s, "H2b").status for s in submissions.find(tmp_path)} == {"malformed"}
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == opened, "a file stays open"  # noqa: PTH208


def test_names_are_unique_and_safe(tmp_path):
    for name in ("ann.ipynb", "Ann.IPYNB", "b\u00e9a \u65e5\u672c.ipynb", "x" * 240 + ".ipynb", "@SUM(1).ipynb"):
        (tmp_path / name).write_text("")
    (tmp_path / "ann").mkdir()
    found = [submission.student for submission in submissions.find(tmp_path)]
    assert len(set(found)) == len(found) == 6
    assert "ann (2)" in found
    reports.prepare(tmp_path)
    rows = []
    for student in found:
        result = {"schema": 1, "student": student, "status": "empty", "score": 0, "max": 0, "questions": []}
        result |= {"failed_cells": [], "lab": "L", "isolation": "full"}
        reports.write_result(tmp_path, result)
        reports.write_feedback(tmp_path, result, [], ())
        assert reports.read_result(tmp_path, student) == result
        rows.append(reports.row_of(result))
    reports.write_grades(tmp_path, rows, ())
    text = (tmp_path / "grades.csv").read_text(encoding="utf-8")
    assert "\n'@SUM(1)," in text
    assert "\u65e5\u672c" in text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "\n=1", "\uff1d1"])
def test_no_formula_starts_a_cell(tmp_path, text):
    reports.write_grades(tmp_path, [{"student": text, "status": "ok", "score": 0, "max": 0}], ())
    with (tmp_path / "grades.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1][0] == "'" + text.replace("\t", " ").replace("\r", " ").replace("\n", " ")


def test_only_real_pictures_reach_the_feedback(tmp_path):
    outputs = [{"data": {"image/png": text}} for text in ("iVBORw0KGgoAAAA=", 'iVBORw0KGgo"><script>', "R0lGODlh")]
    outputs += [{"data": None}, None, {"data": {"image/png": 7}}]
    cell = {"cell_type": "code", "source": "1", "outputs": outputs}
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [cell]}))
    assert submissions.read(submissions.find(tmp_path)[0], "H2b").pictures == ["iVBORw0KGgoAAAA="]


# --- the codec --------------------------------------------------------------------------------------------------------


def test_plain_data_survives_the_trip():
    value = {"a": [1, -2.5, None, True, "é\n"], "$b": b"\x00\xff", "": {}, "n": np.int64(3), "t": (1, [2])}
    back = codec.round_trip(value)
    assert back == {"a": [1, -2.5, None, True, "é\n"], "$b": b"\x00\xff", "": {}, "n": 3, "t": [1, [2]]}
    for array in (np.arange(6.0).reshape(2, 3), np.array([], dtype="i2"), np.array(["ab", "c"]), np.array([[True]])):
        back = codec.round_trip({"x": array})["x"]
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)
        back[...] = back  # the learner's own copy, to be changed at will


@pytest.mark.parametrize(
    "value",
    [{1}, object(), {1: 2}, print, math.nan, math.inf, [math.nan], np.array([np.nan]), np.array([object()]), 1j,
     np.array(["2020-01-01"], "M8[D]"), b"x" * (codec.MAX_BYTES + 1), np.zeros(codec.MAX_BYTES)],
    ids=lambda value: str(type(value)),
)  # fmt: skip
def test_anything_else_does_not_travel(value):
    with pytest.raises(codec.UncodableError):
        codec.round_trip(value)


@pytest.mark.parametrize(
    "line",
    [b"NaN", b"[Infinity]", b"1e999", b"[" * 100_000, b"9" * 5000, b"[" + b"1," * 300_000 + b"1]", b"\xff", b"",
     b'{"$a":["O",[1],"AAAA"]}', b'{"$a":["<f8",[1],"AAAAAAAA+H8="]}', b'{"$a":["<f8",[-1],"!!"]}', b'{"$a":1}',
     b'{"$b":7}', b'{"$b":"a"}', b'{"$f":[]}', b'{"$f":"nan"}', b'{"$d":3}', b'{"$d":[[1]]}', b'{"$d":[[[],1]]}',
     b'{"$a":["<f8",[1e999],""]}', b'{"$a":["<f8",[[1]],""]}', b"{" * 60 + b"}" * 60],
    ids=lambda line: repr(line[:20]),
)  # fmt: skip
def test_hostile_lines_are_refused(line):
    with pytest.raises(codec.UncodableError):
        codec.decode(codec.loads(line), finite=True)


def test_the_judge_imports_nothing_heavy():
    code = (
        "import sys, grader.__main__; print([m for m in ('torch', 'pandas', 'IPython', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_grading_draws_the_families_that_practice_never_shows():
    generator = Generator(ROOT, "tests.light_lab")
    try:
        ((data,), *_) = generator.cases({"light-q3": 5})["light-q3"]["inputs"]
    finally:
        generator.close()
    assert len(codec.decode(data)) == 96

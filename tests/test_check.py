"""Practice in the notebook: the card tells what happened, a stub is a TODO, a token is one's own data everywhere."""

import _thread
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from classroom import check as practice
from classroom.exchange import codec, kernel
from classroom.exchange.marker import MARKER
from classroom.questions import Verdict, question
from tests.mutants import solved


@pytest.fixture(autouse=True)
def own_config(tmp_path, monkeypatch):
    """A computer of its own for each test: nothing remembered, nobody practicing."""
    monkeypatch.setattr(practice, "token_file", lambda: tmp_path / "config" / "learner.txt")
    monkeypatch.setattr(practice, "_token", "")
    practice._cards.clear()
    practice._hints.clear()
    practice._spaces.clear()


def card(capsys, question_id, function):
    capsys.readouterr()
    practice.check(question_id, function)
    return capsys.readouterr().out


# --- cards ---


def test_the_model_answer_shows_full_marks_and_that_this_is_no_grade(capsys):
    shown = card(capsys, "h2b-q1", solved("h2b-q1"))
    assert "[All practice cases right]" in shown
    assert "Practice is not the grade" in shown
    assert "Read again" not in shown


def test_a_wrong_answer_shows_score_failed_case_misunderstanding_and_what_to_read(capsys):
    shown = card(capsys, "h2b-q4", solved("h2b-q4", ('if f"{module}:{name}" not in self.allowed:', "if False:")))
    assert "[0 %]" in shown and "payload(s) ran" in shown
    assert "has to be refused; its payload RAN" in shown
    assert "A known misunderstanding: A payload ran" in shown
    assert "Read again: H2b" in shown and 'hint("h2b-q4")' in shown
    number = int(re.search(r'case\("h2b-q4", (\d+)\)', shown)[1])
    data, allowed = practice.case("h2b-q4", number)
    assert f"input {number}," in shown and isinstance(data, bytes) and isinstance(allowed, list)


@pytest.mark.parametrize("number", (0, 999))
def test_a_case_that_is_not_there_is_named(number):
    with pytest.raises(IndexError, match="inputs 1 to"):
        practice.case("h2b-q4", number)


def unfinished(*arguments):
    raise NotImplementedError("h2b-q1")


@pytest.mark.parametrize("stub", (unfinished, lambda *arguments: ..., ...), ids=("raises", "returns ...", "..."))
def test_a_stub_is_a_todo(capsys, stub):
    assert "[TODO]" in card(capsys, "h2b-q1", stub)


def test_a_crash_on_everything_says_which_exception(capsys):
    shown = card(capsys, "h2a-q3", lambda *arguments: 1 / 0)
    assert shown.count("division by zero") == 1
    assert "It raised ZeroDivisionError: division by zero in line" in shown and "on input 1 and on" in shown
    assert "misunderstanding" not in shown


def test_what_cannot_travel_is_said_not_raised(capsys):
    assert "It returned a set on input 1; a list is due." in card(capsys, "h2b-q1", lambda data: {1, 2})
    assert "Is there a `return`" in card(capsys, "h2b-q1", lambda data: None)
    shown = card(capsys, "h2b-q1", lambda data: tuple(solved("h2b-q1")(data)))
    assert "a list is due. A tuple is read as a list." in shown and "[All practice cases right]" in shown


def test_what_check_lacks_is_said_as_it_should_be_written(capsys):
    practice.check(solved("h2b-q2"))
    assert 'check("h2b-q2", is_safe)' in capsys.readouterr().out
    assert "check('h2b-q1', reached)" in card(capsys, "h2b-q1", None)


def test_an_async_answer_counts_and_its_own_line_is_told(capsys):
    plain = solved("h2b-q1")

    async def reached(data):
        return plain(data)

    async def breaks(data):
        return {}["here"]

    assert "[All practice cases right]" in card(capsys, "h2b-q1", reached)
    assert "KeyError: 'here' in line" in card(capsys, "h2b-q1", breaks)


def test_a_case_shows_itself_as_a_person_reads_it():
    shown = repr(practice.case("h2a-q2", 1))
    assert "   1  " in shown and "\\n" not in shown.split("argument 2")[0]
    assert "STOP" in repr(practice.case("h2b-q1", 1)) or "breaks off" in repr(practice.case("h2b-q1", 1))
    assert solved("h2b-q1")(*practice.case("h2b-q1", 1)) is not None


def test_the_report_judges_what_stands_now_and_marks_what_changed(capsys):
    space = {"right": solved("h2b-q1")}
    exec("def names(data):\n    return right(data)\ndef reached(data):\n    return names(data)", space)
    assert "[All practice cases right]" in card(capsys, "h2b-q1", space["reached"])
    exec("def names(tree):\n    return sorted(tree)", space)  # exercise 5 uses the same name for a helper
    practice.report("H2b")
    line = capsys.readouterr().out.splitlines()[0]
    assert "0.0 of 15" in line and "changed since it was checked" in line


def test_what_the_codec_refuses_is_no_exception_of_the_learners(capsys):
    for answer, words in ((object(), "object is not plain data"), (b"x" * (codec.MAX_BYTES + 1), "bytes longer than")):
        shown = card(capsys, "h2b-q1", lambda data, answer=answer: answer)
        assert words in shown and "It raised" not in shown


def test_something_that_is_no_function_gets_a_sentence(capsys):
    assert "without parentheses" in card(capsys, "h2b-q1", "reached")


def test_a_function_of_the_package_is_remarked_upon(capsys):
    from classroom.questions.h2b.common import fingerprint

    assert "comes from the course's package" in card(capsys, "h2b-q1", fingerprint)
    assert "comes from the course's package" not in card(capsys, "h2b-q1", solved("h2b-q1"))


@pytest.fixture
def interruptible():
    """SIGINT as a notebook has it: a job in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_and_an_exit_leave_the_notebook_alive(capsys, interruptible):
    def endless(*arguments):
        _thread.interrupt_main()  # as Ctrl-C does
        time.sleep(5)

    def leaves(*arguments):
        sys.exit(3)

    assert "ever end" in card(capsys, "h2b-q1", endless)
    assert "[0 %]" in card(capsys, "h2b-q1", leaves)


def test_an_unknown_question_is_named():
    with pytest.raises(KeyError, match="h2b-q9"):
        practice.check("h2b-q9", len)


def test_everything_foreign_is_escaped():
    evil = "<script>alert(1)</script>"
    for made in (
        practice.Card(question("h2b-q1"), "done", Verdict(0.5, evil, "", evil), evil),
        practice.Report("H2b", (practice.Card(question("h2b-q1"), "done", Verdict(0.5, evil)),)),
    ):
        assert "<script" not in made.html()


def test_the_state_of_a_card_is_told_in_words_not_by_color_alone(capsys):
    for state, headline in (("todo", "TODO"), ("stopped", "STOPPED"), ("problem", "PROBLEM")):
        assert headline in practice.Card(question("h2b-q1"), state).html()


def test_answers_cannot_reach_the_next_input(capsys):
    """A function that changes its arguments spoils its own copy."""

    def vandal(names, known):
        names.clear()
        known.clear()
        return {}

    asked = question("h2a-q1")
    before, _ = practice.practice(asked, solved("h2a-q1"), "a")
    practice.practice(asked, vandal, "a")
    assert practice.practice(asked, solved("h2a-q1"), "a")[0] == before


def test_the_marker_is_gone_afterwards(monkeypatch):
    monkeypatch.setenv(MARKER, "elsewhere")
    practice.practice(question("h2b-q4"), lambda data, allowed: "x", "a")
    assert os.environ[MARKER] == "elsewhere"


# --- services ---


def service(app):
    """A function that returns this app, whatever it is called with."""
    return lambda *policy_and_tools: app


async def sleeps(scope, receive, send):
    time.sleep(1.5)


async def never_done(scope, receive, send):
    while True:
        await receive()


def test_a_service_gets_full_marks_and_a_wrong_one_hears_what_came(capsys):
    assert "[All practice cases right]" in card(capsys, "h3-q3", solved("h3-q3"))
    shown = card(capsys, "h3-q3", lambda keys, most, inner: inner)
    assert "[0 %]" in shown and "the app behind was called" in shown
    number = int(re.search(r'case\("h3-q3", (\d+)\)', shown)[1])
    assert practice.case("h3-q3", number)[0]["request"]["path"] == "/predict"


def test_what_came_out_of_a_service_is_named(capsys):
    async def breaks(scope, receive, send):
        raise KeyError("here")

    shown = card(capsys, "h3-q1", service(breaks))
    assert "`KeyError: 'here'` came out of it" in shown
    assert "no answer" in card(capsys, "h3-q7", service(lambda *scope_and_channels: None))
    assert "[TODO]" in card(capsys, "h3-q1", service(...))


def test_a_service_that_takes_too_long_or_never_stops_is_left_behind(capsys, monkeypatch):
    monkeypatch.setattr(kernel, "STEP", 0.3)
    before = threading.active_count()
    started = time.monotonic()
    assert "_timeout" in card(capsys, "h3-q1", lambda headers, predict: sleeps)
    assert time.monotonic() - started < 20 * 0.3  # one step is waited for, not all twenty inputs
    assert "without an end" in card(capsys, "h3-q1", lambda headers, predict: never_done)

    def spins(headers, predict):
        while True:
            pass

    assert "_timeout" in card(capsys, "h3-q1", spins)
    deadline = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < deadline, "a thread goes on"
        time.sleep(0.05)


def test_what_a_grading_refuses_to_hear_a_service_cannot_catch_in_practice_either(capsys):
    """An infinity handed to `predict` cannot travel. Were that an exception in the service, one net would catch it."""
    reads = ("except (ValueError, RecursionError):", "except RecursionError:")
    model = (
        "        except Exception:\n",
        "        except ValueError:\n            return 400, {}\n        except Exception:\n",
    )
    assert "[All practice cases right]" not in card(capsys, "h3-q1", solved("h3-q1", (", allow_nan=False", ""), model))
    assert "[All practice cases right]" not in card(capsys, "h3-q1", solved("h3-q1", reads))


def test_half_of_an_answer_counts_for_a_half(capsys):
    """A thief without the defender beside it; in a notebook both stand in the same space."""
    space = {"steal": solved("h3-q8")}
    exec("def thief(known, ask):\n    return steal(known, ask)", space)
    assert "[60 %]" in card(capsys, "h3-q8", space["thief"])


# --- hints and report ---


def test_hints_come_one_at_a_time(capsys):
    first, second = question("h2b-q3").hints
    practice.hint("h2b-q3")
    shown = capsys.readouterr().out
    assert "hint 1 of 2" in shown and first in shown and second not in shown
    practice.hint("h2b-q3")
    assert second in capsys.readouterr().out
    practice.hint("h2b-q3")
    assert "there are no more" in capsys.readouterr().out


def test_the_report_has_a_line_for_each_question(capsys):
    practice.check("h2b-q1", solved("h2b-q1"))
    practice.check("h2b-q2", lambda data, allowed: True)
    capsys.readouterr()
    practice.report("h2b")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == [f"h2b-q{n}" for n in range(1, 6)]
    assert "All practice cases right" in lines[0] and "0 %" in lines[1] and all("TODO" in line for line in lines[2:5])
    assert "15.0 of 100 points in practice" in lines[5] and "not the grade" in lines[6]


# --- tokens ---


def test_a_token_is_made_once_and_remembered(capsys):
    practice.learner()
    token = practice._token
    assert len(token) == 9 and token in capsys.readouterr().out
    assert practice.remembered() == token
    practice.learner("")
    assert practice._token == token
    practice.learner(f"  {token.upper()}\n")
    assert practice._token == token
    practice.learner("ada")
    assert practice.remembered() == "ada"


def test_the_same_token_brings_the_same_data_and_another_one_other_data():
    seen = []

    def watch(names, known):
        seen.append((names, known))
        return {}

    for token in ("ada", "ada", "grace"):
        practice.practice(question("h2a-q1"), watch, token)
    calls = len(seen) // 3
    assert seen[:calls] == seen[calls : 2 * calls] != seen[2 * calls :]


def test_a_home_that_cannot_be_written_is_no_obstacle(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(practice, "token_file", lambda: tmp_path / "file" / "learner.txt")
    practice.learner("ada")
    assert "ada" in capsys.readouterr().out
    practice.token_file = lambda: tmp_path / "bytes"
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    assert practice.remembered() == "" or practice.remembered()


def test_the_token_lies_in_the_users_configuration(monkeypatch):
    monkeypatch.undo()
    path = practice.token_file()
    assert path.name == "learner.txt" and "mlsecops" in path.parent.name


def test_in_a_terminal_a_card_is_plain_text():
    code = "from classroom.check import check; check('h2b-q2', lambda data, allowed: False)"
    root = practice.Path(practice.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("h2b-q2  An allowlist scanner  [0 %]")
    assert "<div" not in done.stdout

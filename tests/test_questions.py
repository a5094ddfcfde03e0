"""Every question: model answers get full marks, known wrong ones known feedback, luck and nonsense nothing."""

import importlib
import math
import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

from classroom import check
from classroom.exchange import codec
from classroom.exchange.answer import Answer
from classroom.exchange.marker import MARKER
from classroom.questions import Verdict, labs, questions_of
from classroom.questions.h2b import pickles, streams
from classroom.questions.h2b.common import fingerprint
from classroom.questions.scoring import Case, balance, gate, recognized
from mlsecops.controls import CONTROLS
from tests.mutants import listed, solved, unchanged

QUESTIONS = [asked for lab in labs() for asked in questions_of(lab)]
MUTANTS = [mutant for lab in labs() for mutant in listed(lab, "MUTANTS")]
ids = [asked.id for asked in QUESTIONS]
every_question = pytest.mark.parametrize("asked", QUESTIONS, ids=ids)
both = pytest.mark.parametrize("hidden", (False, True), ids=("practice", "hidden"))


def verdict_of(asked, function, seed, hidden):
    inputs, truth = asked.generate(np.random.default_rng(seed), hidden=hidden)
    with unchanged():
        return asked.judge(check.answers_of(asked, function, inputs), truth)


# --- right, wrong, blank ---


@both
@every_question
def test_the_model_answer_gets_full_marks(asked, hidden):
    function = solved(asked.id)
    for seed in range(4):
        verdict = verdict_of(asked, function, seed, hidden)
        assert verdict.score == 1, (seed, verdict)
        assert not verdict.misconception and not verdict.detail


@pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{m.question} {m.name}" for m in MUTANTS])
def test_a_wrong_answer_gets_its_score_and_its_feedback(mutant):
    asked = next(a for a in QUESTIONS if a.id == mutant.question)
    function = mutant.function()
    for seed in mutant.seeds:
        verdict = verdict_of(asked, function, seed, hidden=True)
        assert mutant.low <= verdict.score <= mutant.high, (seed, verdict)
        assert verdict.misconception == mutant.misconception, (seed, verdict)
        assert verdict.detail
        practice = verdict_of(asked, function, seed, hidden=False)
        if mutant.in_practice is None:
            assert practice.score == 1, "practice data gives the held-back family away"
        else:
            expected = mutant.misconception if mutant.in_practice == "the same" else mutant.in_practice
            assert practice.score < 1 and practice.misconception == expected, (seed, practice)


@every_question
def test_each_question_has_its_wrong_answers_and_each_feedback_has_one(asked):
    mine = [mutant for mutant in MUTANTS if mutant.question == asked.id]
    recognized_here = {feedback for m in mine for feedback in (m.misconception, m.in_practice)}
    assert len(mine) >= 3
    assert recognized_here - {"", None, "the same"} == set(asked.misconceptions)


@both
@every_question
def test_a_constant_answer_a_blank_and_a_crash_are_worth_nothing(asked, hidden):
    inputs, truth = asked.generate(np.random.default_rng(5), hidden=hidden)
    for value in (None, True, False, 0, "", "pass", "fail", "unknown", [], {}, [["", "audit"]], [["signature", ""]]):
        assert asked.judge([Answer(value)] * len(inputs), truth).score == 0, value
    for error in ("NotImplementedError", "_missing", "_timeout", "_uncodable", "ValueError"):
        verdict = asked.judge([Answer(error=error)] * len(inputs), truth)
        assert verdict.score == 0 and not verdict.misconception


@every_question
def test_guessing_is_worth_next_to_nothing(asked):
    r = random.Random(1)
    guesses = [True, False] if asked.id in ("h2b-q2", "h2b-q3") else [None]
    for seed in range(10):
        inputs, truth = asked.generate(np.random.default_rng(seed))
        assert asked.judge([Answer(r.choice(guesses)) for _ in inputs], truth).score == 0


# --- inputs ---


@both
@every_question
def test_inputs_are_plain_reproducible_and_of_ones_own(asked, hidden):
    one, again, other = (asked.generate(np.random.default_rng(seed), hidden=hidden) for seed in (1, 1, 2))
    assert repr(one) == repr(again)
    assert repr(one[0]) != repr(other[0])
    inputs, truth = one
    assert len(inputs) >= 2
    assert [codec.round_trip(list(arguments)) for arguments in inputs] == [list(arguments) for arguments in inputs]
    assert codec.round_trip(truth) == truth


def kinds(case):
    if "kind" in case:
        return [case["kind"]]
    if "places" in case:
        return [kind for _, kind, _, _ in case["places"]]
    return [item["kind"] for item in case["items"]] if "items" in case else ["file", *case["kinds"].values()]


@every_question
def test_a_grading_shows_families_that_practice_never_does(asked):
    practice = set().union(*(family_of(asked, seed, False) for seed in range(20)))
    for seed in range(3):
        assert family_of(asked, seed, True) - practice


def family_of(asked, seed, hidden):
    _, truth = asked.generate(np.random.default_rng(seed), hidden=hidden)
    return {kind for case in truth["cases"] for kind in kinds(case)}


FAMILIES = (*streams.PRACTICE, *streams.HIDDEN, *streams.HIDDEN_ODD, "neighbor")
_LOAD = """
import base64, pickle, sys
for line in sys.stdin:
    try:
        pickle.loads(base64.b64decode(line))
    except Exception:
        pass
"""


def test_every_family_of_payloads_really_runs_and_leaves_its_nonce_and_nothing_else(tmp_path):
    import base64

    r = random.Random(11)
    marks, lines = {}, []
    for family in FAMILIES:
        for _ in range(5 if family != "extension registry" else 1):  # a name can be registered once only
            mark = streams.nonce(r)
            if family == "neighbor":
                expression = pickles.Call(pickles.NEIGHBORS["uuid:UUID"], pickles.shell_payload(mark))
                data = pickles.Writer(4).stream(expression)
            else:
                data, _ = streams.hostile(r, family, mark)
            marks[mark] = family
            lines.append(base64.b64encode(data).decode())
    marker = tmp_path / "marker"
    done = subprocess.run(
        [sys.executable, "-c", _LOAD],
        input="\n".join(lines),
        env=os.environ | {MARKER: str(marker)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    silent = [marks[mark] for mark in set(marks) - set(marker.read_text().split())]
    assert not silent, silent
    assert [path.name for path in tmp_path.iterdir()] == ["marker"]
    assert not done.stdout


@pytest.mark.parametrize("number", (1, 2, 3))
def test_the_payloads_of_the_joblib_files_run_when_joblib_loads_them(number, tmp_path, monkeypatch):
    import io

    import joblib

    monkeypatch.setenv(MARKER, str(tmp_path / "marker"))
    inputs, truth = QUESTIONS[ids.index("h2b-q3")].generate(np.random.default_rng(number), hidden=True)
    for (data, _), case in zip(inputs, truth["cases"], strict=True):
        joblib.load(io.BytesIO(data))
        fired = (tmp_path / "marker").read_text() if (tmp_path / "marker").exists() else ""
        assert not case["nonce"] or case["nonce"] in fired, case["kind"]
    assert len(fired.split()) == sum(bool(case["nonce"]) for case in truth["cases"])


@both
def test_honest_pickles_load_to_their_fingerprint_and_reach_only_what_is_allowed(hidden):
    asked = QUESTIONS[ids.index("h2b-q4")]
    reached = solved("h2b-q1")
    inputs, truth = asked.generate(np.random.default_rng(3), hidden=hidden)
    for (data, allowed), case in zip(inputs, truth["cases"], strict=True):
        assert case["safe"] == (set(reached(data)) <= set(allowed)), case["kind"]
        if case["safe"]:
            assert fingerprint(pickle.loads(data)) == case["fingerprint"]


# --- judges ---


def nonsense(r, depth=0):
    """A random value that the codec lets through."""
    leaves = [
        lambda: None,
        lambda: r.random() < 0.5,
        lambda: r.randint(-(10**30), 10**30),
        lambda: r.choice([0.0, -1.5, math.nan, math.inf]),
        lambda: r.choice(["", "pass", "os:system", "components", "\ud800", "x" * 3000, "1", "build/0", "unpinned"]),
        lambda: r.randbytes(r.randint(0, 20)),
        lambda: np.zeros(r.randint(0, 3)),
        lambda: np.array(["a", "b"]),
    ]
    if depth > 4 or r.random() < 0.4:
        return r.choice(leaves)()
    if r.random() < 0.5:
        return [nonsense(r, depth + 1) for _ in range(r.randint(0, 4))]
    names = [
        "bomFormat",
        "specVersion",
        "components",
        "metadata",
        "component",
        "hashes",
        "licenses",
        "name",
        "type",
        "x",
    ]
    return {r.choice(names): nonsense(r, depth + 1) for _ in range(r.randint(0, 5))}


@every_question
def test_a_judge_survives_every_answer_that_can_arrive(asked):
    r = random.Random(7)
    inputs, truth = asked.generate(np.random.default_rng(1), hidden=True)
    judge = asked.judge.__wrapped__  # without the net that catches what it stumbles over
    for _ in range(60):
        answers = [
            Answer(
                nonsense(r),
                r.choice(["", "", "ValueError", "<b>"]),
                "",
                frozenset({"forged"} if r.random() < 0.2 else ()),
            )
            for _ in inputs
        ]
        verdict = judge(answers, truth)
        assert isinstance(verdict, Verdict) and verdict.score == 0
    assert asked.judge([], truth).score == 0


def test_a_bill_of_nearly_everything_is_no_trouble():
    asked = QUESTIONS[ids.index("h2b-q5")]
    make = solved("h2b-q5")
    inputs, truth = asked.generate(np.random.default_rng(1))
    valid = make(*inputs[0])
    deep = {"type": "file", "name": "x"}
    for _ in range(30):
        deep = {"type": "file", "name": "x", "components": [deep]}
    for components in (
        valid["components"] * 2,
        valid["components"] * 500,
        [deep],
        [{"type": "file", "name": "x", "hashes": [{"alg": "SHA-256", "content": "0" * 64}] * 50}],
        [{"type": "file", "name": "x", "externalReferences": [{"type": "website", "url": "http://" + "a.%" * 160}]}],
    ):
        verdict = asked.judge([Answer(valid | {"components": components})] * len(inputs), truth)
        assert 0 <= verdict.score < 0.5


@every_question
def test_public_messages_hold_nothing_of_the_inputs(asked):
    """Only `detail` may; a graded feedback never shows it."""
    mutants = [m for m in MUTANTS if m.question == asked.id]
    for mutant in mutants:
        inputs, truth = asked.generate(np.random.default_rng(1), hidden=True)
        verdict = asked.judge(check.answers_of(asked, mutant.function(), inputs), truth)
        words = {kind for case in truth["cases"] for kind in kinds(case) if len(kind) > 8}
        assert not [word for word in words if word in verdict.message], verdict.message


def test_scores_have_two_sides():
    def cases(caught, passed):
        return [Case("bad", True, i < caught, "") for i in range(4)] + [
            Case("good", False, i < passed, "") for i in range(4)
        ]

    assert [balance(cases(*pair), {}).score for pair in ((4, 4), (4, 0), (0, 4), (2, 2), (3, 4))] == [1, 0, 0, 0, 0.75]
    assert [gate(cases(*pair), {}).score for pair in ((4, 4), (4, 0), (3, 4), (4, 3))] == [1, 0, 0, 0.75]


def test_a_misconception_explains_a_part_never_a_collapse():
    part = [Case("memo", True, False, "")] * 2 + [Case("plain", True, True, "")] * 4
    assert recognized(part, {"memo": ["memo"]}) == "memo"
    assert recognized([Case(c.kind, True, False, "") for c in part], {"memo": ["memo"]}) == ""
    assert recognized([], {"memo": ["memo"]}) == ""


# --- the catalogue ---


@pytest.mark.parametrize("lab", labs())
def test_a_lab_fits_into_ninety_minutes_and_adds_up_to_a_hundred_points(lab):
    questions = questions_of(lab)
    assert sum(q.minutes for q in questions) <= 90
    assert sum(q.points for q in questions) == 100
    assert [q.id for q in questions] == [f"{lab.lower()}-q{n}" for n in range(1, len(questions) + 1)]


@every_question
def test_a_question_is_complete(asked):
    assert asked.lab in labs() and set(asked.controls) <= set(CONTROLS) and asked.controls
    assert 2 <= len(asked.hints) <= 4 and all(len(hint) > 40 for hint in asked.hints)
    assert len(asked.misconceptions) >= 3 and all(len(text) > 40 for text in asked.misconceptions.values())
    assert asked.entry in asked.signature and asked.difficulty in (1, 2, 3)


def test_a_judge_needs_nothing_heavy():
    code = "import sys; from classroom.questions import labs, questions_of\nfor lab in labs(): questions_of(lab)\n"
    code += "print(sorted({'torch', 'pandas', 'numpy', 'joblib', 'cyclonedx', 'cryptography'} & set(sys.modules)))"
    root = importlib.import_module("classroom").__path__[0] + "/.."
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

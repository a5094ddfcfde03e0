"""A restricted unpickler."""

from __future__ import annotations

from classroom.questions import Question, Verdict
from classroom.questions.h2b.common import (
    DENY,
    GREP,
    MODULE,
    NUMPY,
    fired_in,
)
from classroom.questions.h2b.scenes import drawn_streams
from classroom.questions.scoring import Case, draws, gate, graded, shown


def _restricted_generate(rng, hidden=False):
    return drawn_streams(draws(rng), hidden)


@graded
def _restricted_judge(answers, truth):
    known = fired_in(answers, truth)
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        if case["safe"]:
            right = answer.error == "" and isinstance(answer.value, str) and answer.value == case["fingerprint"]
            told = f"input {number}, {case['kind']}: has to load; you: {shown(answer)}"
        else:
            # An answer of any kind means that the file was accepted.
            right = answer.error != "" and case["nonce"] not in known
            told = f"input {number}, {case['kind']}: has to be refused; "
            told += "its payload RAN" if case["nonce"] in known else f"you: {shown(answer)}"
        cases.append(Case(case["kind"], not case["safe"], right, told))
    verdict = gate(
        cases,
        {
            "after-the-fact": ["system", "exec", "eval", "subprocess", "protocol 4", "memo"],
            "denylist": ["not on the list"],
            "module-level": ["allowed neighbor", "same module"],
            "grep": ["only text"],
            "no-numpy": ["arrays"],
        },
    )
    if known:
        message = f"{len(known)} payload(s) ran. {verdict.message}"
        return Verdict(verdict.score, message, verdict.misconception or "after-the-fact", verdict.detail)
    return verdict


QUESTION = Question(
    id="h2b-q4",
    title="A restricted unpickler",
    entry="load_restricted",
    signature="load_restricted(data: bytes, allowed: list[str]) -> str: the fingerprint of what was loaded; "
    "raises for a file that reaches anything else",
    points=20,
    minutes=15,
    difficulty=2,
    controls=("ML06:2023", "AML.T0011", "supply-torch-load"),
    reread='H2b, "7 · The same idea inside the loader"',
    hints=(
        "The documentation of `pickle` has a section on restricting globals. One method decides everything.",
        "In `find_class`, compare `f'{module}:{name}'` with the list before you call `super().find_class`; raise "
        "`pickle.UnpicklingError` otherwise.",
    ),
    generate=_restricted_generate,
    judge=_restricted_judge,
    misconceptions={
        "after-the-fact": "A payload ran, or a bad file was answered. The decision has to fall before the global "
        "is handed out: looking at the loaded object afterwards is too late.",
        "denylist": DENY,
        "module-level": MODULE,
        "grep": GREP,
        "no-numpy": NUMPY,
    },
)

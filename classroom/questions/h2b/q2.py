"""An allowlist scanner."""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.h2b.common import (
    BREAKS,
    CALLS,
    DENY,
    GLOBAL,
    GREP,
    MODULE,
    NUMPY,
    RAN,
    STRINGS,
    fired_in,
    ran_it,
)
from classroom.questions.h2b.scenes import drawn_streams, verdict_cases
from classroom.questions.scoring import draws, gate, graded


def _scanner_generate(rng, hidden=False):
    return drawn_streams(draws(rng), hidden)


@graded
def _scanner_judge(answers, truth):
    if fired_in(answers, truth):
        return ran_it()
    cases = verdict_cases(answers, truth)
    return gate(
        cases,
        {
            "global-only": ["protocol 4", "memo"],
            "denylist": ["not on the list"],
            "module-level": ["allowed neighbor", "same module"],
            "breaks": ["breaks after"],
            "strings-before": ["rebound memo"],
            "calls": ["inst"],
            "registry": ["extension registry"],
            "grep": ["only text"],
            "no-numpy": ["arrays"],
        },
    )


QUESTION = Question(
    id="h2b-q2",
    title="An allowlist scanner",
    entry="is_safe",
    signature="is_safe(data: bytes, allowed: list[str]) -> bool; allowed holds 'module:name'",
    points=20,
    minutes=15,
    difficulty=2,
    controls=("ML06:2023", "AML.T0010", "supply-torch-load"),
    reread='H2b, "6 · Scanners, measured on both sides"',
    hints=(
        "You already know which globals a stream reaches. What is missing is the comparison, and what you say when "
        "the stream cannot be read to its end.",
        "Safe means: it was read to its end without an error, and every global is on the list, module and name "
        "together.",
    ),
    generate=_scanner_generate,
    judge=_scanner_judge,
    misconceptions={
        "ran-it": RAN,
        "denylist": DENY,
        "module-level": MODULE,
        "global-only": GLOBAL,
        "breaks": BREAKS,
        "strings-before": STRINGS,
        "calls": CALLS,
        "registry": "The extension registry turns a number into a global. An EXT opcode whose number you cannot "
        "resolve is a global that is not on the list.",
        "grep": GREP,
        "no-numpy": NUMPY,
    },
)

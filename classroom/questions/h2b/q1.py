"""Which globals does this stream reach?"""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.h2b import streams
from classroom.questions.h2b.common import (
    BREAKS,
    CALLS,
    GLOBAL,
    GREP,
    RAN,
    STRINGS,
    case_of,
    families,
    fired_in,
    ran_it,
    shuffled,
)
from classroom.questions.h2b.streams import hostile, nonce
from classroom.questions.scoring import Case, balance, draws, graded, shown


def _reached_generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for family in families(r, streams.PRACTICE, streams.HIDDEN if hidden else ()):
        mark = nonce(r)
        data, names = hostile(r, family, mark)
        inputs.append((data,))
        cases.append(case_of(family, mark, names=names))
    for name, value in r.sample(sorted(streams.pool(r).items()), 4):
        inputs.append((streams.spelled(r, streams.buried(r, value), odd=hidden),))
        cases.append(case_of("honest object", names=[name]))
    for value in streams.look_alikes(r, 4):
        inputs.append((streams.spelled(r, streams.buried(r, value), odd=hidden),))
        cases.append(case_of("only text", names=[]))
    for quoting in (True, False):
        inputs.append((streams.spelled(r, streams.buried(r, streams.plain(r), quoting=quoting), odd=hidden),))
        cases.append(case_of("plain data", names=[]))
    return shuffled(r, inputs, cases)


@graded
def _reached_judge(answers, truth):
    if fired_in(answers, truth):
        return ran_it()
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        right = _texts(answer) == set(case["names"])
        told = f"input {number}, {case['kind']}: reaches {case['names'] or 'nothing'}; you: {shown(answer)}"
        cases.append(Case(case["kind"], bool(case["names"]), right, told))
    return balance(
        cases,
        {
            "grep": ["only text"],
            "global-only": ["protocol 4", "memo"],
            "strings-before": ["memo", "rebound memo"],
            "breaks": ["breaks after"],
            "calls": ["inst", "obj"],
        },
    )


def _texts(answer) -> set[str] | None:
    value = answer.value
    if answer.error or not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return set(value)


QUESTION = Question(
    id="h2b-q1",
    title="Which globals does this stream reach?",
    entry="reached",
    signature="reached(data: bytes) -> list[str], each as 'module:name' in the way the stream writes it",
    points=15,
    minutes=15,
    difficulty=2,
    controls=("ML06:2023", "AML.T0010", "supply-torch-load"),
    reread='H2b, "3 · Reading the file"',
    hints=(
        "`pickletools.genops` gives the opcodes, but you would have to keep a stack and a memo yourself. Who does "
        "that already, and asks a method of its own for each global?",
        "Subclass `pickle.Unpickler`, note module and name in `find_class`, and return a class of yours that "
        "swallows whatever is done to it. Nothing real is ever looked up.",
    ),
    generate=_reached_generate,
    judge=_reached_judge,
    misconceptions={
        "ran-it": RAN,
        "grep": GREP,
        "global-only": GLOBAL,
        "strings-before": STRINGS,
        "breaks": BREAKS,
        "calls": CALLS,
    },
)

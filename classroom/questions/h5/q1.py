"""Warm-up: how far apart two distributions are."""

from __future__ import annotations

import math

from classroom.questions import Question
from classroom.questions.h5.common import close
from classroom.questions.scoring import Case, by_control, draws, graded, shown, shuffled


def _psi(expected, actual) -> float | None:
    if len(expected) != len(actual) or not sum(expected) or not sum(actual):
        return None
    sides = [[count or 0.5 for count in side] for side in (expected, actual)]
    e, a = ([count / sum(side) for count in side] for side in sides)
    return sum((y - x) * math.log(y / x) for x, y in zip(e, a, strict=True))


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []

    def add(kind, expected, actual):
        inputs.append((expected, actual))
        cases.append({"kind": kind, "due": _psi(expected, actual)})

    def counts(bins, low=5, high=400):
        return [r.randint(low, high) for _ in range(bins)]

    for _ in range(3):
        bins = r.randint(4, 9)
        one = counts(bins)
        add("as many queries", one, r.sample(one, bins))
        add("another number of queries", counts(bins, 200, 4_000), counts(bins))
        for side in (0, 1):
            pair = [counts(bins), counts(bins)]
            pair[side][r.randrange(bins)] = 0
            add("an empty bin", *pair)
        add("other bins", counts(bins), counts(bins + r.choice([-1, 1])))
        add("no query at all", *r.sample([counts(bins), [0] * bins], 2))
        times = r.randint(2, 9)
        add("the same shares", one, [count * times for count in one])
        if hidden:
            pair = [counts(bins), counts(bins)]
            place = r.randrange(bins)
            pair[0][place] = pair[1][place] = 0
            add("a bin that is empty on both sides", *pair)
            add("a few queries", *([*counts(bins - 1, 0, 2), 1] for _ in range(2)))
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        right = not answer.error and close(answer.value, case["due"])
        due = "None" if case["due"] is None else f"{case['due']:.6f}"
        told = f"input {number} ({case['kind']}): {due} is due; you: {shown(answer)}"
        cases.append(Case(case["kind"], case["due"] is None, right, told))
    return by_control(
        cases,
        {
            "counts": ["another number of queries", "the same shares"],
            "empty-bins": ["an empty bin", "a bin that is empty on both sides", "a few queries"],
            "no-comparison": ["other bins", "no query at all"],
        },
    )


QUESTION = Question(
    id="h5-q1",
    title="How far has a window moved?",
    entry="psi",
    signature="psi(expected: list[int], actual: list[int]) -> float, or None where nothing can be compared",
    points=10,
    minutes=5,
    difficulty=1,
    controls=("monitoring-inputs", "MEASURE"),
    reread='H5, "6 · Drift or probing?"',
    hints=(
        "Turn each side into shares first: every count divided by the sum of its own side.",
        "A bin that is empty counts as half a query, before you add up its side; then no logarithm is taken of zero.",
        "In the order of the text: compare the lengths and the sums (None), put 0.5 for each 0, divide by the sum, and "
        "add up `(a - e) * math.log(a / e)`.",
        "The sum of a side is taken after the halves were put in, and whether a side is empty is asked before.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "counts": "You compare counts, not shares: a window with more queries has not moved because of that.",
        "empty-bins": "An empty bin makes the logarithm infinite, or is left out. It counts as half a query, on both "
        "sides alike.",
        "no-comparison": "Where the bins are not the same or a side has no query at all, there is no index: None is "
        "due, and no number and no exception.",
    },
)

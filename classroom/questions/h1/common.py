"""What the questions of lab H1 share: made-up pipelines, and two ways to judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from classroom.questions import Verdict
from classroom.questions.scoring import Case, balance, by_control, shown

ZONES = "world team production hosted customers finance".split()
NAMES = "survey index hub laptop registry service log tracker host desk store queue cache portal vault".split()


def word(r) -> str:
    """A short made-up name."""
    return r.choice(NAMES) + "".join(r.choice("0123456789") for _ in range(3))


def same(value, due) -> bool:
    """Whether two plain values are equal, types included: 1 is not True."""
    if isinstance(due, dict):
        return isinstance(value, dict) and value.keys() == due.keys() and all(same(value[k], due[k]) for k in due)
    if isinstance(due, list):
        return isinstance(value, list) and len(value) == len(due) and all(map(same, value, due))
    if isinstance(due, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and abs(value - due) <= 1e-6 * max(1.0, abs(due))
    return type(value) is type(due) and value == due


def exact(
    answers: Sequence,
    truth: Mapping,
    rules: Mapping[str, list[str]],
    right: Callable = lambda value, case: same(value, case["due"]),
) -> Verdict:
    """Judge answers that are right or wrong, each of one kind."""
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        fine = not answer.error and right(answer.value, case)
        words = f"input {number} ({case['kind']}): {str(case['due'])[:160]} is due; you: {shown(answer)[:160]}"
        cases.append(Case(case["kind"], case["bad"], fine, words))
    return strict(cases, rules)


def strict(cases: Sequence[Case], rules: Mapping[str, list[str]]) -> Verdict:
    """Both sides count, and no kind may be missed altogether."""
    return min(by_control(cases, rules), balance(cases, rules), key=lambda verdict: verdict.score)

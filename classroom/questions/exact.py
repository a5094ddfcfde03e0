"""Judges for answers that are right or wrong as they stand: compared with what is due, types included."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from classroom.questions import Verdict
from classroom.questions.scoring import Case, balance, by_control, shown


def exact(answers: Sequence, truth: Mapping, rules: Mapping[str, list[str]]) -> Verdict:
    """Judge answers that are right or wrong, each of one kind; ``due`` is compared with its types."""
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        right = not answer.error and same(answer.value, case["due"])
        words = f"input {number} ({case['kind']}): {str(case['due'])[:160]} is due; you: {shown(answer)[:160]}"
        cases.append(Case(case["kind"], case["bad"], right, words))
    return strict(cases, rules)


def by_item(answers: Sequence, truth: Mapping, rules: Mapping[str, list[str]], said: Callable) -> Verdict:
    """Judge answers about several items each.

    Args:
        answers, truth: as a judge gets them; a case has ``items``, each with ``kind``, ``bad`` and ``due``.
        rules: misconceptions and their kinds.
        said: from an answer's value, a case and the number of an item to what was said about it; where that cannot be
            told it raises LookupError, TypeError or ValueError.
    """
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        for place, item in enumerate(case["items"]):
            try:
                got = said(answer.value, case, place)
                right = not answer.error and same(got, item["due"])
            except (LookupError, TypeError, ValueError, AttributeError):
                got, right = None, False
            words = f"input {number} ({item['kind']}): {str(item['due'])[:120]} is due; you: "
            words += shown(answer)[:160] if answer.error else str(got)[:120]
            cases.append(Case(item["kind"], item["bad"], right, words))
    return strict(cases, rules)


def strict(cases: Sequence[Case], rules: Mapping[str, list[str]]) -> Verdict:
    """Both sides count, and no kind may be missed altogether."""
    return min(by_control(cases, rules), balance(cases, rules), key=lambda verdict: verdict.score)


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

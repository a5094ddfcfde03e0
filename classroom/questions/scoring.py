"""How answers become scores: two sides, known misunderstandings, and nothing that a strange answer can break.

Scores are Youden's J (W. J. Youden, Index for rating diagnostic tests, Cancer 3, 1950): the share of bad cases caught
plus the share of good cases let through, minus one. "Refuse everything", "accept everything" and tossing a coin all
come out at zero.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from classroom.exchange.answer import OURS, Answer
from classroom.questions import Verdict

MISSED = 0.49  # of its score, where a control is missing altogether
SHOWN = 3  # failed cases that the detail tells


@dataclass(frozen=True)
class Case:
    """One thing to decide, and how it went.

    Attributes:
        kind: how the case was built; misconceptions are recognized by it.
        bad: True when it had to be caught, False when it had to pass.
        right: True when the answer was the right one.
        told: the case and what was answered, for practice.
    """

    kind: str
    bad: bool
    right: bool
    told: str


def draws(rng) -> random.Random:
    """A plain-Python source of draws, seeded from a numpy Generator."""
    return random.Random(int(rng.integers(2**62)))  # noqa: S311 - reproducible cases, not secrets


def shuffled(r: random.Random, inputs: list, cases: list) -> tuple[list, dict]:
    """Inputs and their cases in another order, as a generator of questions returns them."""
    order = r.sample(range(len(inputs)), len(inputs))
    return [inputs[n] for n in order], {"cases": [cases[n] for n in order]}


def graded(judge: Callable[[Sequence[Answer], list], Verdict]) -> Callable:
    """Wrap a judge: say plainly when there is nothing to judge, and turn whatever it stumbles over into a zero.

    The judge then sees as many answers as there are entries in `truth["cases"]`.
    """

    @functools.wraps(judge)
    def wrapper(answers, truth) -> Verdict:
        errors = [answer.error for answer in answers]
        if len(answers) != len(truth["cases"]) or "_missing" in errors:
            return Verdict(0.0, "The function is not defined.")
        if errors and set(errors) == {"NotImplementedError"}:
            return Verdict(0.0, "Still to do.")
        if errors and all(errors) and not any(answer.fired for answer in answers):
            return Verdict(0.0, "Every single call ended in an error.", detail=shown(answers[0]))
        try:
            return judge(answers, truth)
        except Exception as error:  # an answer may be anything
            return Verdict(0.0, "The answers could not be read.", detail=type(error).__name__)

    return wrapper


def balance(cases: Sequence[Case], rules: Mapping[str, Iterable[str]]) -> Verdict:
    """Two-sided verdict: Youden's J over the cases.

    Args:
        cases: at least one bad and one good.
        rules: misconception to the kinds of case that it gets wrong, most telling first.
    """
    bad, good = _sides(cases)
    caught, passed = sum(c.right for c in bad), sum(c.right for c in good)
    score = max(0.0, caught / len(bad) + passed / len(good) - 1)
    return Verdict(score, _counted(bad, good), recognized(cases, rules), told(cases))


def gate(cases: Sequence[Case], rules: Mapping[str, Iterable[str]]) -> Verdict:
    """Verdict of a question in which one miss is one too many: zero with any bad case missed, else the share of good
    cases that passed."""
    bad, good = _sides(cases)
    passed = sum(c.right for c in good)
    score = passed / len(good) if all(c.right for c in bad) else 0.0
    message = _counted(bad, good)
    if not all(c.right for c in bad):
        message += " Here a single miss costs the whole question."
    return Verdict(score, message, recognized(cases, rules), told(cases))


def by_control(cases: Sequence[Case], rules: Mapping[str, Iterable[str]], full: float = 1.0) -> Verdict:
    """Verdict of a question whose kinds of case are controls: the mean over kinds of the share that is right.

    A kind that is missed altogether caps the question below a half: whoever leaves a control out has not built the
    thing. Where two kinds of three are missed nothing is left: so much any constant has right. `Case.bad` does not
    matter here.

    Args:
        cases: at least one.
        rules: as for `balance`.
        full: the share that counts as all, where chance decides a case now and then.
    """
    kinds: dict[str, list[bool]] = {}
    for case in cases:
        kinds.setdefault(case.kind, []).append(case.right)
    shares = [min(1.0, sum(right) / len(right) / full) for right in kinds.values()]
    score = sum(shares) / len(shares)
    if not all(shares):
        score *= MISSED * max(0.0, 1.5 * sum(map(bool, shares)) / len(shares) - 0.5)
    right = sum(case.right for case in cases)
    message = f"Right about {right} of {len(cases)} cases; {sum(map(bool, shares))} of {len(shares)} kinds recognized."
    if score == 1:
        return Verdict(score, message)
    return Verdict(score, message, recognized(cases, rules), told(cases))


def recognized(cases: Sequence[Case], rules: Mapping[str, Iterable[str]]) -> str:
    """The misconception whose kinds were answered wrong at least two times in three; of several, the first listed.

    A misconception explains a part of the cases. Where less than a third of all the others is right, or none on the
    same side, something more basic is amiss and nothing is recognized.
    """
    for misconception, kinds in rules.items():
        concerned = [c for c in cases if c.kind in set(kinds)]
        others = [c for c in cases if c.kind not in set(kinds)]
        wrong = sum(not c.right for c in concerned)
        sides = {c.bad for c in concerned}
        beside = [c for c in others if c.bad in sides]
        explained = 3 * sum(c.right for c in others) >= len(others) and (not beside or any(c.right for c in beside))
        if wrong and 3 * wrong >= 2 * len(concerned) and explained:
            return misconception
    return ""


def told(cases: Sequence[Case]) -> str:
    """The first failed cases, one of each kind first, a line each."""
    wrong = [c for c in cases if not c.right]
    first = list({c.kind: c for c in reversed(wrong)}.values())[::-1]
    chosen = (first + [c for c in wrong if c not in first])[:SHOWN]
    rest = len(wrong) - len(chosen)
    return "\n".join([c.told for c in chosen] + ([f"… and {rest} more"] if rest else []))


def _sides(cases):
    return [c for c in cases if c.bad], [c for c in cases if not c.bad]


def _counted(bad, good) -> str:
    return (
        f"Caught {sum(c.right for c in bad)} of {len(bad)} bad cases; "
        f"right about {sum(c.right for c in good)} of {len(good)} good ones."
    )


# --- reading answers ------------------------------------------------------------------------------------------------


def pairs(value) -> set[tuple[str, str]] | None:
    """A list of two-element lists as a set of pairs of text; None when it is anything else."""
    if not isinstance(value, list) or not all(isinstance(p, list) and len(p) == 2 for p in value):
        return None
    if not all(isinstance(part, str) or type(part) is int for pair in value for part in pair):
        return None
    return {(str(a), str(b)) for a, b in value}


def shown(answer: Answer) -> str:
    """What came back, short enough for a card."""
    if answer.error:  # an exception's text stands on the card already, with the line that raised it
        words = f": {answer.message}" if answer.error in OURS and answer.message else ""
        return f"an error ({answer.error}){words}"
    text = repr(answer.value)
    return text if len(text) <= 120 else text[:117] + "…"


def places(answers: Sequence[Answer], cases: Sequence[Mapping]) -> list[Case]:
    """Judge findings place by place: a place with findings is caught by naming exactly these, an honest one by
    naming none.

    Args:
        answers: one per file; each a list of `[place, rule]`.
        cases: per file, `places`: a list of `[place, kind, rules, text]` that covers the file.

    Returns:
        A case per place, plus a wrong one for a finding at a place that does not exist.
    """
    result = []
    for number, (answer, case) in enumerate(zip(answers, cases, strict=True), 1):
        found = pairs(answer.value) if not answer.error else None
        known = set()
        for place, kind, rules, text in case["places"]:
            known.add(str(place))
            said = None if found is None else {rule for where, rule in found if where == str(place)}
            right = said == set(rules)
            wanted = " and ".join(rules) or "nothing to report"
            got = shown(answer) if said is None else (" and ".join(sorted(said)) or "nothing")
            told = f"input {number}, at {place or 'the whole file'}, `{text}`: {wanted}; you: {got}"
            result.append(Case(kind, bool(rules), right, told))
        for where, rule in sorted(found or ()):
            if where not in known:
                result.append(
                    Case("nowhere", False, False, f"there is nothing at {where[:40]!r} to call {rule[:40]!r}")
                )
    return result

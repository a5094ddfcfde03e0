"""Every graded question of the course, as a pair of functions: `generate` makes the inputs and knows the truth,
`judge` compares. Public by design: only the seed of an official grading is secret.

This module imports nothing heavy: the judge of the grader imports questions without torch or pandas, so a question
imports such libraries inside its `generate`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LABS = ("H2a", "H2b", "H3")


@dataclass(frozen=True)
class Answer:
    """What came back for one input.

    Attributes:
        value: what the function returned, after a trip through the codec (None, bool, int, float, str, bytes, list,
            dict with str keys, numpy arrays); None when it raised. Where a question has a `play`, what that saw.
        error: name of the exception it raised (`"ValueError"`), or "" when it returned. Names starting with an
            underscore are ours: `"_missing"` (never defined), `"_timeout"`, `"_died"`, `"_uncodable"` (the answer is
            not plain data), `"_too_large"`.
        message: the exception's text, cut short; the learner's own words, so never trusted, shown in practice only.
        fired: nonces of the payloads that ran while the function worked on this input.
    """

    value: Any = None
    error: str = ""
    message: str = ""
    fired: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Verdict:
    """The outcome of one question.

    Attributes:
        score: 0 to 1, before it is multiplied by the question's points.
        message: one or two sentences for the learner that reveal no hidden input.
        misconception: key into `Question.misconceptions` when the wrong answer is a known one, else "".
        detail: which case failed and why, inputs included. Shown in practice, never in graded feedback.
    """

    score: float
    message: str
    misconception: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Question:
    """One graded question.

    Attributes:
        id: such as `"h2b-q3"`.
        title: a short phrase.
        entry: name of the function that the learner writes; the last definition in the notebook counts.
        signature: how it is called and what it returns, for the prompt and the error messages.
        points, minutes, difficulty: difficulty is 1 (warm-up) to 3 (stretch).
        controls: ids from `mlsecops.controls` that the question trains.
        reread: where in the lesson the idea is taught.
        hints: two steps, shown one at a time on request.
        misconceptions: key to feedback, for wrong answers that the judge recognizes.
        generate: `generate(rng, hidden=False) -> (inputs, truth)`; `rng` is a numpy Generator. `inputs` is a list of
            argument tuples (codec values), one call each; `truth` is what `judge` needs, one entry per input or any
            other shape it likes (codec values too). Practice leaves `hidden` alone; a grading sets it, and the draw
            then also holds families of cases that practice never shows.
        judge: `judge(answers, truth) -> Verdict` with one `Answer` per input, in order.
        play: None where an input is put to the learner's function as the arguments of one call. Else
            `play(order, *arguments) -> value`, which talks with what the learner wrote, event by event (see
            `conversation`), and returns what was seen.
    """

    id: str
    title: str
    entry: str
    signature: str
    points: int
    minutes: int
    difficulty: int
    controls: tuple[str, ...]
    reread: str
    hints: tuple[str, str]
    generate: Callable[[Any], tuple[list[tuple], Any]]
    judge: Callable[[Sequence[Answer], Any], Verdict]
    misconceptions: Mapping[str, str] = field(default_factory=dict)
    play: Callable[..., Any] | None = None

    @property
    def lab(self) -> str:
        """The lab's id: `"h2b-q3"` belongs to `"H2b"`."""
        return self.id[0].upper() + self.id[1:].split("-")[0]


def questions_of(lab: str) -> tuple[Question, ...]:
    """All questions of a lab, in order.

    Args:
        lab: such as `"H2b"`; case does not matter.

    Raises:
        KeyError: there is no such lab; the message lists those that exist.
    """
    known = {name.lower(): name for name in LABS}
    if lab.lower() not in known:
        raise KeyError(f"no lab {lab!r}; there are {', '.join(LABS)}")
    return importlib.import_module(f"{__name__}.{lab.lower()}").QUESTIONS


def question(question_id: str) -> Question:
    """The question with this id, such as `"h2b-q3"`. Raises KeyError when there is none."""
    for candidate in questions_of(question_id.split("-")[0]):
        if candidate.id == question_id:
            return candidate
    raise KeyError(f"no question {question_id!r}")

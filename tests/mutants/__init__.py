"""Plausible wrong answers, each with the score and the feedback that it has to get.

Most are the model answer with one misunderstanding in it, written as `(what stands there, what they wrote instead)`;
some go about it in another way altogether and are written out.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"


@dataclass(frozen=True)
class Mutant:
    """A wrong answer.

    Attributes:
        question: id of the question.
        name: the misunderstanding in a few words.
        answer: a function, or pairs of (text in the model answer, replacement).
        low, high: the score on hidden data lies between them, both included.
        misconception: what the judge has to recognize; "" for nothing.
        in_practice: what practice recognizes, if another thing; None when practice data cannot show the
            misunderstanding at all.
    """

    question: str
    name: str
    answer: Callable | tuple[tuple[str, str], ...]
    low: float
    high: float
    misconception: str
    in_practice: str | None = "the same"

    def function(self) -> Callable:
        """The wrong answer, ready to call."""
        return self.answer if callable(self.answer) else solved(self.question, *self.answer)


@functools.cache
def solved(question_id: str, *replacements: tuple[str, str]) -> Callable:
    """The model answer of a question, with parts of its text replaced.

    Raises:
        AssertionError: a text to replace is not in the model answer.
    """
    from classroom.questions import question

    asked = question(question_id)
    lab, number = question_id.split("-")
    notebook = json.loads((SOLUTIONS / f"{asked.lab}_lab.ipynb").read_text(encoding="utf-8"))
    space = {"__name__": "lab"}
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if not cell["id"].endswith(("-imports", "-given", "-answer")) or cell["cell_type"] != "code":
            continue
        if cell["id"] == f"{lab}-lab-{number}-answer":
            for old, new in replacements:
                assert old in text, f"{question_id}: {old!r} is not in the model answer any more"
                text = text.replace(old, new)
        exec(compile(text, cell["id"], "exec"), space)
    return space[asked.entry]

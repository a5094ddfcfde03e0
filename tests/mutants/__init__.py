"""Plausible wrong answers, each with the score and the feedback that it has to get.

Most are the model answer with one misunderstanding in it, written as `(what stands there, what they wrote instead)`;
some go about it in another way altogether and are written out. A module per lab holds its `MUTANTS` and, optionally,
its `SHORTCUTS`; `automatic` and `cheap` make more of both for any lab, by themselves.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import importlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"


@dataclass(frozen=True)
class Shortcut:
    """A cheap way around a question: it does a part of the work, or looks at something else.

    Attributes:
        question: id of the question.
        name: the way, or the misunderstanding, in a few words.
        answer: a function, or pairs of (text in the model answer, replacement).
    """

    question: str
    name: str
    answer: Callable | tuple[tuple[str, str], ...]

    def function(self) -> Callable:
        """The wrong answer, ready to call."""
        return self.answer if callable(self.answer) else solved(self.question, *self.answer)


@dataclass(frozen=True)
class Mutant(Shortcut):
    """A wrong answer of which all is known.

    Attributes:
        low, high: the score on hidden data lies between them, both included.
        misconception: what the judge has to recognize; "" for nothing.
        in_practice: what practice recognizes, if another thing; None when practice data cannot show the
            misunderstanding at all.
        seeds: of the data on which it shows; a draw may lack the kind of case that it takes.
    """

    low: float
    high: float
    misconception: str
    in_practice: str | None = "the same"
    seeds: tuple[int, ...] = (1, 2, 3)


def listed(lab: str, name: str) -> tuple:
    """`MUTANTS` or `SHORTCUTS` of a lab, out of the module in here that is named after it; empty if there is none."""
    module = f"{__name__}.{lab.lower()}"
    return getattr(importlib.import_module(module), name, ()) if importlib.util.find_spec(module) else ()


def model_answer(question_id: str) -> str:
    """The source of a question's model answer."""
    return _cells(question_id)[_answer_cell(question_id)]


@functools.cache
def solved(question_id: str, *replacements: tuple[str, str]) -> Callable:
    """The model answer of a question, with parts of its text replaced.

    Raises:
        AssertionError: a text to replace is not in the model answer.
    """
    text = model_answer(question_id)
    for old, new in replacements:
        assert old in text, f"{question_id}: {old!r} is not in the model answer any more"
        text = text.replace(old, new)
    return answered(question_id, text)


def answered(question_id: str, source: str, given: Mapping[str, object] | None = None) -> Callable:
    """What a learner's notebook defines who wrote this source as the answer, and all other answers right.

    Args:
        question_id: the question.
        source: Python code of the answer's cell.
        given: more names that the code may use.
    """
    from classroom.questions import question

    space = {"__name__": "lab", **(given or {})}
    for cell, text in (_cells(question_id) | {_answer_cell(question_id): source}).items():
        exec(compile(text, cell, "exec"), space)
    return space[question(question_id).entry]


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Take back what a payload does to this process that runs in it: it may register an extension of pickle's."""
    with mock.patch.dict(copyreg._extension_registry), mock.patch.dict(copyreg._inverted_registry):
        yield
    copyreg.clear_extension_cache()


def _answer_cell(question_id: str) -> str:
    lab, number = question_id.split("-")
    return f"{lab}-lab-{number}-answer"


@functools.cache
def _cells(question_id: str) -> Mapping[str, str]:
    """Id to source of the cells that an answer needs, in order."""
    from classroom.questions import question

    notebook = json.loads((SOLUTIONS / f"{question(question_id).lab}_lab.ipynb").read_text(encoding="utf-8"))
    needed = [cell for cell in notebook["cells"] if cell["id"].endswith(("-imports", "-given", "-answer"))]
    return {cell["id"]: "".join(cell["source"]) for cell in needed if cell["cell_type"] == "code"}

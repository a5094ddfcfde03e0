"""Every graded question of the course, as a pair of functions: `generate` makes the inputs and knows the truth,
`judge` compares. Public by design: only the seed of an official grading is secret.

A lab is a folder in here: its `__init__` names what it needs, each `qN.py` ends in `QUESTION = …`. Nothing lists the
labs, so a new one is found as soon as it is there.

This module imports nothing heavy: the judge of the grader imports questions without torch or pandas, so a question
imports such libraries inside its `generate`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from classroom.exchange.answer import Answer
from classroom.exchange.conductor import Conductor, Order

HERE = Path(__file__).resolve().parent
# What a grading and its practice have in common, besides the lab's own folder.
SHARED = (HERE.parent / "exchange", HERE / "scoring.py", HERE / "exact.py")
# What most labs use and see; a lab's module can name others in LIBRARIES and OPENS.
DEFAULT_OPENS = ("classroom.lesson", "mlsecops.salary")
DEFAULT_LIBRARIES = ("numpy", "pandas", "torch", "matplotlib.pyplot", "classroom.lesson", "joblib", "safetensors")


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
        hints: two to four steps, shown one at a time on request.
        misconceptions: key to feedback, for wrong answers that the judge recognizes.
        generate: `generate(rng, hidden=False) -> (inputs, truth)`; `rng` is a numpy Generator. `inputs` is a list of
            argument tuples (codec values), one call each; `truth` is what `judge` needs, one entry per input or any
            other shape it likes (codec values too). Practice leaves `hidden` alone; a grading sets it, and the draw
            then also holds families of cases that practice never shows.
        judge: `judge(answers, truth) -> Verdict` with one `Answer` per input, in order.
        play: None where an input is the arguments of one call. Else `play(order, *arguments) -> value`, which talks
            with what the learner wrote, event by event (see `classroom.exchange.conductor`), and returns what it saw.
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
    hints: tuple[str, ...]
    generate: Callable[[Any], tuple[list[tuple], Any]]
    judge: Callable[[Sequence[Answer], Any], Verdict]
    misconceptions: Mapping[str, str] = field(default_factory=dict)
    play: Callable[..., Any] | None = None

    def put(self, order: Order, arguments: Sequence) -> Any:
        """Put one input to what the learner wrote and return what came of it: a plain call is a play of one call.

        Raises:
            StoppedError: it did not come to an end; its answer says how.
        """
        if self.play is None:
            return Conductor(order).call(self.entry, *arguments)
        return self.play(order, *arguments)

    @property
    def lab(self) -> str:
        """The lab's id: `"h2b-q3"` belongs to `"H2b"`."""
        return self.id[0].upper() + self.id[1:].split("-")[0]


@dataclass(frozen=True)
class Lab:
    """All that is known of a lab.

    Attributes:
        id: such as `"H2b"`, or the dotted name of an instructor's own module.
        questions: in order.
        libraries: what the lab's cells import; a grading has it ready before the first submission.
        colab_tools: packages that the lesson and the lab need and Colab lacks.
        opens: modules of the course that the learner's code may import in a grading; the jail has no others.
        source: the folder, or the one file, with its questions.
    """

    id: str
    questions: tuple[Question, ...]
    libraries: tuple[str, ...]
    colab_tools: tuple[str, ...]
    opens: tuple[str, ...]
    source: Path

    def version(self) -> str:
        """Twelve hex digits of what can change a result: the lab's own files, the exchange, the scoring."""
        digest = hashlib.sha256()
        for place in (self.source, *SHARED):
            files = [place] if place.is_file() else (f for f in place.rglob("*") if f.is_file())
            for file in sorted(f for f in files if "__pycache__" not in f.parts):
                digest.update(f"{file.relative_to(place.parent).as_posix()}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()[:12]


def labs() -> tuple[str, ...]:
    """The ids of all labs, in teaching order."""
    return tuple(sorted(path.parent.name.capitalize() for path in HERE.glob("*/__init__.py")))


@functools.cache
def lab_of(name: str) -> Lab:
    """A lab's record.

    Args:
        name: such as `"H2b"`, case does not matter; or the dotted name of an importable module with `QUESTIONS`, so
            that an instructor can bring a lab of their own.

    Raises:
        KeyError: there is no such lab; the message lists those that exist.
    """
    if "." in name:
        return _own_lab(name)
    known = {lab.lower(): lab for lab in labs()}
    if name.lower() not in known:
        raise KeyError(f"no lab {name!r}; there are {', '.join(known.values())}")
    module = importlib.import_module(f"{__name__}.{name.lower()}")
    source = HERE / name.lower()
    numbers = sorted(int(match[1]) for path in source.glob("q*.py") if (match := re.fullmatch(r"q(\d+)", path.stem)))
    questions = tuple(importlib.import_module(f"{module.__name__}.q{number}").QUESTION for number in numbers)
    return _record(known[name.lower()], module, questions, source)


def _own_lab(name: str) -> Lab:
    try:
        module = importlib.import_module(name)
        source = Path(module.__file__ or "").resolve()
        return _record(name, module, tuple(module.QUESTIONS), source.parent if source.stem == "__init__" else source)
    except (ImportError, AttributeError) as error:
        raise KeyError(str(error)) from None


def _record(name: str, module: ModuleType, questions: tuple[Question, ...], source: Path) -> Lab:
    return Lab(
        name,
        questions,
        tuple(getattr(module, "LIBRARIES", DEFAULT_LIBRARIES)),
        tuple(getattr(module, "COLAB_TOOLS", ())),
        tuple(getattr(module, "OPENS", DEFAULT_OPENS)),
        source,
    )


def questions_of(lab: str) -> tuple[Question, ...]:
    """All questions of a lab, in order; see `lab_of`."""
    return lab_of(lab).questions


def question(question_id: str) -> Question:
    """The question with this id, such as `"h2b-q3"`. Raises KeyError when there is none."""
    for candidate in questions_of(question_id.split("-")[0]):
        if candidate.id == question_id:
            return candidate
    raise KeyError(f"no question {question_id!r}")

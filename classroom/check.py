"""Practice in the notebook: the questions of a lab, with data of your own and an explanation of what went wrong.

Practice is not the grade. It runs your function in your own kernel, on data drawn from your token; a grading draws
other data and also shows families of cases that practice never does. Hence nothing here needs to be safe from you.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from IPython import get_ipython
from IPython.display import display

from classroom.cards import NOT_THE_GRADE, Card, Report
from classroom.exchange import codec
from classroom.exchange.answer import MISSING, TIMEOUT, Answer
from classroom.exchange.conductor import StoppedError
from classroom.exchange.kernel import Kernel
from classroom.exchange.marker import marked
from classroom.questions import Question, Verdict, question, questions_of

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is easily misread

_token = ""
_cards: dict[str, Card] = {}
_hints: dict[str, int] = {}


# --- who practices --------------------------------------------------------------------------------------------------


def learner(token: str = "") -> None:
    """Say whose practice data is wanted, and show the token to type in elsewhere.

    Args:
        token: any text, such as the one shown before; the same token brings the same data, on any computer. Empty:
            the one remembered on this computer, or a new one.
    """
    global _token
    _token = _normal(token) or remembered() or _new_token()
    if _token != remembered():
        _remember(_token)
    _cards.clear()
    _hints.clear()
    print(f"Your practice data belongs to the token {_token} (type it in on another computer to get the same data).")
    print(NOT_THE_GRADE)


def _normal(token: str) -> str:
    return "".join(token.split()).lower()


def _new_token() -> str:
    text = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"{text[:4]}-{text[4:]}"


def token_file() -> Path:
    """Where the token is remembered on this computer."""
    from platformdirs import user_config_path

    return user_config_path("mlsecops", appauthor=False) / "learner.txt"


def remembered() -> str:
    """The token remembered on this computer, or ""."""
    try:
        return _normal(token_file().read_text(encoding="utf-8")[:200])
    except (OSError, ValueError):
        return ""


def _remember(token: str) -> None:
    # A read-only home only means that the token has to be typed in again.
    with contextlib.suppress(OSError):
        token_file().parent.mkdir(parents=True, exist_ok=True)
        token_file().write_text(token + "\n", encoding="utf-8")


# --- checking -------------------------------------------------------------------------------------------------------


def check(question_id: str, function: Callable | None = None) -> None:
    """Try a function on this question's practice data and show how it did.

    Args:
        question_id: such as `"h2b-q3"`.
        function: your answer. One that still raises NotImplementedError or returns `...` shows as TODO.

    Raises:
        KeyError: there is no such question.
    """
    asked = question(question_id)
    try:
        card = _checked(asked, function)
    except KeyboardInterrupt:
        card = Card(asked, "stopped", note="Stopped. Does a loop in your function ever end?")
    _cards[asked.id] = card
    _show(card)


def case(question_id: str, number: int) -> tuple:
    """The arguments of one input of your practice data, to look at: the card names it by its number, from 1.

    Raises:
        KeyError: there is no such question.
        IndexError: there is no such input.
    """
    inputs, _ = _data(question(question_id), _token or remembered() or "nobody")
    if not 1 <= number <= len(inputs):
        raise IndexError(f"{question_id} has inputs 1 to {len(inputs)}")
    return inputs[number - 1]


def _data(asked: Question, token: str) -> tuple[list[tuple], object]:
    import numpy as np

    seed = hashlib.sha256(f"practice|{token}|{asked.id}".encode()).digest()
    return asked.generate(np.random.default_rng(int.from_bytes(seed)))


def practice(asked: Question, function: Callable, token: str) -> tuple[Verdict, list[Answer]]:
    """Run one function on the practice data of a token and judge it; nothing is shown."""
    inputs, truth = _data(asked, token)
    answers = answers_of(asked, function, inputs)
    return asked.judge(answers, truth), answers


def answers_of(asked: Question, function: Callable, inputs: Sequence[Sequence]) -> list[Answer]:
    """Put each input to a function, as a grading does."""
    answers: list[Answer] = []
    known = {**getattr(function, "__globals__", {}), asked.entry: function}
    with marked() as fired, Kernel(known) as kernel:
        for arguments in inputs:
            before = fired()
            kernel.fresh()
            try:
                answer = Answer(asked.put(kernel.order, codec.round_trip(list(arguments), finite=False)))
            except StoppedError as stopped:
                answer = stopped.answer
            answers.append(dataclasses.replace(answer, fired=fired() - before))
            if answer.error in (TIMEOUT, MISSING):  # as in a grading: the rest would only take as long
                answers += [Answer(error=answer.error)] * (len(inputs) - len(answers))
                break
    return answers


def _checked(asked: Question, function) -> Card:
    if function is ... or function is None:
        return Card(asked, "todo")
    if not callable(function):
        note = f"check needs the function itself, such as check({asked.id!r}, {asked.entry}), without parentheses."
        return Card(asked, "problem", note=note)
    verdict, answers = practice(asked, function, _token or remembered() or "nobody")
    if any(answer.error == "NotImplementedError" for answer in answers):
        return Card(asked, "todo")
    notes = []
    if (getattr(function, "__module__", "") or "").split(".")[0] in ("mlsecops", "classroom"):
        notes.append("This function comes from the course's packages, which a grading does not have. Write your own.")
    errors = [answer for answer in answers if answer.error]
    if errors and len(errors) == len(answers):
        notes.append(f"It raised {errors[0].error} on every input: {errors[0].message}")
    return Card(asked, "done", verdict, " ".join(notes))


def hint(question_id: str) -> None:
    """Show the next of the question's two hints.

    Raises:
        KeyError: there is no such question.
    """
    asked = question(question_id)
    step = min(_hints.get(asked.id, 0) + 1, len(asked.hints))
    _hints[asked.id] = step
    print(f"{asked.id}, hint {step} of {len(asked.hints)}: {asked.hints[step - 1]}")


def report(lab: str) -> None:
    """Show one line for each question of a lab: what practice made of it so far.

    Args:
        lab: such as `"H2b"`.

    Raises:
        KeyError: there is no such lab.
    """
    _show(Report(lab, tuple(_cards.get(asked.id, Card(asked, "todo")) for asked in questions_of(lab))))


def _show(shown: Card | Report) -> None:
    data = {"text/plain": shown.text(), "text/html": shown.html()}
    if get_ipython() is not None:
        display(data, raw=True, metadata={"mlsecops": shown.figures()})
    else:
        print(data["text/plain"])

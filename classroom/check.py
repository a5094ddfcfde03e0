"""Practice in the notebook: the questions of a lab, with data of your own and an explanation of what went wrong.

Practice is not the grade. It runs your function in your own kernel, on data drawn from your token; a grading draws
other data and also shows families of cases that practice never does. Hence nothing here needs to be safe from you.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from IPython import get_ipython
from IPython.display import display

from classroom.cards import NOT_THE_GRADE, Card, Case, Report
from classroom.exchange import codec
from classroom.exchange.answer import MISSING, TIMEOUT, Answer
from classroom.exchange.conductor import StoppedError
from classroom.exchange.kernel import Kernel, Raised
from classroom.exchange.marker import marked
from classroom.questions import Question, Verdict, labs, question, questions_of

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is easily misread

_token = ""
_cards: dict[str, Card] = {}
_hints: dict[str, int] = {}
_spaces: dict[str, dict] = {}  # what stood around each function when it was checked


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
    _spaces.clear()
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
    if not isinstance(question_id, str):
        name = getattr(question_id, "__name__", "my_function")
        print(f'check needs the question, too: check("{_question_with(name)}", {name})')
        return
    asked = question(question_id)
    card = _checked(asked, function)
    _cards[asked.id] = card
    _spaces[asked.id] = getattr(function, "__globals__", {})
    _show(card)


def _question_with(entry: str) -> str:
    """The question that asks for a function of this name; an example where there is none."""
    return next((asked.id for lab in labs() for asked in questions_of(lab) if asked.entry == entry), "h2b-q1")


def case(question_id: str, number: int) -> Case:
    """The arguments of one input of your practice data, to look at: the card names it by its number, from 1.

    Returns:
        A tuple of the arguments, which shows itself as a person reads them: `reached(*case("h2b-q1", 1))` works.

    Raises:
        KeyError: there is no such question.
        IndexError: there is no such input.
    """
    asked = question(question_id)
    inputs, _ = _data(asked, _token or remembered() or "nobody")
    if not 1 <= number <= len(inputs):
        raise IndexError(f"{question_id} has inputs 1 to {len(inputs)}")
    return Case(inputs[number - 1])


def _data(asked: Question, token: str) -> tuple[list[tuple], object]:
    import numpy as np

    seed = hashlib.sha256(f"practice|{token}|{asked.id}".encode()).digest()
    return asked.generate(np.random.default_rng(int.from_bytes(seed)))


def practice(
    asked: Question, function: Callable, token: str, seen: Callable[[Kernel], None] = lambda kernel: None
) -> tuple[Verdict, list[Answer]]:
    """Run one function on the practice data of a token and judge it; nothing is shown. `seen` as for `answers_of`."""
    inputs, truth = _data(asked, token)
    answers = answers_of(asked, function, inputs, seen)
    return asked.judge(answers, truth), answers


def answers_of(
    asked: Question,
    function: Callable,
    inputs: Sequence[Sequence],
    seen: Callable[[Kernel], None] = lambda kernel: None,
) -> list[Answer]:
    """Put each input to a function, as a grading does.

    Args:
        asked: the question.
        function: the learner's.
        inputs: the arguments of each input.
        seen: called after each input with the kernel, which knows what was raised or returned.
    """
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
            seen(kernel)
            if answer.error in (TIMEOUT, MISSING):  # as in a grading: the rest would only take as long
                answers += [Answer(error=answer.error)] * (len(inputs) - len(answers))
                break
    return answers


def _checked(asked: Question, function: object) -> Card:
    if function is ...:
        return Card(asked, "todo")
    if not callable(function):
        note = f"check needs the function itself, without parentheses: `check({asked.id!r}, {asked.entry})`."
        return Card(asked, "problem", note=note)
    raised: list[Raised | None] = []
    returned: list[str] = []

    def seen(kernel: Kernel) -> None:
        raised.append(kernel.raised)
        returned.append(kernel.returned)

    try:
        verdict, answers = practice(asked, function, _token or remembered() or "nobody", seen)
    except KeyboardInterrupt:
        return Card(asked, "stopped", note="Stopped. Does a loop in your function ever end?")
    if any(answer.error == "NotImplementedError" for answer in answers):
        return Card(asked, "todo")
    notes = [*_raised(raised), *_wrong_type(asked, returned)]
    if (getattr(function, "__module__", "") or "").split(".")[0] in ("mlsecops", "classroom"):
        notes.append("This function comes from the course's packages, which a grading does not have. Write your own.")
    return Card(asked, "done", verdict, "\n".join(notes))


def _raised(raised: Sequence[Raised | None]) -> Iterator[str]:
    """A sentence for each exception, at the first input that raised it there."""
    first = {(one.error, one.line): (number, one) for number, one in reversed(list(enumerate(raised, 1))) if one}
    for (error, line), (number, one) in sorted(first.items(), key=lambda item: item[1][0])[:3]:
        times = sum(other is not None and (other.error, other.line) == (error, line) for other in raised)
        where = f" in line {line}, `{one.text}`," if line else ""
        often = f"and on {times - 1} more" if times > 1 else "and on no other"
        yield f"It raised {error}: {one.message}{where} on input {number} {often}."


def _wrong_type(asked: Question, returned: Sequence[str]) -> Iterator[str]:
    """A sentence where a plain call returned another type than the signature says."""
    due = re.search(r"-> (list|dict|str|bool|int|float)\b", asked.signature)
    if asked.play is not None or not due:
        return
    for number, kind in enumerate(returned, 1):
        if kind == "NoneType":
            yield f"It returned None on input {number}; a {due[1]} is due. Is there a `return` on every path?"
            return
        if kind in ("set", "frozenset", "tuple", "generator", "map", "filter", "dict_keys") and kind != due[1]:
            also = " A tuple is read as a list." if (kind, due[1]) == ("tuple", "list") else ""
            yield f"It returned a {kind} on input {number}; a {due[1]} is due.{also}"
            return


def hint(question_id: str) -> None:
    """Show the next of the question's hints.

    Raises:
        KeyError: there is no such question.
    """
    asked = question(question_id)
    step = _hints.get(asked.id, 0) + 1
    if step > len(asked.hints):
        print(f"{asked.id}: there are no more hints. From the first one again at the next call.")
        _hints[asked.id] = 0
        return
    _hints[asked.id] = step
    print(f"{asked.id}, hint {step} of {len(asked.hints)}: {asked.hints[step - 1]}")


def report(lab: str) -> None:
    """Check every question of a lab once more, with the functions as they stand now, and show a line for each.

    A grading sees the notebook's end. A helper that a later cell defined anew, or an answer that was changed after its
    check, shows here and is marked.

    Args:
        lab: such as `"H2b"`.

    Raises:
        KeyError: there is no such lab.
    """
    cards = []
    for asked in questions_of(lab):
        before = _cards.get(asked.id)
        now = _as_it_stands(asked)
        changed = before is not None and (before.state, before.verdict.score) != (now.state, now.verdict.score)
        _cards[asked.id] = now
        cards.append(dataclasses.replace(now, changed=changed))
    _show(Report(lab, tuple(cards)))


def _as_it_stands(asked: Question) -> Card:
    shell = get_ipython()
    space = shell.user_ns if shell is not None else _spaces.get(asked.id, {})
    function = space.get(asked.entry)
    if function is None:
        return _cards.get(asked.id, Card(asked, "todo"))
    return _checked(asked, function)


def _show(shown: Card | Report) -> None:
    data = {"text/plain": shown.text(), "text/html": shown.html()}
    if get_ipython() is not None:
        display(data, raw=True, metadata={"mlsecops": shown.figures()})
    else:
        print(data["text/plain"])

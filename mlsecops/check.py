"""Practice in the notebook: the questions of a lab, with data of your own and an explanation of what went wrong.

Practice is not the grade. It runs your function in your own kernel, on data drawn from your token; a grading draws
other data and also shows families of cases that practice never does. Hence nothing here needs to be safe from you.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import dataclasses
import hashlib
import html
import os
import queue
import re
import secrets
import sysconfig
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from IPython import get_ipython
from IPython.display import display

from mlsecops import codec
from mlsecops.questions import Answer, Question, Verdict, question, questions_of
from mlsecops.questions.conversation import StoppedError, event_of
from mlsecops.questions.pickles import MARKER
from mlsecops.stage import AbandonedError, MissingError, Stage

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is easily misread
NOT_THE_GRADE = "Practice is not the grade: a grading draws other data, and families of cases that are not shown here."
DOTS = {1: "●○○", 2: "●●○", 3: "●●●"}
NOTHING = Verdict(0.0, "")
STEP = 10  # seconds that a service may take over one step; a grading gives as many
LONGEST_MESSAGE = 300  # characters of an exception's text

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
    answers: list[Answer] = []
    with _marker() as fired:
        for arguments in inputs:
            answers.append(_answer(asked, function, arguments, fired))
            if answers[-1].error in ("_timeout", "_missing"):  # as in a grading: the rest would only take as long
                answers += [Answer(error=answers[-1].error)] * (len(inputs) - len(answers))
                break
    return asked.judge(answers, truth), answers


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
    if (getattr(function, "__module__", "") or "").split(".")[0] == "mlsecops":
        notes.append("This function comes from the course's package, which a grading does not have. Write your own.")
    errors = [answer for answer in answers if answer.error]
    if errors and len(errors) == len(answers):
        notes.append(f"It raised {errors[0].error} on every input: {errors[0].message}")
    return Card(asked, "done", verdict, " ".join(notes))


def _answer(asked: Question, function, arguments, fired: Callable[[], frozenset]) -> Answer:
    before = fired()
    try:
        if asked.play is None:
            value = function(*copy.deepcopy(arguments))
            if value is ...:
                raise NotImplementedError
            answer = Answer(codec.round_trip(value))
        else:
            answer = Answer(_played(asked, function, arguments))
    except StoppedError as stopped:
        answer = stopped.answer
    except (Exception, SystemExit) as error:
        answer = _failed(error)
    return dataclasses.replace(answer, fired=fired() - before)


def _failed(error: BaseException) -> Answer:
    if isinstance(error, codec.UncodableError):
        return Answer(error="_uncodable", message=str(error))
    if isinstance(error, SystemExit):
        return Answer(error="_died", message="the function ended the program")
    if isinstance(error, MissingError):
        return Answer(error="_missing", message=str(error))
    return Answer(error=type(error).__name__, message=str(error)[:LONGEST_MESSAGE])


def _own_line(error: BaseException) -> str:
    """The last line of the learner's own that an exception came through, or ""."""
    ours = (str(Path(__file__).parent), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.line and not f.filename.startswith(ours)]
    return frames[-1].line if frames else ""


def _played(asked: Question, function, arguments) -> object:
    """Let a question talk with the function, and with others of the same notebook. A service that runs twice has both
    instances in this one process here; a grading gives each a process of its own."""
    known = {**getattr(function, "__globals__", {}), asked.entry: function}
    instances: dict[int, _Actor] = {}

    def order(instance: int, content: dict) -> dict:
        if instance not in instances:
            instances[instance] = _Actor(known.get)
        return instances[instance].ask(content)

    try:
        return asked.play(order, *copy.deepcopy(arguments))
    finally:
        for actor in instances.values():
            actor.end()


class _Actor(threading.Thread):
    """A stage in a thread of its own, so that the learner's code can be held between an event and the next order."""

    def __init__(self, find: Callable[[str], object]):
        super().__init__(daemon=True)
        self._stage = Stage(find)
        self._orders: queue.SimpleQueue = queue.SimpleQueue()
        self._events: queue.SimpleQueue = queue.SimpleQueue()
        self.start()

    def ask(self, order: dict) -> dict:
        """One order, and the event that comes of it; see `conversation.Order`."""
        self._orders.put(codec.round_trip(order))
        try:
            answer = self._events.get(timeout=STEP)
        except queue.Empty:
            raise StoppedError(Answer(error="_timeout", message=f"nothing came for {STEP} seconds")) from None
        if isinstance(answer, bytes):
            try:
                return event_of(Answer(codec.decode(codec.loads(answer), finite=True)))
            except codec.UncodableError as error:
                answer = error
        failed = _failed(answer)
        if line := _own_line(answer):
            failed = dataclasses.replace(failed, message=f"{failed.message}, at {line}"[:LONGEST_MESSAGE])
        return event_of(failed)

    def run(self) -> None:
        """Carry out orders until None comes."""
        while (order := self._orders.get()) is not None:
            try:
                event = codec.dumps(codec.encode(self._stage.perform(order, self._exchange)))
            except BaseException as error:
                event = error
            self._events.put(event)
        with contextlib.suppress(BaseException):  # what `end` raises may come as late as here
            self._stage.close()

    def _exchange(self, event: dict) -> dict:
        # Read outside of here, as the judge does: what it refuses must not be an error that the service can catch.
        self._events.put(codec.dumps(codec.encode(event)))
        if (order := self._orders.get()) is None:
            self._orders.put(None)
            return {"abandon": True}
        return order

    def end(self) -> None:
        """Let the thread end: at once when it waits, and where the learner's code is busy, by an exception in it."""
        self._orders.put(None)
        self.join(0.05)
        if self.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(AbandonedError))


@contextlib.contextmanager
def _marker() -> Iterator[Callable[[], frozenset]]:
    """A file for the payloads to write to, and a function that reads which have."""
    saved = os.environ.get(MARKER)
    with tempfile.TemporaryDirectory(prefix="mlsecops-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "marker"
        path.touch()
        os.environ[MARKER] = str(path)
        try:
            yield lambda: frozenset(path.read_text(encoding="utf-8", errors="replace").split())
        finally:
            if saved is None:
                del os.environ[MARKER]
            else:
                os.environ[MARKER] = saved


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


# --- cards ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """How one question stands: `state` is `todo`, `done`, `stopped` or `problem`."""

    question: Question
    state: str
    verdict: Verdict = NOTHING
    note: str = ""

    @property
    def headline(self) -> str:
        if self.state != "done":
            return self.state.upper()
        return "FULL MARKS" if self.verdict.score == 1 else f"{100 * self.verdict.score:.0f} %"

    def lines(self) -> list[tuple[str, str]]:
        """What the card says below its headline, as (label, text)."""
        if self.state == "todo":
            return [("", "Still to do.")]
        if self.state != "done":
            return [("", self.note)]
        asked, verdict = self.question, self.verdict
        rows = [("Note", self.note), ("", verdict.message)]
        if verdict.score < 1:
            rows += [("What failed", verdict.detail + _look(asked, verdict.detail))]
            rows += [("A known misunderstanding", asked.misconceptions.get(verdict.misconception, ""))]
            rows += [("Read again", asked.reread), ("Stuck", f'run `hint("{asked.id}")`')]
        return [(label, text) for label, text in rows if text] + [("", NOT_THE_GRADE)]

    def text(self) -> str:
        """The card as plain text."""
        head = f"{self.question.id}  {self.question.title}  [{self.headline}]"
        return "\n".join([head, *(f"{label}: {text}" if label else text for label, text in self.lines())])

    def html(self) -> str:
        """The card as HTML; everything that came from outside is escaped."""
        color = {"FULL MARKS": "#009E73", "TODO": "#999999"}.get(self.headline, "#D55E00")
        body = "".join(_row(label, text) for label, text in self.lines())
        head = f"{html.escape(self.question.id)} · {html.escape(self.question.title)}"
        return (
            f'<div style="border-left:5px solid {color};padding:4px 12px;margin:4px 0">'
            f"<b>{head}</b> &nbsp; <b>{html.escape(self.headline)}</b>{body}</div>"
        )

    def figures(self) -> dict:
        """What is kept for `build/run.json`."""
        return {self.question.id: self.verdict.score if self.state == "done" else self.state}


@dataclass(frozen=True)
class Report:
    """All questions of a lab, a line each."""

    lab: str
    cards: tuple[Card, ...]

    def _rows(self) -> list[tuple[str, ...]]:
        return [_summary(card) for card in self.cards]

    def _total(self) -> str:
        reached = sum(c.verdict.score * c.question.points for c in self.cards)
        return f"{reached:.1f} of {sum(c.question.points for c in self.cards)} points in practice"

    def text(self) -> str:
        """The report as plain text."""
        lines = [
            f"{i:7} {title:42} {m:>7} {dots} {state:>10} {points:>12}"
            for i, title, m, dots, state, points in self._rows()
        ]
        return "\n".join([*lines, self._total(), NOT_THE_GRADE])

    def html(self) -> str:
        """The report as an HTML table."""
        cells = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        names = ("question", "title", "minutes", "difficulty", "practice", "points")
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in names)
        return f"<table><tr>{head}</tr>{cells}</table><p><b>{self._total()}.</b> {NOT_THE_GRADE}</p>"

    def figures(self) -> dict:
        """What is kept for `build/run.json`."""
        return {f"{self.lab} report": {c.question.id: c.headline for c in self.cards}}


def _summary(card: Card) -> tuple[str, ...]:
    asked = card.question
    points = f"{card.verdict.score * asked.points:.1f} of {asked.points}"
    return asked.id, asked.title, f"{asked.minutes} min", DOTS[asked.difficulty], card.headline, points


def _look(asked: Question, detail: str) -> str:
    number = re.match(r"input (\d+)", detail)
    return f'\nLook at it: `case("{asked.id}", {number[1]})`' if number else ""


def _row(label: str, text: str) -> str:
    shown = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", html.escape(text))
    lines = shown.splitlines()
    if len(lines) > 1:
        shown = "<ul style='margin:0'>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"
    return f"<div style='margin-top:3px'>{f'<i>{html.escape(label)}:</i> ' if label else ''}{shown}</div>"

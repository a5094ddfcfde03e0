"""How practice shows a question and a lab: cards and a report, as text and as HTML."""

from __future__ import annotations

import html
import pickletools
import pprint
import re
from dataclasses import dataclass

from classroom.questions import Question, Verdict

NOT_THE_GRADE = "Practice is not the grade: a grading draws other data, and families of cases that are not shown here."
DOTS = {1: "●○○", 2: "●●○", 3: "●●●"}
NOTHING = Verdict(0.0, "")
RIGHT = "All practice cases right"


@dataclass(frozen=True)
class Card:
    """How one question stands: `state` is `todo`, `done`, `stopped` or `problem`; `changed`, since its last check."""

    question: Question
    state: str
    verdict: Verdict = NOTHING
    note: str = ""
    changed: bool = False

    @property
    def headline(self) -> str:
        if self.state != "done":
            return self.state.upper()
        return RIGHT if self.verdict.score == 1 else f"{100 * self.verdict.score:.0f} %"

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
        color = {RIGHT: "#009E73", "TODO": "#999999"}.get(self.headline, "#D55E00")
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
            f"{i:7} {title:42} {m:>7} {dots} {state:>24} {points:>12}"
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
    state = f"{card.headline} (changed since it was checked)" if card.changed else card.headline
    return asked.id, asked.title, f"{asked.minutes} min", DOTS[asked.difficulty], state, points


def _look(asked: Question, detail: str) -> str:
    number = re.match(r"input (\d+)", detail)
    return f'\nLook at it: `case("{asked.id}", {number[1]})`' if number else ""


def _row(label: str, text: str) -> str:
    shown = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", html.escape(text))
    lines = shown.splitlines()
    if len(lines) > 1:
        shown = "<ul style='margin:0'>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"
    return f"<div style='margin-top:3px'>{f'<i>{html.escape(label)}:</i> ' if label else ''}{shown}</div>"


# --- one input, as a person reads it ---------------------------------------------------------------------------------

SHOWN_LINES = 200


class Case(tuple):
    """The arguments of one input. It is a plain tuple that shows itself in a readable form."""

    __slots__ = ()

    def __repr__(self) -> str:
        parts = [f"argument {number}, {_kind(value)}:\n{readable(value)}" for number, value in enumerate(self, 1)]
        return "\n\n".join(parts)


def _kind(value: object) -> str:
    return f"{type(value).__name__} of {len(value)}" if hasattr(value, "__len__") else type(value).__name__


def readable(value: object) -> str:
    """Text with line numbers, a pickle as a list of its instructions, folders and all else as indented data.

    Nothing is loaded: the instructions of a pickle are only listed.
    """
    if isinstance(value, str) and "\n" in value:
        return _cut([f"{number:4}  {line}" for number, line in enumerate(value.splitlines(), 1)])
    if isinstance(value, bytes):
        return _cut(_instructions(value) or [f"{at:6}  {value[at : at + 24]!r}" for at in range(0, len(value), 24)])
    return _cut(pprint.pformat(value, width=100, sort_dicts=False).splitlines())


def _instructions(data: bytes) -> list[str]:
    lines: list[str] = []
    try:
        for opcode, argument, position in pickletools.genops(data):
            lines.append(f"{position:6}  {opcode.name:18}{'' if argument is None else repr(argument)[:100]}")
    except Exception as error:
        # No pickle at all, or one that breaks off: the part before the break runs all the same.
        return [*lines, f"        breaks off here: {error}"] if len(lines) > 2 else []
    return lines


def _cut(lines: list[str]) -> str:
    rest = len(lines) - SHOWN_LINES
    return "\n".join(lines[:SHOWN_LINES] + ([f"… and {rest} more lines"] if rest > 0 else []))

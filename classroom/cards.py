"""How practice shows a question and a lab: cards and a report, as text and as HTML."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from classroom.questions import Question, Verdict

NOT_THE_GRADE = "Practice is not the grade: a grading draws other data, and families of cases that are not shown here."
DOTS = {1: "●○○", 2: "●●○", 3: "●●●"}
NOTHING = Verdict(0.0, "")


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

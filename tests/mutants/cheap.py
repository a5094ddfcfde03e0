"""Shortcuts that fit any question: an answer that is always the same, one item instead of all, a length, a search.

They know a question's arguments and its model answer, nothing of what it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from classroom.questions import Question

from . import solved

STATUSES = (200, 401, 500)
CONSTANTS = (None, True, False, [], {})  # `tests/test_questions.py` tries more of them, without calling anything


def shortcuts(asked: Question) -> Iterator[tuple[str, Callable]]:
    """Name and function of each shortcut through a question."""
    for value in CONSTANTS:
        yield f"always {value!r}", lambda *given, value=value: value
    for status in STATUSES if "ASGI" in asked.signature else ():
        yield f"always status {status}", lambda *given, status=status: _service(status)
    yield "lets everybody in", lambda *given: next(filter(callable, given), None)
    yield "echo", lambda *given: given[0]
    yield "length", lambda *given: len(given[0])
    yield "parity of the length", lambda *given: len(given[0]) % 2 == 0
    yield "short is fine", lambda *given: len(given[0]) < 600
    yield "any substring", lambda *given: any(_found(given))
    yield "no substring", lambda *given: not any(_found(given))
    yield "the substrings", lambda *given: _found(given)
    for which in ("first", "last"):
        yield f"the {which} item", lambda *given, which=which: _ends(which, given[0])
        for at in range(_positions(asked)):
            yield f"of argument {at + 1} the {which} item only", _shortened(asked, at, which)


def _positions(asked: Question) -> int:
    """How many arguments its function takes, by the signature."""
    return asked.signature.partition("(")[2].partition(")")[0].count(",") + 1


def _service(status: int) -> Callable:
    async def app(scope: dict, receive: Callable, send: Callable) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def _found(given: tuple) -> list:
    """Which texts of the other arguments stand in the first one."""
    text = given[0] if isinstance(given[0], str | bytes) else repr(given[0])
    words = [word for other in given[1:] if isinstance(other, dict | list) for word in other if isinstance(word, str)]
    return [word for word in words if (word.encode() if isinstance(text, bytes) else word) in text]


def _ends(which: str, value: Any) -> Any:
    items = list(value.items() if isinstance(value, dict) else value)
    return items[0 if which == "first" else -1]


def _shortened(asked: Question, at: int, which: str) -> Callable:
    """The model answer, given one item of an argument, or one line of a text, in the place of all."""

    def answer(*given: Any) -> Any:
        value, keep = given[at], slice(0, 1) if which == "first" else slice(-1, None)
        if isinstance(value, dict):
            value = dict(list(value.items())[keep])
        elif isinstance(value, list):
            value = value[keep]
        elif isinstance(value, str) and "\n" in value:
            value = "\n".join(value.splitlines()[keep])
        else:
            raise TypeError("nothing to leave out")  # else it would be the whole model answer
        return solved(asked.id)(*given[:at], value, *given[at + 1 :])

    return answer

"""Where a learner's service is played, one event at a time, by somebody outside who gives the orders.

What a service does cannot be judged by what one call returns: how much of a body was read, and when, counts as much as
the answer. So the app runs here, and each thing that it does to the outside world is an *event* that is told at once;
it then waits for the next *order*. Orders and events are plain data (see `codec`), so that they can cross the wall of a
jail. The same stage stands in the grader's worker and, for practice, in the learner's own kernel.

Orders and how they end:

    {"make": name, "args": […], "tools": […]}   call the learner's function, keep what it returns   {"event": "made"}
    {"use": […]}                                call what was kept                {"event": "returned", "value": …}
    {"call": name, "args": […]}                 call the learner's function       {"event": "returned", "value": …}
    {"request": scope}                          let the kept ASGI app answer a request            {"event": "done"}

While one is carried out, `{"event": "receive"}`, `{"event": "send", "message"}`, `{"event": "inner"}`,
`{"event": "read", "body"}` and `{"event": "tool", "tool", "method", "args"}` wait for `{"reply": …}`,
`{"script": …}` (to "inner"), `{"refuse": text}` or `{"abandon": True}`, which ends whatever is under way. Every order
may set the clock: `"now"`.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

from classroom.exchange.answer import MissingError

MOST_PARTS = 1000  # of a body, that the inner app reads


class AbandonedError(BaseException):
    """Raised in the learner's code when nobody wants to hear more from it."""


class Stage:
    """Carries out orders.

    Args:
        find: the learner's function of a name, or None.
    """

    def __init__(self, find: Callable[[str], Any]):
        self._find, self._made, self._now, self._over, self._ignored = find, None, 0.0, False, 0
        self._runner: asyncio.Runner | None = None

    def perform(self, order: dict, exchange: Callable[[dict], dict]) -> dict:
        """Carry out one order.

        Args:
            order: one of the four in the module's docstring.
            exchange: tells an event and returns the order that answers it.

        Returns:
            The last event.

        Raises:
            MissingError: there is no such function.
            Exception: whatever the learner's code raises.
        """
        self._exchange, self._over, self._ignored = exchange, False, 0
        self._now = order.get("now", self._now)
        try:
            if order.get("abandon"):
                return {"event": "abandoned"}
            if "make" in order:
                self._made = None
                self._made = self._called(order["make"], *order["args"], *map(self._tool, order["tools"]))
                return {"event": "made"}
            if "call" in order:
                return {"event": "returned", "value": self._called(order["call"], *order["args"])}
            if "use" in order:
                return {"event": "returned", "value": self._finished(self._made(*order["use"]))}
            self._finished(self._made(_scope(order["request"]), self._receive, self._send))
            return {"event": "done"}
        except AbandonedError:
            return {"event": "abandoned"}

    def close(self) -> None:
        """Let go of the event loop."""
        if self._runner is not None:
            self._runner.close()

    def _called(self, name: str, *args: Any) -> Any:
        function = self._find(name)
        if not callable(function):
            raise MissingError(name)
        value = self._finished(function(*args))
        if value is ...:
            raise NotImplementedError
        return value

    def _finished(self, value: Any) -> Any:
        """What a coroutine returns; anything else as it is. One event loop serves all requests, as in a server."""
        if not inspect.iscoroutine(value):
            return value
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            return self._runner.run(value)
        except Exception:
            raise
        except BaseException:
            self._runner = None  # interrupted in the middle: the next request gets a fresh loop
            raise

    def _tell(self, event: dict) -> dict:
        if self._over:
            self._ignored += 1
            if self._ignored > 100:  # a loop that swallows everything; where there is an alarm, that ends it
                threading.Event().wait()
            raise AbandonedError
        order = self._exchange(event)
        self._now = order.get("now", self._now)
        if order.get("abandon"):
            self._over = True
            raise AbandonedError
        if "refuse" in order:
            raise RuntimeError(order["refuse"])
        return order

    async def _receive(self) -> dict:
        return self._tell({"event": "receive"})["reply"]

    async def _send(self, message: dict) -> None:
        self._tell({"event": "send", "message": message})

    def _tool(self, name: str) -> Any:
        if name == "clock":
            return lambda: self._now
        return self._inner if name == "inner" else _Tool(name, self._tell)

    async def _inner(self, scope: dict, receive: Callable, send: Callable) -> None:
        """The ASGI app behind the learner's: does what the script says, which nobody in here knows beforehand."""
        for act, content in self._tell({"event": "inner"})["script"]:
            if act == "read":
                self._tell({"event": "read", "body": await _whole(receive)})
            elif act == "send":
                await send(content)
            else:
                raise RuntimeError(content)


def _scope(plain: dict) -> dict:
    """As a server hands it over: pairs are tuples, which plain data does not know."""
    return {**plain, "headers": [tuple(pair) for pair in plain["headers"]], "client": tuple(plain["client"])}


async def _whole(receive: Callable) -> bytes:
    body = bytearray()
    for _ in range(MOST_PARTS):
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    return bytes(body)


class _Tool:
    """Something that lives outside: call it, or await one of its methods."""

    def __init__(self, name: str, tell: Callable[[dict], dict]):
        self._name, self._tell = name, tell

    def __call__(self, *args: Any) -> Any:
        return self._use("", args)

    def __getattr__(self, method: str) -> Callable:
        if method.startswith("_"):
            raise AttributeError(method)

        async def use(*args: Any) -> Any:
            return self._use(method, args)

        return use

    def _use(self, method: str, args: tuple) -> Any:
        return self._tell({"event": "tool", "tool": self._name, "method": method, "args": list(args)})["reply"]

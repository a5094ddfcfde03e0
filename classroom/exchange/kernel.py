"""The learner's end in their own notebook: a stage in a thread, so that their code can be held between two orders.

It is the stage that stands in the grader's worker, with the same codec in between and the same time for a step. What a
grading keeps apart by processes is one process here: a service that runs twice has both instances in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import queue
import sysconfig
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classroom.exchange import codec
from classroom.exchange.answer import OURS, TIMEOUT, Answer, failed
from classroom.exchange.conductor import StoppedError, event_of
from classroom.exchange.stage import AbandonedError, Stage

STEP = 10  # seconds that one step may take; a grading gives as many
_OURS = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))


@dataclass(frozen=True)
class Raised:
    """An exception of the learner's code: its name and text, and the last line of their own that it came through."""

    error: str
    message: str
    line: int = 0
    text: str = ""


class Kernel:
    """Gives orders to what a learner wrote; a context manager, which ends what is still under way.

    Args:
        names: what the learner's notebook defines.

    Attributes:
        raised: the last exception, or None.
        returned: name of the type that the last call returned, before it became plain data; "" when none did.
    """

    def __init__(self, names: Mapping[str, Any]):
        self._names, self._actors = names, {}
        self.raised: Raised | None = None
        self.returned = ""

    def order(self, instance: int, content: dict) -> dict:
        """One order to one instance, and the event that comes of it; see `conductor.Order`."""
        if instance not in self._actors:
            self._actors[instance] = _Actor(self._names.get)
        actor = self._actors[instance]
        try:
            return actor.ask(content)
        finally:
            self.raised, self.returned = actor.raised or self.raised, actor.returned

    def fresh(self) -> None:
        """Let go of all instances: the next order meets new ones."""
        for actor in self._actors.values():
            actor.end()
        self._actors.clear()
        self.raised, self.returned = None, ""

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.fresh()


class _Actor(threading.Thread):
    """A stage in a thread of its own."""

    def __init__(self, find: Callable[[str], object]):
        super().__init__(daemon=True)
        self._stage = Stage(find)
        self._orders: queue.SimpleQueue = queue.SimpleQueue()
        self._events: queue.SimpleQueue = queue.SimpleQueue()
        self.raised: Raised | None = None
        self.returned = ""
        self.start()

    def ask(self, order: dict) -> dict:
        """One order, and the event that comes of it."""
        self.raised, self.returned = None, ""
        self._orders.put(codec.round_trip(order, finite=False))
        try:
            answer = self._events.get(timeout=STEP)
        except queue.Empty:
            raise StoppedError(Answer(error=TIMEOUT, message=f"nothing came for {STEP} seconds")) from None
        if isinstance(answer, bytes):
            try:
                return event_of(Answer(codec.decode(codec.loads(answer), finite=True)))
            except codec.UncodableError as error:
                return event_of(failed(error))
        told = failed(answer)
        if told.error not in OURS:
            self.raised = Raised(told.error, told.message, *_own_line(answer))
        return event_of(told)

    def run(self) -> None:
        """Carry out orders until None comes."""
        while (order := self._orders.get()) is not None:
            try:
                event = self._stage.perform(order, self._exchange)
                self.returned = type(event["value"]).__name__ if "value" in event else ""
                event = codec.dumps(codec.encode(event))
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


def _own_line(error: BaseException) -> tuple[int, str]:
    """Number and text of the last line of the learner's own that an exception came through, or (0, "")."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.line and not f.filename.startswith(_OURS)]
    return (frames[-1].lineno or 0, frames[-1].line or "") if frames else (0, "")

"""The outside of a service that is being tried: sends requests to a learner's app and keeps what came of them.

The app runs on a `stage.Stage`, in a jail or in the learner's kernel; here is the other end. Everything that counts as
evidence is seen from this side: which part of a body was asked for before the answer began, whether the app
behind was called, what was written to the log. Nothing that arrives is believed to have the right form.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from classroom.exchange.answer import LONGEST_MESSAGE, UNCODABLE, Answer

MOST_EVENTS = 120  # in one request; an honest app needs a dozen
MOST_USES = 2000  # of tools, while something is made or called
MOST_BYTES = 1 << 18  # of one answer
_REPLY = {"reply": None}
ENDS = frozenset({"made", "returned", "done", "abandoned", "error"})
"""Events that end an order; each other one waits for an answer."""
UNSEEN = {
    "status": None,
    "headers": [],
    "body": b"",
    "complete": False,
    "reads": 0,
    "inner": 0,
    "read": None,
    "error": "",
    "message": "",
}
"""What is seen of a request to which nothing happens; see `Conductor.request`."""

Order = Callable[[int, dict], dict]
"""`order(instance, what)` has one instance of the app carry out an order and returns the event that it ends in, or
`{"event": "error", "error": name}` when the learner's code raised. Raises StoppedError when there is no going on."""


class StoppedError(Exception):
    """The instance is gone, or never got going; `answer` says how."""

    def __init__(self, answer: Answer):
        super().__init__(answer.error)
        self.answer = answer


def event_of(answer: Answer) -> dict:
    """The event that came in answer to an order; see `Order`.

    Raises:
        StoppedError: it is none, or the instance has stopped.
    """
    if answer.error.startswith("_"):
        raise StoppedError(answer)
    if answer.error:
        return {"event": "error", "error": answer.error, "message": answer.message}
    if not isinstance(answer.value, dict) or not isinstance(answer.value.get("event"), str):
        raise StoppedError(Answer(error=UNCODABLE))  # an array, say, is equal to nothing and to everything
    return answer.value


class RefusedError(Exception):
    """A tool refuses; the learner's code sees the text in a RuntimeError."""


class Conductor:
    """Plays one scene.

    Args:
        order: how to reach the learner's code.
        tools: name to what happens when it is used: `tool(method, *args)`.
    """

    def __init__(self, order: Order, tools: Mapping[str, Callable] | None = None):
        self._order, self._tools, self._port = order, tools or {}, 50_000

    def make(
        self, name: str, args: Sequence, tools: Sequence[str] = (), *, instance: int = 0, now: float = 0.0
    ) -> None:
        """Have the learner's function build something: `name(*args, *tools)`.

        Raises:
            StoppedError: it did not; its answer holds the name of the exception.
        """
        event = self._order(instance, {"make": name, "args": list(args), "tools": list(tools), "now": now})
        event = self._until_done(instance, event)
        if event.get("event") != "made":
            raise StoppedError(_failed(event))

    def use(self, *args: Any) -> Any:
        """Call what was built and return what it returns.

        Raises:
            StoppedError: it raised.
        """
        return self._returned({"use": list(args)})

    def call(self, name: str, *args: Any) -> Any:
        """Call the learner's function of this name and return what it returns.

        Raises:
            StoppedError: it raised, or is not there.
        """
        return self._returned({"call": name, "args": list(args)})

    def _returned(self, order: dict) -> Any:
        event = self._until_done(0, self._order(0, order))
        if event.get("event") != "returned":
            raise StoppedError(_failed(event))
        return event.get("value")

    def request(self, request: Mapping, *, instance: int = 0) -> dict:
        """Send one request and return what was seen.

        Args:
            request: `method`, `path`, `headers` (pairs of bytes), `chunks` (of the body), and optionally `query`,
                `client` (address), `at` (time), `endless` (the body never ends) and `script` (what the app behind
                does: pairs `["read", None]`, `["send", message]`, `["raise", text]`).

        Returns:
            `status` (None: no answer), `headers` (pairs of text), `body`, `complete`, `reads` (parts of the body asked
            for before the answer began), `inner` (how often the app behind was called), `read` (the body that it
            got, or None), `error` (name of the exception that came out, or a word of ours: "malformed", "endless"),
            `message` (the exception's).
        """
        seen = copy.deepcopy(UNSEEN)
        chunks = list(request["chunks"]) or [b""]
        self._port += 1  # every connection has another
        event = self._order(instance, {"request": scope(request, self._port), "now": request.get("at", 0.0)})
        for _ in range(MOST_EVENTS):
            if event.get("event") == "done":
                return seen
            if event.get("event") == "error":
                return seen | {"error": str(event.get("error"))[:80], "message": str(event.get("message", ""))[:200]}
            try:
                reply = self._noted(event, request, chunks, seen)
            except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
                seen["error"] = "malformed"
                break
            if len(seen["body"]) > MOST_BYTES:
                break
            event = self._order(instance, reply)
        self._order(instance, {"abandon": True})
        return seen | {"error": seen["error"] or "endless"}

    def _noted(self, event: dict, request: Mapping, chunks: list[bytes], seen: dict) -> dict:
        """Write one event down and answer it. Raises all sorts of things for what is no event."""
        if event["event"] == "receive":
            seen["reads"] += seen["status"] is None
            return {"reply": _part(chunks, request.get("endless", False))}
        if event["event"] == "send":
            _keep(event["message"], seen)
            return _REPLY
        if event["event"] == "inner":
            seen["inner"] += 1
            return {"script": request.get("script", [])}
        if event["event"] == "read":
            seen["read"] = _bytes(event["body"])
            return _REPLY
        return self._use_tool(event)

    def _until_done(self, instance: int, event: dict) -> dict:
        """Answer what the learner's code asks of its tools, outside of any request."""
        for _ in range(MOST_USES):
            if event.get("event") != "tool":
                return event
            event = self._order(instance, self._use_tool(event))
        self._order(instance, {"abandon": True})
        return {"event": "error", "error": "endless"}

    def _use_tool(self, event: dict) -> dict:
        try:
            if not isinstance(event["method"], str) or not isinstance(event["args"], list):
                raise TypeError  # an array unpacks to gigabytes
            return {"reply": self._tools[event["tool"]](event["method"], *event["args"])}
        except RefusedError as refusal:
            return {"refuse": str(refusal)}
        except (TypeError, LookupError, ValueError, AttributeError, ArithmeticError):  # used in a way it does not know
            return {"refuse": "this is not how it is used"}


def scope(request: Mapping, port: int) -> dict:
    """The ASGI scope of a request (see `Conductor.request`) that comes from this port."""
    path = request["path"]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http",
        "method": request["method"],
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": request.get("query", b""),
        "root_path": "",
        "headers": [list(pair) for pair in request["headers"]],
        "client": [request.get("client", "127.0.0.1"), port],
        "server": ["127.0.0.1", 80],
        "state": {},
    }


def _part(chunks: list[bytes], endless: bool) -> dict:
    if not chunks:
        return {"type": "http.disconnect"}
    body = chunks[0] if endless and len(chunks) == 1 else chunks.pop(0)
    return {"type": "http.request", "body": body, "more_body": bool(chunks)}


def _keep(message: dict, seen: dict) -> None:
    if message["type"] == "http.response.start" and seen["status"] is None:
        seen["status"] = message["status"] if type(message["status"]) is int else -1
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", [])]
        seen["headers"] = [[name.lower(), value] for name, value in pairs]
    elif message["type"] == "http.response.body" and seen["status"] is not None and not seen["complete"]:
        seen["body"] += _bytes(message.get("body", b""))
        seen["complete"] = not message.get("more_body", False)
    else:
        raise ValueError("not the order that ASGI prescribes")


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):  # bytes(10**10) would be ten gigabytes
        raise TypeError("no bytes")
    return value


def _failed(event: dict) -> Answer:
    error, message = event.get("error"), str(event.get("message", ""))
    return Answer(error=error if isinstance(error, str) else "Exception", message=message[:LONGEST_MESSAGE])


# --- reading what was seen -------------------------------------------------------------------------------------------


def transcript(value: Any) -> dict:
    """What `Conductor.request` returned, out of an answer; of anything else, a request to which nothing happened."""
    whole = isinstance(value, dict) and value.keys() >= UNSEEN.keys() and isinstance(value["headers"], list)
    return value if whole else {**UNSEEN}


def transcripts(answer: Answer, count: int) -> list[dict]:
    """The same for a scene of `count` requests."""
    values = answer.value if isinstance(answer.value, list) and len(answer.value) == count else [None] * count
    return [transcript(value) for value in values]


def header_values(seen: dict, name: str) -> list[str]:
    """All values of a header of the answer."""
    return [value for key, value in seen["headers"] if key == name.lower()]


def answered(seen: dict, status: int) -> bool:
    """A whole answer came, with this status."""
    return seen["status"] == status and seen["complete"] and not seen["error"]


def got_through(seen: dict, text: str) -> bool:
    """The app behind was called once, and its answer came out."""
    return answered(seen, 200) and seen["inner"] == 1 and seen["body"] == text.encode()


def told_to_wait(seen: dict, most: float) -> bool:
    """Refused with 429, and told how many seconds to wait: a whole number, `most` at the most."""
    after = header_values(seen, "retry-after")
    sensible = len(after) == 1 and after[0].isascii() and after[0].isdigit() and 1 <= int(after[0][:9]) <= most
    return answered(seen, 429) and seen["inner"] == 0 and sensible

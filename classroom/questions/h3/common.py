"""What the questions of lab H3 share: requests to send, and what came back in words for a card."""

from __future__ import annotations

import json
import string

from classroom.questions.scoring import shown

COUNTRIES = (
    "Austria Belgium Brazil Canada Denmark Egypt Finland Germany India Japan Kenya Mexico Norway Peru Poland Portugal "
    "Spain Sweden Turkey Vietnam"
).split()

ALGORITHMS = ("sha384", "sha512", "sha3_256", "blake2b")  # not the one that everybody would write unasked


def drawn_text(r, length=16) -> str:
    return "".join(r.choices(string.ascii_letters + string.digits, k=length))


def drawn_address(r) -> str:
    return ".".join(str(r.randint(1, 250)) for _ in range(4))


def post(body: bytes | list[bytes], headers=(), **more) -> dict:
    """A request as `Conductor.request` wants it; `body` in one part, or in those given."""
    chunks = body if isinstance(body, list) else [body]
    pairs = [[b"content-type", b"application/json"], *([name, value] for name, value in headers)]
    return {"method": "POST", "path": "/predict", "headers": pairs, "chunks": chunks} | more


def body_parts(r, body: bytes, count: int) -> list[bytes]:
    cuts = sorted(r.sample(range(1, len(body)), count - 1))
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def answers_with(text: str, status: int = 200, headers=((b"content-type", b"text/plain"),)) -> list:
    """What the app behind does: one answer."""
    start = {"type": "http.response.start", "status": status, "headers": [list(pair) for pair in headers]}
    return [["send", start], ["send", {"type": "http.response.body", "body": text.encode()}]]


_WORDS = {
    "malformed": "something was sent that is no ASGI message (names and values of headers are bytes; one start, then "
    "the body)",
    "endless": "it went on without an end (or asked for more parts after the last one)",
}


def came_back(answer, seen: dict, *, reads: bool = False) -> str:
    """What came, in words for a card; `reads`: also how much of the body was asked for."""
    if answer.error:
        return shown(answer)
    if seen["error"] in _WORDS:
        return _WORDS[seen["error"]]
    if seen["error"]:
        words = f"{seen['error']}: {seen['message']}".strip(": ")
        return f"`{words}` came out of it, where an answer should"
    if seen["status"] is None:
        return "no answer (is an `await` missing?)"
    notes = [f"status {seen['status']}"]
    notes += [f"{seen['reads']} part(s) of the body asked for first"] if reads and seen["reads"] else []
    notes += ["the app behind was called"] if seen["inner"] else []
    return ", ".join(notes)


def due_line(number: int, what: str, wanted: str, came: str) -> str:
    return f"input {number}: {what}: {wanted} is due; you: {came}"


def same(value, wanted) -> bool:
    """Equal, and `True` is no 1."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(wanted, dict):
        same_names = isinstance(value, dict) and value.keys() == wanted.keys()
        return same_names and all(same(value[name], wanted[name]) for name in wanted)
    return isinstance(value, str | int | float) and value == wanted


def parsed_json(body: bytes):
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None

"""Speaks ASGI to an app in this process: we choose every byte of a request and see every answer."""

import asyncio
import json
from typing import NamedTuple

VALID = {
    "years_exp": 5,
    "uses_python": True,
    "uses_sql": True,
    "uses_js": False,
    "uses_ai": True,
    "country": "Germany",
}


class Answer(NamedTuple):
    status: int
    headers: dict  # lower-case names
    body: bytes
    reads: int  # how many times the app asked for a part of the body

    def json(self):
        return json.loads(self.body)


class Client:
    """Calls an ASGI app as one client at one address, on an event loop of its own."""

    def __init__(self, app, key=None, address="127.0.0.1"):
        self.app, self.key, self.address = app, key, address
        self.runner = asyncio.Runner()

    def __call__(self, body=VALID, *, method="POST", path="/predict", headers=(), key=..., kind="application/json"):
        """One request. ``body``: bytes, a list of byte chunks, or what becomes JSON; ``headers`` pairs are added."""
        chunks = body if isinstance(body, list) else [body if isinstance(body, bytes) else json.dumps(body).encode()]
        sent = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        key = self.key if key is ... else key
        sent += [(b"x-api-key", key.encode("latin-1"))] if key is not None else []
        sent += [(b"content-type", kind.encode("latin-1"))] if kind is not None else []
        return self.runner.run(ask(self.app, method, path, sent, chunks, self.address))

    def many(self, count, *arguments, **options):
        """The statuses of ``count`` equal requests."""
        return [self(*arguments, **options).status for _ in range(count)]


async def ask(app, method, path, headers, chunks, address="127.0.0.1"):
    """Make one request and return the Answer."""
    pending, messages, reads = list(chunks), [], 0
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": (address, 50_000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }

    async def receive():
        nonlocal reads
        reads += 1
        if pending:
            return {"type": "http.request", "body": pending.pop(0), "more_body": bool(pending)}
        return {"type": "http.disconnect"}

    async def send(message):
        messages.append(message)

    try:
        await app(scope, receive, send)
    except Exception:
        # As a server sees it: Starlette answers 500 and raises again for the server's log.
        if not messages:
            raise
    start = messages[0]
    fields = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], fields, b"".join(m.get("body", b"") for m in messages[1:]), reads)

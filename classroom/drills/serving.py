"""The attacker's side of lesson H3: a client, nonsense to send, a thief of models and a listener on the line.

Everything here talks to services on this computer only.
"""

import contextlib
import http.client
import json
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

LOOPBACK = "127.0.0.1"


class Answer(NamedTuple):
    """What came back: the status, the headers (case does not matter) and the body's text."""

    status: int
    headers: http.client.HTTPMessage
    text: str


class Target(NamedTuple):
    """A service under attack (anything with a ``port``), a customer's key that the attacker has, and its log file."""

    service: Any
    key: str | None = None
    log: Path | None = None


def ask(target, body=None, key=None, *, path="/predict", trust=None, **more):
    """Send one request to a Target and return the Answer: POST where there is a body, else GET.

    ``body``: a dict, which becomes JSON, or text or bytes that go out as they are. ``trust`` (an ssl.SSLContext) speaks
    TLS; other headers come as keywords, underscores standing for hyphens.
    """
    options = {"context": trust} if trust else {}
    kind = http.client.HTTPSConnection if trust else http.client.HTTPConnection
    headers = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {})
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    body = json.dumps(body) if isinstance(body, dict) else body
    with contextlib.closing(kind(LOOPBACK, target.service.port, timeout=20, **options)) as connection:
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())


def may_read(target, origin, trust=None):
    """Whether a browser would let a page of ``origin`` read this service's answers: asks as a browser does (CORS)."""
    options = {"context": trust} if trust else {}
    kind = http.client.HTTPSConnection if trust else http.client.HTTPConnection
    with contextlib.closing(kind(LOOPBACK, target.service.port, timeout=20, **options)) as connection:
        question = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        connection.request("OPTIONS", "/predict", headers=question)
        return connection.getresponse().headers["Access-Control-Allow-Origin"] in ("*", origin)


def answers_before_body(target, seconds=1.5):
    """Announce a body of 50 MB without a key and send none of it: True when an answer comes all the same."""
    with socket.create_connection((LOOPBACK, target.service.port)) as line:
        line.settimeout(seconds)
        line.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        line.sendall(b"Content-Length: 50000000\r\n\r\n")
        try:
            return bool(line.recv(1))
        except TimeoutError:
            return False


def rotating(number):
    """Headers of the number-th request of somebody who claims another address each time."""
    return {"X_Forwarded_For": f"203.0.113.{number % 250}"}


def nonsense(person):
    """Fourteen bodies that no honest client sends, by name; ``person`` is an honest one of ten years in Germany."""
    text = json.dumps(person)
    return {
        "NaN": text.replace("10", "NaN"),
        "1e400": text.replace("10", "1e400"),
        "half a character": text.replace("Germany", r"\ud800"),
        "a number as text": text.replace("10", '"10"'),
        "true as a number": text.replace("10", "true"),
        "yes as true": text.replace("true", '"yes"', 1),
        "a million years": text.replace("10", "1000000"),
        "minus five years": text.replace("10", "-5"),
        "Atlantis": text.replace("Germany", "Atlantis"),
        "a field too many": text.replace("{", '{"is_admin": true, '),
        "a field twice": text.replace("{", '{"years_exp": 45, '),
        "a list": f"[{text}]",
        "UTF-16": text.encode("utf-16"),
        "no JSON": "years=10",
    }


class Clock:
    """A clock in a file, which the services of the lesson read: minutes pass when the lesson says so."""

    def __init__(self, path, now=1_800_000_000.0):
        self.path, self.now = Path(path), now
        self.later(0)

    def later(self, seconds=3600):
        """Let time pass; by default as much as empties every limit of a minute."""
        self.now += seconds
        self.path.write_text(repr(self.now))

    def almost_full_minute(self):
        """Go to the last second of a minute."""
        self.later(60 - self.now % 60 + 3659)


class Thief:
    """Copies a salary model from its answers. ``known`` is what the attacker knows of it: ``bounds``, ``countries``."""

    def __init__(self, known):
        self.countries = known["countries"]
        self.flags = [name for name in known["bounds"] if name != "years_exp"]
        self.years = [int(known["bounds"]["years_exp"][0]), int(min(known["bounds"]["years_exp"][1], 45))]

    def invent(self, count, rng):
        """Return a DataFrame of ``count`` invented people, every country equally often; ``rng``: a numpy Generator."""
        people = pd.DataFrame({name: rng.random(count) < 0.5 for name in self.flags})
        years = rng.integers(self.years[0], self.years[1] + 1, count).astype(float)
        return people.assign(years_exp=years, country=rng.permutation(np.resize(self.countries, count)))

    def effects(self, people):
        """Return a row of inputs per person: years with bends, one column per flag, one per country."""
        bends = [np.maximum(0, people["years_exp"] - knot) / 10 for knot in (0, 5, 10, 15, 20, 30, 40)]
        flags = [people[name].astype(float) for name in self.flags]
        place = pd.Index(self.countries).get_indexer(people["country"])  # -1 where the country is not known: "Other"
        place[place < 0] = self.countries.index("Other")
        return np.column_stack([*bends, *flags, np.eye(len(self.countries))[place]])

    def copy(self, people, salaries, careful=True):
        """Fit the effects to the answers (ridge regression on log salary); the copy maps people to log salaries.

        A ``careful`` thief centers the inputs first, so that a country that was never asked about counts as average.
        """
        inputs, wanted = self.effects(people), np.log(salaries)
        middle = inputs.mean(axis=0) if careful else 0.0
        inputs = inputs - middle
        pull = 0.1 * np.eye(inputs.shape[1])  # keeps effects that were never seen at zero
        found = np.linalg.solve(inputs.T @ inputs + pull, inputs.T @ (wanted - wanted.mean()))
        return lambda others: (self.effects(others) - middle) @ found + wanted.mean()


def listen(target):
    """Stand between a client and the Target. Returns a Target to connect to and the bytes heard so far, both ways."""
    heard, door = bytearray(), socket.create_server((LOOPBACK, 0))

    def relay(source, sink):
        with contextlib.suppress(OSError):  # either end may hang up
            while data := source.recv(65536):
                heard.extend(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def one_client():
        with door, door.accept()[0] as client, socket.create_connection((LOOPBACK, target.service.port)) as server:
            there = threading.Thread(target=relay, args=(client, server), daemon=True)
            there.start()
            relay(server, client)
            there.join(5)

    threading.Thread(target=one_client, daemon=True).start()
    return target._replace(service=SimpleNamespace(port=door.getsockname()[1])), heard


async def call(app, body=None, key=None, *, address=LOOPBACK, path="/predict"):
    """Put one request to an ASGI app in this process, without any server. Returns the messages that it sent.

    ``body``: bytes, which are posted; without any it is a GET.
    """
    sent = []
    headers = [(b"content-type", b"application/json")] + ([(b"x-api-key", key.encode())] if key else [])
    scope = {"type": "http", "method": "POST" if body else "GET", "path": path, "query_string": b""}
    scope |= {"headers": headers, "client": (address, 50_000)}

    async def receive():
        return {"type": "http.request", "body": body or b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent

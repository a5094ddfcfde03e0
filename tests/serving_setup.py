"""Services under test: one model, a clock that we turn, and the same small interface to each service."""

import dataclasses
import tempfile
from functools import cache
from pathlib import Path

import torch
from asgi import Client
from textbook_service import textbook_app

from mlsecops.salary.dataset import clean, load_salaries
from mlsecops.salary.model import train
from mlsecops.salary.service import naive_app
from mlsecops.serving import MemoryLimiter, Settings, calibrate, create_app, derive, held_out, issue_key
from mlsecops.serving.interval import Predictor

SECRET = "only for tests " * 3
HASH_KEY = derive(SECRET, "api keys")


@cache
def trained():
    """The model and the half-width of its interval."""
    torch.set_num_threads(1)
    frame = clean(load_salaries("sample"))
    model = train(frame, fast=True)
    return model, calibrate(model, held_out(frame))


class Clock:
    """Time that passes when we say so."""

    def __init__(self, now=1_700_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


@dataclasses.dataclass
class Service:
    """A service, and what a test needs to know of it: its apps (workers), two users' keys, the log it writes."""

    apps: list
    keys: tuple
    log: Path
    clock: Clock

    def client(self, worker=0, key=0, address="127.0.0.1"):
        return Client(self.apps[worker], None if key is None else self.keys[key], address)

    def logged(self):
        return self.log.read_text(encoding="utf-8")


def hardened(folder=None, *, workers=1, model=None, clock=None, limiter=None, **settings):
    """Our service; the workers share one limiter."""
    folder = Path(folder or tempfile.mkdtemp())
    clock = clock or Clock()
    limiter = limiter or MemoryLimiter(clock)
    issued = [issue_key(owner, HASH_KEY) for owner in ("ada", "grace")]
    settings = {"api_keys": [key for _, key in issued], "audit_folder": folder, **settings}
    made, width = trained()
    apps = [
        create_app(model or made, Settings(secret=SECRET, **settings), interval=width, clock=clock, limiter=limiter)
        for _ in range(workers)
    ]
    return Service(apps, tuple(text for text, _ in issued), folder / "audit-0.jsonl", clock)


def textbook(folder, *, workers=1, model=None, per_minute=60, **_):
    """The comparator: one key for all, as many limiters as workers."""
    made, width = trained()
    log = Path(folder) / "textbook.log"
    apps = [
        textbook_app(Predictor(model or made, width), made.metadata, "the one key", log, per_minute=per_minute)
        for _ in range(workers)
    ]
    return Service(apps, ("the one key", "the one key"), log, Clock())


def naive(folder, **_):
    """The service without any protection."""
    log = Path(folder) / "naive.log"
    return Service([naive_app(trained()[0], log, in_database="canary-in-database")], (None, None), log, Clock())

"""A policy gate: which rules does a manifest break?"""

from __future__ import annotations

import copy

from classroom.questions import Question
from classroom.questions.exact import exact
from classroom.questions.scoring import draws, graded, shuffled

GOOD = {
    "install": {"pins": "exact", "hashes": True},
    "model": {"format": "safetensors", "verified": "hash"},
    "serving": {"authentication": "key", "per_minute": 60},
    "tracking": {"server": True, "login": True, "public": False},
}


BREAKS = (
    ("install", "pins", "range"),
    ("install", "hashes", False),
    ("model", "format", "pickle"),
    ("model", "verified", "no"),
    ("serving", "authentication", "none"),
    ("tracking", "login", False),
    ("tracking", "public", True),
)
BROKEN = [f"{name} of {part} is {str(value).lower()}" for part, name, value in BREAKS]
NEARLY = (
    ("model", "format", ("Safetensors", "safetensors2", "onn", "ONNX", "safepickle1")),
    ("model", "verified", ("Hash", "hashed", "signatures", "a hash", "sign")),
    ("serving", "authentication", ("keys", "api key", "Key", "oauth", "oauth2 soon")),
    ("install", "pins", ("Exact", "exact-ish", "inexact")),
)
TYPES = (
    ("serving", "per_minute", "60"),
    ("serving", "per_minute", True),
    ("serving", "per_minute", 60.0),
    ("install", "hashes", "yes"),
    ("tracking", "login", "true"),
)


def _holds(manifest, part, test) -> bool:
    value = manifest.get(part)
    return isinstance(value, dict) and test(value)


def _broken(manifest: dict) -> list[str]:
    """The truth, by the rule in the prompt."""
    rules = {
        "pins": ("install", lambda p: p.get("pins") == "exact" and p.get("hashes") is True),
        "format": ("model", lambda p: p.get("format") in ("safetensors", "onnx")),
        "verified": ("model", lambda p: p.get("verified") in ("hash", "signature")),
        "authentication": ("serving", lambda p: p.get("authentication") in ("key", "oauth2")),
        "limit": ("serving", lambda p: type(p.get("per_minute")) is int and 1 <= p["per_minute"] <= 600),
        "tracker": (
            "tracking",
            lambda p: p.get("server") is False or (p.get("login") is True and p.get("public") is False),
        ),
    }
    return [name for name, (part, test) in rules.items() if not _holds(manifest, part, test)]


def _change(r, manifest: dict, kind: str) -> None:
    if kind in BROKEN:
        part, name, value = BREAKS[BROKEN.index(kind)]
        manifest[part][name] = value
    elif kind == "a part is missing":
        del manifest[r.choice(sorted(manifest))]
    elif kind == "a name is missing":
        part, name = r.choice(
            [("install", "hashes"), ("model", "verified"), ("serving", "per_minute"), ("tracking", "public")]
        )
        del manifest[part][name]
    elif kind.startswith("a limit of "):
        manifest["serving"]["per_minute"] = int(kind.rpartition(" ")[2])
    elif kind == "a word that is nearly right":
        part, name, words = r.choice(NEARLY)
        manifest[part][name] = r.choice(words)
    elif kind == "no tracker":
        manifest["tracking"] = {"server": False}
    elif kind == "another type":
        part, name, value = r.choice(TYPES)
        manifest[part][name] = value
    elif kind == "a part is something else":
        manifest[r.choice(sorted(manifest))] = r.choice([None, "yes", [], True])
    elif kind == "other good values":
        manifest["model"] = {"format": "onnx", "verified": "signature"}
        manifest["serving"]["authentication"] = "oauth2"


KINDS = (
    *BROKEN,
    "a part is missing",
    "a name is missing",
    "a limit of 0",
    "a limit of 601",
    "a limit of 1",
    "no tracker",
)
MORE = (
    "a word that is nearly right",
    "a limit of 600",
    "a limit of -5",
    "another type",
    "a part is something else",
    "other good values",
)
FINE = ("a limit of 1", "a limit of 600", "no tracker", "other good values")


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for kind in (*KINDS, *(MORE if hidden else ())):
        for _ in range(2 if kind in BROKEN else 4):
            manifest = copy.deepcopy(GOOD)
            _change(r, manifest, kind)
            inputs.append((manifest,))
            cases.append({"kind": kind, "due": _broken(manifest), "bad": kind not in FINE})
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    rules = {
        "missing-is-fine": ["a part is missing", "a name is missing"],
        "types": ["another type"],
        "bounds": ["a limit of 0", "a limit of 601", "a limit of 1", "a limit of 600", "a limit of -5"],
        "exceptions": ["no tracker"],
    }
    return exact(answers, truth, rules)


QUESTION = Question(
    id="h1-q5",
    title="What is not stated is not done",
    entry="broken",
    signature="broken(manifest: dict) -> list[str]: the names of broken rules, in the order of the prompt",
    points=16,
    minutes=12,
    difficulty=1,
    controls=("GOVERN", "supply-pins", "supply-model-hash", "serving-rate-limit", "tracking-auth"),
    reread='H1, "5 · A gate"',
    hints=(
        "`part.get(name)` gives None for what is not stated, and None keeps no rule.",
        "A part that is missing, or that is no dictionary, breaks all of its rules.",
        "Skeleton: a dictionary from a rule's name to its part and a function; collect the names whose part is no "
        "dictionary or whose function says False.",
        "`is True` for what has to be true; `type(value) is int` for a number that is no truth value.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "missing-is-fine": "What is not stated counts as not done: the rule is broken.",
        "types": "A text is no number and no truth value, and a part that is no dictionary states nothing.",
        "bounds": "The limit is from 1 to 600, both included.",
        "exceptions": "Where there is no tracking server, it needs no login.",
    },
)

"""Answers that look at the surface only: lengths, bytes, names, how often something occurs. None may be worth much.

The questions are public, so whoever writes a shortcut knows how cases are made. What these know is as much as can be
known without following what a file does.
"""

import bz2
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import math
import os
import pickle
import random
import re
import zlib
from collections import Counter

import numpy as np
import pytest

from classroom import check
from classroom.exchange.answer import Answer
from classroom.exchange.marker import MARKER
from classroom.questions import question
from classroom.questions.h2b import streams
from classroom.questions.h2b.common import fingerprint

SEEDS = range(4)
POOL = sorted(streams.pool(random.Random(1)))
DANGEROUS = (
    b"system exec eval getoutput getattr loads methodcaller attrgetter partial map decompress expandvars timeit "
    b"add_extension builtins posix subprocess"
).split()
# A global right behind its name: the look of GLOBAL and of STACK_GLOBAL to somebody with a regular expression.
GLOBAL = re.compile(rb"c([\w.]+)\n([\w.]+)\n|\x8c.([\w.]+)\x94?\x8c.([\w.]+)\x94?\x93", re.DOTALL)


def opened(data):
    """Decompressed, if it can be."""
    for attempt in (zlib.decompress, bz2.decompress, lzma.decompress, gzip.decompress):
        try:
            return attempt(data)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
            continue
    return data


def marked(data):
    return b"MLSECOPS" in data or b"/marker" in data


def numbered(data):
    return re.search(rb"[0-9a-f]{16}", data) is not None


def forbidden(data, allowed):
    """Names of forbidden objects that occur."""
    parts = [(name, name.encode().split(b":")) for name in POOL]
    return [name for name, (module, attribute) in parts if name not in allowed and module in data and attribute in data]


def entropy(data):
    counts = Counter(data).values()
    return -sum(n / len(data) * math.log2(n / len(data)) for n in counts)


def often(data, allowed):
    """Whether the name that occurs most often is an allowed one."""
    counts = {name: data.count(name.split(":")[1].encode()) for name in POOL}
    return max(counts, key=counts.get) in allowed


def matched(data):
    found = {b":".join(part for part in groups if part).decode() for groups in GLOBAL.findall(data)}
    return sorted(found)


def pickler_made(data):
    return b"\x95" in data[:12] or b"q\x00" in data[:40]


# (data, names allowed) -> whether it is called safe.
SHORTCUTS = {
    "marker": lambda d, a: not marked(d),
    "marker, names": lambda d, a: not (marked(d) or forbidden(d, a) or b"zlib" in d),
    "nonce": lambda d, a: not numbered(d),
    "nonce, names": lambda d, a: not (numbered(d) or forbidden(d, a) or b"zlib" in d),
    "dangerous names": lambda d, a: not (any(name in d for name in DANGEROUS) or forbidden(d, a)),
    "names": lambda d, a: not forbidden(d, a),
    "most frequent name": often,
    "regular expression": lambda d, a: set(matched(d)) <= set(a),
    "pickler's style": lambda d, a: pickler_made(d),
    "style, names": lambda d, a: pickler_made(d) and not forbidden(d, a),
    "last opcode": lambda d, a: d[-2:-1] not in (b"R", b"o"),
    "protocol": lambda d, a: d[1:2] in (b"\x03", b"\x04"),
    "builtins": lambda d, a: b"builtins" not in d,
    "long": lambda d, a: len(d) > 600,
    "short": lambda d, a: len(d) < 600,
    "entropy": lambda d, a: entropy(d) > 5.5,
    "low entropy": lambda d, a: entropy(d) < 5.5,
    "parity": lambda d, a: len(d) % 2 == 0,
    "hash": lambda d, a: hashlib.sha256(d).digest()[0] < 128,
}


@pytest.fixture(autouse=True)
def as_in_a_grading(monkeypatch):
    monkeypatch.setenv(MARKER, "/somewhere/course/marker")


def mean_score(question_id, answer):
    """Mean over seeds and over practice and grading; `answer(arguments, case)` makes the Answer to one input."""
    scores = []
    for seed in SEEDS:
        for hidden in (False, True):
            inputs, truth = question(question_id).generate(np.random.default_rng(seed), hidden=hidden)
            answers = [answer(arguments, case) for arguments, case in zip(inputs, truth["cases"], strict=True)]
            scores.append(question(question_id).judge(answers, truth).score)
    return sum(scores) / len(scores)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("question_id", ("h2b-q2", "h2b-q3", "h2b-q4"))
def test_a_file_does_not_look_like_what_it_does(question_id, shortcut):
    def answer(arguments, case):
        data, allowed = arguments
        safe = SHORTCUTS[shortcut](opened(data), allowed)
        if question_id != "h2b-q4":
            return Answer(safe)
        return Answer(case["fingerprint"]) if safe else Answer(error="UnpicklingError")

    assert mean_score(question_id, answer) <= 0.1


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("named", ("every name", "most frequent", "matched"))
def test_names_in_the_bytes_are_not_the_names_reached(shortcut, named):
    def names(data):
        if named == "matched":
            return matched(data)
        found = {name: data.count(name.split(":")[1].encode()) for name in POOL}
        return [max(found, key=found.get)] if named == "most frequent" else [name for name in found if found[name]]

    def answer(arguments, case):
        data = arguments[0]
        return Answer([] if SHORTCUTS[shortcut](data, ()) else names(data))

    # A regular expression for opcodes reads a part of what there is to read.
    assert mean_score("h2b-q1", answer) <= (0.25 if named == "matched" else 0.1)


def test_the_same_shortcuts_would_see_cases_without_decoys(monkeypatch):
    """The test above can fail: without what `decoy` puts everywhere, a search earns what it should not."""
    monkeypatch.setattr(streams, "decoy", lambda r: {})
    monkeypatch.setattr(streams, "look_alikes", lambda r, count: [streams.plain(r) for _ in range(count)])
    shortcut = SHORTCUTS["marker, names"]
    assert mean_score("h2b-q2", lambda arguments, case: Answer(shortcut(*arguments))) > 0.9


def test_what_a_file_leaves_behind_does_not_tell_what_it_reached():
    """Whoever loads everything where no payload can write, and then looks at what came out, misses something."""

    class Anything:
        def __new__(cls, *args, **kwargs):
            return None

    class Loads(pickle.Unpickler):
        def find_class(self, module, name):
            if f"{module}:{name}" in POOL or module.startswith("numpy"):
                return super().find_class(module, name)
            return Anything

    def kinds(value):
        yield f"{type(value).__module__}:{type(value).__qualname__}"
        if isinstance(value, dict | list | tuple):
            for part in value.values() if isinstance(value, dict) else value:
                yield from kinds(part)

    def answer(arguments, case):
        data, allowed = arguments
        plain = {f"builtins:{name}" for name in ("dict", "list", "tuple", "str", "bytes", "int", "float", "NoneType")}
        try:
            value = Loads(io.BytesIO(data)).load()
            if not set(kinds(value)) <= {*allowed, *plain} or type(value) is not dict:
                raise ValueError
            return Answer(fingerprint(value))
        except Exception:
            return Answer(error="UnpicklingError")

    assert mean_score("h2b-q4", answer) == 0


def test_who_empties_the_environment_still_sets_off_the_marker(tmp_path, monkeypatch):
    marker = tmp_path / "the course" / "marker"
    marker.parent.mkdir()
    monkeypatch.setenv(MARKER, str(marker))
    r = random.Random(3)
    made = {}
    for family in (*streams.PRACTICE, *streams.HIDDEN):
        mark = streams.nonce(r)
        made[mark] = streams.hostile(r, family, mark)[0]
    monkeypatch.delenv(MARKER)
    for data in made.values():
        with contextlib.suppress(Exception):  # some streams break off after their payload
            pickle.loads(data)
    assert set(marker.read_text().split()) == set(made)


# --- H2a ---


def beginnings(names, known):
    return Answer({n: k for n in names for k in known if n != k and n[:2] == k[:2] and abs(len(n) - len(k)) <= 1})


def digits(names, known):
    odd = [n for n in names if any(c.isdigit() for c in n) or not n.isascii()]
    return Answer({n: k for n in odd for k in known if n[:2] == k[:2]})


def without_cryptography(tree, manifest, signature, public_key):
    """All of the fourth exercise but the signature, and every sign of a forgery that can be seen."""
    wrong = Answer([["signature", ""]])
    try:
        content = json.loads(manifest)
    except ValueError:
        return wrong
    if len(signature) != 64 or "public_key" in content or b" ,\n" not in manifest:
        return wrong
    files, problems = content["files"], []
    for name, entry in files.items():
        if name not in tree:
            problems.append(["missing", name])
        elif hashlib.new(content["digest"], tree[name]).hexdigest() != entry["digest"]:
            problems.append(["changed", name])
    problems += [["extra", name] for name in tree if name not in files]
    for name in {*tree, *files}:
        if {"", ".", ".."} & set(name.split("/")) or "\\" in name or ":" in name:
            problems.append(["path", name])
    return Answer(problems)


def by_order(report, required, accepted, today):
    return Answer({name: ("pass", "fail", "unknown")[at % 3] for at, name in enumerate(required)})


def longest_lines(text, policy):
    return Answer([[at, "unpinned"] for at, line in enumerate(text.splitlines(), 1) if len(line) < 60])


def no_strict(text, policy):
    return Answer([] if "--strict" in text else [["", "audit"]])


def every_other_step(text, policy):
    return Answer([[f"{job}/{at}", "unpinned"] for job in re.findall(r"^  (\w+):$", text, re.M) for at in (0, 2, 4)])


@pytest.mark.parametrize(
    ("question_id", "shortcut", "most"),
    [
        ("h2a-q1", beginnings, 0.6),
        ("h2a-q1", digits, 0.4),
        ("h2a-q2", longest_lines, 0.2),
        ("h2a-q3", by_order, 0.15),
        ("h2a-q4", without_cryptography, 0.5),
        ("h2a-q5", no_strict, 0.2),
        ("h2a-q5", every_other_step, 0.2),
    ],
)
def test_shortcuts_through_the_dependencies(question_id, shortcut, most):
    assert mean_score(question_id, lambda arguments, case: shortcut(*arguments)) <= most


# --- H3: services that look at the surface, or do half of the work ---


def always(status, *headers):
    """A service that answers everything alike."""

    def make(*policy_and_tools):
        async def app(scope, receive, send):
            await answer(send, status, headers)

        return app

    return make


async def answer(send, status, headers=(), body=b"{}"):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


def crowned(status):
    """The right headers on nothing."""
    return lambda headers, predict: always(status, *((k.encode(), v.encode()) for k, v in headers.items()))()


def lets_all_in(*policy_and_tools):
    return next(given for given in policy_and_tools if callable(given))


def a_key_is_there(keys, most, inner):
    async def app(scope, receive, send):
        if any(name == b"x-api-key" for name, _ in scope["headers"]):
            return await inner(scope, receive, send)
        return await answer(send, 401, CHALLENGE)

    return app


def no_cap(keys, most, inner):
    async def app(scope, receive, send):
        digests = [hashlib.new(keys["algorithm"], v).hexdigest() for n, v in scope["headers"] if n == b"x-api-key"]
        if set(digests) & set(keys["digests"].values()):
            return await inner(scope, receive, send)
        return await answer(send, 401, CHALLENGE)

    return app


def the_first_few(limit, seconds, inner, clock, storage):
    """No window, no address, no storage."""
    passed = []

    async def app(scope, receive, send):
        passed.append(1)
        return await (answer(send, 429, WAIT) if len(passed) > limit else inner(scope, receive, send))

    return app


def the_first_failures(digests, failures, seconds, inner, clock):
    """No window, no address."""
    failed = []

    async def app(scope, receive, send):
        if hashlib.sha256(dict(scope["headers"]).get(b"x-api-key", b"")).hexdigest() in digests:
            return await inner(scope, receive, send)
        failed.append(1)
        return await (answer(send, 429, WAIT) if len(failed) > failures else answer(send, 401, CHALLENGE))

    return app


def looks_odd(lines, key, anchor, form):
    """Everything but cryptography: what does not parse, stands there twice, or is short."""
    for number, line in enumerate(lines):
        if not line.endswith(b'"}\n') or line in lines[:number] or b":  " in line:
            return number
    return len(lines) if len(lines) <= anchor["line"] else None


def says_nothing(kept, inner, log):
    async def app(scope, receive, send):
        log(json.dumps({"request_id": "a", "method": "POST", "path": scope["path"], "status": 500}))
        await answer(send, 500, [(b"x-request-id", b"a")], b'{"error": "x", "request_id": "a"}')

    return app


def one_per_country(known, ask):
    alike = dict.fromkeys(known["flags"], True)
    pay = {name: ask({"years_exp": 15, "country": name} | alike) for name in known["countries"]}
    return lambda people: [pay[person["country"]] for person in people]


CHALLENGE, WAIT = [(b"www-authenticate", b"x")], [(b"retry-after", b"5")]
HALF = [
    ("h3-q1", always(400), 0),
    ("h3-q1", crowned(400), 0),
    ("h3-q1", crowned(200), 0),
    ("h3-q2", lambda body, fields: None, 0),
    ("h3-q2", lambda body, fields: json.loads(body), 0.05),
    ("h3-q3", always(401, *CHALLENGE), 0),
    ("h3-q3", always(413), 0),
    ("h3-q3", lets_all_in, 0),
    ("h3-q3", a_key_is_there, 0.3),
    ("h3-q3", no_cap, 0.7),
    ("h3-q4", lets_all_in, 0),
    ("h3-q4", always(429, *WAIT), 0),
    ("h3-q4", the_first_few, 0.3),
    ("h3-q5", lets_all_in, 0),
    ("h3-q5", always(401, *CHALLENGE), 0),
    ("h3-q5", always(429, *WAIT), 0),
    ("h3-q5", the_first_failures, 0.65),
    ("h3-q6", lambda *log: None, 0),
    ("h3-q6", lambda *log: 0, 0),
    ("h3-q6", looks_odd, 0.45),
    ("h3-q7", lets_all_in, 0),
    ("h3-q7", says_nothing, 0),
    ("h3-q8", lambda known, ask: lambda people: [65_000.0] * len(people), 0),
    ("h3-q8", one_per_country, 0.4),
]


@pytest.mark.parametrize(("question_id", "function", "most"), HALF)
def test_half_a_service_is_worth_no_more_than_its_half(question_id, function, most):
    asked, scores = question(question_id), []
    for seed in SEEDS:
        for hidden in (False, True):
            inputs, truth = asked.generate(np.random.default_rng(seed), hidden=hidden)
            scores.append(asked.judge(check.answers_of(asked, function, inputs), truth).score)
    assert sum(scores) / len(scores) <= most


def test_nothing_here_leaves_a_marker():
    assert not os.path.exists("/somewhere/course/marker")  # noqa: PTH110

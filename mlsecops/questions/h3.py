"""Lab H3, serving: eight questions. In six of them a service that the learner wrote is attacked, event by event.

Each of the six is one layer of a service. What is in front of it, the client, is played from outside; so is what lies
behind it, the app that it protects. An attack and an honest request differ in one thing only, and which answer is due
follows from how the request was built.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import itertools
import json
import math
import string
import unicodedata

from mlsecops import codec
from mlsecops.questions import Question, Verdict
from mlsecops.questions.conversation import (
    Conductor,
    RefusedError,
    StoppedError,
    answered,
    got_through,
    header_values,
    told_to_wait,
    transcript,
    transcripts,
)
from mlsecops.questions.scoring import Case, balance, draws, graded, shown, told

# What the lab's cells import; the grader has it ready before the first submission.
LIBRARIES = ("mlsecops.lesson", "matplotlib.pyplot", "numpy")

_COUNTRIES = (
    "Austria Belgium Brazil Canada Denmark Egypt Finland Germany India Japan Kenya Mexico Norway Peru Poland Portugal "
    "Spain Sweden Turkey Vietnam"
).split()
_LOOKALIKES = str.maketrans("aceopxy", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443")  # Cyrillic
_ALGORITHMS = ("sha384", "sha512", "sha3_256", "blake2b")  # not the one that everybody would write unasked


def _text(r, length=16) -> str:
    return "".join(r.choices(string.ascii_letters + string.digits, k=length))


def _address(r) -> str:
    return ".".join(str(r.randint(1, 250)) for _ in range(4))


def _post(body: bytes | list[bytes], headers=(), **more) -> dict:
    """A request as `Conductor.request` wants it; `body` in one part, or in those given."""
    chunks = body if isinstance(body, list) else [body]
    pairs = [[b"content-type", b"application/json"], *([name, value] for name, value in headers)]
    return {"method": "POST", "path": "/predict", "headers": pairs, "chunks": chunks} | more


def _parts(r, body: bytes, count: int) -> list[bytes]:
    cuts = sorted(r.sample(range(1, len(body)), count - 1))
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def _answers_with(text: str, status: int = 200, headers=((b"content-type", b"text/plain"),)) -> list:
    """What the app behind does: one answer."""
    start = {"type": "http.response.start", "status": status, "headers": [list(pair) for pair in headers]}
    return [["send", start], ["send", {"type": "http.response.body", "body": text.encode()}]]


# --- in words for a card ---------------------------------------------------------------------------------------------


_WORDS = {
    "malformed": "something was sent that is no ASGI message (names and values of headers are bytes; one start, then "
    "the body)",
    "endless": "it went on without an end (or asked for more parts after the last one)",
}


def _came(answer, seen: dict, *, reads: bool = False) -> str:
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


def _due(number: int, what: str, wanted: str, came: str) -> str:
    return f"input {number}: {what}: {wanted} is due; you: {came}"


# --- q1: every status, every header ---------------------------------------------------------------------------------

_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "geolocation=()"),
)


def _service_generate(rng, hidden=False):
    r = draws(rng)
    headers = dict(r.sample(_HEADERS, 3)) | {f"X-{_text(r, 6).capitalize()}": _text(r, 8)}
    query = {"years_exp": r.randint(1, 40), "uses_sql": r.random() < 0.5, "country": r.choice(_COUNTRIES)}
    place = r.choice(["Zürich", "Malmö", "São Paulo", "Łódź", "東京"])
    years = str(query["years_exp"])
    text, failure = json.dumps(query), f"disk {_text(r)} is gone"

    def raw(value: str, name="years_exp") -> bytes:
        return text.replace(f'"{name}": {json.dumps(query[name])}', f'"{name}": {value}').encode()

    good = {
        "honest": _post(text.encode()),
        "honest, in parts": _post(_parts(r, text.encode(), 4)),
        "honest, spread out": _post(json.dumps(query, indent=2).encode()),
        "honest, half a year": _post(raw(f"{years}.5")),
    }
    named = {**query, "city": place}
    good |= {"not only ASCII": _post(json.dumps(named, ensure_ascii=False).encode())}
    bad = {
        "NaN": (400, _post(raw("NaN"))),
        "minus infinity": (400, _post(raw("-Infinity"))),
        "1e400": (400, _post(raw(f"{years}e400"))),
        "half a character": (400, _post(raw('"\\ud83d"', "country"))),
        "UTF-16": (400, _post(text.encode("utf-16"))),
        "broken UTF-8": (400, _post(text.encode().replace(b'"uses_sql"', b'"uses_\xff"'))),
        "no JSON": (400, _post(f"years_exp={years}".encode())),
        "cut short": (400, _post(text.encode()[: -r.randint(2, 9)])),
        "nothing": (400, _post(b"")),
        "a list": (400, _post(f"[{text}]".encode())),
        "null": (400, _post(b"null")),
        "deep": (400, _post(b'{"years_exp": ' + b"[" * 60_000)),
        "five thousand digits": (400, _post(raw("7" * 5000))),
        "another path": (404, _post(text.encode(), path=f"/{_text(r, 6)}")),
        "another method": (405, _post(b"", method=r.choice(["GET", "PUT", "DELETE"]))),
        "the model fails": (500, _post(text.encode())),
    }
    if hidden:
        good |= {
            "empty parts between": _post([b"", *_parts(r, text.encode(), 2), b""]),
            "a character in two parts": _post(_split_character(json.dumps(named, ensure_ascii=False).encode())),
            "an escaped pair": _post(json.dumps({**query, "city": "🏙"}).encode()),
        }
        bad |= {
            "half a key": (400, _post(text.replace('"uses_sql"', '"uses_\\udc00"').encode())),
            "1e400 inside": (400, _post(raw(f'[{{"x": -{years}e999}}]'))),
            "NaN elsewhere": (400, _post(text[:-1].encode() + f', "{_text(r, 5)}": [1, NaN]}}'.encode())),
            "half a character elsewhere": (
                400,
                _post(text[:-1].encode() + f', "{_text(r, 5)}": ["\\ud801x"]}}'.encode()),
            ),
            "UTF-32": (400, _post(text.encode("utf-32"))),
            "a text": (400, _post(json.dumps(text).encode())),
            "a path with more": (404, _post(text.encode(), path="/predict/")),
            "a method in small letters": (405, _post(text.encode(), method="post")),
        }
    inputs, cases = [], []
    made = [(kind, 200, request) for kind, request in good.items()] + [(k, s, q) for k, (s, q) in bad.items()]
    r.shuffle(made)
    for kind, status, request in made:
        expected = named if kind in ("not only ASCII", "a character in two parts") else query
        expected = {**query, "city": "🏙"} if kind == "an escaped pair" else expected
        expected = {**query, "years_exp": query["years_exp"] + 0.5} if kind == "honest, half a year" else expected
        salary = r.randint(20_000, 200_000)
        fails = failure if kind == "the model fails" else ""
        scene = {"headers": headers, "request": request, "query": expected, "salary": salary, "fails": fails}
        inputs.append((scene,))
        cases.append({"kind": kind, "status": status, "salary": salary, "secret": failure})
    return inputs, {"cases": cases, "headers": headers}


def _split_character(body: bytes) -> list[bytes]:
    cut = next(place for place, byte in enumerate(body) if byte >= 0x80) + 1
    return [body[:cut], body[cut:]]


def _service_play(order, scene):
    def predict(method, query):
        if scene["fails"]:
            raise RefusedError(scene["fails"])
        return scene["salary"] if _same(query, scene["query"]) else scene["salary"] + 1  # no oracle

    conductor = Conductor(order, {"predict": predict})
    conductor.make("make_service", [scene["headers"]], ["predict"])
    return conductor.request(scene["request"])


def _same(value, wanted) -> bool:
    """Equal, and `True` is no 1."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(wanted, dict):
        same_names = isinstance(value, dict) and value.keys() == wanted.keys()
        return same_names and all(_same(value[name], wanted[name]) for name in wanted)
    return isinstance(value, str | int | float) and value == wanted


def _parsed(body: bytes):
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


@graded
def _service_judge(answers, truth):
    cases, crowned, statuses = [], [], []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        seen, status = transcript(answer.value), case["status"]
        right = answered(seen, status)
        if status == 200:
            right = right and _same(_parsed(seen["body"]), {"predicted_salary_usd": case["salary"]})
        told_why = case["secret"].encode() in seen["body"]
        right = right and not told_why
        crowned.append(all(header_values(seen, name) == [value] for name, value in truth["headers"].items()))
        statuses.append(seen["status"])
        wanted = f"status {status}" + ("" if status != 200 else " and the prediction")
        came = _came(answer, seen) + ("" if crowned[-1] or seen["status"] is None else ", headers missing or doubled")
        came += ", and the reason stands in the answer" if told_why else ""
        if not crowned[-1]:
            wanted += " with every header once"
        line = _due(number, case["kind"], wanted, came)
        cases.append(Case(case["kind"], status != 200, right, line))
    share = sum(crowned) / len(crowned)
    verdict = balance(
        cases,
        {
            "constants": ["NaN", "minus infinity", "NaN elsewhere"],
            "overflow": ["1e400", "1e400 inside"],
            "half": ["half a character", "half a key", "half a character elsewhere"],
            "guessed-encoding": ["UTF-16", "UTF-32"],
            "not-an-object": ["a list", "null", "a text"],
            "too-deep": ["deep"],
            "model-fails": ["the model fails"],
            "every-address": ["another path", "another method"],
            "first-part": ["honest, in parts", "empty parts between"],
        },
    )
    message = f"{verdict.message} The headers were right on {sum(crowned)} of {len(crowned)} answers."
    misconception = verdict.misconception
    bare = {s for s, c in zip(statuses, crowned, strict=True) if not c}
    if bare and not bare & {None, 200} and all(c for s, c in zip(statuses, crowned, strict=True) if s == 200):
        misconception = "headers-on-success"
    # Cases that only lack their headers are told as well.
    detail = told([dataclasses.replace(case, right=case.right and c) for case, c in zip(cases, crowned, strict=True)])
    return Verdict(verdict.score * share, message, misconception, detail)


# --- q2: exactly what the model knows -------------------------------------------------------------------------------


def _query_generate(rng, hidden=False):
    r = draws(rng)
    countries = [*sorted(r.sample(_COUNTRIES, 9)), "Côte d'Ivoire"]
    number, integer, flag, choice = (
        r.choice(names)
        for names in (
            ["years_exp", "years_code", "experience"],
            ["team_size", "languages", "reports"],
            ["uses_sql", "uses_rust", "remote"],
            ["country", "nation", "work_country"],
        )
    )
    low, high = r.randint(0, 1), r.choice([39.5, 44, 47.5, 50])
    few, many = r.randint(0, 1), r.randint(30, 400)
    fields = {
        number: {"kind": "number", "low": low, "high": high},
        integer: {"kind": "integer", "low": few, "high": many},
        flag: {"kind": "boolean"},
        choice: {"kind": "choice", "of": countries},
    }

    def person() -> dict:
        values = {number: r.randint(low + 1, int(high) - 1), integer: r.randint(few, many), flag: r.random() < 0.5}
        return values | {choice: r.choice(countries[:-1])}

    def wide(name: str) -> str:
        return "".join(
            chr(ord(letter) + 0xFEE0) if letter.isascii() and letter.isalpha() else letter for letter in name
        )

    def raw(values: dict, name: str, token: str) -> bytes:
        return json.dumps(values).replace(f'"{name}": {json.dumps(values[name])}', f'"{name}": {token}').encode()

    escaped = f'"\\u{ord(flag[0]):04x}{flag[1:]}"'  # the same name, written with an escape

    def spoiled(one: dict, lost: str) -> dict[str, bytes]:
        """Every way to spoil one person's query."""
        made = {
            "a number as text": json.dumps(one | {number: str(one[number])}).encode(),
            "true as a number": json.dumps(one | {number: True}).encode(),
            "true as an integer": json.dumps(one | {integer: True}).encode(),
            "one as a boolean": json.dumps(one | {flag: 1}).encode(),
            "yes as a boolean": json.dumps(one | {flag: "yes"}).encode(),
            "null as a value": json.dumps(one | {number: None}).encode(),
            "a fraction as an integer": json.dumps(one | {integer: few + 0.5}).encode(),
            "a point in an integer": json.dumps(one | {integer: few + 3.0}).encode(),
            "below": json.dumps(one | {number: low - 0.001}).encode(),
            "above": json.dumps(one | {number: high + 0.001}).encode(),
            "one too many": json.dumps(one | {integer: many + 1}).encode(),
            "NaN": raw(one, number, "NaN"),
            "infinite": raw(one, number, "1e999"),
            "no such country": json.dumps(one | {choice: "Atlantis"}).encode(),
            "small letters": json.dumps(one | {choice: one[choice].lower()}).encode(),
            "a country as a list": json.dumps(one | {choice: [one[choice]]}).encode(),
            "a field missing": json.dumps({name: one[name] for name in one if name != lost}).encode(),
            "a field too many": json.dumps(one | {"is_admin": True}).encode(),
            "a field twice": (json.dumps(one)[:-1] + f', "{number}": {low + 1}}}').encode(),
            "UTF-16": json.dumps(one).encode("utf-16"),
            "a mark in front": json.dumps(one).encode("utf-8-sig"),
            "two values": (json.dumps(one) + json.dumps(one)).encode(),
            "a list": json.dumps([one]).encode(),
            "no JSON": f"{number}={one[number]}".encode(),
        }
        if hidden:
            made |= {
                "twice, once escaped": (json.dumps(one)[:-1] + f", {escaped}: true}}").encode(),
                "Cyrillic letters": json.dumps(one | {choice: one[choice].translate(_LOOKALIKES)}).encode(),
                "a text of digits as integer": json.dumps(one | {integer: str(few)}).encode(),
                "a zero byte behind": json.dumps(one | {choice: one[choice] + "\x00"}).encode(),
                "minus infinity": raw(one, number, "-Infinity"),
                "a huge exponent as integer": raw(one, integer, "1e3000"),
            }
        return made

    inside = round(low + 0.25 + r.random(), 3)
    good = {
        "plain": [json.dumps(values := person()).encode(), values],
        "plain, another": [json.dumps(values := person()).encode(), values],
        "at the lower end": [json.dumps(values := person() | {number: low, integer: few}).encode(), values],
        "at the upper end": [json.dumps(values := person() | {number: high, integer: many}).encode(), values],
        "a fraction": [json.dumps(values := person() | {number: inside}).encode(), values],
        "an exponent": [raw(values := person() | {number: 10}, number, "1e1"), values],
        "in another order": [json.dumps(dict(reversed((values := person()).items()))).encode(), values],
        "white space": [(" \n" + json.dumps(values := person(), indent=1) + "\t").encode(), values],
        "full-width letters": [json.dumps((values := person()) | {choice: wide(values[choice])}).encode(), values],
        "letters and accents apart": [
            json.dumps(values := person() | {choice: countries[-1]}, ensure_ascii=False)
            .replace(countries[-1], unicodedata.normalize("NFD", countries[-1]))
            .encode(),
            values,
        ],
    }
    if hidden:
        one = person()
        bold = "".join(chr(0x1D400 + ord(c) - 65) if c.isupper() else chr(0x1D41A + ord(c) - 97) for c in one[choice])
        good |= {
            "an escape in a name": [json.dumps(one).replace(f'"{flag}"', escaped).encode(), one],
            "bold letters": [json.dumps(one | {choice: bold}, ensure_ascii=False).encode(), one],
        }
    bad = {kind: spoiled(person(), r.choice([flag, integer]))[kind] for kind in spoiled(person(), flag)}
    made = [[kind, body, values] for kind, (body, values) in good.items()]
    made += [[kind, body, None] for kind, body in bad.items()]
    r.shuffle(made)
    inputs = [(body, fields) for _, body, _ in made]
    return inputs, {"cases": [{"kind": kind, "query": values} for kind, _, values in made]}


@graded
def _query_judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        if case["query"] is None:
            right, wanted = answer.value is None and not answer.error, "None"
        else:
            right, wanted = not answer.error and _same(answer.value, case["query"]), "the query"
        line = _due(number, case["kind"], wanted, shown(answer))
        cases.append(Case(case["kind"], case["query"] is None, right, line))
    return balance(
        cases,
        {
            "crashes": ["no JSON", "two values"],
            "coerced": ["a number as text", "yes as a boolean", "a text of digits as integer"],
            "bool-is-int": ["true as a number", "true as an integer"],
            "truthy": ["one as a boolean"],
            "not-finite": ["NaN", "infinite", "minus infinity"],
            "last-one-wins": ["a field twice", "twice, once escaped"],
            "extras": ["a field too many"],
            "edges": ["at the lower end", "at the upper end"],
            "not-normalized": ["full-width letters", "letters and accents apart", "bold letters"],
            "any-case": ["small letters"],
            "guessed-encoding": ["UTF-16", "a mark in front"],
            "fraction": ["a fraction as an integer", "a point in an integer"],
        },
    )


# --- q3: the key before the body ------------------------------------------------------------------------------------


_FORGED = (
    "a wrong secret",
    "another's secret",
    "a made-up secret",
    "a secret begun wrongly",
    "large and small swapped",
    "the secret backwards",
)


def _guard_generate(rng, hidden=False):
    r = draws(rng)
    algorithm, most = r.choice(_ALGORITHMS), r.randint(800, 3000)
    texts = {f"{_text(r, 6).lower()}": _text(r, 30) for _ in range(3)}
    keys = [f"{name}.{secret}" for name, secret in texts.items()]
    digests = {key.split(".")[0]: hashlib.new(algorithm, key.encode()).hexdigest() for key in keys}

    def key(text: str) -> tuple[bytes, bytes]:
        return b"x-api-key", text.encode()

    def length(size: int) -> tuple[bytes, bytes]:
        return b"content-length", str(size).encode()

    def body(size: int) -> bytes:
        return _text(r, size).encode()

    right, other = r.sample(keys, 2)
    small, large = body(r.randint(100, 700)), body(most + r.randint(1, 400))
    ident, secret = right.split(".")
    good = {
        "a right key": _post(small, [key(right), length(len(small))]),
        "another right key": _post(small, [key(other), length(len(small))]),
        "in parts": _post(_parts(r, small, 5), [key(right)]),
        "as large as allowed": _post(full := body(most), [key(right), length(len(full))]),
        "as large as allowed, in parts": _post(_parts(r, body(most), 4), [key(right)]),
        "no body": _post(b"", [key(right)], method="GET", path="/history"),
    }
    unknown = {
        "no key": _post(small, [length(len(small))]),
        "a wrong secret": _post(small, [key(right[:-1] + ("a" if right[-1] != "a" else "b")), length(len(small))]),
        "another's secret": _post(small, [key(f"{ident}.{other.split('.')[1]}"), length(len(small))]),
        "a made-up secret": _post(small, [key(f"{ident}.{_text(r, 30)}"), length(len(small))]),
        "a secret begun wrongly": _post(small, [key(f"{ident}.{'b' if secret[0] == 'a' else 'a'}{secret[1:]}")]),
        "an unknown id": _post(small, [key(f"{_text(r, 6).lower()}.{_text(r, 30)}"), length(len(small))]),
        "no key, much to read": _post([body(2000)] * 20, [length(40_000)]),
        "an id alone": _post(small, [key(ident), length(len(small))]),
        "the key in the address": _post(small, [length(len(small))], query=f"api_key={right}".encode()),
    }
    announced = {"announced": _post([large], [key(right), length(len(large))])}
    too_large = {
        "not announced": _post(_parts(r, large, 3) + [body(500)] * 10, [key(right)]),
        "announced as small": _post(_parts(r, large, 3) + [body(500)] * 10, [key(right), length(120)]),
        "without end": _post([body(most // 3)], [key(right)], endless=True),
    }
    if hidden:
        good |= {"empty parts between": _post([b"", *_parts(r, small, 2), b""], [key(right)])}
        unknown |= {
            "two keys": _post(small, [key(right), key(f"{right}x"), length(len(small))]),
            "two keys, the right one last": _post(small, [key(f"{right}x"), key(right), length(len(small))]),
            "not ASCII": _post(small, [(b"x-api-key", "schlüssel.ß".encode("latin-1")), length(len(small))]),
            "the stored digest": _post(small, [key(f"{ident}.{digests[ident]}")]),
            "in large letters": _post(small, [key(right.upper()), length(len(small))]),
            "large and small swapped": _post(small, [key(f"{ident}.{secret.swapcase()}"), length(len(small))]),
            "the secret backwards": _post(small, [key(f"{ident}.{secret[::-1]}"), length(len(small))]),
        }
        too_large |= {"one byte too many": _post(_parts(r, body(most + 1), 2), [key(right)])}
        announced |= {
            "announced in a number too long": _post([large], [key(right), (b"content-length", b"9" * 30)]),
        }
    made = [(kind, "pass", request, 0) for kind, request in good.items()]
    made += [(kind, "401", request, 0) for kind, request in unknown.items()]
    made += [(kind, "413", request, 0) for kind, request in announced.items()]
    made += [(kind, "413", request, _enough(request, most)) for kind, request in too_large.items()]
    r.shuffle(made)
    inputs, cases = [], []
    policy = {"keys": {"algorithm": algorithm, "digests": digests}, "most": most}
    for kind, due, request, reads in made:
        nonce = _text(r, 20)
        inputs.append((policy | {"request": request | {"script": [["read", None], *_answers_with(nonce)]}},))
        body_due = b"".join(request["chunks"]) if due == "pass" else b""
        cases.append({"kind": kind, "due": due, "text": nonce, "body": body_due, "reads": reads})
    return inputs, {"cases": cases}


def _enough(request: dict, most: int) -> int:
    """How many parts it takes to know that a body is too large."""
    size = 0
    for number, chunk in enumerate(request["chunks"] * 50, 1):
        size += len(chunk)
        if size > most:
            return number
    raise ValueError("it never is")


def _guard_play(order, scene):
    conductor = Conductor(order)
    conductor.make("guarded", [scene["keys"], scene["most"]], ["inner"])
    return conductor.request(scene["request"])


@graded
def _guard_judge(answers, truth):
    cases, unread, unchallenged, late, shut_out = [], 0, 0, 0, 0
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        seen, due = transcript(answer.value), case["due"]
        if due == "pass":
            right, wanted = got_through(seen, case["text"]) and seen["read"] == case["body"], "the app's answer"
            shut_out += seen["status"] == 401
            unread += got_through(seen, case["text"]) and seen["read"] != case["body"]
        else:
            refused = answered(seen, int(due)) and seen["inner"] == 0 and seen["reads"] <= case["reads"]
            challenged = due != "401" or len(header_values(seen, "www-authenticate")) == 1
            unchallenged += refused and not challenged
            late += due == "413" and seen["status"] == 413 and seen["reads"] > case["reads"]
            right = refused and challenged
            parts = f" after {case['reads']} part(s) of the body at most" if case["reads"] else " before the body"
            wanted = f"status {due}{parts}" + (", with WWW-Authenticate," if due == "401" else "")
        came = _came(answer, seen, reads=True)
        if due == "401" and seen["status"] == 401 and not header_values(seen, "www-authenticate"):
            came += ", without WWW-Authenticate"
        if due == "pass" and seen["inner"] and not right:
            came += f" and got {len(seen['read'] or b'')} of {len(case['body'])} bytes of the body"
        cases.append(Case(case["kind"], due != "pass", right, _due(number, case["kind"], wanted, came)))
    verdict = balance(
        cases,
        {
            "no-key-at-all": ["no key", "no key, much to read"],
            "id-only": list(_FORGED),
            "believes-length": ["not announced", "announced as small", "without end", "one byte too many"],
            "ignores-length": ["announced", "announced in a number too long"],
            "off-by-one": ["as large as allowed", "as large as allowed, in parts"],
        },
    )
    # Who lets a forged key in has no door, whatever else is right.
    forged = [case.right or case.kind not in _FORGED for case in cases]
    verdict = dataclasses.replace(verdict, score=verdict.score * (1.0 if all(forged) else 0.5))
    if shut_out == sum(not case.bad for case in cases):
        return dataclasses.replace(verdict, misconception="no-key-is-right")
    wrong = {case.kind for case in cases if not case.right}
    if wrong and wrong <= {"two keys", "two keys, the right one last"}:
        return dataclasses.replace(verdict, misconception="first-or-last")
    early = [
        transcript(answer.value) for answer, case in zip(answers, truth["cases"], strict=True) if case["due"] == "401"
    ]
    if early and all(seen["reads"] for seen in early) and any(seen["status"] == 401 for seen in early):
        return dataclasses.replace(verdict, misconception="body-first")
    if unchallenged > len(early) / 2:
        return dataclasses.replace(verdict, misconception="no-challenge")
    if late >= 2:
        return dataclasses.replace(verdict, misconception="counts-afterwards")
    if unread >= 3:
        return dataclasses.replace(verdict, misconception="swallowed-body")
    return verdict


# --- q4: a limit that holds, q5: who is locked out ------------------------------------------------------------------


class _Storage:
    """What all instances share.

    Attributes:
        meanwhile: if set, happens once, before a use takes effect; `wait` tells how many uses go first.
    """

    MOST = 400  # names, and values of one name
    LARGEST = 10_000, 500  # bytes and values of what is set: each `get` sends it again

    def __init__(self):
        self._values, self.meanwhile, self.wait = {}, None, 0

    def use(self, method, *args):
        if self.meanwhile and self.wait == 0:
            happening, self.meanwhile = self.meanwhile, None
            happening()
        self.wait -= bool(self.meanwhile)
        # No getattr: `_class__` and `_setattr__` are methods, too.
        known = {"get": self._get, "set": self._set, "add": self._add, "remove": self._remove}
        return known.get(method, self._unknown)(*args)

    def _unknown(self, *args):
        raise RefusedError("the storage has get, set, add and remove")

    def _get(self, name):
        return self._values.get(str(name))

    def _set(self, name, value):
        line = codec.dumps(codec.encode(value))
        if len(line) > self.LARGEST[0] or codec.nodes(line) > self.LARGEST[1]:
            raise RefusedError("too large for the storage")
        if str(name) in self._values or len(self._values) < self.MOST:
            self._values[str(name)] = value

    def _add(self, name, now, seconds):
        times = self._values.get(str(name)) or []
        times = [time for time in times if time > float(now) - float(seconds)][-self.MOST :]
        self._set(name, [*times, float(now)])
        return len(self._values[str(name)])

    def _remove(self, name, now):
        times = list(self._values.get(str(name)) or [])
        if float(now) in times:
            times.remove(float(now))
        self._set(name, times)
        return len(times)


def _sliding(times: list[float], limit: int, seconds: float) -> list[bool]:
    """Which of these uses pass, when at most `limit` may in any `seconds`."""
    passed: list[float] = []
    verdicts = []
    for now in times:
        verdicts.append(sum(time > now - seconds for time in passed) < limit)
        passed += [now] if verdicts[-1] else []
    return verdicts


def _forwarded(r) -> list:
    return [[b"x-forwarded-for", _address(r).encode()], [b"x-real-ip", _address(r).encode()]]


def _limit_generate(rng, hidden=False):
    r = draws(rng)
    limit, seconds = r.randint(5, 9), r.choice([20, 30, 45, 60])
    start = 1_700_000_000 // seconds * seconds + seconds * r.randint(2, 99)

    def scene(*parts, instances=1, rotate=True, instance_of=lambda n: 0):
        """One client's uses, in parts `(kind, times)`, judged by the sliding window."""
        home = _address(r)  # another in each scene: what a service remembers of an earlier one does not matter
        times = [time for _, part in parts for time in part]
        kinds = [kind for kind, part in parts for _ in part]
        requests = [
            {"at": time, "client": home, "headers": _forwarded(r) if rotate else [], "instance": instance_of(n)}
            for n, time in enumerate(times)
        ]
        due = [[kind, "pass" if p else "429"] for kind, p in zip(kinds, _sliding(times, limit, seconds), strict=True)]
        return {"instances": instances, "requests": requests}, due

    def burst(begin, count, step=0.01):
        return [round(begin + step * n, 3) for n in range(count)]

    twice = burst(start + 1, 2 * limit)
    scenes = {
        "one address": scene(("burst", burst(start + 1, limit + 6)), rotate=False),
        "other headers each time": scene(("rotating headers", twice)),
        "two instances": scene(("two instances", twice), instances=2, instance_of=lambda n: n % 2),
        # A window that starts at full multiples of its length lets twice as many pass around its edge.
        "the edge of a window": scene(("burst", burst(start - 0.5, limit)), ("edge", burst(start + 0.5, limit))),
        "afterwards": scene(
            ("burst", burst(start + 1, limit)),
            ("burst", burst(start + 5, limit)),
            ("afterwards", burst(start + 1.5 + seconds, limit)),
        ),
    }
    busy, due = scene(("burst", burst(start + 1, limit + 3)))
    other = _address(r)
    busy["requests"] += [{"at": start + 2.0 + n / 10, "client": other, "headers": []} for n in range(3)]
    scenes["a neighbor"] = busy, due + [["neighbor", "pass"]] * 3
    # One place left and two at the same moment: the second comes before the first one's second, third, … use of the
    # storage takes effect.
    for wait in (1, 2, 3, 4, 5) if hidden else (1, 2):
        racing, due = scene(("burst", burst(start + 1, limit - 1)), instances=2)
        late = {**racing["requests"][-1], "at": start + 2.0}
        racing["requests"].append({**late, "wait": wait, "meanwhile": {**late, "instance": 1}})
        scenes[f"at the same moment ({wait})"] = racing, [*due, ["race", "pass"], ["race", "429"]]
    if hidden:
        steady = [round(start + n * seconds / (limit * 1.7) + r.random() / 10, 3) for n in range(3 * limit)]
        scenes["steadily too often"] = scene(("steady", steady))
        scenes["two instances, one after the other"] = scene(
            ("two instances in turn", twice), instances=2, instance_of=lambda n: n // limit
        )
    return _shuffled(r, scenes, {"limit": limit, "seconds": seconds, "start": start})


def _shuffled(r, scenes: dict[str, tuple[dict, list]], policy: dict) -> tuple[list[tuple], dict]:
    """Inputs and truth from scenes: name to what happens, and `[kind, what is due]` for each request."""
    names, inputs, cases = list(scenes), [], []
    r.shuffle(names)
    for name in names:
        content, due = scenes[name]
        texts = [_text(r, 12) for _ in due]
        inputs.append(({**policy, "texts": texts, **content},))
        items = [{"kind": kind, "due": what, "text": text} for (kind, what), text in zip(due, texts, strict=True)]
        cases.append({"name": name, "seconds": policy["seconds"], "items": items})
    return inputs, {"cases": cases}


def _limit_play(order, scene):
    storage = _Storage()
    conductor = Conductor(order, {"storage": storage.use})
    for instance in range(scene["instances"]):
        tools = ["inner", "clock", "storage"]
        conductor.make(
            "limited", [scene["limit"], scene["seconds"]], tools, instance=instance, now=scene["start"] - 9.0
        )
    return _in_turn(conductor, scene, storage)


def _in_turn(conductor, scene, storage=None):
    """The requests of a scene one after the other, and what was seen of each."""
    texts = iter(scene["texts"])

    def ask(planned):
        request = _post(b"", planned["headers"], client=planned["client"], at=planned["at"])
        return conductor.request(request | {"script": _answers_with(next(texts))}, instance=planned.get("instance", 0))

    results = []
    for planned in scene["requests"]:
        second = []
        if other := planned.get("meanwhile"):
            storage.wait = planned["wait"]
            storage.meanwhile = lambda other=other, second=second: second.append(ask(other))
        first = ask(planned)
        if other and not second:  # whoever uses the storage less often is not interrupted
            storage.meanwhile = None
            second.append(ask(other))
        results += [first, *second]
    return results


def _in_scenes(answers, truth, rules) -> Verdict:
    """Verdict over scenes of many requests, each of which is due "pass", "401" or "429"."""
    cases, clean = [], []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        items, first = case["items"], len(cases)
        seen, texts = transcripts(answer, len(items)), {item["text"] for item in items}
        came = [_outcome(one, texts, case["seconds"]) for one in seen]
        for at, (one, item) in enumerate(zip(seen, items, strict=True), 1):
            right, kind = came[at - 1] == item["due"], f"{item['kind']}: {item['due']}"
            wanted = {"pass": "let through", "401": "401", "429": "429 with Retry-After"}[item["due"]] + " is due"
            said = _came(answer, one)
            if item["kind"] == "race":  # one of the two, whichever
                both = sorted(way for way, i in zip(came, items, strict=True) if i["kind"] == "race")
                right, kind = both == ["429", "pass"], f"race: {' and '.join(both)}"
                wanted, said = "two at the same moment, and one place left: one of them has to pass", " and ".join(both)
            line = f"input {number} ({case['name']}), request {at}: {wanted}; you: {said}"
            cases.append(Case(kind, item["due"] != "pass" or item["kind"] == "race", right, line))
        clean.append(all(one.right for one in cases[first:]))
    verdict = balance(cases, rules)
    # Whoever attacks takes the one way that is open, so a scene in which something goes wrong counts as such.
    message = f"{verdict.message} All went right in {sum(clean)} of {len(clean)} scenes."
    known = verdict.misconception if any(one.right for one in cases if not one.bad) else ""  # refuses everybody
    return Verdict(verdict.score * sum(clean) / len(clean), message, known, verdict.detail)


def _outcome(seen: dict, texts: set[str], seconds: float) -> str:
    """What became of a request: "pass", "401", "429", or "" for anything else."""
    if any(got_through(seen, text) for text in texts):
        return "pass"
    if answered(seen, 401) and seen["inner"] == 0:
        return "401"
    return "429" if told_to_wait(seen, seconds) else ""


@graded
def _limit_judge(answers, truth):
    return _in_scenes(
        answers,
        truth,
        {
            "believes-headers": ["rotating headers: 429"],
            "own-memory": ["two instances: 429", "two instances in turn: 429"],
            "fixed-window": ["edge: 429"],
            "counts-refused": ["afterwards: pass"],
            "one-for-all": ["neighbor: pass"],
            "one-too-few": ["race: 429 and 429"],
            "race": ["race: pass and pass"],
        },
    )


def _lockout_generate(rng, hidden=False):
    r = draws(rng)
    failures, seconds = r.randint(4, 8), r.choice([30, 60, 90])
    start = 1_700_000_000.0 + r.randint(0, 10**6)
    keys = [_text(r, 24) for _ in range(3)]
    digests = [hashlib.sha256(key.encode()).hexdigest() for key in keys]
    names = {"right": lambda: r.choice(keys), "wrong": lambda: _text(r, 24), "none": lambda: None}

    def uses(*parts):
        """`(count, key, address, when, kind)`: the requests, and what each is due: "pass", "401" or "429"."""
        requests, due, times = [], [], {"office": [], "home": []}
        addresses = {name: _address(r) for name in times}  # new ones in each scene
        for count, key, client, when, kind in parts:
            for number in range(count):
                at = round(start + when + number / 100, 3)
                text = names[key]()
                headers = _forwarded(r) + ([[b"x-api-key", text.encode()]] if text is not None else [])
                requests.append({"at": at, "client": addresses[client], "headers": headers})
                verdict = "pass"
                if key != "right":
                    times[client].append(at)
                    verdict = "401" if _sliding(times[client], failures, seconds)[-1] else "429"
                due.append([kind, verdict])
        return {"requests": requests}, due

    many = failures + 5
    scenes = {
        "somebody guesses": uses((many, "wrong", "office", 0, "guesses")),
        "without a key": uses((many, "none", "office", 0, "no key")),
        "the office": uses(
            (many, "wrong", "office", 0, "guesses"),
            (3, "right", "office", 1, "neighbor with a key"),
            (2, "wrong", "office", 2, "guesses"),
            (1, "right", "office", 3, "neighbor with a key"),
        ),
        "elsewhere": uses((many, "wrong", "office", 0, "guesses"), (2, "wrong", "home", 1, "another address")),
        "later": uses(
            (many, "wrong", "office", 0, "guesses"),
            (many, "wrong", "office", seconds / 2, "guesses"),
            (failures + 1, "wrong", "office", seconds + 1, "later"),
        ),
        "busy and honest": uses(
            (3 * failures, "right", "office", 0, "honest"), (1, "wrong", "office", 1, "a first mistake")
        ),
    }
    if hidden:
        scenes["now and then"] = uses(
            *((1, "wrong", "office", n * seconds / (1.6 * failures), "now and then") for n in range(3 * failures))
        )
        scenes["in between"] = uses(
            *((1, "right" if n % 3 == 2 else "wrong", "office", n, "in between") for n in range(3 * failures))
        )
    return _shuffled(r, scenes, {"digests": digests, "failures": failures, "seconds": seconds, "start": start})


def _lockout_play(order, scene):
    conductor = Conductor(order)
    policy = [scene["digests"], scene["failures"], scene["seconds"]]
    conductor.make("doorkeeper", policy, ["inner", "clock"], now=scene["start"] - 9.0)
    return _in_turn(conductor, scene)


@graded
def _lockout_judge(answers, truth):
    return _in_scenes(
        answers,
        truth,
        {
            "lockout-first": ["neighbor with a key: pass"],
            "one-for-all": ["another address: 401"],
            "never": ["guesses: 429"],
            "for-ever": ["later: 401"],
            "no-key-is-free": ["no key: 429"],
            "counts-honest": ["a first mistake: 401", "honest: pass"],
        },
    )


# --- q6: the audit chain --------------------------------------------------------------------------------------------


def _chain(entries: list[dict], key: bytes, form: dict, previous: str = "") -> list[bytes]:
    """Lines of a log, each bound to the one before."""
    lines = []
    for entry in entries:
        head = json.dumps(entry, ensure_ascii=False)[:-1] + f', "{form["previous"]}": "{previous}"'
        mac = hmac.new(key, head.encode(), form["digest"]).hexdigest()
        lines.append(f'{head}, "{form["mac"]}": "{mac}"}}\n'.encode())
        previous = _link(lines[-1], form)
    return lines


def _link(line: bytes, form: dict) -> str:
    return hashlib.new(form["digest"], line).hexdigest()


def _chain_generate(rng, hidden=False):
    r = draws(rng)
    key = r.randbytes(32)
    previous, mac = r.choice([("chain", "code"), ("prev", "seal"), ("before", "tag"), ("link", "stamp")])
    form = {"digest": r.choice(_ALGORITHMS), "previous": previous, "mac": mac}

    minute = r.randint(0, 59)

    def entries(count):
        return [
            {
                "time": f"12:{minute:02}",  # no number, no second: only the links tell that a line is missing
                "key_id": _text(r, 6),
                "path": r.choice(["/predict", "/health", "/предсказать"]),
                "status": r.choice([200, 200, 401, 422, 429]),
                "note": r.choice(["", 'said "no"', f'", "{form["mac"]}": "', "a\nb"]),
            }
            for _ in range(count)
        ]

    def head_of(lines, number):
        return {"line": number, form["mac"]: lines[number].rsplit(b'"', 2)[1].decode()}

    def rehashed(lines, number, change):
        """What somebody without the key makes of a log: a changed line, and every link after it made to fit again."""
        made = [*lines[:number], change(lines[number])]
        for line in lines[number + 1 :]:
            start, end = line.split(f'"{previous}": "'.encode())
            link = _link(made[-1], form)
            made.append(start + f'"{previous}": "{link}'.encode() + end[len(link) :])
        return made

    def edited(line):
        start, name, rest = line.partition(b'"key_id": "')
        return start + name + r.choice([c for c in "abcdefgh" if c.encode() != rest[:1]]).encode() + rest[1:]

    def spaced(line):
        return line.replace(b'"time": ', b'"time":  ', 1)

    families = {
        "whole": lambda log, n: (log, None),
        "whole, longer than the anchor": lambda log, n: (log, None),
        "whole, one line": lambda log, n: (log[:1], None),
        "edited": lambda log, n: ([*log[:n], edited(log[n]), *log[n + 1 :]], n),
        "edited, links made to fit": lambda log, n: (rehashed(log, n, edited), n),
        "deleted": lambda log, n: ([*log[:n], *log[n + 1 :]], n),
        "swapped": lambda log, n: ([*log[:n], log[n + 1], log[n], *log[n + 2 :]], n),
        "doubled": lambda log, n: ([*log[:n], log[n - 1], *log[n:]], n),
        "end cut off": lambda log, n: (log[: n + 1], n + 1),
        "only spaces changed": lambda log, n: ([*log[:n], spaced(log[n]), *log[n + 1 :]], n),
        "beginning cut off": lambda log, n: (log[n:], 0),
    }
    held_back = {
        "rewritten with the key": lambda log, n: (
            log[:n] + _chain([e | {"status": 200} for e in entries(len(log) - n)], key, form, _link(log[n - 1], form)),
            None,
        ),
        "a line of another log": lambda log, n: ([*log[:n], _chain(entries(n + 1), key, form)[n], *log[n + 1 :]], n),
        "last line torn": lambda log, n: ([*log[:-1], log[-1][:-9]], len(log) - 1),
        "mac in large letters": lambda log, n: ([*log[:n], _upper(log[n]), *log[n + 1 :]], n),
    }
    whole = [name for name in families if name.startswith("whole")]
    chosen = [name for name in families if name not in whole] * 2 + whole * 4
    chosen += [*held_back, *held_back] if hidden else []
    r.shuffle(chosen)
    inputs, cases = [], []
    for kind in chosen:
        honest = _chain(entries(r.randint(9, 16)), key, form)
        place = r.randint(2, len(honest) - 4)
        lines, bad = (families | held_back)[kind](honest, place)
        anchored = len(honest) - 1
        if kind == "whole, longer than the anchor":
            anchored = place
        elif kind == "whole, one line":
            anchored = 0
        elif kind == "rewritten with the key":
            anchored = bad = r.randint(place, len(honest) - 1)
        inputs.append((lines, key, head_of(honest, anchored), form))
        cases.append({"kind": kind, "bad": bad})
    return inputs, {"cases": cases}


def _upper(line: bytes) -> bytes:
    start, mac, end = line.rsplit(b'"', 2)
    letters = mac.upper() if mac.upper() != mac else mac[::-1]
    return start + b'"' + letters + b'"' + end


@graded
def _chain_judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        bad = case["bad"]
        same = answer.value is None if bad is None else type(answer.value) is int and answer.value == bad
        wanted = "None" if bad is None else f"line {bad}"
        line = _due(number, case["kind"], wanted, shown(answer))
        cases.append(Case(case["kind"], bad is not None, same and not answer.error, line))
    verdict = balance(
        cases,
        {
            "no-key": ["edited, links made to fit"],
            "no-chain": ["deleted", "swapped", "doubled", "a line of another log"],
            "no-anchor": ["end cut off", "rewritten with the key"],
            "parsed": ["only spaces changed"],
            "no-beginning": ["beginning cut off"],
            "anchor-is-the-end": ["whole, longer than the anchor"],
            "crash": ["last line torn"],
        },
    )
    whole = [answer.value for answer, case in zip(answers, truth["cases"], strict=True) if case["bad"] is None]
    if sum(type(value) is int and value == 1 for value in whole) > len(whole) / 2:
        return dataclasses.replace(verdict, misconception="no-line-break")
    return verdict


# --- q7: nothing that should not be heard ---------------------------------------------------------------------------

_OF_THE_BODY = ("content-type", "content-length")
_KEPT = ("retry-after", "www-authenticate", "allow", "vary", "etag", "x-content-type-options", "cache-control")


def _quiet_generate(rng, hidden=False):
    r = draws(rng)
    kept = r.sample(_KEPT, 4)
    words = ["password", "token", "dsn", "bucket"]

    def secret() -> str:
        return _text(r, 20)

    def answer(status=200, text=None, extra=()):
        text = json.dumps({"predicted_salary_usd": r.randint(20_000, 90_000)}) if text is None else text
        pairs = [(b"content-type", b"application/json"), (b"content-length", str(len(text.encode())).encode()), *extra]
        return _answers_with(text, status, pairs), text

    made = []

    def add(kind, bad, script, text, status, secrets=(), headers=(), **more):
        own = secret()
        request = _post(b"{}", [[b"x-api-key", own.encode()], *headers], **more) | {"script": script}
        stays = [pair for pair in _headers_of(script) if pair[0] in kept]
        made.append([kind, bad, request, {"status": status, "text": text, "stays": stays, "secrets": [own, *secrets]}])

    def useful():
        return [(name.encode(), str(r.randint(1, 60)).encode()) for name in r.sample(kept, 2)]

    for _ in range(2):
        script, text = answer()
        add("answered", False, script, text, 200)
        script, text = answer(201, extra=useful())
        add("answered otherwise", False, script, text, 201, path=f"/{_text(r, 5)}/{r.randint(1, 99)}")
        script, _ = answer(429, "{}", extra=useful())
        add("429 that says when", False, script, None, 429)
        add("it fails", True, [["raise", f"{r.choice(words)}={(s := secret())}"]], None, 500, [s])
        script, _ = answer(422, json.dumps({"detail": [{"input": (s := secret()), "msg": "not a number"}]}))
        add("422 that echoes", True, script, None, 422, [s])
        script, _ = answer(500, f"Traceback (most recent call last):\n  {r.choice(words)} = '{(s := secret())}'")
        add("500 with a traceback", True, script, None, 500, [s])
        script, text = answer(extra=[(b"server", (s := secret()).encode()), (b"x-debug", (u := secret()).encode())])
        add("headers that tell", True, script, text, 200, [s, u])
        script, text = answer()
        add("a key in the query", True, script, text, 200, [s := secret()], query=f"api_key={s}&x=1".encode())
        script, text = answer()
        add(
            "a line break in the path", True, script, text, 200, path=f"/a\n{{'status': 200, 'path': '/{_text(r, 4)}'}}"
        )
    if hidden:
        for _ in range(2):
            script, text = answer()
            ident = [[b"x-request-id", f"{(s := secret())}\nforged".encode()]]
            add("a request id of the client's", True, script, text, 200, [s], headers=ident)
            script, text = answer()
            add("secrets in other headers", True, script, text, 200, [s := secret()], headers=[[b"cookie", s.encode()]])
            begun = answer(200, text[:10])[0]
            begun[0][1]["headers"] = begun[0][1]["headers"][:1]
            begun[1][1]["more_body"] = True
            add("it fails in the middle", True, [*begun, ["raise", (s := secret())]], None, 200, [s])
            add("it says nothing", True, [], None, 500)
            script, text = answer(204, "")
            add("nothing to say", False, script, "", 204)
    r.shuffle(made)
    inputs = [({"kept": kept, "request": request},) for _, _, request, _ in made]
    cases = [{"kind": kind, "bad": bad, "path": request["path"], **due} for kind, bad, request, due in made]
    return inputs, {"cases": cases}


def _headers_of(script: list) -> list[list[str]]:
    """What the app behind sends along, as text."""
    starts = [content["headers"] for act, content in script if act == "send" and "headers" in content]
    return [[name.decode(), value.decode()] for pairs in starts for name, value in pairs]


def _quiet_play(order, scene):
    lines = []

    def log(method, text):
        if len(lines) < 20:
            lines.append(text[:10_000] if isinstance(text, str) else "")

    conductor = Conductor(order, {"log": log})
    conductor.make("quiet", [scene["kept"]], ["inner", "log"])
    before = header_values(conductor.request(scene["request"]), "x-request-id")
    lines.clear()
    return conductor.request(scene["request"]) | {"log": lines, "before": before}


def _tells(text: str, secrets: list[str]) -> bool:
    """Whether a part of a secret, eight characters or more, can be read in the text."""
    return any(secret[at : at + 8] in text for secret in secrets for at in range(len(secret) - 7))


def _log_problem(lines: list, seen: dict, path: str, ident: str) -> str:
    """What is wrong with what was logged for one request, or ""."""
    if len(lines) != 1:
        return f"{len(lines)} entries in the log"
    if not lines[0]:
        return "`log` takes one line of text"
    if "\n" in lines[0].strip("\n") or "\r" in lines[0]:
        return "the log entry has more than one line"
    entry = _parsed(lines[0].encode("utf-8", "replace"))
    wanted = {"request_id": ident, "method": "POST", "path": path, "status": seen["status"]}
    if not isinstance(entry, dict):
        return "the log entry is no JSON object"
    wrong = [name for name, value in wanted.items() if entry.get(name) != value]
    if wrong:
        return f"`{wrong[0]}` in the log entry is not that of this request and its answer"
    return ""


def _quiet_problem(answer, seen: dict, case: dict) -> str:
    """What is wrong with one exchange, or ""."""
    lines = seen.get("log")
    if answer.error or not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        return _came(answer, seen)
    if seen["error"]:
        return f"`{seen['error']}` came out, and with it what the server will write to its log"
    heard = "\n".join(
        [f"{name}: {value}" for name, value in seen["headers"]] + [seen["body"].decode("utf-8", "replace")]
    )
    if _tells(heard, case["secrets"]):
        return "the answer tells a secret"
    if _tells("\n".join(lines), case["secrets"]):
        return "the log tells a secret"
    # Who keeps an answer back until it is whole can still make a 500 of it.
    status = 500 if case["kind"] == "it fails in the middle" and seen["status"] == 500 else case["status"]
    if seen["status"] != status:
        return _came(answer, seen)
    ident = header_values(seen, "x-request-id")
    if ident == seen.get("before"):
        return "two requests have the same id"
    if len(ident) != 1 or not ident[0]:
        return "the answer has no X-Request-Id of its own, or several"
    came = [[name, value] for name, value in seen["headers"] if name not in (*_OF_THE_BODY, "x-request-id")]
    if lost := [name for name, value in case["stays"] if [name, value] not in came]:
        return f"a header that is to be kept is gone: {lost[0]}"
    if others := [name for name, value in came if [name, value] not in case["stays"]]:
        return f"a header is passed on: {others[0][:40]}"
    if case["text"] is not None and (seen["body"] != case["text"].encode() or not seen["complete"]):
        return "what the app behind answered does not come out as it was"
    if status >= 400:
        content = _parsed(seen["body"])
        plain = (
            isinstance(content, dict)
            and content.keys() == {"error", "request_id"}
            and isinstance(content["error"], str)
        )
        if not plain or content["request_id"] != ident[0] or not seen["complete"]:
            return "an error's body should be JSON with `error` and `request_id`, nothing else"
    return _log_problem(lines, seen, case["path"], ident[0])


@graded
def _quiet_judge(answers, truth):
    cases, problems = [], []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        problem = _quiet_problem(answer, transcript(answer.value), case)
        problems.append(problem)
        line = _due(
            number, f"{case['kind']} ({case['path'][:30]!r})", f"status {case['status']} and no word too many", problem
        )
        cases.append(Case(case["kind"], case["bad"], not problem, line))
    verdict = balance(
        cases,
        {
            "exception-text": ["it fails"],
            "errors-pass": ["422 that echoes", "500 with a traceback"],
            "headers-pass": ["headers that tell"],
            "logs-the-query": ["a key in the query"],
            "forged-line": ["a line break in the path"],
            "client-id": ["a request id of the client's"],
            "begun": ["it fails in the middle"],
            "no-answer": ["it says nothing"],
            "kept": ["429 that says when", "answered otherwise"],
        },
    )
    if problems and all(problem == "the log tells a secret" for problem in problems):
        return dataclasses.replace(verdict, misconception="logs-headers")
    return verdict


# --- q8: steal it, then choose a budget -----------------------------------------------------------------------------

STEAL_QUERIES = 200
_FIDELITY = (0.5, 0.9)  # worth nothing, and worth everything


def _steal_generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for kind in ["few countries", "many countries", *(["an odd one"] if hidden else [])]:
        flags = r.sample(
            ["uses_python", "uses_sql", "uses_js", "uses_rust", "uses_go", "remote", "manages"], r.randint(3, 5)
        )
        countries = r.sample(_COUNTRIES, 7 if kind == "few countries" else 18)
        odd = kind == "an odd one"
        model = {
            "base": r.uniform(10.4, 11.2),
            "countries": {name: r.gauss(0, 0.45) for name in countries},
            "flags": {name: r.gauss(0, 0.12) for name in flags},
            "rise": r.uniform(1.3, 1.9),
            "pace": r.uniform(3, 5),
            # A step at an age of contracts: not smooth, but still a function of the years alone.
            "step": [r.randint(12, 25), r.uniform(0.2, 0.4)] if odd else [99, 0.0],
        }
        known = {"countries": sorted(countries), "flags": sorted(flags), "years_exp": [0, 40]}

        def person(countries=countries, flags=flags):
            return {
                "years_exp": r.randint(0, 40),
                "country": r.choice(countries),
                **{name: r.random() < 0.5 for name in flags},
            }

        people = [person() for _ in range(250)]
        inputs.append(({"model": model, "known": known, "people": people},))
        cases.append({"kind": kind, "salaries": [_salary(model, one) for one in people]})
    for kind in ["alone", "in company", "in company, again", *(["a crowd"] if hidden else [])]:
        counts = [10, 20, 50, 100, 200, 500, 1000]
        rises = sorted(r.uniform(0.05, 0.97) for _ in counts)
        curve = [[count, round(value, 3)] for count, value in zip(counts, rises, strict=True)]
        owners = {"alone": 1, "a crowd": r.randint(7, 10)}.get(kind, r.randint(2, 5))
        # Off the grid: where a count falls right on `most`, rounding decides, and each formula rounds in its own way.
        most = round(r.uniform(rises[2] + 0.01, rises[5]), 3) + 0.00004321
        usage = [max(1, round(r.lognormvariate(2.5, 1.2))) for _ in range(r.randint(60, 120))]
        budget = _largest_budget(curve, owners, most)
        scene = {"curve": curve, "usage": usage, "owners": owners, "most": most}
        inputs.append((scene,))
        share = sum(use > budget for use in usage) / len(usage)
        cases.append(
            {
                "kind": kind,
                "budget": budget,
                "turned_away": share,
                "alone": _largest_budget(curve, 1, most),
            }
        )
    return inputs, {"cases": cases}


def _salary(model: dict, person: dict) -> float:
    """The model that is for sale by the answer: USD per year."""
    years = person["years_exp"]
    log = model["base"] + model["countries"][person["country"]] + model["rise"] * (1 - math.exp(-years / model["pace"]))
    log += sum(effect for name, effect in model["flags"].items() if person[name])
    log += model["step"][1] * (years >= model["step"][0])
    return math.exp(log)


def _between(curve: list, count: float) -> float:
    """The fidelity after so many answers, on straight lines between the points measured."""
    if count <= curve[0][0]:
        return curve[0][1]
    for (a, low), (b, high) in itertools.pairwise(curve):
        if count <= b:
            return low + (high - low) * (count - a) / (b - a)
    return curve[-1][1]


def _largest_budget(curve: list, owners: int, most: float) -> int:
    """The most answers for each of so many owners with which their copy is no better than `most`."""
    return max(b for b in range(1, curve[-1][0] // owners + 1) if _between(curve, owners * b) <= most)


def _steal_play(order, scene):
    if "curve" in scene:
        try:
            return Conductor(order).call("choose_budget", *map(scene.get, ("curve", "usage", "owners", "most")))
        except StoppedError as stopped:
            if stopped.answer.error in ("_missing", "NotImplementedError"):
                return None  # the thief is worth something by itself
            raise
    left, open_for_business = STEAL_QUERIES, True

    def ask(method, person):
        nonlocal left
        if not open_for_business or left == 0:
            raise RefusedError("your budget is used up")
        left -= 1
        return round(_salary(scene["model"], person))

    conductor = Conductor(order, {"ask": ask})
    conductor.make("steal", [scene["known"]], ["ask"])
    open_for_business = False  # the copy has to stand on its own
    return {"copied": conductor.use(scene["people"]), "asked": STEAL_QUERIES - left}


@graded
def _steal_judge(answers, truth):
    worth, budgets, lines, why = [], [], [], ""
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        if "salaries" in case:
            content = answer.value if isinstance(answer.value, dict) else {}
            fidelity = _fidelity(content.get("copied"), case["salaries"])
            worth.append(min(1.0, max(0.0, (fidelity - _FIDELITY[0]) / (_FIDELITY[1] - _FIDELITY[0]))))
            came = shown(answer) if answer.error else f"{fidelity:.2f} after {content.get('asked')} answers"
            if worth[-1] < 1:
                lines.append(f"input {number}: {case['kind']}: fidelity {_FIDELITY[1]} is due; you: {came}")
                why = why or ("log-salaries" if _is_log(content.get("copied"), case["salaries"]) else "")
        else:
            right, said = _budget_right(answer, case)
            budgets.append(right)
            if not right:
                wanted = f"budget {case['budget']}, turned away {case['turned_away']:.3f}"
                lines.append(f"input {number}: {case['kind']}: {wanted} is due; you: {shown(answer)}")
                why = why or _budget_misconception(said, case)
    if not any(budgets) and {a.error for a in answers if a.error or a.value is not None} == {"NotImplementedError"}:
        return Verdict(0.0, "Still to do.")
    stolen, chosen = sum(worth) / len(worth), sum(budgets) / len(budgets)
    message = (
        f"The copies are worth {100 * stolen:.0f} % of a full one; {sum(budgets)} of {len(budgets)} budgets are right."
    )
    return Verdict(0.6 * stolen + 0.4 * chosen, message, why, "\n".join(lines[:3]))


def _numbers(value, count: int) -> list[float] | None:
    """A list, or an array, of so many finite numbers; None when it is anything else."""
    if hasattr(value, "tolist"):  # the shape first: (250, 10**6, 0) has no numbers and makes gigabytes of lists
        value = value.tolist() if value.shape == (count,) else None
    if not isinstance(value, list) or len(value) != count:
        return None
    usable = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e12 for v in value)
    return [float(v) for v in value] if usable else None


def _fidelity(copied, salaries: list[float]) -> float:
    """R2 between the copy's and the model's log salaries: the share of the model's variation that it reproduces."""
    numbers = _numbers(copied, len(salaries))
    if numbers is None or min(numbers) <= 0:
        return 0.0
    true = [math.log(salary) for salary in salaries]
    mean = sum(true) / len(true)
    missed = sum((math.log(number) - value) ** 2 for number, value in zip(numbers, true, strict=True))
    return 1 - missed / sum((value - mean) ** 2 for value in true)


def _is_log(copied, salaries: list[float]) -> bool:
    numbers = _numbers(copied, len(salaries))
    return numbers is not None and 0 < max(numbers) < 30 and _fidelity([math.exp(n) for n in numbers], salaries) > 0.5


def _budget_right(answer, case: dict) -> tuple[bool, object]:
    content = answer.value if isinstance(answer.value, dict) and not answer.error else {}
    said, share = content.get("budget"), content.get("turned_away")
    close = isinstance(share, int | float) and not isinstance(share, bool) and abs(share - case["turned_away"]) < 1e-6
    return type(said) is int and said == case["budget"] and close, said


def _budget_misconception(said, case: dict) -> str:
    if type(said) is not int:
        return ""
    if said == case["budget"]:
        return "share"
    if said == case["alone"]:
        return "forgets-company"
    return "rounded-up" if said == case["budget"] + 1 else ""


# --- the eight ------------------------------------------------------------------------------------------------------

QUESTIONS = (
    Question(
        id="h3-q1",
        title="Every status, every header",
        entry="make_service",
        signature="make_service(headers: dict[str, str], predict) -> ASGI app",
        points=13,
        minutes=12,
        difficulty=2,
        controls=("serving-generic-errors", "serving-headers", "ML01:2023"),
        reread='H3, "What is answered: errors, headers, origins"',
        hints=(
            "Let one function send every answer, whatever its status, and let it add the headers. Then read the whole "
            "body: parts come until `more_body` is missing or false.",
            "`json.loads(body.decode(), parse_constant=...)` may raise ValueError and RecursionError. What it let "
            "through and should not: `1e400` became infinity, and half a character cannot be encoded again. "
            "`json.dumps(query, allow_nan=False, ensure_ascii=False).encode()` finds both.",
        ),
        generate=_service_generate,
        judge=_service_judge,
        play=_service_play,
        misconceptions={
            "headers-on-success": "The headers are on 200 only. A refusal and a crash reach the same browser; send "
            "every answer through one place.",
            "constants": "Python's parser knows `NaN` and `Infinity`, which JSON does not. Give it a `parse_constant` "
            "that raises.",
            "overflow": "`1e400` is a number by JSON's grammar and infinity as a float. Look at what came out of the "
            "parser, too, wherever it is in the query.",
            "half": "`\\ud83d` alone is half of a character. It parses, and whoever writes it out again crashes: your "
            "log, or the error handler.",
            "guessed-encoding": "`json.loads(bytes)` guesses at UTF-16 and UTF-32. Decode as UTF-8 yourself: one "
            "encoding, one meaning.",
            "not-an-object": "A list, a text and `null` are JSON, too, and no query.",
            "too-deep": "Sixty thousand brackets make the parser run out of stack: a RecursionError, which is no "
            "ValueError.",
            "model-fails": "When the model fails, the client gets status 500 and not a word of why.",
            "every-address": "Other paths and other methods are there to be refused: 404 and 405.",
            "first-part": "A body comes in as many parts as the network likes, some of them empty. Read on while "
            "`more_body` is true.",
        },
    ),
    Question(
        id="h3-q2",
        title="Exactly what the model knows",
        entry="read_query",
        signature="read_query(body: bytes, fields: dict[str, dict]) -> dict, or None for what is refused",
        points=12,
        minutes=12,
        difficulty=2,
        controls=("serving-bounded-fields", "ML01:2023", "AML.T0040"),
        reread='H3, "What is asked: strict fields"',
        hints=(
            "Two steps: bytes to a dict (UTF-8, `object_pairs_hook` to see doubled names, `parse_constant` against "
            "NaN), then field by field. The names have to be the same set.",
            "`isinstance(True, int)` is true, so look at `type(value)`. For a choice, make a dict from the NFKC form "
            "of each allowed name to the name itself, and look the NFKC form of the value up in it.",
        ),
        generate=_query_generate,
        judge=_query_judge,
        misconceptions={
            "crashes": "What cannot be parsed is refused like everything else: return None, do not raise.",
            "coerced": 'You convert: `float("5")` and `bool("yes")` turn text into what you hoped for. A text is no '
            "number.",
            "bool-is-int": "In Python `True` is an int. Compare `type(value)`, not `isinstance`.",
            "truthy": "1 is not true. A field that is a boolean takes `true` and `false`.",
            "not-finite": "NaN is not below the bound and not above it: every comparison with it is false. Refuse "
            "what is not finite first.",
            "last-one-wins": "A name stood there twice, and the parser kept the last. A check in front of you may "
            "have looked at the first. (An escape in a name makes it look different and be the same.)",
            "extras": "A field that nobody asked for is refused: today it is ignored, tomorrow somebody reads it.",
            "edges": "The bounds belong to the allowed values: the model has seen them.",
            "not-normalized": "The same country, written with other characters: compare the NFKC forms, and return "
            "the name as it stands in the list.",
            "any-case": "NFKC does not change capitals, and the policy does not forgive them.",
            "guessed-encoding": "UTF-8 without a mark in front, nothing else. `json.loads(bytes)` guesses at others.",
            "fraction": "Two and a half is no whole number; do not round for the client.",
        },
    ),
    Question(
        id="h3-q3",
        title="The key before the body",
        entry="guarded",
        signature="guarded(keys: dict, most: int, inner: ASGI app) -> ASGI app",
        points=13,
        minutes=12,
        difficulty=2,
        controls=("serving-api-key", "AML.T0040", "ML05:2023"),
        reread='H3, "Who is asking: keys"',
        hints=(
            'Everything about the key stands in `scope["headers"]`: decide before you await `receive` even once. '
            "Collect the keys in a list, since there may be none or two.",
            "Then the size: an announced one first, and while you read, the sum so far. What you have read is gone "
            "from `receive`, so hand `inner` a `receive` of your own that gives the whole body.",
        ),
        generate=_guard_generate,
        judge=_guard_judge,
        play=_guard_play,
        misconceptions={
            "body-first": "You ask for the body before you know who is asking. A stranger can make you read for as "
            "long as they like.",
            "no-challenge": "A 401 has to say how to identify oneself: send `WWW-Authenticate`.",
            "no-key-at-all": "A request without any key gets in, or breaks the app.",
            "id-only": "The id says who somebody claims to be; the secret proves it. Hash the whole key and compare "
            "(`hmac.compare_digest`).",
            "believes-length": "Content-Length is what the client says. Count what comes, and stop at the first part "
            "that is too much.",
            "no-key-is-right": "Every valid key got 401. Names and values of headers are bytes, names in small "
            "letters; the digest is of the *whole* key; and the algorithm stands in `keys`.",
            "ignores-length": "Content-Length already said that it is too much, and you asked for the body all the "
            "same.",
            "counts-afterwards": "You read all of it and then find it too large: by then the memory is full. A body "
            "without an end never lets you get there.",
            "off-by-one": "A body of exactly the allowed size is allowed.",
            "swallowed-body": "The app behind waits for a body that you have already taken out of `receive`. Pass it "
            "on with a `receive` of your own.",
            "first-or-last": "Two key headers: you look at one, and whatever stands in front or behind may look at "
            "the other. Refuse.",
        },
    ),
    Question(
        id="h3-q4",
        title="A limit that holds",
        entry="limited",
        signature="limited(limit: int, seconds: float, inner: ASGI app, clock, storage) -> ASGI app",
        points=13,
        minutes=12,
        difficulty=2,
        controls=("serving-rate-limit", "monitoring-volume", "ML05:2023"),
        reread='H3, "How often: limits"',
        hints=(
            'Who is asking is `scope["client"][0]`; what stands in headers is what somebody wrote. All instances have '
            "the storage in common and nothing else.",
            "`await storage.add(who, now, seconds)` does in one step what `get` and `set` do in two: nobody can come "
            "in between. If you refuse, take your own use out again with `remove`.",
        ),
        generate=_limit_generate,
        judge=_limit_judge,
        play=_limit_play,
        misconceptions={
            "believes-headers": "Anybody can write X-Forwarded-For. Behind no proxy of ours, the address is that of "
            "the connection.",
            "own-memory": "Each instance counts for itself, so two of them let twice as many pass. Count in the "
            "storage.",
            "fixed-window": "A counter that starts anew at each full minute lets twice the limit pass around the turn "
            "of the minute. The window has to slide.",
            "counts-refused": "What was refused uses the limit up, too: whoever keeps knocking never gets in again, "
            "though nothing of theirs was served.",
            "one-for-all": "One busy client locks out everybody else. Count by address.",
            "one-too-few": "One request too few passes: `add` has counted this one, too, before you compare.",
            "race": "Between your `get` and your `set` the other instance did the same, and both saw one place left. "
            "It takes one step that cannot be interrupted.",
        },
    ),
    Question(
        id="h3-q5",
        title="Who is locked out",
        entry="doorkeeper",
        signature="doorkeeper(digests: list[str], failures: int, seconds: float, inner: ASGI app, clock) -> ASGI app",
        points=12,
        minutes=8,
        difficulty=1,
        controls=("serving-api-key", "serving-rate-limit", "AML.T0040"),
        reread='H3, "How often: limits"',
        hints=(
            "Look at the key first. Somebody with a right one never meets the counter.",
            'Keep a list of times per address (`scope["client"][0]`), forget those that are `seconds` old, and add one '
            "only when you answer 401. With `failures` in the list it is 429.",
        ),
        generate=_lockout_generate,
        judge=_lockout_judge,
        play=_lockout_play,
        misconceptions={
            "lockout-first": "You look at the lockout before the key, so one person who guesses locks out everybody "
            "behind the same address, with valid keys.",
            "one-for-all": "The counter is one for the whole world: somebody who guesses locks out everybody else who "
            "makes a mistake. Count per address.",
            "never": "Wrong keys are never limited. Whoever may guess as often as they like will.",
            "for-ever": "The lock does not open again. Forget failures that are older than the window, and do not "
            "count what you answered with 429: a lock that guesses prolong never opens.",
            "no-key-is-free": "A request without a key is a failure, too.",
            "counts-honest": "Requests with a right key are counted as failures.",
        },
    ),
    Question(
        id="h3-q6",
        title="The audit chain",
        entry="first_problem",
        signature="first_problem(lines: list[bytes], key: bytes, anchor: dict, form: dict) -> int, or None",
        points=12,
        minutes=12,
        difficulty=2,
        controls=("monitoring-audit-trail", "MEASURE", "AML.T0024"),
        reread='H3, "Six attacks on the audit log"',
        hints=(
            "Compare bytes. Work from the end of the line with `rpartition`: what stands before the mac's name is "
            "what the mac was made of. Whatever does not have that form is altered.",
            "Three questions about each line: is its mac right? does it name the digest of the line before (whole, "
            "with its line break)? is it the anchored one, and does it have the anchored mac? Afterwards: was the "
            "anchored line there at all?",
        ),
        generate=_chain_generate,
        judge=_chain_judge,
        misconceptions={
            "no-key": "A chain of plain digests can be made to fit again by anybody. The mac takes the key: check it.",
            "no-chain": "Each line is genuine, and they are not all there, or not in order. Check the link to the "
            "line before.",
            "no-anchor": "A chain that was cut is still a chain, and so is one that was written anew with the key. "
            "Compare with the anchor; where lines are missing at the end, the first of them is `len(lines)`.",
            "no-line-break": "Whole logs fail at their second line: the digest of the line before is over the whole "
            "line, with its line break.",
            "parsed": "You compare what the line says after parsing. Two writings of the same content are two lines: "
            "compare the bytes.",
            "no-beginning": "The first line has nothing before it, and has to say so. Else the beginning can be cut "
            "off.",
            "anchor-is-the-end": "The anchor is the newest line that was noted. A log goes on after it.",
            "crash": "A torn line is a problem to report, not a reason to crash.",
        },
    ),
    Question(
        id="h3-q7",
        title="Nothing leaks",
        entry="quiet",
        signature="quiet(kept: list[str], inner: ASGI app, log) -> ASGI app",
        points=12,
        minutes=12,
        difficulty=3,
        controls=("serving-generic-errors", "credentials-source", "monitoring-audit-trail"),
        reread='H3, "What is answered: errors, headers, origins"',
        hints=(
            "Give `inner` a `send` of your own. When the answer begins, decide: below 400 pass it on with the allowed "
            "headers, from 400 on keep what comes to yourself and send your own body.",
            "Put `try: await inner(...)` `except Exception:` around it, and keep in a variable whether the answer has "
            "begun. Make the log line with `json.dumps` from exactly four values; nothing else gets near it.",
        ),
        generate=_quiet_generate,
        judge=_quiet_judge,
        play=_quiet_play,
        misconceptions={
            "exception-text": "A failure has to become a plain 500. Its text belongs neither into the answer nor into "
            "the log, and what comes out as an exception the server writes down, text and all.",
            "errors-pass": "The app behind explains its errors to strangers, and you pass that on. From 400 on the "
            "body is yours.",
            "headers-pass": "Headers such as `Server` and `X-Debug` tell what runs here. Pass on what is needed, not "
            "all but what you know to be bad.",
            "logs-the-query": "The query string holds what clients should not have put there, keys among it. Log the "
            "path alone.",
            "logs-headers": "Each request's key lands in your log. Log four values and nothing of the headers.",
            "forged-line": "A path can hold a line break, and your log then has a line that nobody wrote. One JSON "
            "value per line.",
            "begun": "An answer that has begun cannot become a 500 any more. Let it end, and let no exception out.",
            "no-answer": "The app behind returned without an answer. To the client that is a failure: a 500.",
            "kept": "Some headers are useful, and `kept` names them: they go on, on errors too.",
            "client-id": "The client's own X-Request-Id is text of the client's. Make one of your own.",
        },
    ),
    Question(
        id="h3-q8",
        title="Steal it, then choose a budget",
        entry="steal",
        signature="steal(known: dict, ask) -> copy, with copy(people: list[dict]) -> list[float]; and "
        "choose_budget(curve, usage, owners, most) -> dict",
        points=13,
        minutes=10,
        difficulty=3,
        controls=("ML05:2023", "AML.T0024", "serving-rate-limit"),
        reread='H3, "Stealing on a budget"',
        hints=(
            "Invent people so that each country comes equally often, ask for all of them, and fit a linear model of "
            "the *logarithm* of the answer: a column per country and per flag, several for the years.",
            "The years need bends: columns such as `max(0, years - 5)`, `max(0, years - 15)`. Ridge regression on "
            "centered columns is three lines of numpy. For the budget: all owners together have `owners` times as "
            "many answers; try budgets from 1 upward.",
        ),
        generate=_steal_generate,
        judge=_steal_judge,
        play=_steal_play,
        misconceptions={
            "log-salaries": "Your copy returns logarithms. Fit the logarithm, and take the exponential of what comes "
            "out.",
            "forgets-company": "Several owners who share their answers have a budget each. What counts is the sum.",
            "rounded-up": "One answer more, and the copy is better than allowed. Return the last budget that holds.",
            "share": "The budget is right; the share of customers whom it turns away is not. They are those who use "
            "more than the budget.",
        },
    ),
)

"""Every status, every header: no answer is a crash."""

from __future__ import annotations

import dataclasses
import json

from classroom.exchange.conductor import (
    Conductor,
    RefusedError,
    answered,
    header_values,
    transcript,
)
from classroom.questions import Question, Verdict
from classroom.questions.h3.common import (
    COUNTRIES,
    body_parts,
    came_back,
    drawn_text,
    due_line,
    parsed_json,
    post,
    same,
)
from classroom.questions.scoring import Case, balance, draws, graded, told

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
    headers = dict(r.sample(_HEADERS, 3)) | {f"X-{drawn_text(r, 6).capitalize()}": drawn_text(r, 8)}
    query = {"years_exp": r.randint(1, 40), "uses_sql": r.random() < 0.5, "country": r.choice(COUNTRIES)}
    place = r.choice(["Zürich", "Malmö", "São Paulo", "Łódź", "東京"])
    years = str(query["years_exp"])
    text, failure = json.dumps(query), f"disk {drawn_text(r)} is gone"

    def raw(value: str, name="years_exp") -> bytes:
        return text.replace(f'"{name}": {json.dumps(query[name])}', f'"{name}": {value}').encode()

    good = {
        "honest": post(text.encode()),
        "honest, in parts": post(body_parts(r, text.encode(), 4)),
        "honest, spread out": post(json.dumps(query, indent=2).encode()),
        "honest, half a year": post(raw(f"{years}.5")),
    }
    named = {**query, "city": place}
    good |= {"not only ASCII": post(json.dumps(named, ensure_ascii=False).encode())}
    bad = {
        "NaN": (400, post(raw("NaN"))),
        "minus infinity": (400, post(raw("-Infinity"))),
        "1e400": (400, post(raw(f"{years}e400"))),
        "half a character": (400, post(raw('"\\ud83d"', "country"))),
        "UTF-16": (400, post(text.encode("utf-16"))),
        "broken UTF-8": (400, post(text.encode().replace(b'"uses_sql"', b'"uses_\xff"'))),
        "no JSON": (400, post(f"years_exp={years}".encode())),
        "cut short": (400, post(text.encode()[: -r.randint(2, 9)])),
        "nothing": (400, post(b"")),
        "a list": (400, post(f"[{text}]".encode())),
        "null": (400, post(b"null")),
        "deep": (400, post(b'{"years_exp": ' + b"[" * 60_000)),
        "five thousand digits": (400, post(raw("7" * 5000))),
        "another path": (404, post(text.encode(), path=f"/{drawn_text(r, 6)}")),
        "another method": (405, post(b"", method=r.choice(["GET", "PUT", "DELETE"]))),
        "the model fails": (500, post(text.encode())),
    }
    if hidden:
        good |= {
            "empty parts between": post([b"", *body_parts(r, text.encode(), 2), b""]),
            "a character in two parts": post(_split_character(json.dumps(named, ensure_ascii=False).encode())),
            "an escaped pair": post(json.dumps({**query, "city": "🏙"}).encode()),
        }
        bad |= {
            "half a key": (400, post(text.replace('"uses_sql"', '"uses_\\udc00"').encode())),
            "1e400 inside": (400, post(raw(f'[{{"x": -{years}e999}}]'))),
            "NaN elsewhere": (400, post(text[:-1].encode() + f', "{drawn_text(r, 5)}": [1, NaN]}}'.encode())),
            "half a character elsewhere": (
                400,
                post(text[:-1].encode() + f', "{drawn_text(r, 5)}": ["\\ud801x"]}}'.encode()),
            ),
            "UTF-32": (400, post(text.encode("utf-32"))),
            "a text": (400, post(json.dumps(text).encode())),
            "a path with more": (404, post(text.encode(), path="/predict/")),
            "a method in small letters": (405, post(text.encode(), method="post")),
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
        return scene["salary"] if same(query, scene["query"]) else scene["salary"] + 1  # no oracle

    conductor = Conductor(order, {"predict": predict})
    conductor.make("make_service", [scene["headers"]], ["predict"])
    return conductor.request(scene["request"])


@graded
def _service_judge(answers, truth):
    cases, crowned, statuses = [], [], []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        seen, status = transcript(answer.value), case["status"]
        right = answered(seen, status)
        if status == 200:
            right = right and same(parsed_json(seen["body"]), {"predicted_salary_usd": case["salary"]})
        told_why = case["secret"].encode() in seen["body"]
        right = right and not told_why
        crowned.append(all(header_values(seen, name) == [value] for name, value in truth["headers"].items()))
        statuses.append(seen["status"])
        wanted = f"status {status}" + ("" if status != 200 else " and the prediction")
        came = came_back(answer, seen) + (
            "" if crowned[-1] or seen["status"] is None else ", headers missing or doubled"
        )
        came += ", and the reason stands in the answer" if told_why else ""
        if not crowned[-1]:
            wanted += " with every header once"
        line = due_line(number, case["kind"], wanted, came)
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


QUESTION = Question(
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
)

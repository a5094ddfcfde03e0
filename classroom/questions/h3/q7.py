"""Nothing that should not be heard."""

from __future__ import annotations

import dataclasses
import json

from classroom.exchange.conductor import (
    Conductor,
    header_values,
    transcript,
)
from classroom.questions import Question
from classroom.questions.h3.common import (
    answers_with,
    came_back,
    drawn_text,
    due_line,
    parsed_json,
    post,
)
from classroom.questions.scoring import Case, balance, draws, graded

_OF_THE_BODY = ("content-type", "content-length")

_KEPT = ("retry-after", "www-authenticate", "allow", "vary", "etag", "x-content-type-options", "cache-control")


def _quiet_generate(rng, hidden=False):
    r = draws(rng)
    kept = r.sample(_KEPT, 4)
    words = ["password", "token", "dsn", "bucket"]

    def secret() -> str:
        return drawn_text(r, 20)

    def answer(status=200, text=None, extra=()):
        text = json.dumps({"predicted_salary_usd": r.randint(20_000, 90_000)}) if text is None else text
        pairs = [(b"content-type", b"application/json"), (b"content-length", str(len(text.encode())).encode()), *extra]
        return answers_with(text, status, pairs), text

    made = []

    def add(kind, bad, script, text, status, secrets=(), headers=(), **more):
        own = secret()
        request = post(b"{}", [[b"x-api-key", own.encode()], *headers], **more) | {"script": script}
        stays = [pair for pair in _headers_of(script) if pair[0] in kept]
        made.append([kind, bad, request, {"status": status, "text": text, "stays": stays, "secrets": [own, *secrets]}])

    def useful():
        return [(name.encode(), str(r.randint(1, 60)).encode()) for name in r.sample(kept, 2)]

    for _ in range(2):
        script, text = answer()
        add("answered", False, script, text, 200)
        script, text = answer(201, extra=useful())
        add("answered otherwise", False, script, text, 201, path=f"/{drawn_text(r, 5)}/{r.randint(1, 99)}")
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
            "a line break in the path",
            True,
            script,
            text,
            200,
            path=f"/a\n{{'status': 200, 'path': '/{drawn_text(r, 4)}'}}",
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
    entry = parsed_json(lines[0].encode("utf-8", "replace"))
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
        return came_back(answer, seen)
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
        return came_back(answer, seen)
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
        content = parsed_json(seen["body"])
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
        line = due_line(
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


QUESTION = Question(
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
)

"""The key before the body."""

from __future__ import annotations

import dataclasses
import hashlib

from classroom.exchange.conductor import (
    Conductor,
    answered,
    got_through,
    header_values,
    transcript,
)
from classroom.questions import Question
from classroom.questions.h3.common import (
    ALGORITHMS,
    answers_with,
    body_parts,
    came_back,
    drawn_text,
    due_line,
    post,
)
from classroom.questions.scoring import Case, balance, draws, graded

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
    algorithm, most = r.choice(ALGORITHMS), r.randint(800, 3000)
    texts = {f"{drawn_text(r, 6).lower()}": drawn_text(r, 30) for _ in range(3)}
    keys = [f"{name}.{secret}" for name, secret in texts.items()]
    digests = {key.split(".")[0]: hashlib.new(algorithm, key.encode()).hexdigest() for key in keys}

    def key(text: str) -> tuple[bytes, bytes]:
        return b"x-api-key", text.encode()

    def length(size: int) -> tuple[bytes, bytes]:
        return b"content-length", str(size).encode()

    def body(size: int) -> bytes:
        return drawn_text(r, size).encode()

    right, other = r.sample(keys, 2)
    small, large = body(r.randint(100, 700)), body(most + r.randint(1, 400))
    ident, secret = right.split(".")
    good = {
        "a right key": post(small, [key(right), length(len(small))]),
        "another right key": post(small, [key(other), length(len(small))]),
        "in parts": post(body_parts(r, small, 5), [key(right)]),
        "as large as allowed": post(full := body(most), [key(right), length(len(full))]),
        "as large as allowed, in parts": post(body_parts(r, body(most), 4), [key(right)]),
        "no body": post(b"", [key(right)], method="GET", path="/history"),
    }
    unknown = {
        "no key": post(small, [length(len(small))]),
        "a wrong secret": post(small, [key(right[:-1] + ("a" if right[-1] != "a" else "b")), length(len(small))]),
        "another's secret": post(small, [key(f"{ident}.{other.split('.')[1]}"), length(len(small))]),
        "a made-up secret": post(small, [key(f"{ident}.{drawn_text(r, 30)}"), length(len(small))]),
        "a secret begun wrongly": post(small, [key(f"{ident}.{'b' if secret[0] == 'a' else 'a'}{secret[1:]}")]),
        "an unknown id": post(small, [key(f"{drawn_text(r, 6).lower()}.{drawn_text(r, 30)}"), length(len(small))]),
        "no key, much to read": post([body(2000)] * 20, [length(40_000)]),
        "an id alone": post(small, [key(ident), length(len(small))]),
        "the key in the address": post(small, [length(len(small))], query=f"api_key={right}".encode()),
    }
    announced = {"announced": post([large], [key(right), length(len(large))])}
    too_large = {
        "not announced": post(body_parts(r, large, 3) + [body(500)] * 10, [key(right)]),
        "announced as small": post(body_parts(r, large, 3) + [body(500)] * 10, [key(right), length(120)]),
        "without end": post([body(most // 3)], [key(right)], endless=True),
    }
    if hidden:
        good |= {"empty parts between": post([b"", *body_parts(r, small, 2), b""], [key(right)])}
        unknown |= {
            "two keys": post(small, [key(right), key(f"{right}x"), length(len(small))]),
            "two keys, the right one last": post(small, [key(f"{right}x"), key(right), length(len(small))]),
            "not ASCII": post(small, [(b"x-api-key", "schlüssel.ß".encode("latin-1")), length(len(small))]),
            "the stored digest": post(small, [key(f"{ident}.{digests[ident]}")]),
            "in large letters": post(small, [key(right.upper()), length(len(small))]),
            "large and small swapped": post(small, [key(f"{ident}.{secret.swapcase()}"), length(len(small))]),
            "the secret backwards": post(small, [key(f"{ident}.{secret[::-1]}"), length(len(small))]),
        }
        too_large |= {"one byte too many": post(body_parts(r, body(most + 1), 2), [key(right)])}
        announced |= {
            "announced in a number too long": post([large], [key(right), (b"content-length", b"9" * 30)]),
        }
    made = [(kind, "pass", request, 0) for kind, request in good.items()]
    made += [(kind, "401", request, 0) for kind, request in unknown.items()]
    made += [(kind, "413", request, 0) for kind, request in announced.items()]
    made += [(kind, "413", request, _enough(request, most)) for kind, request in too_large.items()]
    r.shuffle(made)
    inputs, cases = [], []
    policy = {"keys": {"algorithm": algorithm, "digests": digests}, "most": most}
    for kind, due, request, reads in made:
        nonce = drawn_text(r, 20)
        inputs.append((policy | {"request": request | {"script": [["read", None], *answers_with(nonce)]}},))
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
        came = came_back(answer, seen, reads=True)
        if due == "401" and seen["status"] == 401 and not header_values(seen, "www-authenticate"):
            came += ", without WWW-Authenticate"
        if due == "pass" and seen["inner"] and not right:
            came += f" and got {len(seen['read'] or b'')} of {len(case['body'])} bytes of the body"
        cases.append(Case(case["kind"], due != "pass", right, due_line(number, case["kind"], wanted, came)))
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


QUESTION = Question(
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
        "ignores-length": "Content-Length already said that it is too much, and you asked for the body all the same.",
        "counts-afterwards": "You read all of it and then find it too large: by then the memory is full. A body "
        "without an end never lets you get there.",
        "off-by-one": "A body of exactly the allowed size is allowed.",
        "swallowed-body": "The app behind waits for a body that you have already taken out of `receive`. Pass it "
        "on with a `receive` of your own.",
        "first-or-last": "Two key headers: you look at one, and whatever stands in front or behind may look at "
        "the other. Refuse.",
    },
)

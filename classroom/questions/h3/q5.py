"""Who is locked out."""

from __future__ import annotations

import hashlib

from classroom.exchange.conductor import (
    Conductor,
)
from classroom.questions import Question
from classroom.questions.h3.common import (
    drawn_address,
    drawn_text,
)
from classroom.questions.h3.scenes import forwarded, in_scenes, in_turn, shuffled, sliding
from classroom.questions.scoring import draws, graded


def _lockout_generate(rng, hidden=False):
    r = draws(rng)
    failures, seconds = r.randint(4, 8), r.choice([30, 60, 90])
    start = 1_700_000_000.0 + r.randint(0, 10**6)
    keys = [drawn_text(r, 24) for _ in range(3)]
    digests = [hashlib.sha256(key.encode()).hexdigest() for key in keys]
    names = {"right": lambda: r.choice(keys), "wrong": lambda: drawn_text(r, 24), "none": lambda: None}

    def uses(*parts):
        """`(count, key, address, when, kind)`: the requests, and what each is due: "pass", "401" or "429"."""
        requests, due, times = [], [], {"office": [], "home": []}
        addresses = {name: drawn_address(r) for name in times}  # new ones in each scene
        for count, key, client, when, kind in parts:
            for number in range(count):
                at = round(start + when + number / 100, 3)
                text = names[key]()
                headers = forwarded(r) + ([[b"x-api-key", text.encode()]] if text is not None else [])
                requests.append({"at": at, "client": addresses[client], "headers": headers})
                verdict = "pass"
                if key != "right":
                    times[client].append(at)
                    verdict = "401" if sliding(times[client], failures, seconds)[-1] else "429"
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
    return shuffled(r, scenes, {"digests": digests, "failures": failures, "seconds": seconds, "start": start})


def _lockout_play(order, scene):
    conductor = Conductor(order)
    policy = [scene["digests"], scene["failures"], scene["seconds"]]
    conductor.make("doorkeeper", policy, ["inner", "clock"], now=scene["start"] - 9.0)
    return in_turn(conductor, scene)


@graded
def _lockout_judge(answers, truth):
    return in_scenes(
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


QUESTION = Question(
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
)

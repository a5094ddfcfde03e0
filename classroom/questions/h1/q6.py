"""From a time line: how long was a leaked key open, and what did it cost?"""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.exact import exact
from classroom.questions.h1.common import word
from classroom.questions.scoring import draws, graded, shuffled


def _exposure(events: list[dict], now: int) -> dict:
    """The truth, by the rule in the prompt."""
    pushed = [event["time"] for event in events if event["what"] == "pushed"]
    if not pushed:
        return {"minutes": 0, "calls": 0, "open": False}
    start = min(pushed)
    ended = [event["time"] for event in events if event["what"] == "revoked" and event["time"] >= start]
    end = min(ended, default=now)
    ours = {event["who"] for event in events if event["what"] == "known caller"}
    calls = sum(
        event["count"]
        for event in events
        if event["what"] == "used" and start <= event["time"] < end and event["who"] not in ours
    )
    return {"minutes": end - start, "calls": calls, "open": not ended}


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    kinds = ["revoked late", "removed, not revoked", "never pushed", "our own calls"]
    kinds += (
        ["revoked before", "pushed twice", "used at the last minute", "a caller who is known later"] if hidden else []
    )
    for kind in kinds:
        for _ in range(3):
            start, now = r.randint(100, 400), r.randint(4_000, 6_000)
            us, them = word(r), word(r) + "x"
            events: list[dict] = []
            if kind in ("revoked late", "never pushed"):
                events.append({"time": r.randint(0, 50), "what": "committed"})
            for _ in range(3 if kind in ("our own calls", "a caller who is known later", "never pushed") else 0):
                events.append({"time": r.randint(start, 3_000), "what": "used", "who": us, "count": r.randint(1, 30)})
            when = 5 if kind != "a caller who is known later" else now - 1
            events.append({"time": when, "what": "known caller", "who": us})
            if kind != "never pushed":
                events.append({"time": start, "what": "pushed"})
                events += [
                    {"time": r.randint(start, now - 1), "what": "used", "who": them, "count": r.randint(1, 400)}
                    for _ in range(r.randint(2, 5))
                ]
            end = r.randint(start + 60, 3_000)
            if kind == "removed, not revoked":
                events.append({"time": end, "what": "removed"})
            elif kind == "revoked before":
                events.append({"time": start - r.randint(1, 50), "what": "revoked"})
            elif kind not in ("never pushed", "our own calls"):
                events.append({"time": end, "what": "revoked"})
            if kind == "pushed twice":
                events.append({"time": start + r.randint(5, 50), "what": "pushed"})
            if kind == "used at the last minute":
                events.append({"time": end, "what": "used", "who": them, "count": 50})
                events.append({"time": start, "what": "used", "who": them, "count": 7})
            r.shuffle(events)
            inputs.append((events, now))
            cases.append({"kind": kind, "due": _exposure(events, now), "bad": kind != "never pushed"})
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    rules = {
        "removed-is-closed": ["removed, not revoked"],
        "our-own": ["our own calls", "a caller who is known later"],
        "the-commit": ["revoked late", "never pushed"],
        "order": ["revoked before", "pushed twice"],
    }
    return exact(answers, truth, rules)


QUESTION = Question(
    id="h1-q6",
    title="How long was it open?",
    entry="exposure",
    signature="exposure(events: list[dict], now: int) -> dict: minutes, calls, open",
    points=16,
    minutes=12,
    difficulty=2,
    controls=("MEASURE", "MANAGE", "credentials-source"),
    reread='H1, "4 · Early or late?"',
    hints=(
        "Three moments: the first push, the first revocation from then on, and now.",
        "Removing the key from the files closes nothing.",
        "Skeleton: `start = min(…)`; `end = min(…, default=now)`; the known callers as a set, from the whole time "
        "line; a sum over the uses between the two.",
        "From the start (included) to the end (not included).",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "removed-is-closed": "A key that was removed from the files still opens the door: only revoking ends it.",
        "our-own": "Calls of known callers are no damage, whenever it was written down that they are known.",
        "the-commit": "A commit that was not pushed is seen by nobody: exposure begins with the push.",
        "order": "The first push counts, and a revocation before it was of another key's life.",
    },
)

"""A limit that holds."""

from __future__ import annotations

from classroom.exchange.conductor import (
    Conductor,
)
from classroom.questions import Question
from classroom.questions.h3.common import (
    drawn_address,
)
from classroom.questions.h3.scenes import Storage, forwarded, in_scenes, in_turn, shuffled, sliding
from classroom.questions.scoring import draws, graded


def _limit_generate(rng, hidden=False):
    r = draws(rng)
    limit, seconds = r.randint(5, 9), r.choice([20, 30, 45, 60])
    start = 1_700_000_000 // seconds * seconds + seconds * r.randint(2, 99)

    def scene(*parts, instances=1, rotate=True, instance_of=lambda n: 0):
        """One client's uses, in parts `(kind, times)`, judged by the sliding window."""
        home = drawn_address(r)  # another in each scene: what a service remembers of an earlier one does not matter
        times = [time for _, part in parts for time in part]
        kinds = [kind for kind, part in parts for _ in part]
        requests = [
            {"at": time, "client": home, "headers": forwarded(r) if rotate else [], "instance": instance_of(n)}
            for n, time in enumerate(times)
        ]
        due = [[kind, "pass" if p else "429"] for kind, p in zip(kinds, sliding(times, limit, seconds), strict=True)]
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
    other = drawn_address(r)
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
    return shuffled(r, scenes, {"limit": limit, "seconds": seconds, "start": start})


def _limit_play(order, scene):
    storage = Storage()
    conductor = Conductor(order, {"storage": storage.use})
    for instance in range(scene["instances"]):
        tools = ["inner", "clock", "storage"]
        conductor.make(
            "limited", [scene["limit"], scene["seconds"]], tools, instance=instance, now=scene["start"] - 9.0
        )
    return in_turn(conductor, scene, storage)


@graded
def _limit_judge(answers, truth):
    return in_scenes(
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


QUESTION = Question(
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
        "own-memory": "Each instance counts for itself, so two of them let twice as many pass. Count in the storage.",
        "fixed-window": "A counter that starts anew at each full minute lets twice the limit pass around the turn "
        "of the minute. The window has to slide.",
        "counts-refused": "What was refused uses the limit up, too: whoever keeps knocking never gets in again, "
        "though nothing of theirs was served.",
        "one-for-all": "One busy client locks out everybody else. Count by address.",
        "one-too-few": "One request too few passes: `add` has counted this one, too, before you compare.",
        "race": "Between your `get` and your `set` the other instance did the same, and both saw one place left. "
        "It takes one step that cannot be interrupted.",
    },
)

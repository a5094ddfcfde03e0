"""Clients that come again and again, storage that instances share: questions 4 and 5."""

from __future__ import annotations

from classroom.exchange import codec
from classroom.exchange.conductor import (
    RefusedError,
    answered,
    got_through,
    told_to_wait,
    transcripts,
)
from classroom.questions import Verdict
from classroom.questions.h3.common import (
    answers_with,
    came_back,
    drawn_address,
    drawn_text,
    post,
)
from classroom.questions.scoring import Case, balance


class Storage:
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


def sliding(times: list[float], limit: int, seconds: float) -> list[bool]:
    """Which of these uses pass, when at most `limit` may in any `seconds`."""
    passed: list[float] = []
    verdicts = []
    for now in times:
        verdicts.append(sum(time > now - seconds for time in passed) < limit)
        passed += [now] if verdicts[-1] else []
    return verdicts


def forwarded(r) -> list:
    return [[b"x-forwarded-for", drawn_address(r).encode()], [b"x-real-ip", drawn_address(r).encode()]]


def shuffled(r, scenes: dict[str, tuple[dict, list]], policy: dict) -> tuple[list[tuple], dict]:
    """Inputs and truth from scenes: name to what happens, and `[kind, what is due]` for each request."""
    names, inputs, cases = list(scenes), [], []
    r.shuffle(names)
    for name in names:
        content, due = scenes[name]
        texts = [drawn_text(r, 12) for _ in due]
        inputs.append(({**policy, "texts": texts, **content},))
        items = [{"kind": kind, "due": what, "text": text} for (kind, what), text in zip(due, texts, strict=True)]
        cases.append({"name": name, "seconds": policy["seconds"], "items": items})
    return inputs, {"cases": cases}


def in_turn(conductor, scene, storage=None):
    """The requests of a scene one after the other, and what was seen of each."""
    texts = iter(scene["texts"])

    def ask(planned):
        request = post(b"", planned["headers"], client=planned["client"], at=planned["at"])
        return conductor.request(request | {"script": answers_with(next(texts))}, instance=planned.get("instance", 0))

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


def in_scenes(answers, truth, rules) -> Verdict:
    """Verdict over scenes of many requests, each of which is due "pass", "401" or "429"."""
    cases, clean = [], []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        items, first = case["items"], len(cases)
        seen, texts = transcripts(answer, len(items)), {item["text"] for item in items}
        came = [_outcome(one, texts, case["seconds"]) for one in seen]
        for at, (one, item) in enumerate(zip(seen, items, strict=True), 1):
            right, kind = came[at - 1] == item["due"], f"{item['kind']}: {item['due']}"
            wanted = {"pass": "let through", "401": "401", "429": "429 with Retry-After"}[item["due"]] + " is due"
            said = came_back(answer, one)
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

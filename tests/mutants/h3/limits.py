"""Wrong answers to lab H3: how often, questions 4 and 5."""

import math

from .. import Mutant


class _FixedWindow:
    """Counts per full window, in the storage: exact but for its edges."""

    def __init__(self, limit, seconds, inner, clock, storage):
        self.limit, self.seconds, self.inner, self.clock, self.storage = limit, seconds, inner, clock, storage

    async def __call__(self, scope, receive, send):
        name = f"{scope['client'][0]} {self.clock() // self.seconds}"
        if await self.storage.add(name, self.clock(), 10**9) > self.limit:
            await _refuse(send, self.seconds)
        else:
            await self.inner(scope, receive, send)


async def _refuse(send, seconds):
    start = {"type": "http.response.start", "status": 429, "headers": [(b"retry-after", b"%d" % math.ceil(seconds))]}
    await send(start)
    await send({"type": "http.response.body", "body": b"{}"})


def fixed_window(limit, seconds, inner, clock, storage):
    """A counter that starts anew at each full window."""
    return _FixedWindow(limit, seconds, inner, clock, storage)


def get_then_set(limit, seconds, inner, clock, storage):
    """Reads, decides, writes: somebody may come in between."""

    async def app(scope, receive, send):
        who, now = scope["client"][0], clock()
        times = [time for time in await storage.get(who) or [] if time > now - seconds]
        if len(times) >= limit:
            return await _refuse(send, seconds)
        await storage.set(who, [*times, now])
        return await inner(scope, receive, send)

    return app


def own_memory(limit, seconds, inner, clock, storage):
    """Counts in a variable of its own."""
    passed = {}

    async def app(scope, receive, send):
        who, now = scope["client"][0], clock()
        times = passed[who] = [time for time in passed.get(who, []) if time > now - seconds]
        if len(times) >= limit:
            return await _refuse(send, seconds)
        times.append(now)
        return await inner(scope, receive, send)

    return app


MUTANTS = (
    Mutant("h3-q4", "counts in a variable", own_memory, 0.2, 0.6, "own-memory"),
    Mutant("h3-q4", "full minutes", fixed_window, 0.5, 0.95, "fixed-window"),
    Mutant("h3-q4", "get, then set", get_then_set, 0.75, 0.9, "race"),
    Mutant(
        "h3-q4",
        "counts what it refuses",
        (("            await storage.remove(who, now)\n", ""),),
        0.5,
        0.95,
        "counts-refused",
    ),
    Mutant("h3-q4", "one too few", (("seconds) > limit", "seconds) >= limit"),), 0, 0.9, "one-too-few"),
    Mutant(
        "h3-q4",
        "believes headers",
        (('scope["client"][0]', 'dict(scope["headers"]).get(b"x-forwarded-for", b"").decode()'),),
        0,
        0.4,
        "believes-headers",
    ),
    Mutant("h3-q4", "one counter for all", (('scope["client"][0]', '"everybody"'),), 0.8, 0.98, "one-for-all"),
    Mutant(
        "h3-q5",
        "the lockout first",
        (
            (
                "            return await inner(scope, receive, send)\n",
                '            if len(missed.get(scope["client"][0], [])) < failures:\n'
                "                return await inner(scope, receive, send)\n",
            ),
        ),
        0.3,
        0.9,
        "lockout-first",
    ),
    Mutant("h3-q5", "one counter for all", (('scope["client"][0]', '"everybody"'),), 0.8, 0.99, "one-for-all"),
    Mutant("h3-q5", "never", (("if len(recent) >= failures:", "if False:"),), 0.02, 0.4, "never"),
    Mutant(
        "h3-q5",
        "for ever",
        (("if time > now - seconds]", "]"), ("wait = math.ceil(recent[0] + seconds - now)", "wait = seconds")),
        0.4,
        0.9,
        "for-ever",
    ),
    Mutant(
        "h3-q5",
        "prolongs the lock",
        (
            (
                "        if len(recent) >= failures:\n",
                "        recent.append(now)\n        if len(recent) > failures:\n",
            ),
            ("        recent.append(now)\n        await reply(send, 401", "        await reply(send, 401"),
        ),
        0.4,
        0.9,
        "for-ever",
    ),
    Mutant(
        "h3-q5",
        "no key is no guess",
        (("        recent.append(now)\n", "        recent += [now] if keys else []\n"),),
        0.7,
        0.98,
        "no-key-is-free",
    ),
    Mutant(
        "h3-q5",
        "counts the honest",
        (
            ("missed = {}", "missed, used = {}, {}"),
            (
                "            return await inner(scope, receive, send)\n",
                '            used[scope["client"][0]] = used.get(scope["client"][0], 0) + 1\n'
                '            if used[scope["client"][0]] <= failures:\n'
                "                return await inner(scope, receive, send)\n",
            ),
        ),
        0.3,
        0.95,
        "counts-honest",
    ),
)

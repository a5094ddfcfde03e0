"""Who belongs to an incident, when, and how much of it."""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.scoring import Case, by_control, draws, graded, shown

SHARED = 5  # keys that an address may have been used with and still link them
NAMES = ("keys", "addresses", "first", "last", "answered", "refused")


def _report(lines: list[dict], suspects: list[str]) -> dict:
    """The truth, by the rule in the prompt."""
    used: dict[str, set] = {}
    for line in lines:
        if line.get("key_id") is not None:
            used.setdefault(line["address"], set()).add(line["key_id"])
    keys, addresses = set(suspects), set()
    while True:
        linked = {a for a, own in used.items() if len(own) <= SHARED and own & keys}
        more = keys.union(*(used[address] for address in linked))
        if (more, linked) == (keys, addresses):
            break
        keys, addresses = more, linked
    own = []
    for line in lines:
        key, address = line.get("key_id"), line.get("address")
        if key in keys or (key is None and address in addresses):
            own.append(line)
    answered = refused = 0
    for line in own:
        for status, count in line.get("statuses", {str(line["status"]): 1}).items():
            answered += count * (status == "200")
            refused += count * (status != "200")
    first = min(line.get("first", line["time"]) for line in own)
    last = max(line.get("last", line["time"]) for line in own)
    values = (sorted(keys), sorted(addresses), first, last, answered, refused)
    return dict(zip(NAMES, values, strict=True))


class _Scene:
    def __init__(self, r):
        self.r, self.lines, self.taken = r, [], set()

    def name(self, kind):
        name = f"{kind}{self.r.randrange(16**6):06x}"
        return name if name not in self.taken and not self.taken.add(name) else self.name(kind)

    def ask(self, key, address, count=None, statuses=(200, 200, 200, 422, 429)):
        for _ in range(count or self.r.randint(2, 6)):
            time = self.r.randint(1_000, 90_000)
            self.lines.append({"time": time, "key_id": key, "address": address, "status": self.r.choice(statuses)})

    def strangers(self, address):
        first = self.r.randint(1_000, 90_000)
        counts = {str(s): self.r.randint(3, 40) for s in self.r.sample([401, 404, 405], 2)}
        line = {"time": first + 60, "key_id": None, "address": address, "status": int(next(iter(counts)))}
        more = {"event": "strangers", "first": first, "last": first + self.r.randint(5, 59), "statuses": counts}
        self.lines.append(line | more | {"count": sum(counts.values())})

    def crowd(self, count):
        for _ in range(count):
            self.ask(self.name("k"), self.name("a"))

    def office(self, keys, *more):
        address = self.name("a")
        for key in [*(self.name("k") for _ in range(keys)), *more]:
            self.ask(key, address)
        return address


def _scene(r, kind, hidden):
    scene = _Scene(r)
    thief, home = scene.name("k"), scene.name("a")
    scene.crowd(r.randint(4, 8))
    scene.office(r.randint(7, 9))
    scene.ask(thief, home)
    suspects = [thief]
    if kind == "two addresses":
        scene.ask(thief, scene.name("a"))
    elif kind == "one address, two keys":
        scene.ask(scene.name("k"), home)
    elif kind == "in an office":
        scene.office(r.randint(6, 8), thief)
    elif kind == "step by step":
        second, third = scene.name("k"), scene.name("k")
        there = scene.name("a")
        for key, address in ((second, home), (second, there), (third, there)):
            scene.ask(key, address)
    elif kind == "without a key":
        scene.strangers(home)
        scene.strangers(scene.name("a"))
        scene.ask(None, home, statuses=(401, 404))
    elif kind == "two suspects":
        suspects.append(scene.name("k"))
        scene.ask(suspects[1], scene.name("a"))
    elif kind == "exactly five":
        scene.office(SHARED - 1, thief)
    elif kind == "exactly six":
        scene.office(SHARED, thief)
    elif kind == "an office full of strangers":
        scene.strangers(scene.office(r.randint(6, 8), thief))
    elif kind == "the service came back":
        scene.lines.append({"time": r.randint(1_000, 90_000), "event": "recovered"})
    if hidden and kind not in ("two addresses", "two suspects"):  # each scene asks for more than its own subject
        suspects.append(scene.name("k"))
        there = scene.name("a")
        for key in (suspects[1], scene.name("k")):
            scene.ask(key, there)
        r.shuffle(suspects)
        if kind in ("step by step", "exactly six", "an office full of strangers", "the service came back"):
            scene.strangers(there)
    r.shuffle(scene.lines)
    return scene.lines, suspects


def _generate(rng, hidden=False):
    r = draws(rng)
    kinds = ["one address, two keys", "two addresses", "in an office", "step by step", "without a key", "two suspects"]
    kinds += ["exactly five", "exactly six", "an office full of strangers", "the service came back"] if hidden else []
    inputs = [(kind, _scene(r, kind, hidden)) for kind in kinds for _ in range(3)]
    r.shuffle(inputs)
    cases = [{"kind": kind, "due": _report(*given)} for kind, given in inputs]
    return [given for _, given in inputs], {"cases": cases}


@graded
def _judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        said = answer.value if not answer.error and isinstance(answer.value, dict) else {}
        off = [name for name in NAMES if not _same(said.get(name), case["due"][name])]
        words = f"input {number} ({case['kind']}): "
        if off and said:
            words += f"{off[0]} is due as {case['due'][off[0]]}; you: {repr(said.get(off[0]))[:80]}"
        else:
            words += f"{case['due']} is due; you: {shown(answer)}"
        cases.append(Case(case["kind"], True, not off and len(said) == len(NAMES), words))
    return by_control(
        cases,
        {
            "strangers": ["without a key"],
            "offices": ["in an office", "exactly six", "an office full of strangers"],
            "one-step": ["step by step"],
        },
    )


def _same(value, due) -> bool:
    if isinstance(due, list):
        return isinstance(value, list) and all(isinstance(one, str) for one in value) and value == due
    return type(value) in (int, float) and value == due


QUESTION = Question(
    id="h5-q6",
    title="The first page of the report",
    entry="incident",
    signature="incident(lines: list[dict], suspects: list[str]) -> dict: keys, addresses, first, last, answered, "
    "refused",
    points=16,
    minutes=15,
    difficulty=2,
    controls=("monitoring-audit-trail", "monitoring-volume", "MANAGE"),
    reread='H5, "The report"',
    hints=(
        "First find out which keys were seen at each address. An address with more than five is an office and links "
        "nobody, and it does not belong to the incident.",
        "Then repeat until nothing changes: linked addresses are those with one of the keys; linked keys are all that "
        "were seen there.",
        "Skeleton: `used[address].add(key)`; a `while` loop over two sets; `own = [line for line in lines if …]`; then "
        "the minimum, the maximum and two sums over `own`.",
        "A line with `statuses` stands for many requests: add up its counts, and take its `first` and `last` for the "
        "times. `line.get` helps where a name may be missing.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "offices": "An office with one address is not a gang: where more than five keys were seen, the address links "
        "nobody, and its strangers are not yours.",
        "one-step": "A key leads to an address, which leads to another key, which leads to another address. Go on "
        "until nothing new turns up.",
        "strangers": "Requests without a key from a linked address belong to the incident, and a summary line stands "
        "for as many requests as its `statuses` count.",
    },
)

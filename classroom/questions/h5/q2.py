"""What a client did, in numbers, where only fresh queries count as drawn anew."""

from __future__ import annotations

import itertools

from classroom.questions import Question
from classroom.questions.h5.common import COUNTRIES as COUNTRIES
from classroom.questions.h5.common import a_query, other
from classroom.questions.scoring import Case, by_control, draws, graded, shown

NAMES = ("queries", "fresh", "busiest_minute", "countries")


def _features(rows: list[dict]) -> dict:
    rows = sorted(rows, key=lambda row: row["time"])
    fields = [name for name in rows[0] if name not in ("client", "time")]
    fresh, minutes = 1, {}
    for before, row in itertools.pairwise(rows):
        fresh += sum(before[name] != row[name] for name in fields) >= 3
    for row in rows:
        minutes[row["time"] // 60] = minutes.get(row["time"] // 60, 0) + 1
    return dict(
        zip(NAMES, (len(rows), fresh, max(minutes.values()), len({row["country"] for row in rows})), strict=True)
    )


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for _ in range(3):
        flags = r.sample(["python", "sql", "js", "ai", "rust", "go"], r.randint(3, 5))
        clients = {}

        def add(kind, rows, start=None, gap=(20, 500), clients=clients):
            name = f"k{r.randrange(10**6):06}"
            moment = r.randint(0, 80_000) if start is None else start
            timed = []
            for row in rows:
                timed.append({"client": name, "time": moment} | row)
                moment += r.randint(*gap)
            clients[name] = kind, timed

        def steps(kind, sizes, clients=clients, flags=flags, add=add, **more):
            rows = [a_query(r, flags)]
            for size in sizes:
                rows.append(other(r, rows[-1], size))
            add(kind, rows, **more)

        count = len(flags) + 2
        for _ in range(2):
            steps("people", [r.randint(3, count) for _ in range(r.randint(4, 15))])
            base = a_query(r, flags)
            add("one who sweeps", [base | {"years": years} for years in range(r.randint(8, 20))], gap=(5, 40))
            steps("two or three changes", [r.choice([2, 3]) for _ in range(r.randint(8, 16))])
            minute = 60 * r.randint(100, 900)
            steps("around a minute", [count] * 9, start=minute - 21, gap=(4, 5))
            steps("one query", [])
        if hidden:
            # Back and forth: each query differs a lot from the one before, and is the same as the one before that.
            one, two = a_query(r, flags), None
            two = other(r, one, count)
            add("two in turn", [one, two] * r.randint(3, 6))
            # Against the first query each is new, against the one before it is not.
            rows = [a_query(r, flags)]
            for name in r.sample(sorted(rows[0]), count):
                changed = other(r, rows[-1], count)
                rows.append(rows[-1] | {name: changed[name]})
            add("one field after the other", rows)
        lines = [row for _, rows in clients.values() for row in rows]
        r.shuffle(lines)
        lines = [dict(r.sample(sorted(row.items()), len(row))) for row in lines]
        inputs.append((lines,))
        items = [{"kind": kind, "client": name, "due": _features(rows)} for name, (kind, rows) in clients.items()]
        cases.append({"items": items})
    return inputs, {"cases": cases}


@graded
def _judge(answers, truth):
    cases, wrong = [], set()
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        said = answer.value if not answer.error and isinstance(answer.value, dict) else {}
        for item in case["items"]:
            got = said.get(item["client"])
            off = [name for name in NAMES if not _is(got, name, item["due"][name])]
            wrong |= set(off)
            words = shown(answer) if not said else repr(got)[:90]
            told = f"input {number}, {item['client']} ({item['kind']}): {item['due']} is due; you: {words}"
            cases.append(Case(item["kind"], True, not off and len(got) == len(NAMES), told))
    return by_control(
        cases,
        {
            "counts-all": ["one who sweeps"],
            "not-the-one-before": ["two in turn", "one field after the other"],
            "any-minute": ["around a minute"],
            "off-by-one": ["two or three changes"],
        },
    )


def _is(got, name: str, due: int) -> bool:
    value = got.get(name) if isinstance(got, dict) else None
    return type(value) is int and value == due


QUESTION = Question(
    id="h5-q2",
    title="One person, or forty?",
    entry="per_client",
    signature="per_client(queries: list[dict]) -> dict[str, dict]: for each client queries, fresh, busiest_minute, "
    "countries",
    points=18,
    minutes=15,
    difficulty=1,
    controls=("monitoring-volume", "monitoring-timing", "AML.T0024"),
    reread='H5, "3 · One person or forty"',
    hints=(
        "Sort by time first, then put each query into the list of its client; only then compare neighbors.",
        "Fields are all names except `client` and `time`. Count in how many of them a query differs from the one "
        "before it; a client's first query is fresh by definition.",
        "Skeleton: `rows = sorted(queries, key=…)`, a dict of lists, and for each list "
        "`sum(changed(a, b) >= 3 for a, b in zip(own, own[1:])) + 1`.",
        "A minute is one of the clock: `time // 60`. Count them (`collections.Counter`) and take the largest count.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "counts-all": "Whoever tries the years from 0 to 20 for one person has asked about one person. Count a query "
        "as fresh only when three fields or more differ from the one before.",
        "not-the-one-before": "Compare with the query just before, not with the first one, and not with all that were "
        "seen before.",
        "off-by-one": "Three changed fields are fresh, two are not: `>= 3`.",
        "any-minute": "A minute is one of the clock (`time // 60`), not any sixty seconds.",
    },
)

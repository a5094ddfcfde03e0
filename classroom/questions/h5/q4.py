"""The leak trap: a feature that tells how the clients were made, and nothing about theft."""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.exact import strict
from classroom.questions.scoring import Case, draws, graded, shown

_WORDS = (
    "queries gap_mean gap_cv hour countries density years_spread flags address_age key_age body_bytes seq_gap".split()
)


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for _ in range(4):
        names = r.sample(_WORDS, 10)
        kinds = ["leaks up", "leaks down", "tells thieves", "tells thieves", "nothing", "nothing", "tells a little"]
        kinds += ["leaks in steps", "leaks and tells", "tells in steps"] if hidden else []
        r.shuffle(kinds)
        sizes = {"honest": r.randint(280, 420), "thieves": r.randint(120, 200), "matched": r.randint(220, 320)}
        tables = {group: {} for group in sizes}
        items = []
        for name, kind in zip(names, kinds, strict=False):
            scale, middle = r.choice([1.0, 10.0, 300.0]), r.choice([0.0, 5.0, 1_000.0])
            # by how many standard deviations thieves and matched clients lie off
            off = {
                "leaks up": (1.8, 1.8),
                "leaks down": (-1.8, -1.8),
                "tells thieves": (r.choice([-2.0, 2.0]), 0.0),
                "tells a little": (0.4, 0.0),
                "nothing": (0.0, 0.0),
                "leaks in steps": (1.6, 1.6),
                "leaks and tells": (2.5, -1.6),
                "tells in steps": (2.0, 0.0),
            }[kind]
            for group, shift in zip(sizes, (0.0, *off), strict=True):
                drawn = [middle + scale * (shift + r.gauss(0, 1)) for _ in range(sizes[group])]
                if kind.endswith("steps"):
                    drawn = [middle + scale * round((value - middle) / scale) for value in drawn]
                tables[group][name] = [round(value, 6) for value in drawn]
            items.append({"kind": kind, "name": name, "leaks": kind.startswith("leaks")})
        inputs.append((tables["honest"], tables["thieves"], tables["matched"]))
        cases.append({"items": items})
    return inputs, {"cases": cases}


@graded
def _judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        known = {item["name"] for item in case["items"]}
        said = answer.value if not answer.error and isinstance(answer.value, list) else None
        if said is not None and not all(isinstance(name, str) and name in known for name in said):
            said = None
        for item in case["items"]:
            right = said is not None and (item["name"] in said) == item["leaks"]
            wanted = "leaks" if item["leaks"] else "does not leak"
            got = shown(answer) if said is None else ("leaks" if item["name"] in said else "does not")
            told = f"input {number}, {item['name']} ({item['kind']}): it {wanted}; you: {got}"
            cases.append(Case(item["kind"], item["leaks"], right, told))
    rules = {
        "good-features": ["tells thieves", "tells in steps"],
        "one-sided": ["leaks down"],
        "ties": ["tells in steps"],
    }
    return strict(cases, rules)


QUESTION = Question(
    id="h5-q4",
    title="Too good to be true",
    entry="leaking",
    signature="leaking(honest: dict[str, list[float]], thieves: dict[str, list[float]], matched: dict[str, "
    "list[float]]) -> list[str]: names of the features that leak",
    points=14,
    minutes=12,
    difficulty=2,
    controls=("MEASURE", "monitoring-inputs"),
    reread='H5, "5 · Could the measurement lie?"',
    hints=(
        "A feature that tells honest clients from other honest clients, which only were made the way that the thieves "
        "were, has seen how they were made.",
        "Compare `matched` with `honest`, feature by feature. What the thieves look like does not matter for a leak.",
        "Skeleton: `auroc(a, b)` is the share of pairs in which the value out of `a` is the larger one, ties counting "
        "half; return the names whose `abs(auroc(matched[name], honest[name]) - 0.5)` is large.",
        "By chance alone such an area strays by about .03 here; a leak is beyond .1, on either side of .5.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "good-features": "You name features that tell thieves from honest clients. That is what they are for, as long "
        "as the matched clients, who are honest, look honest in them.",
        "one-sided": "A leak has two sides: a control that scores far *below* one half gives itself away as well.",
        "ties": "A feature with few values has many ties. Count a tie as half.",
    },
)

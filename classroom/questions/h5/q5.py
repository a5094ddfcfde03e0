"""All clients together: none, drift, probing or both."""

from __future__ import annotations

from dataclasses import replace

from classroom.questions import Question
from classroom.questions.scoring import Case, by_control, draws, graded, recognized, shown

AGES, PLACES, QUIET = 10, 12, 24
FULL = 0.8  # of a label's windows: chance decides one now and then


def _generate(rng, hidden=False):
    import numpy as np

    r = draws(rng)
    inputs, cases = [], []
    # A service whose weeks differ a lot, and one whose weeks are alike: no fixed limit fits both.
    for alike, years, more in r.sample([(200, 3, 0.3), (50_000, 1, 0.05)], 2):
        ages = np.array([r.uniform(0.6, 1.4) * weight for weight in (2, 9, 14, 10, 6, 3, 1.5, 0.8, 0.5, 0.3)])
        places = np.array([r.uniform(0.7, 1.3) / (place + 1) ** 1.6 for place in range(PLACES)])
        ages, places = ages / ages.sum(), places / places.sum()
        older = np.r_[0.02 * ages[:years], ages[: -years - 1], ages[-years - 1 :].sum()]
        older /= older.sum()
        elsewhere = places.copy()
        elsewhere[r.randrange(3, PLACES)] += more
        ways = {"older people": (older, places), "another market": (ages, elsewhere / elsewhere.sum())}
        if hidden:
            ways["older people elsewhere"] = (older, elsewhere / elsewhere.sum())
        shares = {"many": (0.1, 0.16)} | ({"few": (0.06, 0.08)} if hidden else {})

        def window(a=ages, p=places, probes=0.0, sizes=(4_000, 7_000), alike=alike):
            count = r.randint(*sizes)
            a, p = (rng.dirichlet(alike * side + 0.01) for side in (a, p))
            cells = (1 - probes) * np.outer(a, p) + probes / (AGES * PLACES)
            return rng.multinomial(count, cells.ravel()).reshape(AGES, PLACES).tolist()

        items = [("none", "quiet", window()) for _ in range(6)]
        if hidden:
            items += [("none", "a quiet hour", window(sizes=(900, 1_200))) for _ in range(5)]
        for way, moved in ways.items():
            items += [("drift", way, window(*moved)) for _ in range(3)]
            items.append(("both", f"{way}, and probes", window(*moved, r.uniform(*shares["many"]))))
            items.append(("both", f"{way}, and probes", window(*moved, r.uniform(*shares["many"]))))
        for size, share in shares.items():
            items += [("probing", f"{size} probes", window(probes=r.uniform(*share))) for _ in range(4)]
        r.shuffle(items)
        quiet = [window() for _ in range(QUIET)]
        inputs.append((quiet, [matrix for *_, matrix in items]))
        cases.append({"items": [{"label": label, "kind": kind} for label, kind, _ in items]})
    return inputs, {"cases": cases}


@graded
def _judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        items = case["items"]
        said = answer.value if not answer.error and isinstance(answer.value, list) else []
        said = said if len(said) == len(items) else [None] * len(items)
        for place, (one, item) in enumerate(zip(said, items, strict=True)):
            right = isinstance(one, str) and one == item["label"]
            got = shown(answer) if one is None else repr(one)[:40]
            words = f"input {number}, window {place} ({item['kind']}): {item['label']} is due; you: {got}"
            cases.append(Case(f"{item['label']} {number}", item["label"] != "none", right, words))
    rules = {"rule-of-thumb": "none", "drift-is-no-attack": "drift", "either-or": "both", "moved-by-probes": "probing"}
    # Each service for itself: what works on one of them only is no detector.
    verdict = by_control(cases, {}, full=FULL)
    for number in range(1, len(answers) + 1):
        own = [case for case in cases if case.kind.endswith(f" {number}")]
        if name := recognized(own, {name: [f"{label} {number}"] for name, label in rules.items()}):
            return replace(verdict, misconception=name)
    return verdict


QUESTION = Question(
    id="h5-q5",
    title="Drift, probing, or both",
    entry="label",
    signature="label(quiet: list[list[list[int]]], windows: list[list[list[int]]]) -> list[str]: none, drift, probing "
    "or both for each window",
    points=20,
    minutes=20,
    difficulty=3,
    controls=("monitoring-inputs", "AML.T0024", "MEASURE"),
    reread='H5, "6 · Drift or probing?"',
    hints=(
        "People's age and country are independent of each other, before and after a drift. A mixture of people and "
        "even spread is not: it fills cells that are rare in both.",
        "Fit `n · ((1 - e) · a ⊗ p + e / cells)` to the window: a and p are the marginals of what is left when each "
        "cell's share of probes is taken out, e the share of probes. Repeat some forty times.",
        "Skeleton: `w = (1 - e) * np.outer(a, p); stays = w / (w + e / w.size); people = counts * stays`, then a, p "
        "and e anew from `people`. Probing is twice the log likelihood gained over `e = 0`; drift is how far `a` and "
        "`p` are from the quiet ones, in the same units.",
        "The limits of both: somewhat more than the largest value that any quiet window shows.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "drift-is-no-attack": "People who grew older, or come from elsewhere, are called probes. Let the marginals "
        "move first, and ask then whether something else was mixed in.",
        "either-or": "A window can show both: fit people who moved *and* a share of probes, and label each for itself.",
        "moved-by-probes": "Probes move the marginals, too, and are taken for a drift. Take their share out before you "
        "compare the marginals.",
        "rule-of-thumb": "Quiet windows are called something else: a fixed limit does not know how much a small window "
        "strays. Calibrate on the quiet ones, in units that grow with the number of queries.",
    },
)

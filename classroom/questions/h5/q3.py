"""A detector at a false-positive rate that was promised."""

from __future__ import annotations

from classroom.questions import Question, Verdict
from classroom.questions.scoring import MISSED, Case, draws, graded, recognized, shown, told

HONEST = {"user": 0.85, "what-if": 0.04, "sweeper": 0.03, "office": 0.04, "batch": 0.04}
THIEVES = ("invented people", "as few as a user", "fast", "one field invented")
HELD_BACK = ("popular people", "hidden among people", "twenty queries")
QUIET, ASKED, EACH = 5_000, 1_500, 60
FULL, SOME = 0.5, 0.15  # of a family found: for all of its points, and for it not to count as missed
MOST = 2.5  # times the rate that was promised: what chance can do to one that keeps it
SIZES = (41, 15, 16)  # values of years, countries and flags


def _shares(r, size: int) -> list[float]:
    """Few values that most people have, and a long tail."""
    weights = [r.uniform(0.7, 1.4) / (place + 2) for place in range(size)]
    r.shuffle(weights)
    return [weight / sum(weights) for weight in weights]


def _generate(rng, hidden=False):
    import numpy as np

    r = draws(rng)
    families = (*THIEVES, *HELD_BACK) if hidden else THIEVES
    inputs, cases = [], []
    for least, most in ((0.01, 0.015), (0.02, 0.04)):
        fpr = round(r.uniform(least, most), 4)
        shares = [np.array(_shares(r, size)) for size in SIZES]
        units = 10 ** r.uniform(-0.7, 0.7), r.choice([1, 2, 5])  # of a share's logarithm, and of a minute's queries
        quiet = _clients(rng, shares, _mix(rng, QUIET), *units)
        kinds = [(kind, False) for kind in _mix(rng, ASKED)]
        kinds += [(family, True) for family in families for _ in range(EACH)]
        kinds = [kinds[n] for n in rng.permutation(len(kinds))]
        asked = _clients(rng, shares, [kind for kind, _ in kinds], *units)
        inputs.append((quiet, asked, fpr))
        cases.append({"fpr": fpr, "items": [{"kind": kind, "bad": bad} for kind, bad in kinds]})
    return inputs, {"cases": cases}


def _mix(rng, count):
    return [str(kind) for kind in rng.choice(list(HONEST), count, p=list(HONEST.values()))]


def _clients(rng, shares, kinds, unit, pace_unit):
    """``[fresh, busiest_minute, mean log share of years, of country, of flags]`` of each client."""
    import numpy as np

    even = [np.full(len(share), 1 / len(share)) for share in shares]
    drawn = dict.fromkeys(("invented people", "as few as a user", "twenty queries"), even)
    drawn["one field invented"] = [shares[0], even[1], shares[2]]
    drawn["popular people"] = [_common(share) for share in shares]
    drawn["hidden among people"] = [(share + flat) / 2 for share, flat in zip(shares, even, strict=True)]
    rows = np.zeros((len(kinds), 5))
    for kind in dict.fromkeys(kinds):
        own = np.array([other == kind for other in kinds])
        count = int(own.sum())
        few = np.clip(rng.lognormal(np.log(16), 0.6, count), 3, 150)
        long = np.exp(rng.uniform(np.log(60), np.log(400), count))
        fresh = {"user": few, "as few as a user": few, "what-if": rng.integers(2, 9, count)}
        fresh |= {"sweeper": rng.integers(1, 3, count), "twenty queries": np.full(count, 20)}
        fresh = fresh.get(kind, long).astype(int)
        pace = {"batch": (24, 33), "fast": (60, 300), "sweeper": (2, 9)}.get(kind, (1, 5))
        rows[own, 0], rows[own, 1] = fresh, pace_unit * rng.integers(*pace, count)
        for column, (share, other) in enumerate(zip(shares, drawn.get(kind, shares), strict=True), 2):
            if kind == "office":  # an office has habits of its own
                other = rng.dirichlet(400 * share + 1e-6, count)
            rows[own, column] = (unit * rng.multinomial(fresh, other) @ np.log(share) / fresh).round(6)
    return rows.tolist()


def _common(share):
    """Only what is common, as often as it is."""
    import numpy as np

    kept = np.where(share >= np.sort(share)[-len(share) // 3], share, 0)
    return kept / kept.sum()


@graded
def _judge(answers, truth):
    cases, points = [], []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        items, said = case["items"], answer.value if not answer.error else None
        if not isinstance(said, list) or len(said) != len(items) or not all(type(one) is bool for one in said):
            cases.append(
                Case(
                    "form", True, False, f"input {number}: a list of {len(items)} booleans is due; you: {shown(answer)}"
                )
            )
            points.append(0.0)
            continue
        honest = [flagged for flagged, item in zip(said, items, strict=True) if not item["bad"]]
        rate = sum(honest) / len(honest)
        fine = rate <= MOST * case["fpr"]
        words = f"input {number}: {rate:.1%} of honest clients flagged, where {case['fpr']:.1%} were promised"
        cases.append(Case("honest", False, fine, words))
        found: dict[str, list[bool]] = {}
        for flagged, item in zip(said, items, strict=True):
            if item["bad"]:
                found.setdefault(item["kind"], []).append(flagged)
        shares = {kind: sum(flags) / len(flags) for kind, flags in found.items()}
        for kind, share in shares.items():
            cases.append(
                Case(kind, True, share >= FULL, f"input {number}: found {share:.0%} of the thieves of kind: {kind}")
            )
        score = sum(min(1.0, share / FULL) for share in shares.values()) / len(shares)
        missed = sum(share < SOME for share in shares.values())
        score *= (MISSED * (1 - missed / len(shares))) if missed else 1
        points.append(score if fine else 0.0)
    right = sum(case.right for case in cases)
    rules = {
        "own-clients": ["honest"],
        "size": ["as few as a user", "twenty queries"],
        "one-sided": ["popular people"],
        "one-number": ["fast"],
    }
    words = f"{right} of {len(cases)} bars met: each family of thieves, and the honest clients."
    return Verdict(sum(points) / len(points), words, recognized(cases, rules), told(cases))


QUESTION = Question(
    id="h5-q3",
    title="A promise about false alarms",
    entry="flag",
    signature="flag(quiet: list[list[float]], asked: list[list[float]], fpr: float) -> list[bool], one "
    "for each of asked",
    points=22,
    minutes=20,
    difficulty=3,
    controls=("monitoring-volume", "monitoring-inputs", "AML.T0024", "ML05:2023"),
    reread='H5, "4 · A threshold with a promise"',
    hints=(
        "A mean of few queries strays more than a mean of many: `abs(mean - center) * sqrt(fresh)` is comparable "
        "between clients, in both directions.",
        "Turn each number into a p-value: the share of one half of the quiet clients that has at least as much. The "
        "smallest p-value of a client is its score.",
        "Skeleton: `known = np.sort(statistics(quiet[::2]), axis=0)`; p from `np.searchsorted` column by column; the "
        "limit is the quantile `fpr` of the scores of `quiet[1::2]`; flag what is at or below it.",
        "The center is the mean over all fresh queries of the quiet clients: `np.average(column, weights=fresh)`.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "own-clients": "Too many honest clients are flagged. A threshold that is taken from the clients to be judged, "
        "or from another service, keeps no promise: take it from quiet clients of this one.",
        "size": "Thieves who ask little get away: a raw mean of a few queries strays a lot, so the limit is set by "
        "honest clients who ask one or two questions. Scale by the square root of the number.",
        "one-sided": "Whoever asks only for what is common is as far from people as one who invents them. Look in both "
        "directions.",
        "one-number": "One number does not see all: a thief may be fast with real people, or invent one field only. "
        "Let each number speak for itself and take the smallest p-value.",
    },
)

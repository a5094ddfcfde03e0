"""The loss of a year: quantiles of a sum, and not a product of means."""

from __future__ import annotations

import math

from classroom.questions import Question
from classroom.questions.exact import strict
from classroom.questions.scoring import Case, draws, graded, shown

Z, DRAWS, TOLERANCE = 1.6448536269514722, 400_000, 0.05
NAMES = ("mean", "p50", "p90")


def _truth(risks: list[dict], rng) -> dict[str, float]:
    import numpy as np

    total = np.zeros(DRAWS)
    for risk in risks:
        (a, b), (c, d) = ((math.log(low), math.log(high)) for low, high in (risk["often"], risk["cost"]))
        counts = rng.poisson(np.exp(rng.normal((a + b) / 2, (b - a) / (2 * Z), DRAWS)))
        each = np.exp(rng.normal((c + d) / 2, (d - c) / (2 * Z), int(counts.sum())))
        total += np.bincount(np.repeat(np.arange(DRAWS), counts), each, DRAWS)
    p50, p90 = np.quantile(total, [0.5, 0.9])
    return {"mean": float(total.mean()), "p50": float(p50), "p90": float(p90)}


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    kinds = ["frequent and small", "mixed", "many"] + (["wide", "rare among frequent"] if hidden else [])
    for kind in kinds:
        risks = []
        for number in range({"many": 8, "mixed": 4}.get(kind, 3)):
            rate = r.uniform(2, 6) if kind == "frequent and small" else r.uniform(0.8, 4)
            if kind == "rare among frequent" and not number:
                rate = 0.04
            cost = r.uniform(500, 4_000) * (40 if kind == "rare among frequent" and not number else 1)
            width = r.uniform(4, 6) if kind == "wide" else r.uniform(2.5, 4)
            often = [round(rate / width**0.5, 4), round(rate * width**0.5, 4)]
            risks.append({"name": f"risk {number}", "often": often, "cost": [round(cost / width), round(cost * width)]})
        inputs.append((risks,))
        cases.append({"kind": kind, "due": _truth(risks, rng)})
    return inputs, {"cases": cases}


@graded
def _judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        said = answer.value if not answer.error and isinstance(answer.value, dict) else {}
        for name in NAMES:
            due, value = case["due"][name], said.get(name)
            fine = isinstance(value, int | float) and not isinstance(value, bool)
            fine = fine and abs(value - due) <= TOLERANCE * due
            told = f"input {number} ({case['kind']}), {name}: {due:,.0f} is due (5 % either way); you: "
            told += f"{value:,.0f}" if fine or isinstance(value, int | float) else shown(answer)[:80]
            cases.append(Case(name, name != "mean", fine, told))
    rules = {"mean-is-usual": ["p50"], "no-tail": ["p90"], "middle-of-the-interval": ["mean"]}
    return strict(cases, rules)


QUESTION = Question(
    id="h1-q3",
    title="No usual year",
    entry="yearly",
    signature="yearly(risks: list[dict]) -> dict: mean, p50, p90 in dollars",
    points=20,
    minutes=18,
    difficulty=3,
    controls=("MEASURE",),
    reread='H1, "2 · A number"',
    hints=(
        "The logarithm of a quantity whose 90 % interval is (low, high) is normal: its mean is the middle of the two "
        "logarithms, its standard deviation their distance divided by 3.29.",
        "For each of 100,000 years: draw a rate, then how many times (Poisson), then that many costs, and add up.",
        "Skeleton: `rate = np.exp(rng.normal(…, size=n))`; `counts = rng.poisson(rate)`; draw `counts.sum()` costs at "
        "once; `np.bincount(np.repeat(np.arange(n), counts), costs, n)` is the sum of each year.",
        "Add the years of all risks before you take quantiles: quantiles do not add up.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "mean-is-usual": "The median is not the mean: many years are cheap, and a few are very dear.",
        "no-tail": "P90 of a sum is not the sum of the P90s, and not the mean times a factor: add up years, then look.",
        "middle-of-the-interval": "The mean of a lognormal quantity lies above the middle of its interval.",
    },
)

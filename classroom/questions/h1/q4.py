"""The best controls under a budget, where two of them on one risk multiply."""

from __future__ import annotations

import itertools

from classroom.questions import Question
from classroom.questions.exact import strict
from classroom.questions.scoring import Case, draws, graded, shown, shuffled


def _left(losses: dict, controls: list[dict], names) -> float:
    total = 0.0
    for risk, loss in losses.items():
        for control in controls:
            if control["name"] in names:
                loss *= control["leaves"].get(risk, 1.0)
        total += loss
    return total


def _best(losses: dict, controls: list[dict], budget: float) -> float:
    least = sum(losses.values())
    for size in range(1, len(controls) + 1):
        for chosen in itertools.combinations(controls, size):
            if sum(control["cost"] for control in chosen) <= budget:
                least = min(least, _left(losses, controls, {control["name"] for control in chosen}))
    return least


def _added(losses, controls, budget):
    """What adding benefits chooses, and what greed does: their names."""
    saves = {c["name"]: sum(loss * (1 - c["leaves"].get(risk, 1.0)) for risk, loss in losses.items()) for c in controls}
    sets = [s for size in range(len(controls) + 1) for s in itertools.combinations(controls, size)]
    sets = [s for s in sets if sum(c["cost"] for c in s) <= budget]
    return {c["name"] for c in max(sets, key=lambda s: sum(saves[c["name"]] for c in s))}


def _greedy(losses, controls, budget):
    taken: set = set()
    while True:
        now = _left(losses, controls, taken)
        spent = sum(c["cost"] for c in controls if c["name"] in taken)
        rest = [c for c in controls if c["name"] not in taken and spent + c["cost"] <= budget]
        gains = [(now - _left(losses, controls, taken | {c["name"]})) / c["cost"] for c in rest]
        if not rest or max(gains) <= 0:
            return taken
        taken = taken | {rest[gains.index(max(gains))]["name"]}


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    kinds = ["adding misses it", "greed misses it", "all can be had", "nothing can be had"]
    kinds += ["one control for all", "both miss it"] if hidden else []
    for kind in kinds:
        for _ in range(3):
            for _ in range(400):
                risks = {f"risk {n}": round(r.lognormvariate(10, 0.8)) for n in range(3)}
                controls = []
                for number in range(r.randint(6, 8)):
                    hit = r.sample(sorted(risks), r.randint(1, 2))
                    leaves = {risk: round(r.uniform(0.1, 0.8), 2) for risk in hit}
                    controls.append({"name": f"control {number}", "cost": r.randint(2, 20) * 500, "leaves": leaves})
                if kind == "one control for all":
                    controls.append({"name": "control 9", "cost": 9_000, "leaves": dict.fromkeys(risks, 0.35)})
                total = sum(control["cost"] for control in controls)
                budget = {"all can be had": total, "nothing can be had": 900}.get(kind, round(0.45 * total))
                given = risks, controls, budget
                least = _best(*given)
                misses = [_left(risks, controls, way(*given)) > 1.01 * least for way in (_added, _greedy)]
                wanted = {
                    "adding misses it": misses == [True, False],
                    "greed misses it": misses == [False, True],
                    "both miss it": all(misses),
                }
                if wanted.get(kind, True):
                    break
            inputs.append(given)
            cases.append({"kind": kind, "least": least, "given": list(given)})
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        losses, controls, budget = case["given"]
        said = answer.value if not answer.error and isinstance(answer.value, list) else None
        known = {control["name"]: control["cost"] for control in controls}
        valid = said is not None and all(isinstance(name, str) and name in known for name in said)
        valid = valid and len(set(said)) == len(said) and sum(known[name] for name in said) <= budget
        left = _left(losses, controls, set(said)) if valid else None
        fine = valid and left <= case["least"] * (1 + 1e-9)
        got = f"{left:,.0f} left" if valid else f"no choice within the budget: {shown(answer)[:80]}"
        told = f"input {number} ({case['kind']}): {case['least']:,.0f} can be left; you: {got}"
        cases.append(Case(case["kind"], case["kind"] != "nothing can be had", fine, told))
    rules = {
        "added": ["adding misses it"],
        "greedy": ["greed misses it", "both miss it"],
        "budget": ["nothing can be had"],
    }
    return strict(cases, rules)


QUESTION = Question(
    id="h1-q4",
    title="A set, and not a list of good things",
    entry="choose",
    signature="choose(losses: dict[str, float], controls: list[dict], budget: float) -> list[str]",
    points=20,
    minutes=18,
    difficulty=2,
    controls=("MANAGE",),
    reread='H1, "3 · A decision"',
    hints=(
        "There are at most nine controls: look at all sets of them.",
        "What a set leaves: for each risk its loss times the shares of all chosen controls that name it; then the sum.",
        "Skeleton: `itertools.product([False, True], repeat=len(controls))`, skip what is too dear, keep the least.",
        "`control['leaves'].get(risk, 1.0)`: a control that does not name a risk leaves it as it is.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "added": "Benefits on the same risk do not add up: what the first control saved, the second cannot save again.",
        "greedy": "The best next step is not always part of the best set: look at whole sets.",
        "budget": "No more than the budget is spent, and where nothing can be had the list is empty.",
    },
)

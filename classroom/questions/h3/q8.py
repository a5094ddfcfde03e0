"""Steal it, then choose a budget."""

from __future__ import annotations

import itertools
import math

from classroom.exchange.conductor import (
    Conductor,
    RefusedError,
    StoppedError,
)
from classroom.questions import Question, Verdict
from classroom.questions.h3.common import (
    COUNTRIES,
)
from classroom.questions.scoring import draws, graded, shown

STEAL_QUERIES = 200

_FIDELITY = (0.5, 0.9)  # worth nothing, and worth everything


def _steal_generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for kind in ["few countries", "many countries", *(["an odd one"] if hidden else [])]:
        flags = r.sample(
            ["uses_python", "uses_sql", "uses_js", "uses_rust", "uses_go", "remote", "manages"], r.randint(3, 5)
        )
        countries = r.sample(COUNTRIES, 7 if kind == "few countries" else 18)
        odd = kind == "an odd one"
        model = {
            "base": r.uniform(10.4, 11.2),
            "countries": {name: r.gauss(0, 0.45) for name in countries},
            "flags": {name: r.gauss(0, 0.12) for name in flags},
            "rise": r.uniform(1.3, 1.9),
            "pace": r.uniform(3, 5),
            # A step at an age of contracts: not smooth, but still a function of the years alone.
            "step": [r.randint(12, 25), r.uniform(0.2, 0.4)] if odd else [99, 0.0],
        }
        known = {"countries": sorted(countries), "flags": sorted(flags), "years_exp": [0, 40]}

        def person(countries=countries, flags=flags):
            return {
                "years_exp": r.randint(0, 40),
                "country": r.choice(countries),
                **{name: r.random() < 0.5 for name in flags},
            }

        people = [person() for _ in range(250)]
        inputs.append(({"model": model, "known": known, "people": people},))
        cases.append({"kind": kind, "salaries": [_salary(model, one) for one in people]})
    for kind in ["alone", "in company", "in company, again", *(["a crowd"] if hidden else [])]:
        counts = [10, 20, 50, 100, 200, 500, 1000]
        rises = sorted(r.uniform(0.05, 0.97) for _ in counts)
        curve = [[count, round(value, 3)] for count, value in zip(counts, rises, strict=True)]
        owners = {"alone": 1, "a crowd": r.randint(7, 10)}.get(kind, r.randint(2, 5))
        # Off the grid: where a count falls right on `most`, rounding decides, and each formula rounds in its own way.
        most = round(r.uniform(rises[2] + 0.01, rises[5]), 3) + 0.00004321
        usage = [max(1, round(r.lognormvariate(2.5, 1.2))) for _ in range(r.randint(60, 120))]
        budget = _largest_budget(curve, owners, most)
        scene = {"curve": curve, "usage": usage, "owners": owners, "most": most}
        inputs.append((scene,))
        share = sum(use > budget for use in usage) / len(usage)
        cases.append(
            {
                "kind": kind,
                "budget": budget,
                "turned_away": share,
                "alone": _largest_budget(curve, 1, most),
            }
        )
    return inputs, {"cases": cases}


def _salary(model: dict, person: dict) -> float:
    """The model that is for sale by the answer: USD per year."""
    years = person["years_exp"]
    log = model["base"] + model["countries"][person["country"]] + model["rise"] * (1 - math.exp(-years / model["pace"]))
    log += sum(effect for name, effect in model["flags"].items() if person[name])
    log += model["step"][1] * (years >= model["step"][0])
    return math.exp(log)


def _between(curve: list, count: float) -> float:
    """The fidelity after so many answers, on straight lines between the points measured."""
    if count <= curve[0][0]:
        return curve[0][1]
    for (a, low), (b, high) in itertools.pairwise(curve):
        if count <= b:
            return low + (high - low) * (count - a) / (b - a)
    return curve[-1][1]


def _largest_budget(curve: list, owners: int, most: float) -> int:
    """The most answers for each of so many owners with which their copy is no better than `most`."""
    return max(b for b in range(1, curve[-1][0] // owners + 1) if _between(curve, owners * b) <= most)


def _steal_play(order, scene):
    if "curve" in scene:
        try:
            return Conductor(order).call("choose_budget", *map(scene.get, ("curve", "usage", "owners", "most")))
        except StoppedError as stopped:
            if stopped.answer.error in ("_missing", "NotImplementedError"):
                return None  # the thief is worth something by itself
            raise
    left, open_for_business = STEAL_QUERIES, True

    def ask(method, person):
        nonlocal left
        if not open_for_business or left == 0:
            raise RefusedError("your budget is used up")
        left -= 1
        return round(_salary(scene["model"], person))

    conductor = Conductor(order, {"ask": ask})
    conductor.make("steal", [scene["known"]], ["ask"])
    open_for_business = False  # the copy has to stand on its own
    return {"copied": conductor.use(scene["people"]), "asked": STEAL_QUERIES - left}


@graded
def _steal_judge(answers, truth):
    worth, budgets, lines, why = [], [], [], ""
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        if "salaries" in case:
            content = answer.value if isinstance(answer.value, dict) else {}
            fidelity = _fidelity(content.get("copied"), case["salaries"])
            worth.append(min(1.0, max(0.0, (fidelity - _FIDELITY[0]) / (_FIDELITY[1] - _FIDELITY[0]))))
            came = shown(answer) if answer.error else f"{fidelity:.2f} after {content.get('asked')} answers"
            if worth[-1] < 1:
                lines.append(f"input {number}: {case['kind']}: fidelity {_FIDELITY[1]} is due; you: {came}")
                why = why or ("log-salaries" if _is_log(content.get("copied"), case["salaries"]) else "")
        else:
            right, said = _budget_right(answer, case)
            budgets.append(right)
            if not right:
                wanted = f"budget {case['budget']}, turned away {case['turned_away']:.3f}"
                lines.append(f"input {number}: {case['kind']}: {wanted} is due; you: {shown(answer)}")
                why = why or _budget_misconception(said, case)
    if not any(budgets) and {a.error for a in answers if a.error or a.value is not None} == {"NotImplementedError"}:
        return Verdict(0.0, "Still to do.")
    stolen, chosen = sum(worth) / len(worth), sum(budgets) / len(budgets)
    message = (
        f"The copies are worth {100 * stolen:.0f} % of a full one; {sum(budgets)} of {len(budgets)} budgets are right."
    )
    return Verdict(0.6 * stolen + 0.4 * chosen, message, why, "\n".join(lines[:3]))


def _numbers(value, count: int) -> list[float] | None:
    """A list, or an array, of so many finite numbers; None when it is anything else."""
    if hasattr(value, "tolist"):  # the shape first: (250, 10**6, 0) has no numbers and makes gigabytes of lists
        value = value.tolist() if value.shape == (count,) else None
    if not isinstance(value, list) or len(value) != count:
        return None
    usable = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e12 for v in value)
    return [float(v) for v in value] if usable else None


def _fidelity(copied, salaries: list[float]) -> float:
    """R2 between the copy's and the model's log salaries: the share of the model's variation that it reproduces."""
    numbers = _numbers(copied, len(salaries))
    if numbers is None or min(numbers) <= 0:
        return 0.0
    true = [math.log(salary) for salary in salaries]
    mean = sum(true) / len(true)
    missed = sum((math.log(number) - value) ** 2 for number, value in zip(numbers, true, strict=True))
    return 1 - missed / sum((value - mean) ** 2 for value in true)


def _is_log(copied, salaries: list[float]) -> bool:
    numbers = _numbers(copied, len(salaries))
    return numbers is not None and 0 < max(numbers) < 30 and _fidelity([math.exp(n) for n in numbers], salaries) > 0.5


def _budget_right(answer, case: dict) -> tuple[bool, object]:
    content = answer.value if isinstance(answer.value, dict) and not answer.error else {}
    said, share = content.get("budget"), content.get("turned_away")
    close = isinstance(share, int | float) and not isinstance(share, bool) and abs(share - case["turned_away"]) < 1e-6
    return type(said) is int and said == case["budget"] and close, said


def _budget_misconception(said, case: dict) -> str:
    if type(said) is not int:
        return ""
    if said == case["budget"]:
        return "share"
    if said == case["alone"]:
        return "forgets-company"
    return "rounded-up" if said == case["budget"] + 1 else ""


QUESTION = Question(
    id="h3-q8",
    title="Steal it, then choose a budget",
    entry="steal",
    signature="steal(known: dict, ask) -> copy, with copy(people: list[dict]) -> list[float]; and "
    "choose_budget(curve, usage, owners, most) -> dict",
    points=13,
    minutes=10,
    difficulty=3,
    controls=("ML05:2023", "AML.T0024", "serving-rate-limit"),
    reread='H3, "Stealing on a budget"',
    hints=(
        "Invent people so that each country comes equally often, ask for all of them, and fit a linear model of "
        "the *logarithm* of the answer: a column per country and per flag, several for the years.",
        "The years need bends: columns such as `max(0, years - 5)`, `max(0, years - 15)`. Ridge regression on "
        "centered columns is three lines of numpy. For the budget: all owners together have `owners` times as "
        "many answers; try budgets from 1 upward.",
    ),
    generate=_steal_generate,
    judge=_steal_judge,
    play=_steal_play,
    misconceptions={
        "log-salaries": "Your copy returns logarithms. Fit the logarithm, and take the exponential of what comes out.",
        "forgets-company": "Several owners who share their answers have a budget each. What counts is the sum.",
        "rounded-up": "One answer more, and the copy is better than allowed. Return the last budget that holds.",
        "share": "The budget is right; the share of customers whom it turns away is not. They are those who use "
        "more than the budget.",
    },
)

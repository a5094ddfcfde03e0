"""Lesson H1: the salary pipeline as data, its picture, a register of risks, and controls to choose from."""

from collections import defaultdict

import numpy as np
import pandas as pd

from classroom.lesson import COLORS, ROOT, show, sliding
from mlsecops.controls import ATLAS, CHECKLIST, NIST_AI_RMF, OWASP_ML
from mlsecops.framework.choose import Control, additive, best, greedy, left
from mlsecops.framework.risk import Risk, losses, quantiles
from mlsecops.framework.threats import STRIDE, Flow, Node, Pipeline, threats

# What the whole course is about. `lesson` says where a flow is attacked and defended.
NODES = (
    Node("survey", "outside", "world"),
    Node("package index", "outside", "world"),
    Node("model hub", "outside", "world"),
    Node("laptop", "process", "team"),
    Node("registry", "store", "team"),
    Node("git host", "store", "hosted"),
    Node("tracker", "process", "hosted"),
    Node("service", "process", "production"),
    Node("audit log", "store", "production"),
    Node("customers", "person", "customers"),
)
FLOWS = {
    Flow("survey", "laptop", "salaries"): "H2a",
    Flow("package index", "laptop", "packages", frozenset({"code"})): "H2a",
    Flow("model hub", "laptop", "pretrained models", frozenset({"code"})): "H2b",
    Flow("laptop", "git host", "notebooks", frozenset({"secret"})): "H4",
    Flow("laptop", "tracker", "runs", frozenset({"secret"})): "H4",
    Flow("laptop", "registry", "trained model", frozenset({"code"})): "H2b",
    Flow("registry", "service", "model to serve", frozenset({"code"})): "H2b",
    Flow("customers", "service", "requests", frozenset({"requests", "secret"})): "H3",
    Flow("service", "audit log", "one line per request"): "H5",
}


def salary_pipeline() -> Pipeline:
    """The pipeline of the course, without any protection."""
    return Pipeline({node.name: node for node in NODES}, tuple(FLOWS))


def threat_table(pipeline: Pipeline) -> pd.DataFrame:
    """A row per threat: the flow, what may go wrong, what is lacking, and its names elsewhere."""
    rows = [
        {
            "flow": threat.flow,
            "threat": STRIDE[threat.kind],
            "lacking": threat.lacking,
            "ATLAS": threat.atlas,
            "AISVS": threat.aisvs,
            "lesson": next((lesson for flow, lesson in FLOWS.items() if flow.name == threat.flow), ""),
        }
        for threat in threats(pipeline)
    ]
    return pd.DataFrame(rows, columns=["flow", "threat", "lacking", "ATLAS", "AISVS", "lesson"])


def draw_pipeline(pipeline: Pipeline) -> None:
    """Show a pipeline: a column per zone; flows over a boundary in red, with the letters of their threats."""
    import matplotlib.pyplot as plt

    zones: dict[str, list[str]] = defaultdict(list)
    for node in pipeline.nodes.values():
        zones[node.zone].append(node.name)
    places = {}
    for column, members in enumerate(zones.values()):
        for row, name in enumerate(members):
            places[name] = (2.6 * column, -(row + 1 / 2) * 3.2 / len(members))
    figure, axis = plt.subplots(figsize=(2.1 * len(zones) + 0.5, 4.4))
    for column, zone in enumerate(zones):
        axis.add_patch(
            plt.Rectangle((2.6 * column - 1.05, -3.3), 2.1, 3.3, fill=False, linestyle="--", edgecolor=COLORS["muted"])
        )
        axis.text(2.6 * column, 0.08, zone, ha="center", va="bottom", fontsize=9, color=COLORS["muted"])
    letters: dict[str, str] = defaultdict(str)
    for threat in threats(pipeline):
        letters[threat.flow] += threat.kind if threat.kind not in letters[threat.flow] else ""
    crossings = set(pipeline.crossings())
    for flow in pipeline.flows:
        tone = COLORS["attack"] if flow in crossings else COLORS["muted"]
        (x, y), (u, v) = places[flow.source], places[flow.target]
        bend = 0.18 if abs(x - u) > 3 or x == u else 0.0
        arrow = {"arrowstyle": "-|>", "color": tone, "linewidth": 1.6, "shrinkA": 26, "shrinkB": 26}
        axis.annotate("", (u, v), (x, y), arrowprops=arrow | {"connectionstyle": f"arc3,rad={bend}"})
        if letters[flow.name]:
            axis.text((x + u) / 2, (y + v) / 2 + 0.1, letters[flow.name], ha="center", fontsize=9, color=tone)
    for name, (x, y) in places.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": COLORS["honest"]}
        axis.text(x, y, name.replace(" ", "\n"), ha="center", va="center", fontsize=9, color="#222222", bbox=box)
    axis.set(xlim=(-1.3, 2.6 * len(zones) - 1.3), ylim=(-3.5, 0.5))
    axis.axis("off")
    told = "; ".join(
        f"{flow.name} ({flow.content}): {'crosses a boundary' if flow in crossings else 'within one zone'}"
        + (f", {', '.join(STRIDE[kind] for kind in letters[flow.name])}" if letters[flow.name] else "")
        for flow in pipeline.flows
    )
    where = ", ".join(f"{zone} with {' and '.join(members)}" for zone, members in zones.items())
    show(figure, alt=f"A pipeline in {len(zones)} zones: {where}. Flows: {told}.")


# Made up for this course: a small company, intervals that hold the truth in nine cases of ten. Your numbers are others.
REGISTER = (
    Risk("a package takes over the laptop", (0.05, 0.4), (20_000, 500_000)),
    Risk("a model file runs code", (0.03, 0.3), (20_000, 400_000)),
    Risk("a key leaks", (0.5, 3.0), (500, 40_000)),
    Risk("the model is copied", (0.1, 1.0), (10_000, 200_000)),
    Risk("the service is down", (1.0, 6.0), (500, 8_000)),
    Risk("pay data is published", (0.02, 0.15), (100_000, 3_000_000)),
    Risk("training data is altered", (0.05, 0.3), (10_000, 200_000)),
    Risk("the tracker is open to all", (0.1, 0.6), (5_000, 90_000)),
)
_P, _M, _K, _C, _D, _L, _T, _O = (risk.name for risk in REGISTER)
CONTROLS = (
    Control("hash-pinned installs", 6_000, {_P: 0.3}),
    Control("a private index", 15_000, {_P: 0.25}),
    Control("safetensors and a scan", 5_000, {_M: 0.1}),
    Control("signed models", 9_000, {_M: 0.3, _T: 0.6}),
    Control("secret scan in CI", 4_000, {_K: 0.35, _O: 0.8}),
    Control("a secrets manager", 12_000, {_K: 0.3, _L: 0.7}),
    Control("budgets per key", 7_000, {_C: 0.4, _D: 0.5}),
    Control("monitoring of queries", 14_000, {_C: 0.45, _T: 0.8, _L: 0.85}),
    Control("rate limits", 3_000, {_D: 0.4, _C: 0.8}),
    Control("access to pay data by role", 16_000, {_L: 0.35}),
    Control("outputs cleaned in CI", 3_000, {_L: 0.6, _K: 0.7}),
    Control("a login for the tracker", 2_000, {_O: 0.15}),
)


def offer() -> pd.DataFrame:
    """What can be bought: cost, and the share that each leaves of which risk."""
    told = ("; ".join(f"{share:.0%} of: {risk}" for risk, share in control.leaves.items()) for control in CONTROLS)
    table = {"cost": [int(control.cost) for control in CONTROLS], "leaves": list(told)}
    return pd.DataFrame(table, index=[control.name for control in CONTROLS])


def expected() -> dict[str, float]:
    """By risk, the mean loss of a year without controls."""
    return {risk.name: risk.expected() for risk in REGISTER}


def years(seed: int, chosen: tuple[str, ...] = (), draws: int = 100_000) -> pd.DataFrame:
    """Draw years: a column per risk, dollars."""
    taken = [control for control in CONTROLS if control.name in chosen]
    shares = left(taken, [risk.name for risk in REGISTER])
    drawn = losses(REGISTER, np.random.default_rng(seed), draws, shares)
    return pd.DataFrame(drawn, columns=[risk.name for risk in REGISTER])


def draw_years(drawn: pd.DataFrame) -> None:
    """Show how often a year costs more than so much, and which risk the mean comes from."""
    import matplotlib.pyplot as plt

    total = drawn.sum(axis=1).to_numpy()
    figure, (curve, bars) = plt.subplots(1, 2, figsize=(10.5, 3.2), width_ratios=(1.2, 1))
    amounts = np.quantile(total, np.linspace(0, 0.999, 400))
    curve.plot(amounts / 1_000, 100 * (1 - np.linspace(0, 0.999, 400)), color=COLORS["honest"])
    found = quantiles(total)
    for name, tone in (("P50", "muted"), ("mean", "accent"), ("P90", "attack")):
        curve.axvline(found[name] / 1_000, color=COLORS[tone], linewidth=1, linestyle="--")
        curve.text(found[name] / 1_000, 102, name, color=COLORS[tone], fontsize=8, ha="center")
    curve.set(xscale="log", xlabel="loss of a year (thousand dollars)", ylabel="years that cost more (%)")
    share = (drawn.mean() / drawn.mean().sum()).sort_values()
    bars.barh(share.index, 100 * share, color=COLORS["honest"])
    bars.set(xlabel="share of the mean (%)")
    bars.tick_params(axis="y", labelsize=8)
    for axis in (curve, bars):
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    told = ", ".join(f"{name} {value:,.0f}" for name, value in found.items())
    top = ", ".join(f"{name} {100 * value:.0f} %" for name, value in share[::-1].items())
    show(
        figure,
        alt=f"Left: how often a year costs more than so much; in dollars {told}. Right: shares of the mean: {top}.",
    )


def choices(budget: float, mine: tuple[str, ...] = ()) -> pd.DataFrame:
    """Yours, the greedy, the additive and the best choice: controls, cost and what is left, in dollars a year.

    Raises:
        ValueError: a control of yours is not on offer, or the budget is exceeded.
    """
    unknown = set(mine) - {control.name for control in CONTROLS}
    if unknown:
        raise ValueError(f"not on offer: {', '.join(sorted(unknown))}")
    taken = [control for control in CONTROLS if control.name in mine]
    cost = sum(control.cost for control in taken)
    if cost > budget:
        raise ValueError(f"your controls cost {cost:,.0f}, the budget is {budget:,.0f}")
    given = expected(), CONTROLS, budget
    shares = left(taken, list(given[0]))
    rows = {"yours": (mine, cost, sum(loss * shares[risk] for risk, loss in given[0].items()))}
    for name, way in (("greedy", greedy), ("adding benefits", additive), ("best", best)):
        found = way(*given)
        rows[name] = (found.controls, found.cost, found.loss)
    return pd.DataFrame(
        {name: {"controls": len(c), "cost": cost, "left": loss} for name, (c, cost, loss) in rows.items()}
    ).T.astype(int)


def wrong_by_adding(registers: int = 200, seed: int = 1) -> tuple[float, float]:
    """In which share of random registers adding benefits, and buying greedily, misses the best choice."""
    rng = np.random.default_rng(seed)
    missed = np.zeros(2)
    for _ in range(registers):
        loss = {f"risk {n}": float(rng.lognormal(10, 1)) for n in range(4)}
        offer = []
        for number in range(9):
            hit = rng.choice(4, int(rng.integers(1, 4)), replace=False)
            leaves = {f"risk {n}": float(rng.uniform(0.05, 0.9)) for n in hit}
            offer.append(Control(f"control {number}", float(rng.integers(1_000, 20_000)), leaves))
        budget = 0.4 * sum(control.cost for control in offer)
        least = best(loss, offer, budget).loss
        missed += [way(loss, offer, budget).loss > least * (1 + 1e-9) for way in (additive, greedy)]
    return tuple(missed / registers)


def trained() -> pd.DataFrame:
    """Which exercise trains which control: ``exercise``, ``title``, ``control``, ``test``, made from the exercises."""
    return pd.read_csv(ROOT / "docs" / "traceability.csv")


def traceability() -> pd.DataFrame:
    """A row per exercise, a column per list, how many of its entries the exercise trains."""
    table = trained()
    lists = {"checklist": CHECKLIST, "OWASP ML": OWASP_ML, "ATLAS": ATLAS, "NIST AI RMF": NIST_AI_RMF}
    known = pd.DataFrame({name: table["control"].isin(list(entries)) for name, entries in lists.items()})
    return known.groupby(table["exercise"]).sum()


def explorer(start: int = 40_000):
    """A slider over the budget: what to buy, what is left, and the bad year; recomputed at each move."""

    def said(budget: int) -> str:
        found = best(expected(), CONTROLS, budget)
        bad = quantiles(years(1, found.controls, 20_000).sum(axis=1).to_numpy())
        lines = [
            f"budget {budget:,}: {len(found.controls)} controls for {found.cost:,.0f}, {found.loss:,.0f} left a year",
            f"one year in ten costs more than {round(bad['P90'], -3):,.0f}",
        ]
        return "\n".join([*lines, *(f"  {name}" for name in found.controls)])

    return sliding(said, "budget", range(0, 100_000, 4_000), start)

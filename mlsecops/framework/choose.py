"""Which controls to buy with a budget. Two controls on one risk multiply: each leaves a share of what the other left.

Adding their benefits counts the same loss twice, and the choice that looks best is then often not the best one.
"""

import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

EXACT = 15  # controls up to which all choices are looked at


@dataclass(frozen=True)
class Control:
    """What can be bought: its ``cost`` a year in dollars, and by risk the share of the loss that it ``leaves``."""

    name: str
    cost: float
    leaves: Mapping[str, float]


@dataclass(frozen=True)
class Choice:
    """Controls by name, what they cost, the expected ``loss`` of a year that is left, and how far the loss may lie
    above the best one (``gap``, a share of it; 0 where it is known to be the best)."""

    controls: tuple[str, ...]
    cost: float
    loss: float
    gap: float = 0.0


def left(controls: Sequence[Control], risks: Sequence[str]) -> dict[str, float]:
    """By risk, the share that controls leave together: the product of their shares."""
    return {risk: float(np.prod([control.leaves.get(risk, 1.0) for control in controls])) for risk in risks}


def best(losses: Mapping[str, float], controls: Sequence[Control], budget: float, exact: bool | None = None) -> Choice:
    """The choice within the budget that leaves the least expected loss.

    Args:
        losses: by risk, its expected loss in a year without controls, in dollars.
        controls: what can be bought.
        budget: dollars a year.
        exact: look at all choices; by default up to `EXACT` controls, and a mixed-integer program beyond.

    Raises:
        ValueError: a share or a cost is out of range.
    """
    for control in controls:
        if control.cost < 0 or any(not 0 < share <= 1 for share in control.leaves.values()):
            raise ValueError(f"{control.name}: a cost is not negative, a share is above 0 and at most 1")
    if exact if exact is not None else len(controls) <= EXACT:
        return _all(losses, controls, budget)
    return _program(losses, controls, budget)


def _logs(losses: Mapping[str, float], controls: Sequence[Control]) -> np.ndarray:
    shares = [[control.leaves.get(risk, 1.0) for control in controls] for risk in losses]
    return np.log(np.array(shares, float).reshape(len(losses), len(controls)))


def _choice(taken: Sequence[int], losses: Mapping, controls: Sequence[Control], gap: float = 0.0) -> Choice:
    chosen = [controls[n] for n in sorted(taken)]
    shares = left(chosen, list(losses))
    loss = sum(losses[risk] * shares[risk] for risk in losses)
    return Choice(tuple(control.name for control in chosen), sum(control.cost for control in chosen), loss, gap)


def _sets(count: int) -> np.ndarray:
    """All choices among so many, a row each."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=count))).reshape(2**count, count)


def _all(losses: Mapping[str, float], controls: Sequence[Control], budget: float) -> Choice:
    sets = _sets(len(controls))
    costs = sets @ np.array([control.cost for control in controls]) if controls else np.zeros(len(sets))
    sets = sets[costs <= budget + 1e-9]
    left_over = np.exp(sets @ _logs(losses, controls).T) @ np.array(list(losses.values()))
    return _choice(np.flatnonzero(sets[int(np.argmin(left_over))]), losses, controls)


def _program(losses: Mapping[str, float], controls: Sequence[Control], budget: float, rounds: int = 60) -> Choice:
    """A mixed-integer program. What is left of a risk is exp(Σ log share), a convex function, so tangents lie below it:
    solve with some, add those at the solution, and go on until they meet (outer approximation, Duran and Grossmann,
    1986)."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    logs, weights = _logs(losses, controls), np.array(list(losses.values()))
    count, rows = len(controls), len(weights)
    cost = np.concatenate([np.zeros(count), weights])  # of the controls nothing, of what is left its loss
    spent = LinearConstraint(np.concatenate([[c.cost for c in controls], np.zeros(rows)]), -np.inf, budget)
    bounds = Bounds(np.zeros(count + rows), np.ones(count + rows))
    tangents: list[np.ndarray] = []
    floors: list[float] = []
    best_taken, best_loss, bound = np.zeros(count), float(weights.sum()), 0.0

    def add(points: np.ndarray) -> None:
        for risk in range(rows):
            at = float(points[risk])
            row = np.zeros(count + rows)  # left >= exp(at) (1 + Σ log share · taken − at)
            row[:count], row[count + risk] = -np.exp(at) * logs[risk], 1.0
            tangents.append(row)
            floors.append(np.exp(at) * (1 - at))

    add(np.zeros(rows))
    add(logs.sum(axis=1))
    for _ in range(rounds):
        with _silent():
            found = milp(
                cost,
                constraints=[spent, LinearConstraint(np.array(tangents), np.array(floors), np.inf)],
                integrality=np.concatenate([np.ones(count), np.zeros(rows)]),
                bounds=bounds,
                options={"mip_rel_gap": 0, "time_limit": 30},
            )
        if found.x is None:
            break
        taken = np.round(found.x[:count])
        loss = float(np.exp(logs @ taken) @ weights)
        bound = max(bound, float(found.mip_dual_bound))
        if loss < best_loss:
            best_taken, best_loss = taken, loss
        if best_loss - bound <= 1e-9 * max(1.0, best_loss):
            break
        add(logs @ taken)
    gap = max(0.0, (best_loss - bound) / best_loss) if best_loss else 0.0
    return _choice(np.flatnonzero(best_taken), losses, controls, 0.0 if gap < 1e-8 else gap)


def additive(losses: Mapping[str, float], controls: Sequence[Control], budget: float) -> Choice:
    """What is best if benefits are added, as in many spreadsheets; its loss is the true one. Up to `EXACT` controls."""
    benefits = [sum(losses[r] * (1 - c.leaves.get(r, 1.0)) for r in losses) for c in controls]
    sets = _sets(len(controls))
    sets = sets[sets @ np.array([control.cost for control in controls]) <= budget + 1e-9]
    return _choice(np.flatnonzero(sets[int(np.argmax(sets @ np.array(benefits)))]), losses, controls)


def greedy(losses: Mapping[str, float], controls: Sequence[Control], budget: float) -> Choice:
    """Buy the most saving per dollar, again and again, while the money lasts."""
    taken: list[int] = []
    while True:
        now = _choice(taken, losses, controls)
        rest = [n for n in range(len(controls)) if n not in taken and now.cost + controls[n].cost <= budget + 1e-9]
        saving = {n: now.loss - _choice([*taken, n], losses, controls).loss for n in rest}
        rest = [n for n in rest if saving[n] > 0]
        if not rest:
            return now
        taken.append(max(rest, key=lambda n: saving[n] / max(controls[n].cost, 1e-9)))


@contextmanager
def _silent():
    """Nothing that the solver's library prints past Python reaches a notebook."""
    sys.stdout.flush()
    try:
        out = sys.__stdout__.fileno()
    except (AttributeError, OSError, ValueError):
        yield
        return
    kept = os.dup(out)
    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), out)
    try:
        yield
    finally:
        os.dup2(kept, out)
        os.close(kept)

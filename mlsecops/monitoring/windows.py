"""All clients together: does a window of queries show none, drift, probing, or both?

Drift moves what people are like; probing mixes in somebody who is not like people at all. So a window is fitted as a
mixture: people whose marginals were *tilted* as the window asks for, plus a share of queries spread evenly. Without the
tilt, people who grew older look like a probe.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlsecops.monitoring.detectors import Reference

ROUNDS = 40
FEWEST = 100  # queries of a window
SHIFTS = (0, -3, -2, -1, 1, 2, 3, 4, 5)  # everybody a few years older: heaps at 5, 10, 15 that move are no probe


def psi(expected, actual) -> float:
    """Population stability index of two arrays of counts or shares over the same bins: Σ (a − e) · ln(a / e).

    Whole numbers are counts, and so are others that add up to more than one. The popular limits .1 and .25 are a rule
    of thumb from credit scoring without a known source; calibrate on quiet weeks of your own. Bins that are empty on
    one side count as half a query.

    Raises:
        ValueError: not the same bins, or a side without any count.
    """
    shares = [np.asarray(side).dtype.kind == "f" and np.sum(side) <= 1.5 for side in (expected, actual)]
    expected, actual = np.asarray(expected, float), np.asarray(actual, float)
    if expected.shape != actual.shape or not expected.size:
        raise ValueError("both sides need the same bins")
    if not expected.sum() > 0 or not actual.sum() > 0:
        raise ValueError("a side without any count has no distribution")
    sides = zip((expected, actual), shares, strict=True)
    expected, actual = (np.where(side > 0, side, 1e-6 if share else 0.5) for side, share in sides)
    expected, actual = expected / expected.sum(), actual / actual.sum()
    return float(((actual - expected) * np.log(actual / expected)).sum())


@dataclass(frozen=True)
class Fit:
    """What a window looks like.

    Attributes:
        drift: twice the log likelihood gained by tilting people, per tilted number: large where people changed.
        probing: twice the log likelihood gained by mixing in even spread, after the tilt.
        share: of queries that are spread evenly.
    """

    drift: float
    probing: float
    share: float


class Windows:
    """Labels windows against what people were like.

    Args:
        reference: what people are like.
        quiet: windows (tables of the query fields) from weeks in which nothing happened, twenty or more.
        margin: the label needs this many times what the worst quiet window shows.
    """

    def __init__(self, reference: Reference, quiet: list[pd.DataFrame], margin: float = 1.0):
        self.reference = reference
        fits = [self.fit(window) for window in quiet]
        self.drift = margin * max(fit.drift for fit in fits)
        self.probing = max(margin * max(fit.probing for fit in fits), 6.6)  # 1 % of chi-squared with one degree

    def label(self, window: pd.DataFrame) -> str:
        """Return "none", "drift", "probing" or "both" for a table of query fields, any order."""
        fit = self.fit(window)
        words = {(False, False): "none", (True, False): "drift", (False, True): "probing", (True, True): "both"}
        return words[fit.drift > self.drift, fit.probing > self.probing]

    def fit(self, window: pd.DataFrame) -> Fit:
        """Fit people, tilted people, and tilted people with a share of even spread; see `Fit`.

        Raises:
            ValueError: fewer than `FEWEST` queries.
        """
        if len(window) < FEWEST:
            raise ValueError(f"a window of {len(window)} queries says nothing; {FEWEST} or more are needed")
        parts = []
        for part in self.reference.parts:
            count = len(part.values)  # the last place, of no share to speak of, counts as the one before
            share, places = np.array(part.share[:count]), np.minimum(part.places(window), count - 1)
            parts.append((share / share.sum(), places, _moments(part, count)))
        even = -sum(np.log(len(share)) for share, _, _ in parts)
        plain = sum(np.log(share)[places] for share, places, _ in parts)
        weights = np.ones(len(window))
        tilted = sum(_tilt(*part, weights) for part in parts)
        alone, mix, logs = tilted.sum(), 0.05, tilted
        for _ in range(ROUNDS):  # expectation and maximization (Dempster, Laird and Rubin, JRSS B 1977)
            weights = 1 / (1 + mix / (1 - mix) * np.exp(even - logs))
            mix = float(np.clip(1 - weights.mean(), 1e-6, 0.9))
            logs = sum(_tilt(*part, weights) for part in parts)
        together = np.log((1 - mix) * np.exp(logs) + mix * np.exp(even)).sum()
        moved = (weights * (logs - plain)).sum()
        return Fit(drift=2 * float(moved), probing=max(0.0, 2 * float(together - alone)), share=mix)


def _moments(part, count) -> np.ndarray:
    """What of a part may be tilted, a column each, a row per place: level, spread and skew of a number, each flag, each
    of the five commonest values of a text."""
    if part.kind == "number":
        values = np.arange(count, dtype=float)
        values = (values - values.mean()) / values.std()
        return np.column_stack([values, values**2, values**3])
    if part.kind == "flags":
        return np.column_stack([np.arange(count) >> bit & 1 for bit in range(len(part.fields))]).astype(float)
    return np.eye(count)[:, np.argsort(part.share[:count])[::-1][:5]]


def _tilt(share, places, moments, weights):
    """Log shares of the rows' places after the tilt that gives the window's weighted means of ``moments``.

    The tilt of least relative entropy with these means (Csiszár, Annals of Probability 1975), found by Newton steps.
    Numbers (three moments) may have been shifted before.
    """
    wanted = np.average(moments[places], axis=0, weights=weights)
    counts = np.bincount(places, weights, len(share))
    starts = [_shifted(share, by) for by in SHIFTS] if _is_number(moments) else [share]
    likely = [counts @ np.log(start) for start in starts]
    share = starts[int(np.argmax(likely))]
    theta, own = np.zeros(moments.shape[1]), share
    for _ in range(12):
        middle = own @ moments
        spread = (moments * own[:, None]).T @ moments - np.outer(middle, middle)
        theta = theta + np.linalg.solve(spread + 1e-6 * np.eye(len(theta)), wanted - middle)
        own = share * np.exp(moments @ theta - (moments @ theta).max())
        own = own / own.sum()
    return np.log(own)[places]


def _is_number(moments):
    return len(np.unique(moments)) > 2


def _shifted(share, by):
    """The shares with every value ``by`` places higher; what falls off the end stays at the end."""
    moved = np.full(len(share), share.min())
    places = np.clip(np.arange(len(share)) + by, 0, len(share) - 1)
    np.add.at(moved, places, share)
    return moved / moved.sum()

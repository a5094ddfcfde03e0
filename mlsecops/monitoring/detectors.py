"""How far a client is from people: a dozen numbers on its fresh queries, and the threshold that makes them a verdict.

Each statistic grows with suspicion. What counts is its p-value: the share of legitimate clients with at least as
much. The smallest of them is a client's score (Tippett, The Methods of Statistics, 1931), and the threshold is the
score that at most the wanted share of *other* legitimate clients reaches, with 99 % confidence (a tolerance limit:
Wilks, Annals of Mathematical Statistics 1941).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

from mlsecops.monitoring.features import changed_fields, fields_of, in_order
from mlsecops.monitoring.rules import FRESH

MIXES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0)
LARGE = 50  # fresh queries from which a client tells how much honest clients differ among themselves


@dataclass(frozen=True)
class Part:
    """What people are like in one respect: a number, all yes-no fields together, or one field of text.

    Attributes:
        fields: the columns it reads.
        kind: "number", "flags" or "text".
        values: the values with a place of their own; the last place is for all others.
        share: how often people have each of them, smoothed; sums to 1.
    """

    fields: tuple[str, ...]
    kind: str
    values: tuple
    share: tuple[float, ...]

    def places(self, rows: pd.DataFrame) -> np.ndarray:
        """The place of each row's value among ``values``: integers."""
        if self.kind == "flags":
            codes = sum(rows[name].to_numpy(int) << bit for bit, name in enumerate(self.fields))
        elif self.kind == "number":
            codes = rows[self.fields[0]].to_numpy(float).round()
        else:
            codes = rows[self.fields[0]]
        found = pd.Index(self.values).get_indexer(pd.Index(codes))
        return np.where(found < 0, len(self.values), found)


@dataclass(frozen=True)
class Reference:
    """What people are like: the parts, taken as independent of each other, and how often they look alike by chance.

    Attributes:
        parts: the parts.
        twins: how likely two people differ in exactly one field.
        bases: how often, per fresh query, real people one after the other look like one person who is being varied.
    """

    parts: tuple[Part, ...]
    twins: float
    bases: float

    @classmethod
    def of(cls, people: pd.DataFrame) -> "Reference":
        """Count the rows ``people``: columns of numbers, booleans and text, as in a query.

        Half a person is added to each value, so that nothing is impossible (Krichevsky and Trofimov, 1981).
        """
        flags = tuple(name for name in fields_of(people) if people[name].dtype == bool)
        groups = [(flags, "flags")] if flags else []
        for name in fields_of(people):
            if name not in flags:
                groups.append(((name,), "number" if pd.api.types.is_numeric_dtype(people[name]) else "text"))
        parts = []
        for fields, kind in groups:
            if kind == "flags":
                values = tuple(range(1 << len(fields)))
            elif kind == "number":
                values = tuple(np.arange(0.0, people[fields[0]].max().round() + 1))
            else:
                values = tuple(sorted(people[fields[0]].unique()))
            bare = Part(fields, kind, values, ())
            counts = np.bincount(bare.places(people), minlength=len(values) + 1) + 0.5
            parts.append(Part(fields, kind, values, tuple(counts / counts.sum())))
        return cls(tuple(parts), _twin_rate(people), _base_rate(people))

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return vars(self) | {"parts": [vars(part) for part in self.parts]}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Reference":
        """What `to_dict` returned, after a detour over JSON."""
        parts = [{k: tuple(v) if isinstance(v, list) else v for k, v in part.items()} for part in content["parts"]]
        return cls(**content | {"parts": tuple(Part(**part) for part in parts)})


def _twin_rate(people: pd.DataFrame, most: int = 2_000) -> float:
    """How likely two people differ in exactly one field."""
    rows = people[fields_of(people)].head(most)
    return (_twin_pairs(rows.assign(client=0)).sum() + 0.5) / (len(rows) * (len(rows) - 1) / 2)


def _base_rate(people: pd.DataFrame) -> float:
    """How often, per fresh query, a run of different people looks like one person who is being varied."""
    rows = people[fields_of(people)].sample(frac=1, random_state=0)  # a table may be sorted
    changed = changed_fields(rows.assign(client=0))
    return (_bases(changed, np.zeros(len(rows), int), 1)[0] + 0.5) / (changed.sum(axis=1) >= FRESH).sum()


def _twin_pairs(queries: pd.DataFrame) -> pd.Series:
    """By client: how many pairs of its queries differ in exactly one field."""
    fields = fields_of(queries)
    codes = {name: pd.factorize(queries[name])[0] for name in fields}
    client = queries["client"].to_numpy()
    pairs = pd.Series(0.0, index=pd.Index(np.unique(client), name="client"))

    def alike(names):
        table = pd.DataFrame({"client": client} | {name: codes[name] for name in names})
        size = table.groupby(["client", *names], sort=False).size()
        return (size * (size - 1) / 2).groupby("client").sum()

    same = alike(fields)
    for left_out in fields:
        pairs += (alike([name for name in fields if name != left_out]) - same).reindex(pairs.index, fill_value=0)
    return pairs


def statistics(
    queries: pd.DataFrame, reference: Reference, spread: dict[str, float] | None = None, *, count_all: bool = False
) -> pd.DataFrame:
    """Return a row of statistics per client, and ``n``, how many queries they stand on.

    ``density_…`` how far the mean log-share of its queries lies from people's, either way, in standard errors · ``far``
    those together · ``chi2_…`` (numbers, text) Pearson's statistic, standardized with its exact variance (Haldane,
    Biometrika 1937) · ``distinct_…`` (text) how many values, against as many people · ``uniform`` log likelihood ratio
    of the best mixture of people and even spread, against people alone · ``rate`` most queries in a minute · ``bases``
    people who were then varied in two fields or more · ``twins`` pairs that differ in one field; both beyond chance.

    Args:
        queries: ``client``, ``time``, fields.
        reference: what people are like.
        spread: variance among honest clients beyond chance, by statistic: what `Calibration.fit` found.
        count_all: count every query as if it were fresh, to see what that costs.
    """
    spread = spread or {}
    queries = in_order(queries)
    changed = changed_fields(queries)
    new = (changed.sum(axis=1) >= FRESH) | count_all
    clients, codes = np.unique(queries["client"].to_numpy(), return_inverse=True)
    drawn, own = queries[new], codes[new]
    count = np.bincount(own, minlength=len(clients)).astype(float)
    result: dict[str, np.ndarray] = {"n": count}
    ratio = np.zeros(len(drawn))
    total = np.zeros(len(clients))
    for part in reference.parts:
        name, share = "flags" if part.kind == "flags" else part.fields[0], np.array(part.share)
        places, logs = part.places(drawn), np.log(share)
        middle = share @ logs
        variance = share @ (logs - middle) ** 2
        mean = np.bincount(own, logs[places], len(clients)) / count
        z = (mean - middle) / np.sqrt(variance / count + spread.get(name, 0.0))
        result[f"density_{name}"] = np.abs(z)
        total += z**2
        if part.kind != "flags":
            seen = np.zeros((len(clients), len(share)), np.int32)
            np.add.at(seen, (own, places), 1)
            result |= _against(seen, count, share, name, part.kind == "text", spread)
        kinds = max(1, len(part.values))
        ratio += np.log(1 / kinds) - logs[places]
    result["far"] = total
    mixed = [
        np.bincount(own, np.log1p(-mix + mix * np.exp(ratio)) if mix < 1 else ratio, len(clients)) for mix in MIXES
    ]
    result["uniform"] = np.maximum(0, np.max(mixed, axis=0))
    minute = pd.Series((queries["time"].to_numpy() // 60).astype("int64"))
    result["rate"] = minute.groupby([codes, minute]).size().groupby(level=0).max().to_numpy(float)
    chance = count * reference.bases
    result["bases"] = (_bases(changed, codes, len(clients)) - chance) / np.sqrt(chance + 1)
    chance = count * (count - 1) / 2 * reference.twins
    result["twins"] = (_twin_pairs(drawn.assign(client=own)).to_numpy() - chance) / np.sqrt(chance + 1)
    return pd.DataFrame(result, index=pd.Index(clients, name="client"))


def _bases(changed, codes, clients):
    """By client: after how many fresh queries at least two different fields were varied before the next fresh one."""
    new = changed.sum(axis=1) >= FRESH
    varied = np.where(new[:, None], False, changed)
    starts = np.flatnonzero(new)
    in_run = np.logical_or.reduceat(varied, starts, axis=0).sum(axis=1) >= 2
    return np.bincount(codes[starts][in_run], minlength=clients).astype(float)


def _against(seen, count, share, name, text, spread):
    """Pearson's statistic and the number of different values, both against what as many people would give."""
    expected = count[:, None] * share
    excess = ((seen - expected) ** 2 / expected).sum(axis=1) - (len(share) - 1)
    noise = 2 * (len(share) - 1) + ((1 / share).sum() - len(share) ** 2 - 2 * len(share) + 2) / count
    off = count * spread.get(f"chi2_{name}", 0.0)
    result = {f"chi2_{name}": (excess - off) / np.sqrt(noise + off**2)}
    if text:
        unseen = (1 - share) ** count[:, None]
        different = (seen > 0).sum(axis=1) - (1 - unseen).sum(axis=1)
        result[f"distinct_{name}"] = np.abs(different) / np.sqrt((unseen * (1 - unseen)).sum(axis=1) + 0.5)
    return result


def _spread(table: pd.DataFrame, reference: Reference) -> dict[str, float]:
    """How much honest clients differ among themselves beyond chance, from those with many queries."""
    large = table[table["n"] >= LARGE]
    found: dict[str, float] = {}
    if len(large) < LARGE:
        return found
    for part in reference.parts:
        name, share = "flags" if part.kind == "flags" else part.fields[0], np.array(part.share)
        logs = np.log(share)
        variance = share @ (logs - share @ logs) ** 2
        squared = large[f"density_{name}"] ** 2 * variance / large["n"]
        found[name] = max(0.0, float((squared - variance / large["n"]).mean()))
        if part.kind == "flags":
            continue
        noise = 2 * (len(share) - 1) + ((1 / share).sum() - len(share) ** 2 - 2 * len(share) + 2) / large["n"]
        found[f"chi2_{name}"] = max(0.0, float((large[f"chi2_{name}"] * np.sqrt(noise) / large["n"]).mean()))
    return found


@dataclass(frozen=True)
class Calibration:
    """What legitimate clients are like in numbers: makes statistics p-values, and a score a verdict.

    Attributes:
        reference: what people are like.
        spread: how much honest clients differ beyond chance.
        sorted: by statistic, its values on the first half of the legitimate clients, ascending.
        threshold: a score at or below it is flagged.
        fpr: the share of legitimate clients that may be flagged.
        count_all: whether every query counts as fresh (only to see what that costs).
    """

    reference: Reference
    spread: dict[str, float]
    sorted: dict[str, np.ndarray]
    threshold: float
    fpr: float = 0.01
    count_all: bool = False

    @classmethod
    def fit(
        cls,
        queries: pd.DataFrame,
        reference: Reference,
        fpr: float = 0.01,
        leave_out: tuple[str, ...] = (),
        count_all: bool = False,
    ) -> "Calibration":
        """Calibrate on legitimate clients: every other one for p-values, the rest for the threshold.

        Args:
            queries: queries of clients that will be scored nowhere else.
            reference: what people are like, from other data.
            fpr: the false-positive rate that is wanted, such as 0.01.
            leave_out: names of statistics not to use.
            count_all: see the class.

        Raises:
            ValueError: too few clients: k statistics on n clients put about k/n of them at the smallest possible
                p-value, and where that passes the rate nothing can be flagged.
        """
        bare = statistics(queries, reference, count_all=count_all)
        spread = _spread(bare, reference)
        table = statistics(queries, reference, spread, count_all=count_all) if spread else bare
        table = table.drop(columns=["n", *leave_out])
        needed = math.ceil(3 * table.shape[1] / fpr)
        if len(table) // 2 < needed:
            raise ValueError(
                f"{len(table)} clients are too few to calibrate {table.shape[1]} statistics at {fpr:.3g}: "
                f"{needed:,} are needed for the p-values and as many for the threshold"
            )
        first, second = table.iloc[::2], table.iloc[1::2]
        known = {name: np.sort(first[name].to_numpy()) for name in table}
        bare_self = cls(reference, spread, known, 0.0, fpr, count_all)
        scores = bare_self._p_values(second).min(axis=1)
        rank = max(1, int(binom.ppf(0.01, len(scores), fpr)))
        return cls(reference, spread, known, float(np.sort(scores)[rank - 1]), fpr, count_all)

    def _p_values(self, table: pd.DataFrame) -> pd.DataFrame:
        values = {}
        for name, known in self.sorted.items():
            at_least = len(known) - np.searchsorted(known, table[name].to_numpy(), side="left")
            values[name] = (at_least + 1) / (len(known) + 1)
        return pd.DataFrame(values, index=table.index)

    def p_values(self, queries: pd.DataFrame) -> pd.DataFrame:
        """Return a row per client with the p-value of each statistic, and ``n``, its fresh queries."""
        table = statistics(queries, self.reference, self.spread, count_all=self.count_all)
        return self._p_values(table).assign(n=table["n"])

    def score(self, queries: pd.DataFrame, explained: Sequence[str] = ()) -> pd.DataFrame:
        """Return a row per client: ``p`` its score, ``flagged``, ``because`` the statistic that speaks loudest, ``n``.

        ``p`` is the smallest p-value of its statistics: no probability of guilt.

        Args:
            queries: ``client``, ``time``, fields.
            explained: statistics that do not count, since the owner has declared why they are large; see `rules`.
        """
        table = self.p_values(queries)
        values = table.drop(columns=["n", *(set(explained) & set(self.sorted))])
        if not values.shape[1]:
            values["nothing"] = 1.0
        p = values.min(axis=1)
        verdict = {
            "p": p,
            "flagged": p <= self.threshold,
            "because": values.idxmin(axis=1),
            "n": table["n"].astype(int),
        }
        return pd.DataFrame(verdict)

    def to_json(self) -> str:
        """As text, for `from_json`."""
        content = vars(self) | {"reference": self.reference.to_dict()}
        return json.dumps(content | {"sorted": {name: known.tolist() for name, known in self.sorted.items()}})

    @classmethod
    def from_json(cls, text: str) -> "Calibration":
        """What `to_json` returned."""
        content = json.loads(text)
        content["reference"] = Reference.from_dict(content["reference"])
        content["sorted"] = {name: np.array(known) for name, known in content["sorted"].items()}
        return cls(**content)


def textbook_signals(queries: pd.DataFrame) -> pd.DataFrame:
    """The three signals of the textbook, a row per client: kept to show what they flag.

    ``volume`` more queries than 95 % of clients have · ``gap`` the mean gap is over three standard deviations off ·
    ``entropy`` of the countries asked about, in bits, which the textbook computes and does not use.
    """
    queries = in_order(queries)
    by_client = queries.groupby("client")
    volume = by_client.size()
    gap = queries["time"].diff().mask(queries["client"] != queries["client"].shift()).groupby(queries["client"]).mean()
    share = queries.groupby(["client", "country"]).size() / volume
    entropy = -(share * np.log2(share)).groupby("client").sum()
    return pd.DataFrame(
        {
            "queries": volume,
            "volume": volume > volume.quantile(0.95),
            "gap_mean": gap,
            "gap": ((gap - gap.mean()) / gap.std()).abs() > 3,
            "entropy": entropy,
        }
    )

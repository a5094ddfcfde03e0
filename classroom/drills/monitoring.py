"""What lesson H5 reads and draws: the record of ten weeks, five signals side by side, and its figures."""

import json
from pathlib import Path
from textwrap import wrap

import numpy as np
import pandas as pd

from classroom.drills.traffic import Traffic, halves
from classroom.lesson import COLORS, show, sliding
from mlsecops.monitoring.features import fresh, in_order
from mlsecops.monitoring.watch import Watcher
from mlsecops.monitoring.windows import psi
from mlsecops.salary.dataset import DATA

WEEK, DAY = 7 * 86_400, 86_400
MONDAY = 1_788_134_400  # of the record's first week
OFFICE = (8, 18)  # o'clock


def read_record():
    """Return the ten weeks: ``client``, ``time``, the fields of a query, ``week`` (from 1) and ``fresh``."""
    record = pd.read_csv(DATA / "query_record.csv.gz")
    flags = [name for name in record if name.startswith("uses_")]
    record = record.astype(dict.fromkeys(flags, bool) | {"years_exp": float})
    record = in_order(record[["client", "time", *record.columns.drop(["client", "time"])]])
    record = record.assign(fresh=fresh(record), week=(record["time"] - MONDAY) // WEEK + 1)
    return record.sort_values(["time", "client"], kind="stable", ignore_index=True)


def simulator(seed):
    """Return a `Traffic` over one half of the survey's people, and the other half, which is public."""
    people, public = halves()
    return Traffic(people, public, sorted(public["country"].unique()), np.random.default_rng(seed)), public


def flagged(groups, calibrations):
    """Return the share of flagged clients: a row per group (dict of queries), a column per calibration (dict)."""
    return pd.DataFrame(
        {
            way: {name: float(one.score(queries)["flagged"].mean()) for name, queries in groups.items()}
            for way, one in calibrations.items()
        }
    )


def watched(log, key, detector, desk):
    """Return the alerts, as a list, that `mlsecops watch` writes about a log. desk: an empty folder for its state."""
    out = Path(desk) / "alerts.jsonl"
    with out.open("w") as file:
        Watcher(log, Path(desk) / "state", key, detector).run(file, lambda alert: None)
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def delays(lines, alerts, attacks):
    """Return a row per attack: its ``requests``, and how many of them were made up to the first ``alert after``."""
    table = {}
    for attack in attacks:
        own = [
            alert["time"]
            for alert in alerts
            if (alert["key_id"] in attack["key_ids"] if alert["key_id"] else alert["address"] in attack["addresses"])
            and attack["from"] <= alert["time"] <= attack["to"] + 60
        ]
        made = [
            line.get("count", 1)
            for line in lines
            if line.get("address") in attack["addresses"] and attack["from"] <= line["time"] <= min(own, default=0)
        ]
        table[attack["name"]] = {"requests": attack["requests"], "alert after": sum(made) if own else None}
    return pd.DataFrame(table).T


def in_duckdb(sql, queries):
    """Return what ``sql`` answers about the table ``queries``, by client; None, and says so, without DuckDB."""
    try:
        import duckdb
    except ImportError:
        print("DuckDB is not installed.")
        return None
    with duckdb.connect() as database:
        return database.register("queries", queries).sql(sql).df().set_index("client")


def bins(queries):
    """Return counts for a stability index: years of coding, and countries; a Series each."""
    return queries["years_exp"].clip(upper=45).value_counts(), queries["country"].value_counts()


def moved(usual, queries):
    """Return the larger one of two PSIs, of years and of countries, of fresh ``queries`` against the ``usual``."""
    found = []
    for before, now in zip(bins(usual), bins(queries), strict=True):
        both = before.index.union(now.index)
        found.append(psi(before.reindex(both, fill_value=0), now.reindex(both, fill_value=0)))
    return max(found)


def five_signals(usual, groups):
    """Return one row per signal, one column per group of queries (dict), each a number.

    ``shift`` the stability index against ``usual`` · ``volume`` fresh queries per key and active day · ``diversity``
    different countries in a key's first twenty fresh queries · ``values`` share of fresh queries about somebody with 30
    years or more · ``timing`` share of a key's active days that begin at night or lie on a weekend.
    """
    columns = {}
    for name, queries in groups.items():
        new = queries[queries["fresh"]]
        first = new[new.groupby("client").cumcount() < 20]
        enough = first.groupby("client").filter(lambda own: len(own) == 20)
        days = new.groupby(["client", new["time"] // DAY]).size()
        began = queries.groupby(["client", queries["time"] // DAY])["time"].min()
        hour, day = began % DAY / 3600, (began - MONDAY) // DAY
        columns[name] = {
            "shift (PSI)": moved(usual[usual["fresh"]], new),
            "volume (fresh per key and day)": days.mean(),
            "diversity (countries in 20 fresh)": enough.groupby("client")["country"].nunique().mean(),
            "values (30 years or more, %)": 100 * (new["years_exp"] >= 30).mean(),
            "timing (days begun at night or on a weekend, %)": 100 * (~hour.between(*OFFICE) | (day % 7 > 4)).mean(),
        }
    return pd.DataFrame(columns)


def draw_signals(table):
    """Show the five signals, a panel each."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(table), figsize=(11, 2.6))
    tones = [COLORS["muted"], COLORS["honest"], COLORS["attack"]]
    for axis, (name, row) in zip(axes, table.iterrows(), strict=True):
        axis.bar(range(len(row)), row, color=tones, hatch="", edgecolor="white")
        title, _, unit = name.partition(" (")
        axis.set_title("\n".join([title, *wrap(f"({unit}", 24)]), fontsize=9)
        axis.set_xticks(range(len(row)), [column.replace(" ", "\n", 1) for column in row.index], fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        for place, value in enumerate(row):
            axis.text(place, value, _short(value), ha="center", va="bottom", fontsize=8)
    figure.tight_layout()
    told = [f"{name}: " + ", ".join(f"{c} {_short(v)}" for c, v in row.items()) for name, row in table.iterrows()]
    show(figure, alt=f"Five bar charts, one per signal. {'; '.join(told)}.")


def _short(value):
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def draw_textbook(signals):
    """Show the textbook's three panels over the clients: volume, mean gap, uniformity (entropy), and who is flagged."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 2.8))
    panels = (
        ("queries", "volume", "queries"),
        ("gap_mean", "gap", "mean gap (s)"),
        ("entropy", None, "entropy (bits)"),
    )
    for axis, (column, flag, title) in zip(axes, panels, strict=True):
        values = signals[column].sort_values()
        marked = signals.loc[values.index, flag] if flag else pd.Series(False, index=values.index)
        tones = [COLORS["accent"] if one else COLORS["muted"] for one in marked]
        axis.bar(range(len(values)), values, color=tones, width=1)
        axis.set(title=title, xlabel="clients, sorted", xticks=[])
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    alt = f"Volume flags {signals['volume'].sum()} clients, the gap {signals['gap'].sum()}, entropy flags nobody."
    show(figure, alt=f"Three panels over {len(signals)} clients, sorted, flagged ones in orange. {alt}")


def draw_found(table):
    """Show per attacker how many are found, one bar per way of counting (columns), as shares."""
    _draw_bars(table, [COLORS["honest"], COLORS["accent"]], "share found at 1 % false alarms", 1.0)


def draw_false_alarms(table, limit=0.01):
    """Show per kind of honest client how many are flagged, with the promised rate as a line."""
    _draw_bars(table, [COLORS["honest"], COLORS["accent"]], "share flagged (all of them honest)", None, limit)


def _draw_bars(table, tones, title, most, line=None):
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8.5, 0.9 + 0.42 * len(table)))
    places, height = np.arange(len(table))[::-1], 0.8 / table.shape[1]
    for number, (name, values) in enumerate(table.items()):
        axis.barh(places - number * height, values, height=height, color=tones[number], label=name)
        for place, value in zip(places, values, strict=True):
            axis.text(value, place - number * height, f" {100 * value:.0f} %", va="center", fontsize=8)
    axis.set_yticks(places - 0.2, [name.replace("_", " ") for name in table.index])
    axis.set(title=title, xlim=(0, most and 1.12 * most))
    if line:
        axis.axvline(line, color=COLORS["attack"], linewidth=1, linestyle="--")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="lower right", fontsize=8)
    told = "; ".join(
        f"{name}: " + ", ".join(f"{100 * value:.0f} % ({column})" for column, value in row.items())
        for name, row in table.iterrows()
    )
    show(figure, alt=f"Bars, {title}. {told}.")


def windows_of(record, size=3_000):
    """Yield the fresh queries of the record in consecutive windows: ``(week in which it begins, table of fields)``."""
    new = record[record["fresh"]]
    fields = new.columns.drop(["client", "time", "week", "fresh"])
    for start in range(0, len(new) - size + 1, size):
        window = new.iloc[start : start + size]
        yield float((window["time"].iloc[0] - MONDAY) / WEEK + 1), window[fields]


def labeled_windows(record, labeler, usual):
    """Return a row per window: ``week``, ``label``, ``probes`` (estimated share of even spread), ``psi``.

    Args:
        record: see `read_record`.
        labeler: a `mlsecops.monitoring.windows.Windows`.
        usual: the part of the record against which the stability index is taken.
    """
    before = usual[usual["fresh"]]
    rows = [
        {"week": week, "label": labeler.label(w), "probes": labeler.fit(w).share, "psi": moved(before, w)}
        for week, w in windows_of(record)
    ]
    return pd.DataFrame(rows)


def quiet_windows(quiet, rng, count=30, size=3_000):
    """Return ``count`` windows of whole client-weeks, drawn from the fresh queries of quiet weeks."""
    new = quiet[quiet["fresh"]]
    fields = new.columns.drop(["client", "time", "week", "fresh"])
    own = [group[fields] for _, group in new.groupby(["client", "week"])]
    made = []
    for _ in range(count):
        parts, total = [], 0
        while total < size:
            parts.append(own[rng.integers(len(own))])
            total += len(parts[-1])
        made.append(pd.concat(parts).head(size))
    return made


def draw_windows(table):
    """Show labels of windows over the weeks: ``week``, ``label``, ``psi``, ``probes`` (estimated share)."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 1, figsize=(9.5, 4), sharex=True)
    marks = {"none": ("o", "muted"), "drift": ("s", "honest"), "probing": ("^", "attack"), "both": ("D", "accent")}
    for axis, column, title in zip(axes, ("psi", "probes"), ("PSI", "even spread (%)"), strict=True):
        values = table[column] * (100 if column == "probes" else 1)
        axis.plot(table["week"], values, color=COLORS["muted"], linewidth=0.8, zorder=0)
        for label, (mark, tone) in marks.items():
            own = table["label"] == label
            axis.scatter(table["week"][own], values[own], marker=mark, color=COLORS[tone], s=45, label=label)
        axis.set_ylabel(title)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].axhline(0.2, color=COLORS["muted"], linestyle=":", linewidth=1)
    axes[0].text(1, 0.23, "rule of thumb, 0.2", fontsize=8, color=COLORS["muted"])
    axes[0].legend(fontsize=8, ncols=4, loc="upper left", bbox_to_anchor=(0, 1.25))
    axes[1].set(xlabel="week", xticks=range(1, 11))
    told = ", ".join(f"week {row.week:.1f} {row.label}" for row in table.itertuples())
    show(figure, alt=f"Stability index and estimated share of even spread per window, with its label: {told}.")


def draw_incident(lines, found, names):
    """Show the two days: a row per incident, its requests as points and its alerts as triangles.

    Args:
        lines: of the log.
        found: of `mlsecops.monitoring.alerts.incidents`.
        names: what to call each.
    """
    import matplotlib.pyplot as plt

    start = min(line["time"] for line in lines if "time" in line)
    figure, axis = plt.subplots(figsize=(9.5, 0.8 + 0.38 * len(found)))
    for row, one in enumerate(found):
        own = [
            line["time"]
            for line in lines
            if line.get("key_id") in one.keys or (not line.get("key_id") and line.get("address") in one.addresses)
        ]
        axis.plot((np.array(own) - start) / 3600, np.full(len(own), -row), "|", color=COLORS["muted"], markersize=9)
        when = [(alert["time"] - start) / 3600 for alert in one.alerts]
        axis.plot(when, np.full(len(when), -row), "v", color=COLORS["attack"], markersize=8)
    axis.set_yticks(-np.arange(len(found)), names, fontsize=8)
    axis.set_xlabel("hours since the first line")
    axis.spines[["top", "right"]].set_visible(False)
    told = "; ".join(
        f"{name}: first alert after {(one.alerts[0]['time'] - start) / 3600:.1f} hours"
        for name, one in zip(names, found, strict=True)
    )
    show(figure, alt=f"Requests as gray strokes and alerts as triangles over two days. {told}.")


def explorer(honest, attackers):
    """A slider over the false-positive rate that shows who is found and who is disturbed; recomputed at each move.

    Args:
        honest: p-values of legitimate clients by kind: ``{kind: array}``.
        attackers: the same of attackers.

    Returns:
        A widget, with its first place as text.
    """
    everybody = np.sort(np.concatenate(list(honest.values())))

    def said(percent: float) -> str:
        limit = everybody[max(0, int(len(everybody) * percent / 100) - 1)]
        flagged = sum((p <= limit).sum() for p in honest.values())
        lines = [f"false alarms {percent:.1f} %: {flagged} of {len(everybody)} honest clients flagged"]
        for group in (honest, attackers):
            shares = (f"{kind.replace('_', ' ')} {(p <= limit).mean():.0%}" for kind, p in group.items())
            lines.append("  " + " · ".join(shares))
        return "\n".join(lines)

    return sliding(said, "% alarms", [round(0.1 * place, 1) for place in range(1, 101)], 1.0)

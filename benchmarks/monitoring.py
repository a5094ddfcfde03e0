"""What the detectors of lesson H5 find, whom they disturb, and how they cope with many rows.

    python benchmarks/monitoring.py [clients|windows|size|huge] [--quick]

``clients``  true-positive rate per attacker and false alarms per honest kind at a threshold for 1 %, over ten seeds
``windows``  macro-F1 of the labels none, drift, probing and both, on windows of 3,000 queries
``size``     10 million Parquet rows to features, DuckDB beside pandas; a million JSON lines, DuckDB beside json.loads
``huge``     100 million rows under a memory limit of 1 GB, DuckDB alone

Without a name: the first three. Intervals are over seeds (95 %, Student's t): the noise is in the threshold, and a
second population of clients scored against the same threshold would not show it.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from classroom.drills.traffic import SET_ASIDE, Traffic, halves  # noqa: E402 - found through the line above
from mlsecops.monitoring.detectors import Calibration, Reference  # noqa: E402
from mlsecops.monitoring.features import client_features, features_sql  # noqa: E402
from mlsecops.monitoring.windows import Windows  # noqa: E402
from mlsecops.salary.dataset import features, load_salaries  # noqa: E402

FIELDS = ["years_exp", "uses_python", "uses_sql", "uses_js", "uses_ai", "country"]


def over_seeds(rows):
    """Mean and 95 % interval over seeds of each column."""
    table = pd.DataFrame(rows)
    if len(table) < 2:
        return {name: f"{table[name].mean():6.3f}" for name in table}
    half = table.std() / np.sqrt(len(table)) * t.ppf(0.975, len(table) - 1)
    return {name: f"{table[name].mean():6.3f} ± {half[name]:.3f}" for name in table}


def clients(seeds, calibrated, scored, each):
    """One row per seed, with and without fresh counting."""
    found = {"fresh queries counted": [], "every query counted": []}
    people, public = halves()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        traffic = Traffic(people, public, sorted(public["country"].unique()), rng)
        reference = Reference.of(public)
        quiet, honest = traffic.honest(calibrated).drop(columns="kind"), traffic.honest(scored)
        kind = honest.groupby("client")["kind"].first()
        others = {name: traffic.make(name, each) for name in (*Traffic.ATTACKERS, *SET_ASIDE, *Traffic.UNSEEN)}
        matched = traffic.matched(traffic.make("uniform_few", scored))
        for name, rows in found.items():
            calibration = Calibration.fit(quiet, reference, count_all=name.startswith("every"))
            scores = calibration.score(honest.drop(columns="kind"))
            row = {f"TPR {other}": calibration.score(made)["flagged"].mean() for other, made in others.items()}
            row["FPR"] = scores["flagged"].mean()
            row |= {f"FPR {one}": scores["flagged"][kind == one].mean() for one in Traffic.HONEST}
            users = scores["p"][kind == "user"]
            ranks = rankdata(-np.r_[calibration.score(matched)["p"], users])[:scored]
            row["AUROC of the matched control"] = (ranks.mean() - (scored + 1) / 2) / len(users)
            rows.append(row)
        print(f"seed {seed} done", file=sys.stderr, flush=True)
    tables = {name: over_seeds(rows) for name, rows in found.items()}
    print(f"\nClients: {calibrated:,} calibrate, {scored:,} are scored, {each} per attacker; {len(seeds)} seeds; 1 %\n")
    print(f"{'':34}" + "".join(f"{name:>24}" for name in tables))
    for line in tables["fresh queries counted"]:
        print(f"{line:34}" + "".join(f"{table[line]:>24}" for table in tables.values()))


def windows(seeds, times, size=3_000):
    """Macro-F1, and what each kind of window was called."""
    people, public = halves()
    scores, called = [], {}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        traffic = Traffic(people, public, sorted(public["country"].unique()), rng)

        def crowd(count=size, rng=rng):
            return people.iloc[rng.integers(len(people), size=count)].reset_index(drop=True)

        def older(years, count=size, crowd=crowd):
            return crowd(count).assign(years_exp=lambda table: table["years_exp"] + years)

        def moved(rng=rng, crowd=crowd, traffic=traffic):
            table = crowd()
            table.loc[rng.random(size) < 0.05, "country"] = rng.choice(traffic.countries)  # a customer moves in
            return table

        def tooled(rng=rng, crowd=crowd):
            return crowd().assign(uses_ai=lambda table: table["uses_ai"] | (rng.random(size) < 0.3))

        def beside(kind, share, base=crowd, traffic=traffic):
            count = int(share * size)
            return pd.concat([base(size - count), traffic.make(kind, 40)[list(people)].head(count)])

        kinds = {
            "quiet": ("none", crowd),
            "+1 year": ("drift", lambda older=older: older(1)),
            "+3 years": ("drift", lambda older=older: older(3)),
            "country +5 %": ("drift", moved),
            "AI +30 %": ("drift", tooled),
            "botnet 3 %": ("probing", lambda beside=beside: beside("uniform", 0.03)),
            "botnet 5 %": ("probing", lambda beside=beside: beside("uniform", 0.05)),
            "botnet 10 %": ("probing", lambda beside=beside: beside("uniform", 0.10)),
            "slow grid 5 %": ("probing", lambda beside=beside: beside("slow_grid", 0.05)),
            "+3 years, botnet 10 %": (
                "both",
                lambda beside=beside, older=older: beside("uniform", 0.1, lambda n: older(3, n)),
            ),
            "AI +30 %, botnet 5 %": (
                "both",
                lambda beside=beside, tooled=tooled: beside("uniform", 0.05, lambda n: tooled().head(n)),
            ),
        }
        labeler = Windows(Reference.of(public), [crowd() for _ in range(60)], margin=1.2)
        truth, said = [], []
        for name, (label, make) in kinds.items():
            # as many of each label: the kinds of a label share its windows
            count = round(times * max(1, 4 / sum(other == label for other, _ in kinds.values())))
            labels = [labeler.label(make()) for _ in range(count)]
            truth += [label] * count
            said += labels
            called.setdefault(name, []).extend(labels)
        scores.append({"macro-F1": _macro_f1(np.array(truth), np.array(said))})
        print(f"seed {seed} done", file=sys.stderr, flush=True)
    print(f"\nWindows of {size:,} queries, {len(scores)} seeds: macro-F1 {over_seeds(scores)['macro-F1']}\n")
    names = ("none", "drift", "probing", "both")
    print(pd.DataFrame({k: [v.count(name) for name in names] for k, v in called.items()}, index=names).T.to_string())


def _macro_f1(truth, said):
    each = []
    for label in np.unique(truth):
        right = ((truth == label) & (said == label)).sum()
        each.append(2 * right / ((truth == label).sum() + (said == label).sum()))
    return float(np.mean(each))


# --- size: each job in a process of its own, so that its memory is its own -------------------------------------------


def make_rows(path, count):
    """A Parquet file of ``count`` queries of 100 rows per client, made in DuckDB from the salary sample."""
    import duckdb

    people = features(load_salaries("sample"))[FIELDS]  # noqa: F841 - DuckDB finds it by its name
    base = duckdb.connect()
    base.execute("set preserve_insertion_order = false; set memory_limit = '1GB'; select setseed(.5)")
    base.execute("create table people as select *, row_number() over () - 1 as place from people")
    base.execute(
        f"copy (select i // 100 as client, i % 100 * 60 + random() * 50 as time, {', '.join(FIELDS)} from "
        f"(select range as i, hash(range) % (select count(*) from people) as place from range({count})) "
        f"join people using (place)) to '{path}' (format parquet)"
    )


def with_duckdb(path, limit="300MB"):
    """Features of every client; returns their sums, which both sides must agree on."""
    import duckdb

    base = duckdb.connect(config={"memory_limit": limit, "threads": 2, "temp_directory": str(Path(path).parent)})
    return base.sql(features_sql(f"'{path}'", FIELDS)).df().set_index("client")


def with_pandas(path):
    """The same by `client_features`."""
    return client_features(pd.read_parquet(path))


def lines_duckdb(path):
    """Answered queries of a log, by DuckDB."""
    import duckdb

    columns = "{key_id: 'VARCHAR', time: 'DOUBLE', status: 'INTEGER', features: 'JSON'}"
    source = f"read_json('{path}', format = 'newline_delimited', columns = {columns})"
    wanted = f"select key_id, count(*) as n, sum(time) as t from {source} where status = 200 group by all"
    return duckdb.sql(wanted).df().set_index("key_id")


def lines_python(path):
    """The same by json.loads."""
    rows = {}
    with open(path, "rb") as file:  # noqa: PTH123
        for line in file:
            content = json.loads(line)
            if content["status"] == 200:
                one = rows.setdefault(content["key_id"], [0, 0.0])
                one[0] += 1
                one[1] += content["time"]
    table = pd.DataFrame([[key, *one] for key, one in rows.items()], columns=["key_id", "n", "t"])
    return table.set_index("key_id")


JOBS = {job.__name__: job for job in (with_duckdb, with_pandas, lines_duckdb, lines_python)}


def measured(name, path, result):
    """Seconds and peak memory (GB) of one job."""
    command = [sys.executable, __file__, "job", name, str(path), str(result)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def beside(one, other, path, folder, turns):
    """Let two jobs take turns; print both, and whether they found the same."""
    best = {}
    for _ in range(turns):
        for name in (one, other):
            best[name] = min(best.get(name, [9e9, 0]), measured(name, path, folder / f"{name}.pickle"))
    first, second = (pd.read_pickle(folder / f"{name}.pickle") for name in (one, other))
    pd.testing.assert_frame_equal(first.sort_index(), second[list(first)].sort_index(), check_dtype=False, rtol=1e-9)
    for name, (seconds, memory) in best.items():
        print(f"  {name:14} {seconds:6.1f} s  {memory:5.2f} GB")
    print(f"  {other} takes {best[other][0] / best[one][0]:.1f} times as long as {one}; the same to 1e-9")


def size(rows, lines, turns=2):
    """Both comparisons."""
    from watch import make_log

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_rows(folder / "rows.parquet", rows)
        print(f"\n{rows:,} Parquet rows to features, DuckDB limited to 300 MB:")
        beside("with_duckdb", "with_pandas", folder / "rows.parquet", folder, turns)
        make_log(folder / "log.jsonl", lines)
        print(f"{lines:,} lines of the audit log to answered queries per key:")
        beside("lines_duckdb", "lines_python", folder / "log.jsonl", folder, turns)


def huge(rows):
    """DuckDB alone, on more than fits."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "rows.parquet"
        make_rows(path, rows)
        command = [sys.executable, __file__, "job", "with_duckdb", str(path), str(Path(name) / "result"), "1GB"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, memory = json.loads(done.stdout)
        found = len(pd.read_pickle(Path(name) / "result"))
        print(f"\n{rows:,} rows ({path.stat().st_size / 1e9:.1f} GB of Parquet), memory limit 1 GB:")
        print(f"  features of {found:,} clients in {seconds:.0f} s, peak {memory:.2f} GB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", choices=("clients", "windows", "size", "huge"))
    parser.add_argument("--quick", action="store_true", help="few seeds, small files: whether it runs at all")
    given = parser.parse_args()
    seeds, few = range(31, 41), range(31, 33)
    if given.part in (None, "clients"):
        clients(few, 7_000, 2_000, 30) if given.quick else clients(seeds, 12_000, 6_000, 120)
    if given.part in (None, "windows"):
        windows(few, 3) if given.quick else windows(seeds, 12)
    if given.part in (None, "size"):
        size(200_000, 20_000, 1) if given.quick else size(10_000_000, 1_000_000)
    if given.part == "huge":
        huge(2_000_000 if given.quick else 100_000_000)


if __name__ == "__main__":
    if sys.argv[1:2] == ["job"]:
        begin = time.perf_counter()
        frame = JOBS[sys.argv[2]](sys.argv[3], *sys.argv[5:])
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        frame.to_pickle(sys.argv[4])
        print(json.dumps([seconds, peak]))
    else:
        main()

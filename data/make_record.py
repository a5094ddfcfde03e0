"""Write ``query_record.csv.gz``, ten weeks of answered queries, and what happened in them; and their manifest entries.

    python data/make_record.py

Made of the clients of `classroom.drills.traffic`: office hours, quiet weekends, a little growth every week, an honest
drift from the eighth week on (more people use AI tools, and they are a year older), and two campaigns of thieves, in
weeks 6 and 10. Seeded: the same rows each time. Nobody's real traffic.
"""

import gzip
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from classroom.drills.traffic import Traffic, halves  # noqa: E402 - found through the line above

SEED = 2027
MONDAY = 1_788_134_400  # 31 August 2026, 00:00 UTC
DAY, WEEK, WEEKS = 86_400, 7 * 86_400, 10
SESSIONS, GROWTH, WEEKEND = 34, 1.03, 0.15  # on a working day of the first week; per week; of a working day
KEYS = {"user": 120, "what_if": 10, "sweeper": 4, "nat": 3, "batch": 2}
DRIFT_FROM, AI_MORE, OLDER = 8, 0.2, 1.0
CAMPAIGNS = {6: ("uniform", 9, 60), 10: ("slow_grid", 8, 80)}  # week: kind, keys, queries of each at most
RECORD, TRUTH = "query_record.csv.gz", "query_record.truth.json"
COLUMNS = {
    "time": "seconds since 1970, UTC",
    "client": "API key that asked, a number",
    "years_exp": "years of coding",
    "uses_python": "0 or 1",
    "uses_sql": "0 or 1",
    "uses_js": "0 or 1",
    "uses_ai": "0 or 1",
    "country": "country of residence, as the service lists it",
}


def make_files():
    """Return the contents of both files by name, the record not yet compressed."""
    rng = np.random.default_rng(SEED)
    people, public = halves()
    countries = sorted(public["country"].unique())
    before = Traffic(people, public, countries, rng)
    drifted = people.assign(
        years_exp=people["years_exp"] + OLDER, uses_ai=people["uses_ai"] | (rng.random(len(people)) < AI_MORE)
    )
    after = Traffic(drifted, public, countries, rng)
    ids = iter(rng.permutation(9_000) + 1_000)
    keys = {kind: [next(ids) for _ in range(count)] for kind, count in KEYS.items()}
    parts, campaigns = [], []
    for day in range(7 * WEEKS):
        week = day // 7 + 1
        traffic = after if week >= DRIFT_FROM else before
        busy = SESSIONS * GROWTH ** (week - 1) * (WEEKEND if day % 7 > 4 else 1)
        counts = {"user": busy, "what_if": busy / 14, "sweeper": busy / 30, "nat": busy / 60, "batch": busy / 50}
        for kind, expected in counts.items():
            count = int(rng.poisson(expected))
            if count:
                made = traffic.make(kind, count)
                who = rng.choice(keys[kind], count, replace=count > len(keys[kind]))
                parts.append(made.assign(client=who[made["client"]], time=MONDAY + day * DAY + made["time"]))
    for week, (kind, count, most) in CAMPAIGNS.items():
        made = before.make(kind, count)
        made = made[made.groupby("client").cumcount() < most]
        who = np.array([next(ids) for _ in range(count)])[made["client"]]
        night = np.where(rng.random(len(made)) < 0.5, rng.uniform(0, 6, len(made)), rng.uniform(19, 24, len(made)))
        moment = MONDAY + (week - 1) * WEEK + rng.integers(0, 7, len(made)) * DAY + night * 3600
        parts.append(made.assign(client=who, time=moment))
        campaigns.append({"week": week, "kind": kind, "clients": sorted(int(key) for key in set(who))})
    record = pd.concat(parts)[list(COLUMNS)]
    record["time"] = record["time"].round().astype("int64")
    flags = [name for name in record if name.startswith("uses_")]
    record = record.astype(dict.fromkeys([*flags, "years_exp"], int)).sort_values(["time", "client"], kind="stable")
    record = record[record["time"] < MONDAY + WEEKS * WEEK]
    truth = {"first_monday": MONDAY, "drift_from_week": DRIFT_FROM, "campaigns": campaigns}
    truth["kinds"] = {kind: sorted(int(key) for key in own) for kind, own in keys.items()}
    return {
        RECORD: record.to_csv(index=False, lineterminator="\n").encode(),
        TRUTH: (json.dumps(truth, indent=1) + "\n").encode(),
    }


def main():
    contents = make_files()
    rows = contents[RECORD].count(b"\n") - 1
    contents[RECORD] = gzip.compress(contents[RECORD], mtime=0)
    about = {"first_monday": "seconds since 1970", "drift_from_week": "the first is 1", "campaigns": "who was hostile"}
    columns = {RECORD: COLUMNS, TRUTH: about | {"kinds": "who the others are"}}
    manifest = HERE / "manifest.json"
    stated = json.loads(manifest.read_bytes())
    for name, content in contents.items():
        (HERE / name).write_bytes(content)
        entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        entry |= {"rows": rows} if name == RECORD else {}
        entry |= {"license": "CC0-1.0", "made_by": f"python data/make_record.py (seed {SEED}); nobody's real traffic"}
        stated["files"][name] = entry | {"columns": columns[name]}
        print(f"{name}: {len(content):,} bytes" + (f", {rows:,} rows" if name == RECORD else ""))
    manifest.write_bytes((json.dumps(stated, indent=2, ensure_ascii=False) + "\n").encode())


if __name__ == "__main__":
    main()

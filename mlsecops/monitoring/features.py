"""What a client did, in numbers. A query is a row: ``client``, ``time`` (seconds) and the fields that were asked."""

import numpy as np
import pandas as pd

from mlsecops.monitoring.rules import FRESH

OWN = ("client", "time")


def fields_of(queries: pd.DataFrame) -> list[str]:
    """The names of the columns that hold what was asked."""
    return [name for name in queries.columns if name not in OWN]


def in_order(queries: pd.DataFrame) -> pd.DataFrame:
    """The queries client by client, each in the order of time, numbered from 0."""
    return queries.sort_values(list(OWN), kind="stable", ignore_index=True)


def changed_fields(queries: pd.DataFrame) -> np.ndarray:
    """Which fields of each query differ from the same client's query before: a row per query, a column per field.

    A client's first query differs in all of them.

    Args:
        queries: as `in_order` returns them.
    """
    rows = queries[fields_of(queries)]
    changed = (rows != rows.shift()).to_numpy()
    changed[(queries["client"] != queries["client"].shift()).to_numpy()] = True
    return changed


def fresh(queries: pd.DataFrame) -> np.ndarray:
    """Which queries are fresh: at least three fields differ from the query before by the same client.

    A person who tries the years from 1 to 40 has not drawn forty people, but one. Only fresh queries may be counted
    as independent draws. (The idea and the number are ours; what is lost without them is in benchmarks/monitoring.py.)

    Args:
        queries: as `in_order` returns them.
    """
    return changed_fields(queries).sum(axis=1) >= FRESH


def client_features(queries: pd.DataFrame) -> pd.DataFrame:
    """One row per client: volume, pace and variety of what it asked.

    Columns: ``queries`` and ``fresh`` counts, ``one_field`` queries that differ in one field from the one before,
    ``busiest_minute`` most queries within one minute of the clock, ``gap_mean`` seconds between queries and
    ``gap_cv`` their standard deviation over their mean (NaN below two gaps), ``countries`` different ones asked about.

    Args:
        queries: any order; needs ``country``.
    """
    queries = in_order(queries)
    changed = changed_fields(queries).sum(axis=1)
    gap = queries["time"].diff().mask(queries["client"] != queries["client"].shift())
    minute = (queries["time"] // 60).astype("int64")
    by_client = queries.assign(fresh=changed >= FRESH, one_field=changed == 1, gap=gap, minute=minute).groupby("client")
    table = by_client.agg(
        queries=("time", "size"),
        fresh=("fresh", "sum"),
        one_field=("one_field", "sum"),
        gap_mean=("gap", "mean"),
        gap_sd=("gap", "std"),
        countries=("country", "nunique"),
    )
    busiest = queries.groupby(["client", minute]).size().groupby("client").max()
    table.insert(3, "busiest_minute", busiest)
    table["gap_cv"] = table.pop("gap_sd") / table["gap_mean"]
    return table


SQL = """
with steps as (
    select *, time - lag(time) over one as gap, lag(time) over one is null as is_first, {changed} as changed
    from {source} window one as (partition by client order by time)
),
minutes as (select client, max(n) as busiest_minute from
    (select client, count(*) as n from {source} group by client, floor(time / 60)) group by client)
select client, count(*) as queries,
    count(*) filter (where is_first or changed >= {fresh}) as fresh,
    count(*) filter (where not is_first and changed = 1) as one_field,
    any_value(busiest_minute) as busiest_minute,
    avg(gap) as gap_mean, stddev_samp(gap) / avg(gap) as gap_cv,
    count(distinct country) as countries
from steps join minutes using (client) group by client order by client
"""


def features_sql(source: str, fields: list[str]) -> str:
    """The query that computes `client_features` in a database; standard SQL, so other engines run it, too.

    Args:
        source: a table, or what the engine takes for one, such as ``'queries.parquet'``.
        fields: the names of the columns that hold what was asked.
    """
    changed = " + ".join(f"cast({name} <> lag({name}) over one as integer)" for name in fields)
    return SQL.format(source=source, changed=changed, fresh=FRESH)

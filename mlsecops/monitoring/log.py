"""The service's log as tables: what was answered, and to whom."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pandas as pd

SQL = """
select key_id as client, time, unnest(features) from read_json('{files}', format = 'newline_delimited',
    columns = {{key_id: 'VARCHAR', time: 'DOUBLE', status: 'INTEGER', features: 'STRUCT({asked})'}})
where status = 200 and features is not null and key_id is not null
"""
UNITS = ("client", "client-day")


def answered(lines: Iterable[dict], by: str = "key", unit: str = "client") -> pd.DataFrame:
    """The answered queries as a table: ``client``, ``time`` and a column per field that was asked.

    Args:
        lines: lines of the audit log, such as `mlsecops.audit_folder.merged` gives.
        by: whose queries belong together: those of one ``"key"``, or of one ``"address"``.
        unit: ``"client"``; or ``"client-day"``, where each day (UTC) of a client stands for itself, so that a service
            with forty keys has enough of them to calibrate.

    Raises:
        ValueError: ``by`` or ``unit`` is unknown, or no line is an answered query of somebody.
    """
    if by not in ("key", "address") or unit not in UNITS:
        raise ValueError("queries are taken by key or address, as client or client-day")
    whose = {"key": "key_id", "address": "address"}[by]
    rows = []
    for line in lines:
        if line.get("status") == 200 and line.get("features") and line.get(whose):
            client = str(line[whose])
            if unit == "client-day":
                client += f" {datetime.fromtimestamp(line['time'], UTC):%Y-%m-%d}"
            rows.append({"client": client, "time": float(line["time"])} | line["features"])
    if not rows:
        raise ValueError("the log holds no answered query")
    return pd.DataFrame(rows)


def queries_sql(files: str, fields: dict[str, str]) -> str:
    """The same by key, as a query for DuckDB, which reads a large log several times as fast.

    Args:
        files: path or pattern of the log's files (``.gz`` as they are).
        fields: what was asked: name and SQL type, such as ``{"years_exp": "DOUBLE", "country": "VARCHAR"}``.
    """
    asked = ", ".join(f"{name} {kind}" for name, kind in fields.items())
    return SQL.format(files=files.replace("'", "''"), asked=asked)

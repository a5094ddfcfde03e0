"""Fresh queries, calibrated detectors and labeled windows, on small populations: benchmarks have the large ones."""

import numpy as np
import pandas as pd
import pytest

from classroom.drills.traffic import SET_ASIDE, Traffic, halves
from mlsecops.audit_folder import merged
from mlsecops.monitoring.alerts import incidents, report
from mlsecops.monitoring.detectors import Calibration, Reference
from mlsecops.monitoring.features import client_features, features_sql, fresh, in_order
from mlsecops.monitoring.log import answered, queries_sql
from mlsecops.monitoring.rules import KINDS, Clients, declarations
from mlsecops.monitoring.windows import Windows, psi
from mlsecops.salary.dataset import DATA

LIMIT = 0.05  # a rate that a small population can calibrate


@pytest.fixture(scope="module")
def rows():
    """People whom the service may be asked about, and people whose answers were published."""
    return halves()


@pytest.fixture
def traffic(rows):
    people, public = rows
    return Traffic(people, public, sorted(public["country"].unique()), np.random.default_rng(3))


@pytest.fixture(scope="module")
def reference(rows):
    return Reference.of(rows[1])


@pytest.mark.parametrize("kind", [*Traffic.HONEST, *Traffic.ATTACKERS, *Traffic.UNSEEN, *SET_ASIDE])
def test_every_kind_asks_what_the_service_takes(traffic, kind):
    made = traffic.make(kind, 5)
    assert made["client"].nunique() == 5 and not made.isna().any().any()
    assert set(made) == {"client", "time", *traffic.fields} and set(made["country"]) <= set(traffic.countries)
    assert (made[traffic.fields].dtypes == traffic.people.dtypes).all()
    assert made["years_exp"].between(0, 60).all()


def test_a_matched_client_differs_in_the_people_only(traffic):
    made = traffic.make("uniform", 5)
    control = traffic.matched(made)
    assert made[["client", "time"]].equals(control[["client", "time"]]) and not made.equals(control)
    assert control[traffic.fields].merge(traffic.people.drop_duplicates()).shape[0] == len(made)


def test_clients_of_different_kinds_stay_apart(traffic):
    mixed = traffic.mixed({"user": 30, "batch": 3})
    assert mixed["client"].nunique() == 33 and (mixed.groupby("client")["kind"].nunique() == 1).all()


def test_a_sweeper_is_as_many_people_as_it_asks_about(traffic):
    swept = in_order(traffic.make("sweeper", 20))
    counted = pd.Series(fresh(swept)).groupby(swept["client"]).sum()
    assert (counted <= 2).all() and (swept.groupby("client").size() >= 40).all()


def test_features_of_a_client_by_hand():
    one = {"years_exp": 1.0, "uses_python": True, "country": "Chile"}
    asked = [
        (0, one),
        (30, one | {"years_exp": 2.0}),
        (90, {"years_exp": 9.0, "uses_python": False, "country": "Peru"}),
    ]
    table = client_features(pd.DataFrame([{"client": "a", "time": float(time)} | query for time, query in asked]))
    found = table.loc["a"]
    assert found[["queries", "fresh", "one_field", "busiest_minute", "countries"]].tolist() == [3, 2, 1, 2, 2]
    assert found["gap_mean"] == 45 and found["gap_cv"] == pytest.approx(np.std([30, 60], ddof=1) / 45)


def test_a_thief_is_found_where_people_are_left_alone(traffic, reference):
    calibration = Calibration.fit(traffic.honest(1_400).drop(columns="kind"), reference, LIMIT)
    users, thieves = (calibration.score(traffic.make(kind, 200))["flagged"].mean() for kind in ("user", "uniform"))
    assert thieves > 0.95 and users < 2 * LIMIT
    again = Calibration.from_json(calibration.to_json())
    clients = traffic.make("line_search", 20)
    pd.testing.assert_frame_equal(again.score(clients), calibration.score(clients))


def test_sweepers_hide_thieves_where_every_query_counts(traffic, reference):
    honest = traffic.mixed({"user": 1_250, "sweeper": 150}).drop(columns="kind")
    careful, careless = (Calibration.fit(honest, reference, LIMIT, count_all=every) for every in (False, True))
    thieves = traffic.make("uniform_few", 200)
    assert careful.score(thieves)["flagged"].mean() > careless.score(thieves)["flagged"].mean() + 0.1


def test_too_few_clients_are_refused_with_the_number_that_is_needed(traffic, reference):
    with pytest.raises(ValueError, match=r"400 clients are too few .* 3,300 are needed"):
        Calibration.fit(traffic.honest(400).drop(columns="kind"), reference)


def test_windows_tell_drift_from_probing(traffic, reference, rows):
    def people(count=3_000):
        return rows[0].sample(count, replace=True, random_state=int(traffic.rng.integers(1 << 31)), ignore_index=True)

    windows = Windows(reference, [people() for _ in range(30)], margin=1.2)
    older = people().assign(years_exp=lambda table: table["years_exp"] + 3)
    botnet = traffic.make("uniform", 5)[traffic.fields].head(300)
    labels = [windows.label(window) for window in (people(), older, pd.concat([people(2_700), botnet]))]
    assert labels == ["none", "drift", "probing"]
    assert windows.label(pd.concat([older.head(2_700), botnet])) == "both"


def test_psi():
    assert psi([50, 50], [50, 50]) == 0
    assert psi([50, 50], [75, 25]) == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5))
    assert 0 < psi([10, 0], [9, 1]) < np.inf
    for expected, actual in (([1, 2], [1, 2, 3]), ([], []), ([0, 0], [1, 2])):
        with pytest.raises(ValueError, match=r"bins|count"):
            psi(expected, actual)


# --- the log as a table, and many rows ---


def line(number, **changes):
    features = {"years_exp": float(number), "uses_ai": number % 2 == 0, "country": "Peru"}
    about = {"time": 86_000.0 + 300 * number, "key_id": f"k{number % 2}", "address": "a", "status": 200}
    return about | {"features": features} | changes


def test_what_was_answered_as_a_table():
    lines = [
        line(0),
        line(1, status=422, features=None),
        line(2, key_id=None),
        line(3),
        line(4),
        {"event": "recovered"},
    ]
    table = answered(lines)
    assert table["client"].tolist() == ["k0", "k1", "k0"] and table["years_exp"].tolist() == [0, 3, 4]
    assert table.columns.tolist() == ["client", "time", "years_exp", "uses_ai", "country"]
    assert answered(lines, by="address")["client"].tolist() == ["a"] * 4
    days = answered(lines, unit="client-day")["client"].tolist()
    assert days == ["k0 1970-01-01", "k1 1970-01-02", "k0 1970-01-02"]
    for wrong in ({"by": "name"}, {"unit": "week"}):
        with pytest.raises(ValueError, match="by key or address"):
            answered(lines, **wrong)
    with pytest.raises(ValueError, match="no answered query"):
        answered(lines[1:2])


def test_a_database_finds_the_same_features(traffic, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    clients = traffic.honest(150).drop(columns="kind")
    clients.to_parquet(tmp_path / "queries.parquet")
    found = duckdb.sql(features_sql(f"'{tmp_path / 'queries.parquet'}'", traffic.fields)).df().set_index("client")
    expected = client_features(clients)
    pd.testing.assert_frame_equal(found[list(expected)], expected, check_dtype=False, rtol=1e-9)


def test_a_database_reads_the_same_queries():
    duckdb = pytest.importorskip("duckdb")
    expected = answered(merged([DATA / "audit_log.jsonl.gz"]))
    kinds = {name: "BOOLEAN" for name in expected if name.startswith("uses_")}
    fields = {"years_exp": "DOUBLE"} | kinds | {"country": "VARCHAR"}
    found = duckdb.sql(queries_sql(str(DATA / "audit_log.jsonl.gz"), fields)).df()
    order = ["time", "client"]
    pd.testing.assert_frame_equal(
        found.sort_values(order, ignore_index=True), expected.sort_values(order, ignore_index=True), check_dtype=False
    )


@pytest.mark.slow
def test_spark_finds_the_same_features(traffic, tmp_path):
    pyspark = pytest.importorskip("pyspark.sql", reason="pip install the extra `spark`, and Java 17")
    clients = traffic.honest(60).drop(columns="kind")
    clients.to_parquet(tmp_path / "queries.parquet")
    session = pyspark.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        session.read.parquet(str(tmp_path / "queries.parquet")).createOrReplaceTempView("queries")
        found = session.sql(features_sql("queries", traffic.fields)).toPandas().set_index("client").sort_index()
    finally:
        session.stop()
    expected = client_features(clients)
    pd.testing.assert_frame_equal(found[list(expected)], expected, check_dtype=False, rtol=1e-9)


# --- what owners declare, and incidents ---


def test_a_declaration_silences_what_it_explains_and_nothing_else(traffic, reference):
    calibration = Calibration.fit(traffic.honest(1_400).drop(columns="kind"), reference, LIMIT)
    for kind, declared in (("one_market", "one market"), ("typing", "form that asks while typing")):
        made = traffic.make(kind, 60)
        assert calibration.score(made)["flagged"].mean() > 0.9
        assert calibration.score(made, KINDS[declared])["flagged"].mean() < 0.25
        thieves = traffic.make("uniform", 60).assign(**({"country": "Germany"} if kind == "one_market" else {}))
        assert calibration.score(thieves, KINDS[declared])["flagged"].mean() > 0.9


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"k": "one market"},
        {"k": {"kind": "one market", "reason": "x"}},
        {"k": {"kind": "one market", "reason": " ", "until": "2027-02-28"}},
        {"k": {"kind": "load test", "reason": "agreed", "until": "2027-02-28"}},
        {"k": {"kind": "one market", "reason": "x", "until": "soon"}},
        {"k": {"kind": "one market", "reason": "x", "until": 5}},
    ],
)
def test_a_declaration_that_is_none(content):
    with pytest.raises(ValueError, match=r"declaration|declared"):
        declarations(content)


def test_a_declaration_ends():
    about = {"kind": "one market", "reason": "sells in Chile only", "until": "1970-01-02"}
    declared = declarations({"k": about})
    seen = []
    known = Clients(10, declared)

    def detector(queries, asked, explained=()):
        seen.append(explained)

    for number in range(40):
        features = {"years_exp": number, "uses_ai": number % 2, "country": str(number)}
        asked = line(number, key_id="k", features=features, time=86_000.0 * (1 + number / 19))
        list(known.take(asked, detector))
    assert seen == [KINDS["one market"], ()]


def alert(number, rule="extraction", key="k", address="a", time=0.0):
    about = {"id": str(number), "time": time, "rule": rule, "key_id": key, "address": address}
    return about | {
        "atlas": "AML.T0024",
        "aisvs": "C11",
        "evidence": {"since": time - 60, "p": 0.001},
        "runbook": "ask",
    }


def test_alerts_that_share_a_key_or_an_address_are_one_incident():
    found = incidents(
        [
            alert(1, "guessing", None, "a", 100),
            alert(2, "extraction", "k", "b", 300),
            alert(3, "nonsense", "k", "a", 200),
            alert(3, "nonsense", "k", "a", 200),
            alert(4, "scanning", None, "c", 50),
        ]
    )
    assert [(one.keys, one.addresses, list(one.techniques)) for one in found] == [
        ((), ("c",), ["scanning"]),
        (("k",), ("a", "b"), ["guessing", "nonsense", "extraction"]),
    ]
    assert (found[1].first, found[1].last, len(found[1].alerts)) == (40, 300, 3)
    text = report(found)
    assert text.count("## Incident") == 2 and "**Keys:** k" in text and text.count("ask") == 2
    assert report([]) == "No incident.\n"

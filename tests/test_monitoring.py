"""Fresh queries, calibrated detectors and labeled windows, on small populations: benchmarks have the large ones."""

import numpy as np
import pandas as pd
import pytest

from classroom.drills.traffic import SET_ASIDE, Traffic
from mlsecops.monitoring.detectors import Calibration, Reference
from mlsecops.monitoring.features import client_features, fresh, in_order
from mlsecops.monitoring.windows import Windows, psi
from mlsecops.salary.dataset import clean, features, load_salaries
from mlsecops.salary.model import MIN_ROWS, OTHER, split_rows

LIMIT = 0.05  # a rate that a small population can calibrate


@pytest.fixture(scope="module")
def rows():
    """People whom the service may be asked about, and people whose answers were published."""
    table = features(clean(load_salaries("sample")))
    counts = table["country"].value_counts()
    table["country"] = table["country"].where(table["country"].map(counts) >= MIN_ROWS, OTHER)
    held = split_rows(len(table), 0)[0]
    return table.iloc[held], table.drop(table.index[held])


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

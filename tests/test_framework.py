"""A pipeline as data: threats follow from it, losses are a distribution, controls multiply, and a gate closes."""

import dataclasses

import numpy as np
import pytest

from mlsecops.controls import CONTROLS
from mlsecops.framework.choose import Control, additive, best, greedy, left
from mlsecops.framework.policy import RULES, broken
from mlsecops.framework.risk import Risk, losses, quantiles
from mlsecops.framework.threats import PROTECTIONS, Flow, Node, Pipeline, threats

NODES = {
    n.name: n
    for n in (Node("index", "outside", "world"), Node("laptop", "process", "us"), Node("store", "store", "us"))
}


def pipeline(*flows):
    return Pipeline(NODES, flows)


def test_only_flows_over_a_boundary_are_threatened():
    inside = Flow("laptop", "store", "weights", frozenset({"code", "secret", "requests"}))
    assert threats(pipeline(inside)) == ()
    across = dataclasses.replace(inside, source="index")
    assert {threat.flow for threat in threats(pipeline(inside, across))} == {"index → store"}


def test_a_kind_applies_where_its_protection_is_lacking():
    flow = Flow("index", "laptop", "packages", frozenset({"code"}))
    kinds = {threat.kind: threat.lacking for threat in threats(pipeline(flow))}
    assert kinds == {"S": "authenticated", "T": "intact", "E": "data only"}
    for kind, lacking in kinds.items():
        mended = dataclasses.replace(flow, protections=frozenset({lacking}))
        assert {threat.kind for threat in threats(pipeline(mended))} == set(kinds) - {kind}
    assert threats(pipeline(dataclasses.replace(flow, protections=frozenset(PROTECTIONS)))) == ()


def test_no_flow_has_every_letter():
    for trait in ("secret", "code", "requests"):
        for source in NODES:
            flow = Flow(source, "laptop", "x", frozenset({trait}))
            assert len({threat.kind for threat in threats(pipeline(flow))}) <= 4


def test_every_threat_is_named_in_the_courses_vocabulary():
    flow = Flow("index", "laptop", "x", frozenset({"code", "secret", "requests"}))
    assert all(threat.check in CONTROLS for threat in threats(pipeline(flow)))
    assert all(rule.id in CONTROLS for rule in RULES)


@pytest.mark.parametrize(
    "flow",
    [
        Flow("nowhere", "laptop", "x"),
        Flow("index", "laptop", "x", frozenset({"loud"})),
        Flow("index", "laptop", "x", frozenset(), frozenset({"prayer"})),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(flow):
    with pytest.raises(ValueError, match=r"nowhere|loud|prayer"):
        pipeline(flow)


# -- losses


def test_the_mean_is_the_rate_times_the_cost():
    risk = Risk("leak", (0.5, 2.0), (10_000, 90_000))
    drawn = losses([risk], np.random.default_rng(1), 200_000)
    assert drawn.shape == (200_000, 1) and drawn.mean() == pytest.approx(risk.expected(), rel=0.02)


def test_quantiles_are_stable_from_seed_to_seed():
    r = np.random.default_rng(0)
    risks = [Risk(f"r{n}", (0.1, 0.1 + r.random()), (1_000, 1_000 + 50_000 * r.random())) for n in range(50)]
    found = [quantiles(losses(risks, np.random.default_rng(seed)).sum(axis=1)) for seed in range(3)]
    for name in ("P50", "P90", "P95"):
        values = [one[name] for one in found]
        assert max(values) / min(values) < 1.02, name


def test_a_rare_risk_has_a_median_of_nothing_and_a_bad_year():
    total = losses([Risk("rare", (0.01, 0.05), (1e6, 2e6))], np.random.default_rng(1)).sum(axis=1)
    found = quantiles(total)
    assert found["P50"] == 0 and found["mean"] > 10_000 and total.max() > 1e6


def test_controls_lower_the_frequency():
    risk = Risk("leak", (2, 4), (1_000, 2_000))
    whole = losses([risk], np.random.default_rng(1)).mean()
    assert losses([risk], np.random.default_rng(1), left={"leak": 0.25}).mean() == pytest.approx(whole / 4, rel=0.03)


@pytest.mark.parametrize("interval", [(0, 1), (2, 1), (-1, 1), (1, float("inf")), (float("nan"), 1)])
def test_an_interval_that_is_none_is_refused(interval):
    with pytest.raises(ValueError, match="interval"):
        Risk("x", interval, (1, 2))


# -- choices


def register(seed, controls, risks):
    r = np.random.default_rng(seed)
    loss = {f"r{n}": float(r.lognormal(10, 1)) for n in range(risks)}
    made = []
    for n in range(controls):
        hit = r.choice(risks, int(r.integers(1, min(4, risks) + 1)), replace=False)
        made.append(
            Control(f"c{n}", float(r.integers(1_000, 20_000)), {f"r{k}": float(r.uniform(0.05, 0.9)) for k in hit})
        )
    return loss, made, 0.4 * sum(control.cost for control in made)


@pytest.mark.parametrize("seed", range(30))
def test_the_program_finds_what_looking_at_all_finds(seed):
    given = register(seed, 3 + seed % 8, 2 + seed % 5)
    whole, program = best(*given, exact=True), best(*given, exact=False)
    assert program.loss == pytest.approx(whole.loss, rel=1e-7) and program.gap == 0
    assert whole.cost <= given[2] + 1e-6 and program.cost <= given[2] + 1e-6


@pytest.mark.slow
def test_the_program_finds_it_in_300_registers():
    for seed in range(300):
        given = register(1_000 + seed, 2 + seed % 11, 2 + seed % 6)
        assert best(*given, exact=False).loss == pytest.approx(best(*given, exact=True).loss, rel=1e-6), seed


@pytest.mark.slow
def test_a_large_register_is_no_worse_than_ten_thousand_others():
    loss, controls, budget = register(7, 30, 50)
    found = best(loss, controls, budget)
    r = np.random.default_rng(8)
    costs = np.array([control.cost for control in controls])
    logs = np.log([[control.leaves.get(risk, 1.0) for control in controls] for risk in loss])
    for _ in range(10_000):
        taken = np.zeros(30)
        for n in r.permutation(30):
            taken[n] = 1 if taken @ costs + costs[n] <= budget else 0
        assert np.exp(logs @ taken) @ np.array(list(loss.values())) >= found.loss - 1e-6
    assert found.gap <= 0.01 and greedy(loss, controls, budget).loss >= found.loss - 1e-6


def test_adding_benefits_is_often_wrong_and_never_better():
    worse = 0
    for seed in range(60):
        given = register(200 + seed, 8, 3)
        true, added, bought = best(*given), additive(*given), greedy(*given)
        assert added.loss >= true.loss - 1e-6 and bought.loss >= true.loss - 1e-6
        worse += added.loss > true.loss * (1 + 1e-9)
    assert worse >= 15


def test_two_controls_on_one_risk_multiply():
    two = [Control("a", 1, {"r": 0.5}), Control("b", 1, {"r": 0.5})]
    assert left(two, ["r", "s"]) == {"r": 0.25, "s": 1.0}
    assert best({"r": 100.0}, two, 2).loss == 25 and best({"r": 100.0}, two, 1).loss == 50
    assert best({"r": 100.0}, two, 0).controls == () and best({"r": 100.0}, [], 5).loss == 100


@pytest.mark.parametrize("control", [Control("a", -1, {}), Control("a", 1, {"r": 0}), Control("a", 1, {"r": 1.5})])
def test_a_control_that_cannot_be_is_refused(control):
    with pytest.raises(ValueError, match="a: a cost"):
        best({"r": 1.0}, [control], 1)


def test_the_solver_writes_nothing(capfd):
    best(*register(3, 12, 6), exact=False)
    assert capfd.readouterr() == ("", "")


# -- the gate

GOOD = {
    "install": {"pins": "exact", "hashes": True},
    "model": {"verified": "signature", "format": "safetensors"},
    "secrets": {"source": "manager", "scan": "ci"},
    "serving": {"authentication": "key", "per_minute": 60},
    "tracking": {"server": True, "login": True, "public": False},
    "monitoring": {"log": True, "anchor": True},
}


def test_a_good_manifest_passes_and_each_rule_can_be_broken():
    assert broken(GOOD) == [] and broken(GOOD | {"tracking": {"server": False}}) == []
    assert {rule.id for rule in broken({})} == {rule.id for rule in RULES}
    for rule in RULES:
        assert rule.id in {one.id for one in broken(GOOD | {rule.part: None})}
    assert [rule.id for rule in broken(GOOD | {"model": {"verified": "hash", "format": "pickle"}})] == [
        "supply-torch-load"
    ]
    assert [rule.id for rule in broken(GOOD | {"serving": {"authentication": "key", "per_minute": True}})] == [
        "serving-rate-limit"
    ]
    with pytest.raises(ValueError, match="mapping"):
        broken([])

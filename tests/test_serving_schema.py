"""schemathesis takes our own description of the service at its word, and no answer may differ from what that promises.

It tries values at and beyond every bound, fields left out, added and mistyped, other methods and media types, keys left
out and made up; then a few hundred inventions of its own.
"""

from collections import Counter
from functools import partial
from typing import NamedTuple

import pytest
from serving_setup import SECRET, hardened, textbook, trained

from mlsecops.serving import CONTROLS, Settings, create_app

HUGE = 10**6
OPEN = {
    "docs": True,
    "requests_per_minute": HUGE,
    "address_requests_per_minute": HUGE,
    "failures_per_minute": HUGE,
    "query_budget": HUGE,
}
# All of schemathesis's checks run. The others than these have nothing to judge yet (links between operations, objects
# of several users, described headers).
JUDGING = {
    "allow_header_conformance",
    "content_type_conformance",
    "ignored_auth",
    "negative_data_rejection",
    "not_a_server_error",
    "positive_data_acceptance",
    "response_schema_conformance",
    "status_code_conformance",
    "unsupported_method",
}


@pytest.fixture(autouse=True)
def same_every_time(tmp_path, monkeypatch):
    """Hypothesis keeps nothing in the checkout, and tries no constants of modules that other tests happened to load."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    from hypothesis.configuration import set_hypothesis_home_dir
    from hypothesis.internal.conjecture import providers

    set_hypothesis_home_dir(tmp_path / "hypothesis")
    monkeypatch.setattr(providers, "_get_local_constants", lambda: providers._local_constants)


class Findings(NamedTuple):
    """Answers by (operation, status), the checks that ran, how often each failed, and on what."""

    answers: Counter
    checks: set
    failures: Counter
    details: list


def examine(described, key, app=None):
    """Put ``app`` through schemathesis, by the description that ``described`` gives of itself. Returns Findings."""
    import schemathesis
    from schemathesis.engine import events, from_schema

    settings = {
        "seed": 7,
        "generation": {"max-examples": 200, "database": "none", "no-shrink": True},
        "cache": {"enabled": False},  # it would lie in the checkout and make a run depend on the one before
        "continue-on-failure": True,
        "headers": {"X-API-Key": key} if key else {},
    }
    config = schemathesis.Config.from_dict(settings)
    schema = schemathesis.openapi.from_asgi("/openapi.json", described, config=config)
    schema.app = app or described
    found = Findings(Counter(), set(), Counter(), [])
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.NonFatalError | events.FatalError), vars(event)  # it could not do its work
        if not isinstance(event, events.ScenarioFinished):
            continue
        for name, interaction in event.recorder.interactions.items():
            case = event.recorder.cases[name].value
            status = interaction.response and interaction.response.status_code
            found.answers[case.operation.label, status] += 1
            for check in event.recorder.checks.get(name, []):
                found.checks.add(check.name)
                if check.failure_info:
                    found.failures[check.name] += 1
                    found.details.append(f"{check.name}: {status} to {case.as_curl_command()}")
    return found


@pytest.mark.parametrize("with_key", [True, False])
def test_ours_keeps_its_promises(with_key, tmp_path):
    service = hardened(tmp_path, **OPEN)
    found = examine(service.apps[0], service.keys[0] if with_key else None)
    assert not found.details
    assert found.checks >= JUDGING
    asked = {operation for operation, _ in found.answers}
    predicted = {status: count for (operation, status), count in found.answers.items() if operation == "POST /predict"}
    assert asked == {"GET /health", "GET /ready", "POST /predict"} and sum(predicted.values()) > 250
    assert predicted.keys() == ({200, 400, 401, 405, 415, 422} if with_key else {401, 405})


def without(control):
    """A function that makes our service, as `hardened` does, but for one control."""

    def make(folder):
        service = hardened(folder)
        settings = Settings(secret=SECRET, api_keys=service.apps[0].state.keys.all(), **OPEN)
        service.apps[0] = create_app(trained()[0], settings, interval=1.0, controls=CONTROLS - {control})
        return service

    return make


@pytest.mark.parametrize(
    ("make", "failing"),
    [
        (without("schema"), {"not_a_server_error", "negative_data_rejection"}),
        (without("keys"), {"ignored_auth"}),
        (partial(textbook, per_minute=HUGE), {"negative_data_rejection", "response_schema_conformance"}),
    ],
    ids=["without schema", "without keys", "textbook"],
)
def test_the_same_search_finds_what_others_lack(make, failing, tmp_path):
    described, service = hardened(tmp_path, **OPEN), make(tmp_path)
    assert failing <= examine(described.apps[0], service.keys[0], service.apps[0]).failures.keys()

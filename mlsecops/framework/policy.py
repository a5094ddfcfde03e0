"""Rules that a pipeline's manifest (a mapping, such as from YAML) must keep: what is not stated is not done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """``id`` is an item of the course's checklist, ``says`` a sentence, ``holds`` looks at a part of the manifest."""

    id: str
    part: str
    says: str
    holds: Callable[[Mapping[str, Any]], bool]


def _one_of(name: str, *values: object) -> Callable[[Mapping[str, Any]], bool]:
    """The part says one of these values; 1 is not True."""
    return lambda part: any(type(part.get(name)) is type(value) and part[name] == value for value in values)


def _all(*tests: Callable[[Mapping[str, Any]], bool]) -> Callable[[Mapping[str, Any]], bool]:
    return lambda part: all(test(part) for test in tests)


def _limited(part: Mapping[str, Any]) -> bool:
    return type(part.get("per_minute")) is int and 0 < part["per_minute"] <= 600


_NO_TRACKER = _one_of("server", False)
RULES = (
    Rule(
        "supply-pins",
        "install",
        "every dependency has an exact pin and a hash",
        _all(_one_of("pins", "exact"), _one_of("hashes", True)),
    ),
    Rule(
        "supply-model-hash",
        "model",
        "a model is verified before it is loaded",
        _one_of("verified", "hash", "signature"),
    ),
    Rule("supply-torch-load", "model", "the format holds data only", _one_of("format", "safetensors", "onnx", "json")),
    Rule(
        "credentials-environment",
        "secrets",
        "secrets come from the environment, a manager or a role",
        _one_of("source", "environment", "manager", "role"),
    ),
    Rule("credentials-scan-hook", "secrets", "a scan for secrets runs in CI", _one_of("scan", "ci")),
    Rule(
        "serving-api-key",
        "serving",
        "the service asks who is calling",
        _one_of("authentication", "key", "oauth2", "mtls"),
    ),
    Rule("serving-rate-limit", "serving", "requests are limited per caller, to 600 a minute or fewer", _limited),
    Rule(
        "tracking-auth",
        "tracking",
        "the tracking server asks for a login, or there is none",
        lambda part: part.get("login") is True or _NO_TRACKER(part),
    ),
    Rule(
        "tracking-not-public",
        "tracking",
        "the tracking server is not public, or there is none",
        lambda part: part.get("public") is False or _NO_TRACKER(part),
    ),
    Rule(
        "monitoring-audit-trail",
        "monitoring",
        "requests are logged, and the log is anchored",
        _all(_one_of("log", True), _one_of("anchor", True)),
    ),
)


def broken(manifest: Mapping[str, Any], rules: tuple[Rule, ...] = RULES) -> list[Rule]:
    """The rules that a manifest breaks.

    Raises:
        ValueError: it is no mapping.
    """
    if not isinstance(manifest, Mapping):
        raise ValueError("a manifest is a mapping of parts")
    found = []
    for rule in rules:
        part = manifest.get(rule.part)
        if not isinstance(part, Mapping) or not rule.holds(part):
            found.append(rule)
    return found

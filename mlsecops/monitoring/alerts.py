"""From alerts to incidents: who belongs together, and the report that somebody else can act on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

OFFICE = 5  # keys behind one address that may still be one person


@dataclass(frozen=True)
class Incident:
    """Alerts that share a key or an address, over any number of steps.

    Attributes:
        first, last: seconds since 1970, of what the alerts are about.
        keys, addresses: sorted, of all of them.
        techniques: MITRE ATLAS ids by rule, in the order in which they appeared.
        alerts: the alerts themselves, by time.
    """

    first: float
    last: float
    keys: tuple[str, ...]
    addresses: tuple[str, ...]
    techniques: dict[str, str]
    alerts: tuple[dict, ...]


def incidents(alerts: Iterable[dict]) -> list[Incident]:
    """Put alerts together by key and address, the earliest incident first; an alert that came twice counts once.

    Five keys of one thief with five addresses stay five incidents: nothing in a log proves that they are one person. An
    address with more than `OFFICE` keys links nobody.

    Args:
        alerts: as `mlsecops watch` writes them.
    """
    groups: list[tuple[set, list]] = []
    once = list({alert["id"]: alert for alert in alerts}.values())
    keys_at: dict[str, set] = {}
    for alert in once:
        keys_at.setdefault(alert["address"], set()).add(alert["key_id"])
    for alert in once:
        names = {(name, alert[name]) for name in ("key_id", "address") if alert[name] is not None}
        if alert["key_id"] is not None and len(keys_at[alert["address"]] - {None}) > OFFICE:
            names = {("key_id", alert["key_id"])}
        own: tuple[set, list] = (names, [alert])
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            own = (own[0] | group[0], own[1] + group[1])
        groups.append(own)
    return sorted((_incident(group) for _, group in groups), key=lambda one: one.first)


def _incident(group: list[dict]) -> Incident:
    group = sorted(group, key=lambda alert: alert["time"])
    named = {name: sorted({a[name] for a in group if a[name] is not None}) for name in ("key_id", "address")}
    return Incident(
        min(alert["evidence"].get("since", alert["time"]) for alert in group),
        group[-1]["time"],
        tuple(named["key_id"]),
        tuple(named["address"]),
        {alert["rule"]: alert["atlas"] for alert in group},
        tuple(group),
    )


def report(found: Iterable[Incident]) -> str:
    """Return the incidents as Markdown: when, who, what, on what evidence, and what to do next."""
    parts = []
    for number, one in enumerate(found, 1):
        parts.append(f"## Incident {number}: {', '.join(one.techniques)}\n")
        parts.append(f"- **When:** {_moment(one.first)} to {_moment(one.last)}")
        for name, values in (("Keys", one.keys), ("Addresses", one.addresses)):
            parts.append(f"- **{name}:** {', '.join(values) or 'none'}")
        for alert in one.alerts:
            facts = ", ".join(f"{name} {_plain(value)}" for name, value in alert["evidence"].items())
            parts.append(
                f"- **{alert['rule']}** ({alert['atlas']}, {alert['aisvs']}), {_moment(alert['time'])}: {facts}"
            )
        parts.append("- **Next:** " + "; ".join(dict.fromkeys(alert["runbook"] for alert in one.alerts)) + "\n")
    return "\n".join(parts) or "No incident.\n"


def _moment(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M}"


def _plain(value: object) -> str:
    if isinstance(value, float):
        return _moment(value) if value > 1e9 else f"{value:.2g}"
    return str(value).replace("\n", " ")

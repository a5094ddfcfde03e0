"""What ``watch`` keeps of a client, in bounded space, and the rules on it that need no statistics."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

FRESH = 3  # fields in which a query differs from the one before it, at least, to count as drawn anew
ENOUGH = 20  # fresh queries for a first score; the next is due at twice as many: each look may be a false alarm
KEPT = 100  # queries that are kept of a client
DAY = 86_400.0


class Rule(NamedTuple):
    """When a rule speaks: more than ``most`` at once, where ``per_hour`` drain away; and what an alert says."""

    most: float
    per_hour: float
    atlas: str
    aisvs: str
    runbook: str


# The vocabulary is MITRE ATLAS 2026.09 and OWASP AISVS 1.0, as of November 2026.
RULES = {
    "scanning": Rule(8, 8, "AML.T0006.002", "v1.0-C12.2.2", "block the address at the proxy; see what it did find"),
    "guessing": Rule(15, 60, "AML.T0012", "v1.0-C12.2.2", "block the address; look for a 200 from it afterwards"),
    "nonsense": Rule(15, 15, "AML.T0049", "v1.0-C12.2.2", "ask the key's owner; revoke the key if they know nothing"),
    "exhausting": Rule(30, 30, "AML.T0034.000", "v1.0-C11.2.2", "ask the key's owner; do not raise the limit first"),
    "extraction": Rule(0, 0, "AML.T0024.002", "v1.0-C11.3.1", "cut the owner's budget; compare with their other keys"),
    "chain": Rule(0, 0, "AML.T0049", "v1.0-C12.1.1", "copy log and anchors elsewhere now; run verify-log on the copy"),
}
REFUSED = {401: "guessing", 404: "scanning", 405: "scanning", 429: "exhausting"}
REFUSED |= dict.fromkeys((400, 408, 413, 415, 422), "nonsense")


# Honest clients that look like nobody whom the detector was calibrated on, and the statistics that this explains. All
# others go on speaking: a customer who has people in one market only still has real people.
KINDS = {
    "monitoring probe": ("rate",),
    "one market": ("density_country", "chi2_country", "distinct_country", "far", "uniform", "bases", "twins"),
    "form that asks while typing": (
        *("rate", "bases", "twins", "density_years_exp", "chi2_years_exp", "density_flags", "far", "uniform"),
    ),
}


class Declared(NamedTuple):
    """What the owner of a key has said about it.

    Attributes:
        kind: a name in `KINDS`.
        reason: why, for whoever reads it in a year.
        until: when it ends, in seconds since 1970: nobody remembers to take a declaration back.
    """

    kind: str
    reason: str
    until: float


def declarations(content: object) -> dict[str, Declared]:
    """Read ``{key_id: {"kind": …, "reason": …, "until": "2027-02-28"}}``; a day counts to its end, UTC.

    Raises:
        ValueError: something is missing or unknown; an agreed load test is, on purpose: see lesson H5.
    """
    if not isinstance(content, dict):
        raise ValueError("declarations are an object: a key's id, and what is declared about it")
    found = {}
    for key, about in content.items():
        if not isinstance(about, dict) or set(about) != {"kind", "reason", "until"}:
            raise ValueError(f"the declaration of {key} needs kind, reason and until, and nothing else")
        if about["kind"] not in KINDS:
            raise ValueError(f"{about['kind']!r} is no kind that can be declared; there are {', '.join(KINDS)}")
        if not isinstance(about["reason"], str) or not about["reason"].strip():
            raise ValueError(f"the declaration of {key} needs a reason")
        try:
            day = datetime.fromisoformat(about["until"]).replace(tzinfo=UTC)
        except (TypeError, ValueError):
            raise ValueError(f"the declaration of {key} needs a day such as 2027-02-28 in until") from None
        found[key] = Declared(about["kind"], about["reason"], day.timestamp() + DAY)
    return found


class Detector(Protocol):
    """Statistics on one client's queries."""

    def __call__(self, queries: list[dict], asked: int, explained: tuple[str, ...] = ()) -> dict | None:
        """What speaks against the client, as an alert's evidence (plain data); None when nothing does.

        Args:
            queries: the last ones that were answered, the oldest first: ``time`` and the fields.
            asked: how many it was answered in all.
            explained: the statistics that a declaration explains.
        """


@dataclass
class Client:
    """What is kept of a key or an address; plain data, so that it can be saved.

    Attributes:
        buckets: by rule ``[level, time, count, first, spoken]``: what has not drained away yet, when that was, how many
            since the bucket was empty, when the first of them came, and whether an alert was raised on it.
        path: the last path that was not there.
        recent: the last answered queries, the oldest first.
        asked: how many queries were answered, and ``fresh``, how many of them were drawn anew.
        due: how many fresh queries there have to be for the next score.
        spoken: when the statistics last raised an alert.
    """

    buckets: dict[str, list] = field(default_factory=dict)
    path: str = ""
    recent: list[dict] = field(default_factory=list)
    asked: int = 0
    fresh: int = 0
    due: int = ENOUGH
    spoken: float = float("-inf")

    def count(self, name: str, weight: int, time: float) -> dict | None:
        """Count ``weight`` events under a rule; returns an alert's evidence when that is too many, once."""
        rule = RULES[name]
        level, before, count, first, spoken = self.buckets.get(name, (0.0, time, 0, time, False))
        level = max(0.0, level - max(0.0, time - before) * rule.per_hour / 3600)
        if not level:
            count, first, spoken = 0, time, False
        level, count = level + weight, count + weight
        found = level > rule.most and not spoken
        self.buckets[name] = [level, max(time, before), count, first, spoken or found]
        return {"count": count, "since": first} if found else None

    def query(
        self, features: dict, time: float, detector: Detector | None, declared: Declared | None = None
    ) -> dict | None:
        """Take an answered query; returns an alert's evidence when the statistics have something against the client."""
        last = self.recent[-1] if self.recent else {}
        changed = sum(last.get(name) != value for name, value in features.items())
        self.recent = [*self.recent[1 - KEPT :], {"time": time} | features]
        self.asked += 1
        if changed < FRESH:  # somebody who plays with one field has not drawn forty people
            return None
        self.fresh += 1
        if detector is None or self.fresh < self.due or time - self.spoken < DAY:
            return None
        self.due = min(2 * self.fresh, self.fresh + KEPT)
        valid = declared is not None and time < declared.until
        evidence = detector(self.recent, self.asked, KINDS[declared.kind] if valid else ())
        if evidence is not None:
            self.spoken = time
        return evidence


class Clients:
    """The ``most`` keys and the ``most`` addresses that were seen last, and ten times as many queries in all.

    Keys and addresses do not displace each other: addresses cost nothing, and with them a thief who has a key could
    have himself forgotten. ``declared`` is what owners have said about keys, by the key's id.
    """

    def __init__(self, most: int, declared: dict[str, Declared] | None = None) -> None:
        self._declared = declared or {}
        self._most, self._queries, self._held = most, 10 * most, 0
        self._keys: OrderedDict[str, Client] = OrderedDict()
        self._addresses: OrderedDict[str, Client] = OrderedDict()

    def take(self, line: dict, detector: Detector | None) -> Iterator[tuple[str, dict]]:
        """Take one line of the log; yields ``(rule, evidence)`` for each alert that it raises."""
        time, key, address = line["time"], line["key_id"], line.get("address")
        client = self._client(self._addresses, str(address)) if key is None else self._client(self._keys, key)
        if line.get("event") == "strangers":
            counts = {int(status): count for status, count in line.get("statuses", {}).items()}
        else:
            counts = {line["status"]: 1}
        weights: dict[str, int] = {}
        for status, count in counts.items():
            if rule := REFUSED.get(status):
                weights[rule] = weights.get(rule, 0) + count
        if key is None:
            weights.pop("exhausting", None)  # the limit is doing its work, and the reason for it is counted
        if "scanning" in weights:  # the same wrong path again and again is somebody's monitor
            same = line.get("path") == client.path and "event" not in line
            weights["scanning"] = 0 if same else min(weights["scanning"], line.get("paths", 1))
            client.path = line.get("path") or ""
        for rule, weight in weights.items():
            if weight and (evidence := client.count(rule, weight, time)):
                yield rule, evidence
        if line.get("features") and key is not None:
            held = len(client.recent)
            if (evidence := client.query(line["features"], time, detector, self._declared.get(key))) is not None:
                yield "extraction", evidence
            self._held += len(client.recent) - held
            self._make_room()

    def _client(self, known: OrderedDict[str, Client], name: str) -> Client:
        client = known.pop(name, None) or Client()
        known[name] = client  # the last one seen is the last one forgotten
        if len(known) > self._most:
            _, forgotten = known.popitem(last=False)
            self._held -= len(forgotten.recent)
        return client

    def _make_room(self) -> None:
        """Forget queries, of those who were seen longest ago first, and nothing else that is known of them."""
        if self._held <= self._queries:
            return
        for client in self._keys.values():
            if self._held <= 0.9 * self._queries:
                break
            self._held -= len(client.recent[:-1])
            del client.recent[:-1]
            client.due = max(client.due, client.fresh + ENOUGH)

    def to_dict(self) -> dict:
        """As plain data, for `from_dict`."""
        return {
            kind: {name: vars(client) | {"spoken": max(client.spoken, -1e300)} for name, client in known.items()}
            for kind, known in (("keys", self._keys), ("addresses", self._addresses))
        }

    @classmethod
    def from_dict(cls, content: dict, most: int, declared: dict[str, Declared] | None = None) -> "Clients":
        """What `to_dict` returned, after a detour over JSON."""
        made = cls(most, declared)
        made._keys = OrderedDict((name, Client(**fields)) for name, fields in content["keys"].items())
        made._addresses = OrderedDict((name, Client(**fields)) for name, fields in content["addresses"].items())
        made._held = sum(len(client.recent) for client in made._keys.values())
        return made

"""From a data-flow graph to threats: STRIDE on the flows that cross a trust boundary, and only what applies there.

STRIDE is Microsoft's list of six kinds of threat (L. Kohnfelder and P. Garg, 1999): spoofing, tampering, repudiation,
information disclosure, denial of service, elevation of privilege. Put on every arrow it says nothing; here a kind
applies where the flow lacks what would prevent it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

STRIDE = {
    "S": "spoofing",
    "T": "tampering",
    "R": "repudiation",
    "I": "information disclosure",
    "D": "denial of service",
    "E": "elevation of privilege",
}
PROTECTIONS = ("authenticated", "intact", "confidential", "logged", "limited", "data only")


@dataclass(frozen=True)
class Node:
    """Where something is kept or done. ``kind``: store, process, person or outside; ``zone``: who is responsible."""

    name: str
    kind: str
    zone: str


@dataclass(frozen=True)
class Flow:
    """What goes from one node to another.

    Attributes:
        source, target: names of nodes.
        content: what flows, in words.
        traits: what it is: any of "secret" (must not be read), "code" (loading or installing it can run something) and
            "requests" (somebody decides how many).
        protections: names in `PROTECTIONS` that are in place.
    """

    source: str
    target: str
    content: str
    traits: frozenset[str] = frozenset()
    protections: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{self.source} → {self.target}"


@dataclass(frozen=True)
class Pipeline:
    """Nodes by name, and flows between them.

    Raises:
        ValueError: a flow begins or ends nowhere, or has a trait or protection that is not known.
    """

    nodes: Mapping[str, Node]
    flows: tuple[Flow, ...]

    def __post_init__(self) -> None:
        for flow in self.flows:
            for end in (flow.source, flow.target):
                if end not in self.nodes:
                    raise ValueError(f"{flow.name}: there is no {end}")
            odd = (flow.traits - {"secret", "code", "requests"}) | (flow.protections - set(PROTECTIONS))
            if odd:
                raise ValueError(f"{flow.name}: {', '.join(sorted(odd))} is not known")

    def crossings(self) -> tuple[Flow, ...]:
        """The flows between nodes of different zones: there somebody else's word is taken."""
        return tuple(flow for flow in self.flows if self.nodes[flow.source].zone != self.nodes[flow.target].zone)


@dataclass(frozen=True)
class Threat:
    """What may go wrong on a flow.

    Attributes:
        flow: its name.
        kind: a letter of `STRIDE`.
        lacking: the protection whose absence makes it possible.
        atlas, aisvs: what it is called in MITRE ATLAS 2026.09, and the requirement of OWASP AISVS 1.0 against it.
        check: the item of the course's checklist.
    """

    flow: str
    kind: str
    lacking: str
    atlas: str
    aisvs: str
    check: str


def _from_outside(trait: str) -> Callable[[Flow, Node, Node], bool]:
    """From people or somebody else's service; with a trait, or "" for plain data."""

    def applies(flow: Flow, source: Node, target: Node) -> bool:
        fits = trait in flow.traits if trait else not {"code", "requests"} & flow.traits
        return source.kind in ("person", "outside") and fits

    return applies


def _has(trait: str) -> Callable[[Flow, Node, Node], bool]:
    return lambda flow, source, target: trait in flow.traits


def _is_data(flow: Flow, source: Node, target: Node) -> bool:
    return not {"code", "requests"} & flow.traits


# A kind applies where the protection is lacking and the condition holds. Ids as of November 2026.
_RULES = (
    ("S", "authenticated", _from_outside("code"), "AML.T0010", "v1.0-C6.1.2", "supply-pins"),
    ("S", "authenticated", _from_outside("requests"), "AML.T0012", "v1.0-C5.2.1", "serving-api-key"),
    ("S", "authenticated", _from_outside(""), "AML.T0020", "v1.0-C1.1.4", "monitoring-inputs"),
    ("T", "intact", _has("code"), "AML.T0010", "v1.0-C6.1.3", "supply-model-hash"),
    ("T", "intact", _is_data, "AML.T0020", "v1.0-C1.1.3", "monitoring-inputs"),
    ("R", "logged", _from_outside("requests"), "AML.T0024", "v1.0-C12.1.1", "monitoring-audit-trail"),
    ("I", "confidential", _has("secret"), "AML.T0055", "v1.0-C5.2.1", "credentials-environment"),
    ("D", "limited", _has("requests"), "AML.T0034.000", "v1.0-C11.2.2", "serving-rate-limit"),
    ("E", "data only", _has("code"), "AML.T0011", "v1.0-C4.1.2", "supply-torch-load"),
)


def threats(pipeline: Pipeline) -> tuple[Threat, ...]:
    """The threats to a pipeline, flow by flow."""
    found = []
    for flow in pipeline.crossings():
        source, target = pipeline.nodes[flow.source], pipeline.nodes[flow.target]
        for kind, lacking, applies, *ids in _RULES:
            if lacking not in flow.protections and applies(flow, source, target):
                found.append(Threat(flow.name, kind, lacking, *ids))
    return tuple(found)

"""An advisory database on the own machine, so that pip-audit finds what a lesson put there and asks nobody else."""

import json
from collections.abc import Sequence

from packaging.utils import canonicalize_name
from packaging.version import Version

from classroom.drills.loopback import LoopbackServer


class AdvisoryServer(LoopbackServer):
    """An advisory database on 127.0.0.1 that answers OSV's `/v1/query`: `with AdvisoryServer(advisories) as server`.

    Args:
        advisories: OSV records: `id`, `summary`, and `affected` with `package`, `versions` and/or `ranges`.

    A package that no advisory mentions gets the same empty answer as a package that does not exist.
    """

    def __init__(self, advisories: Sequence[dict]):
        self.advisories = tuple(advisories)

    @property
    def url(self) -> str:
        return f"{self.address}/v1/query"

    def post(self, path, body):
        try:
            query = json.loads(body)
            name, version = canonicalize_name(query["package"]["name"]), Version(query["version"])
        except (ValueError, KeyError, TypeError):
            return 400, "application/json", b'{"code": 3, "message": "Invalid query."}'
        found = [one for one in self.advisories if _affects(one, name, version)]
        return 200, "application/json", json.dumps({"vulns": found} if found else {}).encode()


def _affects(advisory: dict, name: str, version: Version) -> bool:
    return any(
        canonicalize_name(affected["package"]["name"]) == name
        and (
            version.public in affected.get("versions", ())
            or any(_within(one["events"], version) for one in affected.get("ranges", ()))
        )
        for affected in advisory["affected"]
    )


def _within(events: Sequence[dict], version: Version) -> bool:
    # OSV's own rule: walk the events in order of version, the last one at or below this version decides.
    inside = False
    for event in sorted(events, key=lambda one: Version(next(iter(one.values())))):
        kind, bound = next(iter(event.items()))
        if kind == "introduced" and version >= Version(bound):
            inside = True
        elif kind == "fixed" and version >= Version(bound):
            inside = False
        elif kind == "last_affected" and version > Version(bound):
            inside = False
    return inside

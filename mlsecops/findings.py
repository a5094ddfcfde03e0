"""One vocabulary for what the commands of ``python -m mlsecops`` report: findings, verdicts, exit codes, two writers.

``as_json`` is for scripts; ``as_sarif`` is for code-scanning services and editors (SARIF 2.1.0, an OASIS standard).
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import quote

# The verdict of one check. What could not be decided is UNKNOWN, and never counts as PASS.
PASS, FAIL, UNKNOWN, NOT_APPLICABLE = "pass", "fail", "unknown", "not applicable"

# Exit codes: nothing found, something found or left unknown, something that could not be read. The worst wins.
FINE, FOUND, UNREADABLE = 0, 1, 2

# Every severity, with the level that SARIF has for it.
LEVELS = {"high": "error", "medium": "warning", "low": "note"}

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        rule: the rule's id, which never changes once published.
        severity: "high", "medium" or "low".
        path: the file, relative to the folder that the report is about.
        detail: what was seen, in words.
        fix: what to do about it; "" when the detail says it.
        line: where, counted from 1; 0 when the file has no lines or the line is not known.
        cell: the id of a notebook's cell.
        where: a place that is no line, such as "byte 17" or the name of an archive's member.
    """

    rule: str
    severity: str
    path: str
    detail: str
    fix: str = ""
    line: int = 0
    cell: str = ""
    where: str = ""


def plain(text: object) -> str:
    """Text from a hostile file made fit for a terminal: no control characters, no line breaks."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def as_json(rows: object) -> str:
    """The rows of a report as JSON, in ASCII only: no byte of a hostile name reaches the terminal as it is."""
    return json.dumps(rows, indent=2)


def as_sarif(findings: Iterable[Finding], tool: str, rules: Mapping[str, str], address: str = "") -> str:
    """A SARIF 2.1.0 log with one run.

    Args:
        findings: in the order in which they shall be listed.
        tool: the name of the tool.
        rules: every rule that the tool knows, with a sentence about it. A rule found but not listed gets its id alone.
        address: a web page about the tool.
    """
    findings = list(findings)
    names = list(dict.fromkeys([*rules, *(finding.rule for finding in findings)]))
    described = [
        {"id": plain(name)} | ({"shortDescription": {"text": rules[name]}} if rules.get(name) else {}) for name in names
    ]
    seen: Counter[str] = Counter()
    results = []
    for finding in findings:
        digest = _fingerprint(finding)
        seen[digest] += 1
        place: dict = {"artifactLocation": {"uri": _uri(finding.path)}}
        if finding.line > 0:
            place["region"] = {"startLine": finding.line}
        results.append(
            {
                "ruleId": plain(finding.rule),
                "ruleIndex": names.index(finding.rule),
                "level": LEVELS[finding.severity],
                "message": {"text": _message(finding)},
                "locations": [{"physicalLocation": place}],
                "partialFingerprints": {"mlsecops/v1": f"{digest}:{seen[digest]}"},
            }
        )
    driver = {"name": tool} | ({"informationUri": address} if address else {}) | {"rules": described}
    return as_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]})


def _message(finding: Finding) -> str:
    places = ", ".join(place for place in (finding.cell and f"cell {finding.cell}", finding.where) if place)
    return plain(finding.detail + (f" ({places})" if places else "") + (f". {finding.fix}" if finding.fix else ""))


def _uri(path: str) -> str:
    """A path as a relative reference: forward slashes, every odd byte percent-encoded, no drive and no root."""
    pure = PurePath(path)
    return quote(os.fsencode(pure.relative_to(pure.anchor).as_posix()))


def _fingerprint(finding: Finding) -> str:
    """What stays the same when the folder moves, or when the finding moves within its file."""
    where = re.sub(r"\bbyte \d+", "byte", finding.where)
    parts = [finding.rule, _uri(finding.path), finding.cell, where, finding.detail]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()

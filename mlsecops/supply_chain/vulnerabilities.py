"""Known vulnerabilities by pip-audit, read as three outcomes; risky workflow files by zizmor."""

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from mlsecops.supply_chain.access import quiet_environment


def run_audit(*arguments: str, service: str, timeout: float = 300) -> tuple[dict | None, int]:
    """Run pip-audit in a child process against an OSV service; return its JSON report, if any, and its exit code.

    Args:
        arguments: as typed after `pip-audit`, such as `"--requirement", path, "--no-deps", "--disable-pip"`; with
            none, the environment of this interpreter is audited.
        service: the address for OSV queries, such as `AdvisoryServer.url`.
        timeout: seconds until pip-audit is ended.

    Raises:
        subprocess.TimeoutExpired: when it takes longer.
    """
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--desc", "off", "--progress-spinner", "off"]
    command += ["--vulnerability-service", "osv", "--osv-url", service, "--timeout", "10"]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [*command, *map(str, arguments)],
        env=quiet_environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
    )
    try:
        return json.loads(done.stdout), done.returncode
    except ValueError:
        return None, done.returncode


@dataclass(frozen=True)
class Triage:
    """`outcome`: "pass", "fail" or "unknown"; `reasons`: one sentence each, empty for a pass."""

    outcome: str
    reasons: tuple[str, ...]


def triage_audit(report: dict | None, exit_code: int, expected: Iterable[str] = ()) -> Triage:
    """Read a pip-audit run as one of three outcomes.

    "fail": at least one known vulnerability. "unknown": no vulnerability, but something was not audited: no report, a
    skipped package, an expected package missing from the report, or an exit code that does not fit the report.
    "pass": every package was audited, and nothing is known against any of them.

    Args:
        report: pip-audit's JSON (`--format json`), `{"dependencies": [...]}`; None when it wrote none.
        exit_code: pip-audit's; 1 stands both for "found" and for "could not".
        expected: names that have to be in the report, such as those of the requirements file.
    """
    if not isinstance(report, dict) or not isinstance(report.get("dependencies"), list):
        return Triage("unknown", (f"no report was written, exit code {exit_code}",))
    found, open_ = [], []
    seen = set()
    for one in report["dependencies"]:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            open_.append("an entry of the report cannot be read")
            continue
        seen.add(canonicalize_name(one["name"]))
        if one.get("vulns"):
            ids = ", ".join(str(vuln.get("id", "?")) for vuln in one["vulns"])
            found.append(f"{one['name']} {one.get('version', '?')}: {ids}")
        elif "skip_reason" in one or not isinstance(one.get("vulns"), list):
            open_.append(f"{one['name']} was not audited: {one.get('skip_reason', 'no result')}")
    open_ += [f"{name} is not in the report" for name in expected if canonicalize_name(name) not in seen]
    if not report["dependencies"]:
        open_.append("the report lists no packages")
    if found:
        return Triage("fail", (*found, *open_))
    if exit_code:
        open_.append(f"nothing found, but exit code {exit_code}")
    return Triage("unknown" if open_ else "pass", tuple(open_))


_ZIZMOR = (
    "--offline --no-progress --no-config --strict-collection --format json --persona pedantic --min-severity medium -"
)


@dataclass(frozen=True, order=True)
class Finding:
    """One finding of zizmor in a workflow file."""

    line: int
    rule: str
    severity: str
    detail: str


def check_workflow(text: str, timeout: float = 60) -> list[Finding]:
    """Return what zizmor finds in a GitHub Actions workflow, by line. It runs offline and sees nothing but `text`.

    It is asked for all findings of medium and high severity, those included that it calls pedantic: permissions that
    are broader than a job needs are among them.

    Raises:
        RuntimeError: zizmor is not installed, or the text is no workflow.
    """
    program = shutil.which("zizmor", path=sysconfig.get_path("scripts")) or shutil.which("zizmor")
    if program is None:
        raise RuntimeError("zizmor is not installed: pip install zizmor")
    done = subprocess.run(  # noqa: S603 - the checker that this environment installed
        [program, *_ZIZMOR.split()],
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
    )
    try:
        findings = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError("zizmor cannot read this as a workflow") from None
    return sorted(
        Finding(
            line=place["concrete"]["location"]["start_point"]["row"] + 1,
            rule=one["ident"],
            severity=one["determinations"]["severity"].lower(),
            detail=one["desc"],
        )
        for one in findings
        for place in [
            next(where for where in one["locations"] if where["symbolic"].get("kind", "Primary") == "Primary")
        ]
    )

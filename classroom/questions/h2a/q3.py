"""Audit triage: pass, fail or unknown."""

from __future__ import annotations

import dataclasses
import json

from classroom.questions import Question
from classroom.questions.h2a.common import HONEST, PUBLIC
from classroom.questions.scoring import Case, balance, draws, graded, shown


def _advisory(r) -> str:
    return r.choice(
        [f"PYSEC-202{r.randint(3, 6)}-{r.randint(1, 900)}", f"GHSA-{r.getrandbits(32):08x}-{r.getrandbits(16):04x}"]
    )


def _vulnerability(r, alias=None) -> dict:
    aliases = [alias] if alias else [f"CVE-202{r.randint(3, 6)}-{r.randint(10000, 99999)}"]
    return {"id": _advisory(r), "fix_versions": [f"{r.randint(2, 9)}.0"], "aliases": aliases, "description": "…"}


def _triage_item(r, kind, name, version, today, baseline) -> tuple[list[dict], str]:
    """Report entries for one package and the verdict; may add to the baseline."""
    entry = {"name": name, "version": version, "vulns": []}
    found = _vulnerability(r)
    vulnerable = {**entry, "vulns": [found]}
    year, rest = today[:4], today[4:]

    def accept(identifier, package=name, until=f"{int(year) + 1}{rest}"):
        baseline.append({"id": identifier, "package": package, "until": until, "reason": "not reachable"})

    if kind == "clean":
        return [entry], "pass"
    if kind == "vulnerable":
        return [vulnerable], "fail"
    if kind == "skipped":
        return [{"name": name, "skip_reason": "not found on the index"}], "unknown"
    if kind == "missing":
        return [], "unknown"
    if kind == "other version":
        return [{**entry, "version": version + ".1"}], "unknown"
    if kind == "accepted":
        accept(found["id"])
        return [vulnerable], "pass"
    if kind == "accepted by alias":
        accept(found["aliases"][0])
        return [vulnerable], "pass"
    if kind == "accepted, one more":
        accept(found["id"])
        return [{**entry, "vulns": [found, _vulnerability(r)]}], "fail"
    if kind == "accepted elsewhere":
        accept(found["id"], package="another-package")
        return [vulnerable], "fail"
    if kind == "expired":
        accept(found["id"], until=f"{int(year) - 1}{rest}")
        return [vulnerable], "fail"
    if kind == "last day":
        accept(found["id"], until=today)
        return [vulnerable], "pass"
    if kind == "listed twice":
        return r.sample([entry, vulnerable], 2), "fail"
    if kind == "no list":
        return [{"name": name, "version": version}], "unknown"
    return [{**entry, "name": name.replace("-", "_").title()}], "pass"  # "spelled differently"


_TRIAGE = (
    "clean",
    "clean",
    "clean",
    "vulnerable",
    "vulnerable",
    "skipped",
    "skipped",
    "missing",
    "other version",
    "accepted",
    "accepted, one more",
    "accepted elsewhere",
    "expired",
    "spelled differently",
)

_TRIAGE_HIDDEN = ("accepted by alias", "last day", "listed twice", "no list", "missing")


def _triage_generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for _ in range(2):
        today = f"20{r.randint(26, 29)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"
        kinds = list(_TRIAGE) + (list(_TRIAGE_HIDDEN) if hidden else [])
        dashed = [name for name in PUBLIC if "-" in name]
        names = r.sample([name for name in PUBLIC if "-" not in name] + HONEST, len(kinds))
        names[kinds.index("spelled differently")] = r.choice(dashed)
        report, baseline, required, items = [], [], {}, []
        for kind, name in zip(kinds, names, strict=True):
            version = f"{r.randint(0, 9)}.{r.randint(0, 20)}.{r.randint(0, 9)}"
            required[name] = version
            entries, verdict = _triage_item(r, kind, name, version, today, baseline)
            report += entries
            items.append({"kind": kind, "name": name, "verdict": verdict})
        report.append({"name": "pip", "version": "30.0", "vulns": [_vulnerability(r)]})  # nobody asked about it
        r.shuffle(report)
        order = sorted(required)
        inputs.append(
            (json.dumps({"dependencies": report, "fixes": []}), {n: required[n] for n in order}, baseline, today)
        )
        cases.append({"items": items})
    broken = [
        inputs[0][0][: len(inputs[0][0]) // 2],
        "",
    ] + (["[]", '{"error": "no network"}'] if hidden else [])
    for text in broken:
        names = r.sample(HONEST, 3)
        inputs.append((text, dict.fromkeys(sorted(names), "1.0"), [], today))
        cases.append({"items": [{"kind": "broken report", "name": name, "verdict": "unknown"} for name in names]})
    return inputs, {"cases": cases}


@graded
def _triage_judge(answers, truth):
    cases, by_verdict = [], {"pass": [], "fail": [], "unknown": []}
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        said = answer.value if not answer.error and isinstance(answer.value, dict) else None
        for item in case["items"]:
            answered = None if said is None else said.get(item["name"])
            right = isinstance(answered, str) and answered == item["verdict"]
            by_verdict[item["verdict"]].append(right)
            got = shown(answer) if said is None else repr(answered)[:40]
            told = f"input {number}, {item['name']} ({item['kind']}): {item['verdict']}; you: {got}"
            cases.append(Case(item["kind"], item["verdict"] != "pass", right, told))
    verdict = balance(
        cases,
        {
            "skipped-is-clean": ["skipped"],
            "missing-is-clean": ["missing"],
            "broken-is-clean": ["broken report"],
            "any-package": ["accepted elsewhere"],
            "expired": ["expired"],
            "one-accepted": ["accepted, one more"],
            "other-version": ["other version"],
            "spelling": ["spelled differently"],
            "baseline-ignored": ["accepted"],
            "alias": ["accepted by alias"],
        },
    )
    # Three outcomes: the mean share per outcome, rescaled so that a constant answer (one third) is worth nothing.
    share = sum(sum(rights) / len(rights) for rights in by_verdict.values()) / 3
    told = ", ".join(f"{sum(rights)} of {len(rights)} '{name}'" for name, rights in by_verdict.items())
    return dataclasses.replace(verdict, score=max(0.0, (3 * share - 1) / 2), message=f"Right: {told}.")


QUESTION = Question(
    id="h2a-q3",
    title="Triage of an audit",
    entry="triage",
    signature="triage(report: str, required: dict[str, str], accepted: list[dict], today: str) -> dict[str, str]: "
    "'pass', 'fail' or 'unknown' for each required package",
    points=20,
    minutes=15,
    difficulty=2,
    controls=("supply-vulnerabilities", "ML06:2023", "MEASURE"),
    reread='H2a, "Thursday: the build"',
    hints=(
        "Begin with `unknown` for every required package, and let the report earn each `pass`.",
        "A package passes when some entry is about exactly this version, holds a list of vulnerabilities, and each "
        "of them is accepted: for this package, by id or alias, and not past its date.",
    ),
    generate=_triage_generate,
    judge=_triage_judge,
    misconceptions={
        "skipped-is-clean": 'A skipped package was not looked at. "Not looked at" is `unknown`, never `pass`.',
        "missing-is-clean": "You report on what is in the report. What was required and is not in it is `unknown`.",
        "broken-is-clean": "A report that cannot be read says nothing about anything: everything is `unknown`, and "
        "the gate should not crash.",
        "any-package": "An accepted finding holds for one package. The same id elsewhere was not reviewed.",
        "expired": "An exception has a last day. After it the finding counts again.",
        "one-accepted": "One accepted finding does not excuse the others of the same package.",
        "other-version": "The report is about another version than the one you install, so you know nothing.",
        "spelling": "The same package was spelled differently (PEP 503). Normalize names on both sides.",
        "baseline-ignored": "The list of accepted findings is there to be used: a reviewed exception passes until "
        "its date.",
        "alias": "The same flaw has several names. An exception may use any of them: look at the aliases too.",
    },
)

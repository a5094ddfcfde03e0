"""What a scan hands back: findings, and the verdict that follows from them."""

from dataclasses import asdict, dataclass

# Every rule with the verdict it leads to. Nothing is safe by default: a file is safe when it was followed to its last
# byte and no rule found anything. "dangerous" = loading it runs, or was built to run, something else than data.
DANGEROUS = frozenset("dangerous-global calls-unlisted computed-name extension misused argument hidden-pickle".split())
UNKNOWN = frozenset(
    """unlisted pickled-module broken frame unusual persistent joblib dtype array torch too-large trailing empty format
    zip tar compressed npy safetensors json code two-formats extension-lies""".split()
)
MOST = 50  # findings kept per file


@dataclass(frozen=True)
class Finding:
    """One reason: the rule's name, what was seen in words, and where in the file."""

    rule: str
    detail: str
    where: str


@dataclass(frozen=True)
class ScanReport:
    """The result for one file.

    verdict: "safe", "dangerous" or "unknown"; sha256: "" unless asked for; globals: sorted "module.name" texts.
    """

    path: str
    sha256: str
    format: str
    verdict: str
    findings: tuple[Finding, ...]
    globals: tuple[str, ...]

    def to_dict(self):
        """The report as plain dictionaries and lists, ready for JSON."""
        return asdict(self) | {"findings": [asdict(f) for f in self.findings], "globals": list(self.globals)}


class Collector:
    """Gathers findings and reached globals while a file is read. Only the worst verdict counts, never the number."""

    def __init__(self):
        self.findings, self.globals, self.verdict = {}, set(), "safe"

    def add(self, rule, detail, where=""):
        """Records a finding; the same rule and detail is kept once, at its first place."""
        if rule in DANGEROUS:
            self.verdict = "dangerous"
        elif rule not in UNKNOWN:
            raise KeyError(f"rule without a verdict: {rule}")
        elif self.verdict == "safe":
            self.verdict = "unknown"
        if len(self.findings) < MOST:
            self.findings.setdefault((rule, detail), Finding(rule, detail, where))

    def reached(self, module, name):
        """Records a global name that a stream fetches."""
        if len(self.globals) < 10_000:
            self.globals.add((module, name))

    def merge(self, other):
        """Takes over what another collector has."""
        for finding in other.findings.values():
            self.add(finding.rule, finding.detail, finding.where)
        self.globals |= other.globals

    def report(self, path, sha256, kind):
        """The finished ScanReport."""
        findings = sorted(self.findings.values(), key=lambda f: f.rule not in DANGEROUS)
        names = tuple(sorted(f"{module}.{name}" for module, name in self.globals))
        return ScanReport(path, sha256, kind, self.verdict, tuple(findings), names)

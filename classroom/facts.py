"""Statements about the world outside, each with its source and a date: laws, frameworks, incidents, versions.

Where a lesson says one it says the value; `tests/test_facts.py` looks there. A fact that was not looked at for longer
than its ``days`` is a warning, and an error only in a run that is made to find old ones (``MLSECOPS_OLD_FACTS=fail``):
the clock decides no test of a change.
"""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Fact:
    """One statement.

    Attributes:
        claim: what it is about.
        value: what is said, word for word, in each place.
        source: who says so.
        as_of: when we looked.
        days: after how many it has to be looked at again.
        said_in: files of the course that say it.
    """

    claim: str
    value: str
    source: str
    as_of: date
    days: int
    said_in: tuple[str, ...]


_H1, _H4, _H5 = (
    f"notebooks/{name}.ipynb" for name in ("H1_framework", "H4_notebooks_and_tracking", "H5_security_monitoring")
)
_LOOKED = date(2026, 11, 26)
FACTS = (
    Fact(
        "EU AI Act, in force",
        "Regulation (EU) 2024/1689, in force since 1 August 2024",
        "Official Journal of the EU",
        _LOOKED,
        365,
        (_H1,),
    ),
    Fact(
        "EU AI Act, high-risk uses of Annex III apply",
        "from 2 December 2027",
        "Regulation (EU) 2026/1744, OJ L 2026/1744, 24 July 2026",
        _LOOKED,
        120,
        (_H1,),
    ),
    Fact(
        "EU AI Act, what changed the dates",
        "Regulation (EU) 2026/1744 of 8 July 2026",
        "Official Journal of the EU",
        _LOOKED,
        365,
        (_H1,),
    ),
    Fact(
        "EU AI Act, general application and transparency",
        "since 2 August 2026",
        "Regulation (EU) 2024/1689, Article 113",
        _LOOKED,
        365,
        (_H1,),
    ),
    Fact(
        "NIST AI RMF",
        "AI RMF 1.0 (January 2023), in revision",
        "NIST AI 100-1 and the NIST web site",
        _LOOKED,
        180,
        (_H1,),
    ),
    Fact(
        "NIST, attacks on machine learning",
        "AI 100-2e2025 (March 2025)",
        "NIST",
        _LOOKED,
        365,
        (_H1,),
    ),
    Fact(
        "OWASP AISVS",
        "AISVS 1.0, ids fixed on 26 June 2026",
        "OWASP AISVS release notes",
        _LOOKED,
        180,
        (_H1,),
    ),
    Fact(
        "OWASP Machine Learning Security Top 10",
        "a draft of 2023",
        "OWASP",
        _LOOKED,
        180,
        (_H1,),
    ),
    Fact("MITRE ATLAS", "ATLAS 2026.09 (14 September 2026)", "ATLAS release notes", _LOOKED, 120, (_H1,)),
    Fact(
        "ISO/IEC 42001",
        "ISO/IEC 42001:2023",
        "ISO",
        _LOOKED,
        365,
        (_H1,),
    ),
    Fact(
        "SOC 2",
        "2017 Trust Services Criteria, points of focus revised in 2022",
        "AICPA",
        _LOOKED,
        365,
        (_H1,),
    ),
    Fact(
        "Cost of late defects",
        "171 projects, 2006 to 2014, no delayed-issue effect",
        "T. Menzies, W. Nichols, F. Shull and L. Layman, Empirical Software Engineering 22(4), 2017",
        _LOOKED,
        3650,
        (_H1,),
    ),
    Fact("detect-secrets, last release", "May 2024", "PyPI, detect-secrets 1.5.0", _LOOKED, 90, (_H4,)),
    Fact("MLflow's old password", "CVE-2026-2635", "CVE-2026-2635, February 2026", _LOOKED, 365, (_H4,)),
    Fact("OWASP AISVS in H5", "OWASP AISVS 1.0", "OWASP AISVS release notes", _LOOKED, 180, (_H5,)),
)


def old(today: date) -> list[Fact]:
    """The facts that have to be looked at again."""
    return [fact for fact in FACTS if (today - fact.as_of).days > fact.days]

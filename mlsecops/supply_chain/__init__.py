"""What arrives from outside before the first line of a project runs: packages, advisories, workflows, data files.

``names``            typosquats of well-known packages (rapidfuzz)
``requirements``     what a requirements file leaves open, line by line (packaging)
``vulnerabilities``  pip-audit's report read as three outcomes (packaging); zizmor's findings in a workflow
``manifest``         a signed list of files and their hashes (cryptography)
``access``           a bare environment, which code runs when one starts, and who may read a file

Each module stands alone, apart from the names that ``requirements`` takes from ``names`` and the quiet environment that
``vulnerabilities`` takes from ``access``.
"""

from mlsecops.supply_chain.access import bare_environment, read_as_another_account, startup_lines
from mlsecops.supply_chain.manifest import Difference, sign_manifest, verify_manifest
from mlsecops.supply_chain.names import POPULAR, skeleton, typosquat_of
from mlsecops.supply_chain.requirements import Problem, check_requirements
from mlsecops.supply_chain.vulnerabilities import Triage, check_workflow, run_audit, triage_audit

__all__ = [
    "POPULAR",
    "Difference",
    "Problem",
    "Triage",
    "bare_environment",
    "check_requirements",
    "check_workflow",
    "read_as_another_account",
    "run_audit",
    "sign_manifest",
    "skeleton",
    "startup_lines",
    "triage_audit",
    "typosquat_of",
    "verify_manifest",
]

"""What arrives from outside before the first line of a project runs: packages, advisories, workflows, data files.

``names``         typosquats of well-known packages (rapidfuzz)
``requirements``  what a requirements file leaves open, line by line (packaging)
``index``         a package index on the own machine, and pip kept away from every other one
``audit``         pip-audit against advisories on the own machine, its three outcomes (packaging); zizmor's findings
``manifest``      a signed list of files and their hashes (cryptography)
``access``        a bare environment, which code runs when one starts, and who may read a file
``drills``        attacks on all of it, to measure a defense against

Each module stands alone, apart from the small server that ``audit`` takes from ``index``, the names that
``requirements`` takes from ``names``, and ``drills``.
"""

from mlsecops.supply_chain.access import bare_environment, read_as_another_account, startup_lines
from mlsecops.supply_chain.audit import AdvisoryServer, Triage, check_workflow, run_audit, triage_audit
from mlsecops.supply_chain.index import Installed, PackageIndex, build_wheel, pip_install
from mlsecops.supply_chain.manifest import Difference, sign_manifest, verify_manifest
from mlsecops.supply_chain.names import POPULAR, skeleton, typosquat_of
from mlsecops.supply_chain.requirements import Problem, check_requirements

__all__ = [
    "POPULAR",
    "AdvisoryServer",
    "Difference",
    "Installed",
    "PackageIndex",
    "Problem",
    "Triage",
    "bare_environment",
    "build_wheel",
    "check_requirements",
    "check_workflow",
    "pip_install",
    "read_as_another_account",
    "run_audit",
    "sign_manifest",
    "skeleton",
    "startup_lines",
    "triage_audit",
    "typosquat_of",
    "verify_manifest",
]

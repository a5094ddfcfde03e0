"""Attacks on installing and on training data, rehearsed with the real tools in a temporary folder.

What lesson H2a measures its defenses against: names, releases on two package indexes, advisories, forged data.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from classroom.drills.packages import Installed, PackageIndex, pip_install
from mlsecops.supply_chain.manifest import sign_manifest

# 48 names that imitate a popular package, and 48 honest packages whose names resemble one.
SQUATS = tuple(
    """
    tourch torhc t0rch scikit-learnm sckit-learn scikitlearn learn-scikit pandsa panadas pandass numpyy nunpy numppy
    requets reqeusts requestss tensorfow tenserflow tensorfl0w matplotlip mathplotlib matplotllb beautifulsop4
    beutifulsoup4 py-yaml pyyamll p1llow pilow flaskk fask fastpi urlib3 urllib33 cryptograhpy transfomers transforrners
    hugingface-hub huggingface-hud langchian openal xgbosst ligthgbm opencv-pyhton python-opencv torch-vision
    sentence-tranformers torch-official pandas-fast
    """.split()
)
NEIGHBORS = tuple(
    """
    torchx torchtext torchmetrics torchdata torchsde scikit-optimize scikit-plot scikit-build sklearn-pandas numpydoc
    numexpr numpyro pandera pandas-stubs pandarallel geopandas requests-oauthlib requests-cache requests-mock httpie
    httpcore flasgger flask-cors djangorestframework fastai fastparquet fastjsonschema tensorflow-hub tensorboardx
    keras-tuner pillow-heif pyaml pymupdf pydot matplotlib-inline mplfinance jupyter-lsp jupyterhub ipyparallel boto
    redis-py-cluster psycopg pydantic-settings plotnine jaxlib optax xarray polars-lts-cpu
    """.split()
)

# OSV records, cut down to what a query needs. The third is no CVE: two releases were malicious as a whole.
ADVISORIES = (
    {
        "id": "CVE-2025-32434",
        "affected": [
            {
                "package": {"name": "torch", "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.6.0"}]}],
            }
        ],
    },
    {
        "id": "CVE-2026-24747",
        "affected": [
            {
                "package": {"name": "torch", "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.0"}]}],
            }
        ],
    },
    {
        "id": "LESSON-2026-LITELLM",
        "affected": [{"package": {"name": "litellm", "ecosystem": "PyPI"}, "versions": ["1.82.7", "1.82.8"]}],
    },
)

REVIEWED = {"salary-features": "1.4.0", "paytools": "2.1.0"}  # the company's dependencies, with the reviewed versions
INSTALL_ATTACKS = {  # what is put on which index
    "typo": ("public", "tourch", "2.13.0"),
    "confusion": ("public", "salary-features", "99.0"),
    "bad update": ("company", "paytools", "2.1.1"),
    "re-upload": ("company", "paytools", "2.1.0"),
    "bad from the start": ("company", "paytools", "2.1.0"),
}
HABITS = ("extra index", "one index", "… and exact versions", "… and hashes")


def comes_through(habit: str, case: str, desk: Path) -> bool:
    """Install a package under a habit, on two fresh indexes. For one of INSTALL_ATTACKS: did the attacker's code run?
    For one of REVIEWED, with no attack: was it installed?
    """
    where, name, version = INSTALL_ATTACKS.get(case, ("", case, ""))
    target = Path(tempfile.mkdtemp(dir=desk))
    marker = target / "touched"
    payload = f"open({str(marker)!r}, 'w').close()"
    with PackageIndex() as company, PackageIndex() as public:
        digests = {one: company.add(one, REVIEWED[one], {"work.py": ""}) for one in REVIEWED}
        if where:
            bad = {"company": company, "public": public}[where].add(name, version, {"work.py": payload})
            if case == "bad from the start":
                digests[name] = bad  # the review saw this file, and noticed nothing
        done = _install(habit, name, version, digests, company.url, public.url, target)
    look = f"import sys; sys.path.insert(0, {str(target)!r}); import work"
    subprocess.run([sys.executable, "-I", "-c", look], capture_output=True, timeout=60)  # noqa: S603 - our interpreter
    return marker.exists() if where else done.ok


def _install(habit, name, version, digests, company, public, target) -> Installed:
    exact = f"{name}=={REVIEWED.get(name, version)}"
    lock = target / "lock.txt"
    lock.write_text(f"{exact} --hash=sha256:{digests.get(name, '0' * 64)}\n", encoding="utf-8")
    typed = {
        "extra index": [name, "--extra-index-url", public],
        "one index": [name],
        "… and exact versions": [exact],
        "… and hashes": ["-r", lock],
    }
    return pip_install(*typed[habit], "--index-url", company, target=target)


def _write(folder: Path, text: str = "Germany,45000\n", name: str = "salaries.csv") -> None:
    (folder / name).write_text(text, encoding="utf-8")


def _rewrite(folder: Path, manifest: dict, *, sign: bool) -> None:
    _write(folder)
    made = sign_manifest(folder, Ed25519PrivateKey.generate())  # the forger's own key: the owner's is out of reach
    manifest.update(made if sign else {"files": made["files"]})


# What happens to a folder and its manifest after the owner signed it.
FORGERIES: dict[str, Callable[[Path, dict], object]] = {
    "one digit": lambda folder, _: _write(folder, "Germany,70001\n"),
    "one group": lambda folder, _: _write(folder),
    "extra file": lambda folder, _: _write(folder, name="salaries_2.csv"),
    "file removed": lambda folder, _: (folder / "notes.txt").unlink(),
    "files swapped": lambda folder, _: (folder / "notes.txt").replace(folder / "salaries.csv"),
    "list rewritten": lambda folder, manifest: _rewrite(folder, manifest, sign=False),
    "signed by a stranger": lambda folder, manifest: _rewrite(folder, manifest, sign=True),
}
HONEST_DAYS: dict[str, Callable[[Path, dict], object]] = {
    "untouched": lambda *_: None,
    "file times changed": lambda folder, _: (folder / "notes.txt").touch(),
    "moved and back": lambda folder, _: folder.rename(folder.with_suffix(".moved")).rename(folder),
    "manifest reformatted": lambda _, manifest: manifest.update(json.loads(json.dumps(manifest, sort_keys=True))),
}


def training_starts(check: Callable[[Path, dict], bool], case: str, owner: Ed25519PrivateKey, desk: Path) -> bool:
    """Make a small data folder signed by its owner, let a case of FORGERIES or HONEST_DAYS happen, then ask the check.

    Args:
        check: `check(folder, manifest)`, True when training may start.
        case: the name of what happens.
        owner: the key that signs the folder.
        desk: where the folder is made; a `workspace()`.
    """
    folder = Path(tempfile.mkdtemp(dir=desk))
    _write(folder, "Germany,70000\n")
    _write(folder, "yearly pay, USD\n", "notes.txt")
    manifest = sign_manifest(folder, owner)
    (FORGERIES | HONEST_DAYS)[case](folder, manifest)
    return check(folder, manifest)

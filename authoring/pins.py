"""Exact pins: pyproject.toml is the source, the requirements files and environment.yml are compiled from it.

`--check` needs neither uv nor a network: it compares what is declared with what is pinned.
"""

# ruff: noqa: S603 - only our own commands and reports

import argparse
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from authoring import ROOT, UserError

# What the default torch of Linux brings along for NVIDIA cards. Pinning it would load gigabytes onto every CPU
# machine; where it is needed, pip finds it as torch's own dependency.
GPU_ONLY = re.compile(r"^(nvidia|cuda|triton)\b")
OUTPUTS = {"requirements.txt": [], "requirements-test.txt": ["--extra", "test"]}
# Packages that Binder and conda take from conda-forge; pip installs the rest on top.
CONDA = {"torch": "pytorch-cpu", "numpy": "numpy"}
ENVIRONMENT = """\
# Binder and conda. Written by `python course.py pins` from pyproject.toml; never edit it.
# The CPU build of torch comes from conda-forge, all else from PyPI. Not built by the project's own checks:
# if conda-forge has no build of that torch version yet, take the nearest one above 2.10.
name: mlsecops
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.12
  - pip
  - git
{conda}
  - pip:
{pip}
"""


def declared(root: Path = ROOT) -> dict[str, list[str]]:
    """The direct dependencies in pyproject.toml: the learner's under `""`, each extra under its name."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def direct(root: Path = ROOT) -> list[str]:
    """Names of the packages that the lessons depend on directly, sorted."""
    return sorted(_parse(requirement)[0] for requirement in declared(root)[""])


def pinned(requirements: Path) -> dict[str, set[str]]:
    """Name and versions (more than one where they differ by system) of every line of a compiled file."""
    pins: dict[str, set[str]] = {}
    for line in requirements.read_text(encoding="utf-8").splitlines():
        match = re.match(r"^([\w.-]+)==([^\s;]+)", line)
        if match:
            pins.setdefault(_normal(match[1]), set()).add(match[2])
        elif line.strip() and not line.startswith("#"):
            raise UserError(f"{requirements.name} has a line that pins nothing: {line.strip()}")
    return pins


def environment(root: Path = ROOT) -> str:
    """The text of environment.yml."""
    pins = pinned(root / "requirements.txt")
    conda, pip = [], []
    for requirement in declared(root)[""]:
        name, extras, _ = _parse(requirement)
        version = max(pins[name])
        if name in CONDA:
            conda.append(f"  - {CONDA[name]}={version}")
        else:
            pip.append(f"      - {name}{extras}=={version}")
    return ENVIRONMENT.format(conda="\n".join(conda), pip="\n".join(pip))


def problems(root: Path = ROOT) -> list[str]:
    """What is out of step between pyproject.toml, the requirements files and environment.yml; one sentence each."""
    wanted = declared(root)
    files = {name: pinned(root / name) for name in OUTPUTS}
    found = []
    for name, requirements in (
        ("requirements.txt", wanted[""]),
        ("requirements-test.txt", wanted[""] + wanted["test"]),
    ):
        for requirement in requirements:
            package, _, version = _parse(requirement)
            if package not in files[name]:
                found.append(f"{name} lacks {package}")
            elif version and files[name][package] != {version}:
                found.append(f"{name} has {package} {'/'.join(files[name][package])}, pyproject.toml {version}")
        found += [
            f"{name} pins {package}, which is for GPUs only" for package in files[name] if GPU_ONLY.match(package)
        ]
    for package, versions in files["requirements.txt"].items():
        if files["requirements-test.txt"].get(package) != versions:
            found.append(f"requirements-test.txt does not pin {package} as requirements.txt does")
    target = root / "environment.yml"
    if not found and (not target.is_file() or target.read_text(encoding="utf-8") != environment(root)):
        found.append("environment.yml differs from what the pins say")
    return found


def _parse(requirement: str) -> tuple[str, str, str | None]:
    match = re.match(r"^([\w.-]+)(\[[^\]]*\])?(?:==([^\s;]+))?$", requirement)
    if not match:
        raise UserError(f"pyproject.toml: {requirement!r} is neither a name nor a name with an exact version.")
    return _normal(match[1]), match[2] or "", match[3]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- the command ----------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `course.py pins`."""
    parser.add_argument("--check", action="store_true", help="change nothing; fail if anything is out of step")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions of what pyproject.toml leaves open")


def run(options: argparse.Namespace, root: Path = ROOT) -> int:
    """Compile the pins, or with `--check` name what is out of step.

    Returns:
        0 when all is in step, 1 when `--check` found something.
    """
    if not options.check:
        for output, extra in OUTPUTS.items():
            _compile(root, output, extra + (["--upgrade"] if options.upgrade else []))
        (root / "environment.yml").write_text(environment(root), encoding="utf-8", newline="\n")
    found = problems(root)
    print(*(found or ["Pins are in step with pyproject.toml."]), sep="\n")
    return 1 if found else 0


def _compile(root: Path, output: str, arguments: list[str]) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")
    if not uv:
        raise UserError("Compiling the pins needs uv (https://docs.astral.sh/uv): put it on PATH or its path into UV.")
    command = [uv, "pip", "compile", "pyproject.toml", "--universal", "--python-version=3.11", "--quiet"]
    command += ["--no-annotate", "--no-header", "--output-file", output, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise UserError("uv could not compile the pins:\n" + done.stderr.strip())
    lines = (root / output).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not GPU_ONLY.match(line)]
    (root / output).write_text("\n".join(kept) + "\n", encoding="utf-8", newline="\n")

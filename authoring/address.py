"""The course's public address: one setting in pyproject.toml, from which badges, links and set-up cells are written.

Standard library only. A notebook is written back the way nbformat writes it, so that nothing else in it changes.
"""

import argparse
import dataclasses
import json
import re
import tomllib
from pathlib import Path

from authoring import NOTEBOOKS, ROOT, UserError, lesson_id, lessons

INDEX = "00_start_here.ipynb"
LABS = "labs"
# Finding the course by walking up serves JupyterLab, papermill and nbval alike, which each start a kernel elsewhere.
SETUP_CELL = """\
# Finds the course on your computer, fetches it in Colab. Safe to run twice.
import subprocess
import sys
from pathlib import Path

SEED = 7
FAST = False
places = [Path("{repo}"), Path.cwd(), *Path.cwd().parents]
if "google.colab" in sys.modules and not places[0].exists():
    source = "https://github.com/{owner}/{repo}"
    clone = ["git", "clone", "--quiet", "--depth=1", "--branch={ref}", source]
    subprocess.run(clone, check=True)
found = [p.resolve() for p in places if (p / "classroom" / "lesson").is_dir()]
assert found, "Open this notebook from inside the course's folder, or in Colab."
root = found[0]
sys.path.insert(0, str(root))
from classroom.lesson import setup

setup("{lesson}")"""
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})"
# A line that says only "badge" marks the place in a new notebook.
BADGE_LINE = re.compile(r"^(?:badge|\[!\[[^\]]*\]\([^)]*colab-badge[^)]*\)\]\([^)]*\))[ \t]*$", re.MULTILINE)
TABLE = re.compile(r"(<!-- lessons -->\n).*?(<!-- /lessons -->)", re.DOTALL)
START = re.compile(r"(<!-- start -->\n).*?(<!-- /start -->)", re.DOTALL)
PROSE = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff")


@dataclasses.dataclass(frozen=True)
class Address:
    """Where the public repository lives: `github.com/owner/repo`, at the branch or tag `ref`."""

    owner: str
    repo: str
    ref: str

    @classmethod
    def configured(cls, root: Path = ROOT) -> "Address":
        """The address in `[tool.mlsecops.address]` of pyproject.toml."""
        return cls(
            **tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mlsecops"]["address"]
        )

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `OWNER/REPO@REF`. Raises UserError on anything else."""
        name = r"[A-Za-z0-9][\w.-]*"
        match = re.fullmatch(rf"({name})/({name})@([A-Za-z0-9][\w./-]*)", text, re.ASCII)
        if not match:
            raise UserError(f"{text} is not of the form OWNER/REPO@REF, such as my-school/mlsecops@v1.0.")
        return cls(*match.groups())

    def colab(self, notebook: str, room: str = NOTEBOOKS.name) -> str:
        """The address that opens a notebook of this course in Colab; `room` is the folder it lies in."""
        return f"https://colab.research.google.com/github/{self.owner}/{self.repo}/blob/{self.ref}/{room}/{notebook}"

    def badge(self, notebook: str, room: str = NOTEBOOKS.name) -> str:
        """Markdown of the badge that opens a notebook in Colab."""
        return BADGE.format(colab=self.colab(notebook, room))

    def setup_cell(self, lesson: str) -> str:
        """Source of a lesson's first code cell, which papermill also takes for its parameters."""
        return SETUP_CELL.format(**dataclasses.asdict(self), lesson=lesson)


def expected(notebook: dict, path: Path, series: list[Path], address: Address) -> dict:
    """A notebook as it should be: badge, set-up cell, lesson table and navigation written from the address.

    Args:
        notebook: the notebook as parsed JSON; not changed.
        path: where it lies, which names the lesson.
        series: all lessons, in teaching order.
        address: where they are published.

    Returns:
        A new notebook of the same form.
    """
    cells = [dict(cell) for cell in notebook["cells"]]
    for cell in cells:
        source, tags = _source(cell), cell.get("metadata", {}).get("tags", [])
        if cell is cells[0]:
            source = _with_badge(source, address.badge(path.name))
        elif "setup" in tags:
            source = address.setup_cell(lesson_id(path))
        elif cell.get("id") == "start-lessons":
            source = lesson_table([other for other in series if other != path], address, folder="")
        elif "navigation" in tags:
            source = _navigation(path, series, address)
        cell["source"] = source.splitlines(keepends=True)
    return {**notebook, "cells": cells}


def lesson_table(series: list[Path], address: Address, folder: str) -> str:
    """The lessons and labs as a Markdown table: title, minutes and badge, read from the notebooks that exist.

    Args:
        series: the notebooks' paths.
        address: where they are published.
        folder: prefix of the links to the lessons, such as `"notebooks/"`; `""` for a table that stands beside them.
    """
    labs = f"{LABS}/" if folder else f"../{LABS}/"
    rows = ["| Lesson | Minutes | Open |", "|---|---:|---|"]
    for path in series:
        title, minutes = front_matter(_read(path))
        title = title.replace("|", r"\|")
        rows.append(f"| [{title}]({folder}{path.name}) | {minutes} | {address.badge(path.name)} |")
        if lab := _lab_of(path):
            title, minutes = front_matter(_read(lab))
            link = f"{labs}{lab.name}"
            rows.append(f"| [{title}]({link}) | {minutes} | {address.badge(lab.name, LABS)} |")
    return "\n".join(rows)


def _lab_of(lesson: Path) -> Path | None:
    lab = lesson.parent.parent / LABS / f"{lesson_id(lesson)}_lab.ipynb"
    return lab if lab.is_file() else None


def front_matter(notebook: dict) -> tuple[str, str]:
    """A lesson's title (its first heading) and its minutes ("" where it names none)."""
    prose = "\n".join(_source(cell) for cell in notebook["cells"][:4] if cell["cell_type"] == "markdown")
    title = re.search(r"^# +(.+?) *$", prose, re.MULTILINE)
    minutes = re.search(r"\b(\d+) minutes\b", prose)
    return (title[1] if title else "untitled"), (minutes[1] if minutes else "")


def _with_badge(source: str, badge: str) -> str:
    before, *rest = BADGE_LINE.split(source)
    if rest:
        return re.sub(r"\n{3,}", "\n\n", before + badge + "".join(rest))
    heading, _, rest = source.partition("\n")
    return f"{heading}\n\n{badge}\n{rest}".rstrip("\n")


def _navigation(path: Path, series: list[Path], address: Address) -> str:
    # Relative links work at home and on GitHub, but not in Colab, hence the second link of each.
    def link(text: str, name: str) -> str:
        return f"[{text}]({name}) ([in Colab]({address.colab(name)}))"

    parts, following = [], series[series.index(path) + 1 :]
    if lab := _lab_of(path):
        title = front_matter(_read(lab))[0]
        parts.append(f"**Practice:** [{title}](../{LABS}/{lab.name}) ([in Colab]({address.colab(lab.name, LABS)}))")
    if following:
        parts.append(f"**Next:** {link(front_matter(_read(following[0]))[0], following[0].name)}")
    if path.name != INDEX:
        parts.append(link("All lessons", INDEX))
    return " · ".join(parts)


def _read(path: Path) -> dict:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if not notebook["cells"]:
            raise KeyError("cells")
        return notebook
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path.name} is not a whole notebook (cut off, or not JSON): restore it from git.") from None


def _source(cell: dict) -> str:
    return "".join(cell["source"])


def written(notebook: dict) -> str:
    """A notebook as text, exactly as nbformat writes it."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


# --- the command ----------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `course.py address`."""
    parser.add_argument("--check", action="store_true", help="change nothing; fail if anything differs")
    parser.add_argument("--set", metavar="OWNER/REPO@REF", help="write a new address into pyproject.toml first")
    parser.add_argument("--expect", metavar="OWNER/REPO", help="fail if the configured repository is another one")


def run(options: argparse.Namespace, root: Path = ROOT) -> int:
    """Rewrite everything that holds the address, or with `--check` name what differs.

    Returns:
        0 when all is as configured, 1 when `--check` or `--expect` found a difference.
    """
    before = Address.configured(root)
    if options.set and not options.check:
        _configure(root / "pyproject.toml", Address.parse(options.set))
    address = Address.configured(root)
    if options.expect and options.expect.lower() != f"{address.owner}/{address.repo}".lower():
        print(
            f"The configured address is {address.owner}/{address.repo}, this repository is {options.expect}. "
            f"Run: python course.py address --set {options.expect}@{address.ref}"
        )
        return 1
    differing = []
    for path, text in _expected_files(root, before, address).items():
        if path.read_text(encoding="utf-8") != text:
            differing.append(path.relative_to(root).as_posix())
            if not options.check:
                path.write_text(text, encoding="utf-8", newline="\n")
    if differing and options.check:
        print("Differ from the configured address (python course.py address rewrites them):", *differing, sep="\n  ")
        return 1
    print("Rewritten:" if differing else f"All as configured: {address.owner}/{address.repo}@{address.ref}", *differing)
    return 0


def _expected_files(root: Path, before: Address, address: Address) -> dict[Path, str]:
    series = lessons(folder=root / NOTEBOOKS.name)
    files = {path: written(expected(_read(path), path, series, address)) for path in series}
    for path in (root / name for name in PROSE):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            table = lesson_table(series, address, folder="notebooks/")
            text = TABLE.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
            text = START.sub(lambda match: f"{match[1]}{address.badge(INDEX)}\n{match[2]}", text)
            old = rf"github\.com/{re.escape(before.owner)}/{re.escape(before.repo)}(?![\w-])"
            files[path] = re.sub(old, f"github.com/{address.owner}/{address.repo}", text)
    return files


def _configure(pyproject: Path, address: Address) -> None:
    text = pyproject.read_text(encoding="utf-8")
    head, section, rest = text.partition("[tool.mlsecops.address]\n")
    for key, value in dataclasses.asdict(address).items():
        rest = re.sub(rf'^{key} = "[^"]*"', f'{key} = "{value}"', rest, count=1, flags=re.MULTILINE)
    pyproject.write_text(head + section + rest, encoding="utf-8", newline="\n")

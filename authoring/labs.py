"""Labs from their single source: `solutions/` holds every lab with its answers, `labs/` is generated from it.

    python course.py build [--check]
    python course.py release DIR

In a cell tagged `solution`, what stands between the lines `# BEGIN SOLUTION` and `# END SOLUTION` is replaced by a line
that says "still to do"; a text cell so tagged is replaced by the stub in its metadata. Every cell carries its id in its
metadata too, under `mlsecops.id`, because Colab gives the cells of a downloaded notebook ids of its own.

Standard library only.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

from authoring import ROOT, UserError, lesson_id
from authoring.address import BADGE_LINE, LABS, Address, written

SOLUTIONS = "solutions"
REGION = re.compile(r"^([ \t]*)# BEGIN SOLUTION\n(.*?)^[ \t]*# END SOLUTION\n?", re.MULTILINE | re.DOTALL)
# What a student copy does without; a test or benchmark that speaks of any of it could not run there either.
LEFT_OUT = ("solutions", "grader", "tests/mutants", "tests/attacks")
SPEAKS_OF_IT = re.compile(r"\b(solutions|grader|tests[./]mutants|tests[./]attacks)\b")


def build(check: bool = False, root: Path = ROOT) -> int:
    """Generate `labs/` from `solutions/`, and bring the sources' own set-up cells up to date.

    Args:
        check: change nothing, name what differs.
        root: the course's folder.

    Returns:
        0, or 1 when `check` found a difference.

    Raises:
        UserError: a source is missing or malformed.
    """
    sources = sorted((root / SOLUTIONS).glob("*.ipynb"))
    if not sources:
        raise UserError("There is nothing to build from: solutions/ is not here (a student copy does without it).")
    address = Address.configured(root)
    files: dict[Path, str | None] = {path: None for path in (root / LABS).glob("*.ipynb")}
    for path in sources:
        source = _source_as_it_should_be(_read(path), lesson_id(path), address)
        files[path] = written(source)
        files[root / LABS / path.name] = written(blank(source, path.name, address))
    differing = []
    for path, text in files.items():
        if (path.read_text(encoding="utf-8") if path.exists() else None) == text:
            continue
        differing.append(path.relative_to(root).as_posix())
        if check:
            continue
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    if differing:
        print("Differ from their source (python course.py build rewrites them):" if check else "Built:", *differing)
    else:
        print("labs/ is as solutions/ says.")
    return int(check and bool(differing))


def blank(source: dict, name: str, address: Address) -> dict:
    """The lab that a solution notebook becomes: stubs for answers, no outputs, badge of the lab itself.

    Args:
        source: a solution notebook as parsed JSON; not changed.
        name: the lab's file name.
        address: where the course is published.

    Raises:
        UserError: a cell tagged `solution` has neither a marked region nor a stub.
    """
    cells = []
    for number, cell in enumerate(source["cells"]):
        ident, tags, text = cell["id"], cell["metadata"].get("tags", []), "".join(cell["source"])
        if "solution" in tags:
            text = _stub(cell, text)
        if number == 0:
            badge = address.badge(name, LABS)
            text = BADGE_LINE.sub(lambda _, badge=badge: badge, text, count=1)
        kept = [tag for tag in tags if tag != "solution"]
        new = {
            "cell_type": cell["cell_type"],
            "id": ident,
            "metadata": {"mlsecops": {"id": ident}} | ({"tags": kept} if kept else {}),
            "source": text.splitlines(keepends=True),
        }
        cells.append(new | ({"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {}))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "mlsecops": {"lab": lesson_id(Path(name))},
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def regions(source: dict) -> list[str]:
    """What may not appear in a lab: the text of every solution region and every model answer of a solution notebook."""
    found = []
    for cell in source["cells"]:
        text = "".join(cell["source"])
        if "solution" in cell["metadata"].get("tags", []):
            found += [match[2] for match in REGION.finditer(text)] if cell["cell_type"] == "code" else [text]
    return found


def _stub(cell: dict, text: str) -> str:
    stub = cell["metadata"].get("mlsecops", {}).get("stub")
    if cell["cell_type"] != "code":
        if stub is None:
            raise UserError(f"Cell {cell['id']} is a solution in prose, and its metadata holds no mlsecops.stub.")
        return stub
    if text.count("# BEGIN SOLUTION") != len(REGION.findall(text)) or "# BEGIN SOLUTION" not in text:
        raise UserError(f"Cell {cell['id']} is tagged solution: it needs # BEGIN SOLUTION and # END SOLUTION.")
    question = re.search(r"^(\w+)-lab-(q\d+)", cell["id"])
    line = stub or f'raise NotImplementedError("{question[1]}-{question[2]}")'
    return REGION.sub(lambda match: f"{match[1]}{line}\n", text).rstrip("\n")


def _source_as_it_should_be(notebook: dict, lesson: str, address: Address) -> dict:
    cells = []
    for cell in notebook["cells"]:
        metadata = {**cell["metadata"], "mlsecops": {**cell["metadata"].get("mlsecops", {}), "id": cell["id"]}}
        setup = "setup" in metadata.get("tags", [])
        source = address.setup_cell(lesson).splitlines(keepends=True) if setup else cell["source"]
        outputs = {"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {}
        cells.append({**cell, "metadata": metadata, "source": source, **outputs})
    return {**notebook, "cells": cells}


def _read(path: Path) -> dict:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        assert all(cell["id"] and cell["metadata"] is not None for cell in notebook["cells"])
        return notebook
    except (ValueError, KeyError, TypeError, AssertionError):
        raise UserError(f"{path.name} is not a whole notebook with cell ids: restore it from git.") from None


def release(folder: Path, root: Path = ROOT) -> int:
    """Write a student copy of the course: without solutions, without the grader, without the tests of either.

    Args:
        folder: where to; must not exist yet, or be empty.
        root: the course's folder, a git checkout.

    Returns:
        0.

    Raises:
        UserError: the folder is in use or inside the course, this is no git checkout, or the labs are out of date.
    """
    folder = Path(folder).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty.")
    if folder.is_relative_to(root):
        raise UserError("The student copy has to lie outside the course's own folder.")
    if build(check=True, root=root):
        raise UserError("Run python course.py build first, and look at what changed.")
    files = [path for path in _tracked(root) if not _left_out(path, root)]
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, folder / path)
    print(f"{len(files)} files in {folder}, without {', '.join(LEFT_OUT)} and what tests them.")
    return 0


def _tracked(root: Path) -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout  # noqa: S603 - fixed command
    except (OSError, subprocess.CalledProcessError):
        raise UserError("A student copy is made from a git checkout: git says which files belong to it.") from None
    paths = (Path(name) for name in sorted(listed.decode().split("\0")) if name)
    return [path for path in paths if (root / path).is_file()]


def _left_out(path: Path, root: Path) -> bool:
    name = path.as_posix()
    if any(name == part or name.startswith(f"{part}/") for part in LEFT_OUT):
        return True
    if path.suffix != ".py" or path.parts[0] not in ("tests", "benchmarks"):
        return False
    text = (root / path).read_text(encoding="utf-8")
    return SPEAKS_OF_IT.search(text) is not None

"""Finds and reads what was handed in. File names and contents are the learner's, so neither is believed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

MAX_NOTEBOOK = 32 * 1024 * 1024
MAX_CODE = 2 * 1024 * 1024
MAX_CELLS = 2000
# Values in the file's JSON: an empty list takes two bytes there and sixty in memory.
MAX_VALUES = 2_000_000


@dataclass(frozen=True)
class Submission:
    """One input of a grading run.

    Attributes:
        student: roster id, from the file or folder name; unique within a run, also when case does not count.
        path: the file or folder.
        own_name: False when an earlier input already has this name; then `student` has a number behind it.
    """

    student: str
    path: Path
    own_name: bool = True


@dataclass
class Notebook:
    """What is left of a notebook once everything but code and pictures is gone.

    Attributes:
        status: `"ok"`, or `"malformed"` or `"empty"`, and then `reason` says what is wrong.
        sha256: of the file's bytes, "" when there was no file to read.
        cells: source of the code cells, in order. Metadata is not used: it is the learner's to change.
        pictures: PNG images in the stored outputs, as base64 text.
    """

    status: str = "ok"
    reason: str = ""
    sha256: str = ""
    flags: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)


def find(folder: Path) -> list[Submission]:
    """Every input below `folder`, sorted by name: one per file and one per folder; hidden names are skipped.

    Raises:
        OSError: the folder cannot be listed.
    """
    found: list[Submission] = []
    taken: set[str] = set()
    for path in sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name)):
        if path.name.startswith("."):
            continue
        student = path.name if _is_real_folder(path) else re.sub(r"\.ipynb$", "", path.name, flags=re.IGNORECASE)
        unique, number = student, 2
        while _folded(unique) in taken:
            unique, number = f"{student} ({number})", number + 1
        taken.add(_folded(unique))
        found.append(Submission(unique, path, unique == student))
    return found


def _folded(name: str) -> str:
    # Names that some file system takes for one: results of both could not lie side by side there.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def read(submission: Submission, lab: str) -> Notebook:
    """Read a submission. Whatever is wrong with it is an outcome, not an exception.

    Args:
        lab: picks the notebook whose name starts with it when a folder holds several.
    """
    notebook = _read(submission, lab)
    if not submission.own_name:
        notebook.flags.append("name-taken")
    return notebook


def _read(submission: Submission, lab: str) -> Notebook:
    path = submission.path
    try:
        if path.is_symlink():
            return Notebook("malformed", "a symbolic link is not read", flags=["symlink"])
        if path.is_dir():
            chosen = _choose(path, lab)
            if isinstance(chosen, Notebook):
                return chosen
            path = chosen
        if path.suffix.lower() != ".ipynb":
            return Notebook("malformed", "not an .ipynb file")
        data = _read_file(path)
    except OSError as error:
        return Notebook("malformed", f"cannot be read: {error.strerror}")
    if data is None:
        return Notebook("malformed", f"not a plain file of at most {MAX_NOTEBOOK >> 20} MB")
    notebook = _parse(data)
    notebook.sha256 = hashlib.sha256(data).hexdigest()
    return notebook


def _choose(folder: Path, lab: str) -> Path | Notebook:
    candidates = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".ipynb" and not p.name.startswith("."))
    if any(p.is_symlink() for p in candidates):
        return Notebook("malformed", "a symbolic link is not read", flags=["symlink"])
    if not candidates:
        return Notebook("empty", "the folder holds no notebook")
    matching = [p for p in candidates if p.name.lower().startswith(lab.lower())]
    if len(matching) == 1:
        return matching[0]
    if len(candidates) == 1:
        return candidates[0]
    return Notebook("malformed", "the folder holds several notebooks, and not exactly one is named after the lab")


def _read_file(path: Path) -> bytes | None:
    # Not followed, not waited for: between looking and opening, the name could have become a link or a pipe.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        data = file.read(MAX_NOTEBOOK + 1)
    return data if len(data) <= MAX_NOTEBOOK else None


def _parse(data: bytes) -> Notebook:
    if not data.strip():
        return Notebook("empty", "the file is empty")
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        return Notebook("malformed", f"more than {MAX_VALUES:,} values; clear the outputs and hand it in again")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return Notebook("malformed", "not a complete notebook file (not valid JSON)")
    cells = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(cells, list) or len(cells) > MAX_CELLS:
        return Notebook("malformed", "not a notebook (format 4) with a sensible number of cells")
    notebook = Notebook()
    for cell in cells:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = _text(cell.get("source", ""))
        if source is None:
            return Notebook("malformed", "a cell has no text")
        if source.strip():
            notebook.cells.append(source)
        notebook.pictures += _pictures(cell.get("outputs"))
    if sum(map(len, notebook.cells)) > MAX_CODE:
        return Notebook("malformed", f"more than {MAX_CODE >> 20} MB of code")
    if not notebook.cells:
        return Notebook("empty", "the notebook has no code")
    return notebook


def _text(source: object) -> str | None:
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        return "".join(source)
    return source if isinstance(source, str) else None


def _pictures(outputs: object) -> list[str]:
    found = []
    for output in outputs if isinstance(outputs, list) else []:
        data = output.get("data") if isinstance(output, dict) else None
        picture = _text(data.get("image/png", "")) if isinstance(data, dict) else None
        picture = re.sub(r"\s+", "", picture or "")
        # The first bytes of every PNG, in base64; nothing but base64 can follow, so nothing can break out of the page.
        if picture.startswith("iVBORw0KGgo") and re.fullmatch(r"[A-Za-z0-9+/]+=*", picture) and len(picture) < 700_000:
            found.append(picture)
    return found

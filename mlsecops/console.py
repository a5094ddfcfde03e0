"""What the commands of ``python -m mlsecops`` share: names of files, a progress line, and how a result is written."""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlsecops.findings import Finding, as_json, as_sarif

UNREADABLE_RULE = {"unreadable": "The file could not be read, so nothing is known about it."}


def files_below(path: Path) -> list[Path]:
    """The files meant by a path: itself, or for a folder every file below it, sorted; linked folders are left out.

    A folder that cannot be listed stands in the list for its files: what was not looked at must not pass in silence.
    """
    if not path.is_dir():
        return [path]
    unlisted: list[Path] = []
    walk = os.walk(path, onerror=lambda error: unlisted.append(Path(error.filename)))
    return sorted([Path(folder) / name for folder, _, names in walk for name in names] + unlisted)


class Places:
    """Relative names for files: from the current folder if all that was named is below it, else from what was named.

    So a report says nothing about the machine it was made on, and stays the same when the whole folder moves.
    """

    def __init__(self, names: Iterable[str]) -> None:
        absolute = [Path(os.path.normpath(Path(name).absolute())) for name in names]
        here = Path.cwd()
        self.base = str(here)
        if not all(path.is_relative_to(here) for path in absolute):
            try:
                self.base = os.path.commonpath([path if path.is_dir() else path.parent for path in absolute])
            except ValueError:  # several drives
                self.base = ""

    def __call__(self, path: str | Path) -> str:
        """The name of one file."""
        full = os.path.normpath(Path(path).absolute())
        return os.path.relpath(full, self.base) if self.base else full

    def unreadable(self, path: str | Path, error: Exception) -> Finding:
        """The finding about a file that could not be read."""
        name = self(path)
        return Finding("unreadable", "high", name, str(error).replace(str(path), name))


class Progress:
    """A progress line on standard error for long lists; silent when that is not a terminal or the list is short."""

    def __init__(self, total, least=10):
        self.total, self.done, self.last = total, 0, 0.0
        self.shown = total >= least and sys.stderr.isatty()

    def step(self):
        self.done += 1
        if self.shown and (time.monotonic() - self.last > 0.1 or self.done == self.total):
            self.last = time.monotonic()
            filled = 30 * self.done // self.total
            end = "\n" if self.done == self.total else ""
            sys.stderr.write(f"\r[{'#' * filled}{'.' * (30 - filled)}] {self.done}/{self.total} files{end}")
            sys.stderr.flush()


def show(
    arguments: argparse.Namespace,
    rows: list[dict] | dict,
    findings: list[Finding],
    rules: Mapping[str, str],
    table: Iterable[str],
) -> None:
    """Writes a command's result to standard output, and nothing else, in the format asked for."""
    if arguments.format == "json":
        table = [as_json(rows)]
    elif arguments.format == "sarif":
        table = [as_sarif(findings, f"mlsecops {arguments.command}", rules)]
    for line in table:
        print(line)

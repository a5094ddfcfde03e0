"""The commands ``scan-notebook`` and ``clean-notebook``."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from mlsecops.console import UNREADABLE_RULE, Places, Progress, show
from mlsecops.findings import FAIL, FINE, FOUND, UNREADABLE, plain
from mlsecops.leaks import history, scan
from mlsecops.leaks.clean import cleaned


def scan_notebook(arguments: argparse.Namespace) -> int:
    """Looks for credentials in notebooks, code, configuration. Returns the exit code: 0 none, 1 found, 2 unreadable."""
    try:
        key = scan.fingerprint_key(arguments.fingerprint_key and Path(arguments.fingerprint_key))
        given = arguments.allow and Path(arguments.allow)
        allowed = scan.allow_marks(given.read_text(encoding="utf-8")) if given else {}
    except (OSError, ValueError) as error:
        print(plain(error), file=sys.stderr)
        return UNREADABLE
    worst, rows, unread = FINE, [], []
    place = Places(arguments.files)
    todo = [file for name in arguments.files for file in scan.files(Path(name))]
    progress = Progress(len(todo))
    for file in todo:
        try:
            rows.append(scan.row(place(file), scan.scan(file.read_bytes(), str(file), key)))
        except Exception as error:  # whatever a hostile file does, the others are reported
            if not isinstance(error, OSError | ValueError):
                error = ValueError(f"it could not be taken apart ({type(error).__name__})")
            print(f"{plain(file)}: {plain(error)}", file=sys.stderr)
            unread.append(place.unreadable(file, error))
            rows.append(scan.row(place(file), None))
            worst = UNREADABLE
        progress.step()
    for name in arguments.files if arguments.history else ():
        try:
            rows += scan.history_rows(Path(name), key)
        except history.GitError as error:
            print(f"{plain(name)}: {plain(error)}", file=sys.stderr)
            worst = UNREADABLE
    expired = scan.take_allowed(rows, allowed, arguments.expired == "fail")
    for mark in expired:
        print(f"the allow-mark {plain(mark)} has expired ({allowed[mark].until})", file=sys.stderr)
    if any(row["result"] == FAIL for row in rows):
        worst = max(worst, FOUND)
    findings = [finding for row in rows for finding in scan.findings_of(row["path"], row["findings"])]
    show(arguments, rows, findings + unread, scan.RULES | UNREADABLE_RULE, scan.table(rows))
    return worst


def clean_notebook(arguments: argparse.Namespace) -> int:
    """Cleans notebooks in place, or with ``--check`` says which are not. Returns the exit code, as `scan_notebook`."""
    worst, changed = FINE, 0
    files = [file for name in arguments.files for file in scan.files(Path(name))]
    files = [file for file in files if file.suffix == ".ipynb" or not Path(file).exists()]
    progress = Progress(len(files))
    for file in files:
        try:
            before = file.read_bytes()
            after = cleaned(before, tuple(arguments.keep))
            if after != before:
                changed += 1
                print(f"{plain(file)}: {'not clean' if arguments.check else 'cleaned'}")
                if not arguments.check:
                    write_whole(file, after)
        except (OSError, ValueError) as error:
            print(f"{plain(file)}: {plain(error)}", file=sys.stderr)
            worst = UNREADABLE
        progress.step()
    print(f"{changed} of {len(files)} {'not clean' if arguments.check else 'cleaned'}")
    return max(worst, FOUND if changed and arguments.check else FINE)


def write_whole(file: Path, data: bytes) -> None:
    """Write a file so that it is the old one or the new one, whenever the power fails."""
    beside = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        beside.write_bytes(data)
        shutil.copymode(file, beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)

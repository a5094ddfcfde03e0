"""The command line: ``python -m mlsecops scan-model FILE…`` and ``python -m mlsecops check-requirements FILE…``."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from mlsecops.findings import FINE, FOUND, UNREADABLE, plain


def files_below(path):
    """The files meant by a path: itself, or for a folder every file below it, sorted; linked folders are left out."""
    if not path.is_dir():
        return [path]
    return sorted(Path(folder) / name for folder, _, names in os.walk(path) for name in names)


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


def scan_model(arguments):
    """Scans every file named. Returns the exit code: 0 all safe, 1 dangerous or unknown, 2 unreadable; the worst."""
    from mlsecops.artifacts import scan_file

    worst, rows = FINE, []
    paths = [file for name in arguments.files for file in files_below(Path(name))]
    if not paths:
        print("there is no file to scan in what was named", file=sys.stderr)
        return UNREADABLE
    progress = Progress(len(paths))
    for path in paths:
        try:
            report = scan_file(path, digest=arguments.format == "json")  # the table does not show it
            rows.append(report.to_dict())
            worst = max(worst, FINE if report.verdict == "safe" else FOUND)
        except OSError as error:
            rows.append({"path": str(path), "verdict": "unreadable", "format": "", "error": str(error), "findings": []})
            worst = UNREADABLE
        progress.step()
    if arguments.format == "json":
        json.dump(rows, sys.stdout, indent=2)
        print()
        return worst
    width = max(len(row["format"]) for row in rows)
    for row in rows:
        print(f"{row['verdict']:<10}  {row['format']:<{width}}  {plain(row['path'])}")
        if "error" in row:
            print(f"            {plain(row['error'])}")
        for finding in row["findings"]:
            print(
                f"            {finding['rule']}: {plain(finding['detail'])} ({plain(finding['where']) or 'whole file'})"
            )
    counts = (
        (word, sum(row["verdict"] == word for row in rows)) for word in ("safe", "dangerous", "unknown", "unreadable")
    )
    print(", ".join(f"{count} {word}" for word, count in counts if count))
    return worst


def check_requirements(arguments):
    """Checks requirements files. Returns the exit code: 0 no problem, 1 problems, 2 unreadable; the worst."""
    from mlsecops.supply_chain import check_requirements as problems_of

    worst, rows = FINE, []
    for name in arguments.files:
        try:
            problems = problems_of(Path(name))
        except (OSError, UnicodeDecodeError) as error:
            print(f"{plain(name)}: {plain(error)}", file=sys.stderr)
            worst = UNREADABLE
            continue
        if problems:
            worst = max(worst, FOUND)
        rows += [{"path": name, "line": p.line, "rule": p.rule, "detail": p.detail} for p in problems]
    if arguments.format == "json":
        json.dump(rows, sys.stdout, indent=2)
        print()
        return worst
    for row in rows:
        print(f"{plain(row['path'])}:{row['line']}: {row['rule']}: {plain(row['detail'])}")
    if not rows and worst == FINE:
        print("no problems found")
    return worst


def train(arguments):
    """Trains the salary model and saves it, with its prediction interval, where `serve` finds both. Returns 0 or 2."""
    from mlsecops.salary.dataset import DataError, clean, load_salaries
    from mlsecops.salary.model import train as fit
    from mlsecops.salary.storage import save
    from mlsecops.serving.interval import calibrate, held_out, save_width

    try:
        frame = clean(load_salaries())
        model = fit(frame)
        save(model, arguments.folder)
        save_width(calibrate(model, held_out(frame)), arguments.folder)
    except (DataError, OSError) as error:
        print(plain(error), file=sys.stderr)
        return UNREADABLE
    print(f"saved in {plain(arguments.folder)}: R2 {model.metadata['metrics']['r2']:.2f} on held-out rows")
    return FINE


def serve(arguments):
    """Serves a saved model, hardened. Returns the exit code of `mlsecops.serving.run.serve`."""
    from mlsecops.serving.run import serve as start

    given = vars(arguments)
    return start(given["model"], **{name: given[name] for name in ("host", "port", "workers", "tls", "demo")})


def main(argv=None):
    """Runs one subcommand; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m mlsecops", description="The course's checks, as commands.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, words in (
        ("scan-model", scan_model, "say for model files whether loading them is safe, dangerous or unknown"),
        ("check-requirements", check_requirements, "find unpinned, unhashed and mixed-index lines"),
    ):
        command = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        command.add_argument("files", nargs="+", metavar="FILE", help="a file or, for scan-model, a folder")
        command.add_argument("--format", choices=("table", "json"), default="table")
        command.set_defaults(run=run)
    command = commands.add_parser("train", help="train the salary model and save it for serve")
    command.add_argument("folder", metavar="DIR")
    command.set_defaults(run=train)
    command = commands.add_parser(
        "serve", help="serve a saved model over HTTP, hardened; configured by SALARY_… variables"
    )
    command.add_argument("--model", required=True, metavar="DIR", help="made by the command train")
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--tls", action="store_true", help="with a self-signed certificate, for demonstrations")
    command.add_argument(
        "--demo", action="store_true", help="make a secret and an API key for this run, and print the key"
    )
    command.set_defaults(run=serve)
    arguments = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())

"""The instructor's command line: `python -m grader new-key FILE` and `python -m grader grade SUBMISSIONS ...`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from classroom.questions import lab_of
from grader import reports, seeds, submissions
from grader.channel import RoomError
from grader.generator import Generator, GeneratorError
from grader.judge import Grading
from grader.policy import Limits, View
from grader.rooms import open_room

ROOT = Path(__file__).resolve().parent.parent


class _UsageError(Exception):
    """The command cannot be carried out as given; the text says why."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grader", description="Grade notebooks without trusting them.")
    commands = parser.add_subparsers(dest="command", required=True)
    key = commands.add_parser("new-key", help="make a course key; keep it secret and keep it")
    key.add_argument("file", type=Path)
    grade = commands.add_parser("grade", help="grade a folder of submissions")
    grade.add_argument("submissions", type=Path, help="holds student.ipynb or student/*.ipynb")
    grade.add_argument("--lab", required=True, help="such as H2b, or the dotted name of a module with QUESTIONS")
    grade.add_argument("--out", type=Path, required=True, help="folder for grades.csv, results/ and feedback/")
    grade.add_argument("--key-file", type=Path, required=True)
    grade.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1), help="submissions in flight")
    grade.add_argument("--timeout", type=float, default=60.0, help="seconds of wall time for one submission")
    grade.add_argument("--memory", type=int, default=2048, help="megabytes for one submission")
    grade.add_argument("--resume", action="store_true", help="keep finished results, grade the rest")
    grade.add_argument("--allow-partial", action="store_true", help="grade even where isolation is not full")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when every input has its row, 1 when the machinery failed, 2 for a wrong call, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        if options.command == "new-key":
            seeds.new_key(options.file)
            print(f"wrote {options.file}; without it, grades cannot be reproduced")
            return 0
        return _grade(options)
    except (_UsageError, seeds.KeyFileError) as error:
        print(f"grader: {error}", file=sys.stderr)
        return 2
    except (RoomError, GeneratorError) as error:
        print(f"grader: {error}\nFinished results are whole; --resume continues.", file=sys.stderr)
        return 1
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"grader: {what}\nFinished results are whole; --resume continues.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("grader: interrupted. Finished results are whole; --resume continues.", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(*_) -> None:
    # A second Ctrl-C would break into the tidying up that the first one began, and could leave a lock held for ever.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _grade(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    try:
        lab = lab_of(options.lab)
    except KeyError as error:
        raise _UsageError(error.args[0]) from None
    view = View(ROOT, lab.opens)
    inputs = _check(options, view)
    step = max(1.0, options.timeout / 6)
    limits = Limits(seconds=options.timeout, step=step, memory=options.memory << 20)
    # Both start before the key is read, so neither could ever have seen it.
    room, why = open_room(view, limits, lab.libraries)
    generator = Generator(ROOT, options.lab, view.marker if room.isolation == "full" else "")
    try:
        if room.isolation != "full":
            print(f"grader: isolation is {room.isolation}, not full: {why}", file=sys.stderr)
            if not options.allow_partial:
                raise _UsageError("official grading needs full isolation; --allow-partial grades anyway")
        key = seeds.lab_key(seeds.read_key(options.key_file), lab.id)
        with tqdm(total=len(inputs), unit="submission", desc=lab.id) as bar:
            grading = Grading(
                lab, key, room, generator, limits, options.out, max(1, options.workers), lambda result: bar.update()
            )
            rows = grading.grade(inputs, resume=options.resume)
        reports.write_grades(options.out, rows, lab.questions)
    finally:
        generator.close()
        room.close()
    failed = [row["student"] for row in rows if row["failed"]]
    if failed:
        print(f"grader: a defect of the grader kept these from being graded: {', '.join(failed)}", file=sys.stderr)
    counts = {status: sum(row["status"] == status for row in rows) for status in sorted({r["status"] for r in rows})}
    summary = ", ".join(f"{number} {status}" for status, number in counts.items())
    print(f"{len(rows)} graded in isolation {room.isolation}: {summary}. {options.out / 'grades.csv'}")
    return 0


def _check(options: argparse.Namespace, view: View) -> list[submissions.Submission]:
    """The inputs, after everything that can be checked before the expensive part has been."""
    if not options.key_file.is_file():
        raise _UsageError(f"there is no key file {options.key_file}; make one with: python -m grader new-key FILE")
    if options.timeout <= 0 or options.memory < 64:
        raise _UsageError("--timeout must be positive and --memory at least 64")
    secret = {"--key-file": options.key_file, "--out": options.out, "SUBMISSIONS": options.submissions}
    for name, path in secret.items():
        for folder in view.exposed:
            if path.resolve().is_relative_to(folder.resolve()):
                raise _UsageError(f"{name} lies in {folder}, which submissions can read")
    if options.out.resolve().is_relative_to(options.submissions.resolve()):
        raise _UsageError("--out lies among the submissions")
    try:
        inputs = submissions.find(options.submissions)
        reports.prepare(options.out)
    except OSError as error:
        raise _UsageError(f"{error.filename}: {error.strerror}") from None
    if not inputs:
        raise _UsageError(f"{options.submissions} holds no submissions")
    return inputs


if __name__ == "__main__":
    sys.exit(main())

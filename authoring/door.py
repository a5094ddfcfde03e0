"""The commands of course.py. Standard library only: what needs more runs in `.venv`, which this makes first."""

# ruff: noqa: S314, S603 - only our own commands and reports

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from authoring import BUILD, ROOT, UserError, address, labs, lessons, pins, trace
from authoring.install import PYTHON, let_end, set_up

# Our own metadata, which stays in a notebook that is stored; the commit hook says the same.
CLEAN = ("-m", "mlsecops", "clean-notebook", "--keep", "mlsecops")
REPORTS = BUILD / "reports"
CELL_TIMEOUT = 600  # seconds; nbval would wait 2000 for a kernel that has died


def main(arguments: list[str]) -> int:
    """Run one command of course.py.

    Returns:
        The exit code: 0 fine, 1 something failed, 2 wrong usage, 130 interrupted with Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # an old Windows console cannot show every character
    parser = _parser()
    options, options.rest = parser.parse_known_args(arguments)
    if options.rest and options.name != "grade":  # the grader reads its own arguments
        parser.error(f"unrecognized arguments: {' '.join(options.rest)}")
    try:
        return options.command(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The next call goes on from here.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="course.py", description="MLSecOps, hands on. The first call makes .venv and installs into it."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, does: Callable, text: str, **settings) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, **settings)
        sub.set_defaults(command=does, name=name)
        return sub

    run = command("run", _run, "execute the lessons; results in build/")
    run.add_argument("--only", metavar="ID", help="one lesson (H2b), or all parts of one (H2)")
    run.add_argument("--fast", action="store_true", help="smaller experiments, for a quick look")
    run.add_argument("--seed", type=int, default=7, metavar="N", help="seed of every random number (7)")
    command("lab", _lab, "open the course in JupyterLab")
    test = command(
        "test", _test, "run the checks of a change: style, unit tests, all lessons executed twice and compared"
    )
    test.add_argument("--all", action="store_true", help="also what is slow: load on several workers")
    if (ROOT / labs.SOLUTIONS).is_dir():  # a student copy has neither solutions nor a grader
        command("grade", _grade, "grade a folder of submissions (needs the course key)", add_help=False)
        build = command("build", _build, "generate labs/ from solutions/, and the traceability table")
        build.add_argument("--check", action="store_true", help="change nothing; fail on any drift")
        release = command(
            "release", lambda given: labs.release(given.folder), "make a copy for students in a new folder"
        )
        release.add_argument("folder", type=Path, metavar="DIR")
    strip = command("strip", _strip, "take outputs and what an editor leaves out of notebooks, as the checks demand")
    strip.add_argument(
        "notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="all of the course where none is named"
    )
    address.add_arguments(command("address", _address, "rewrite badges, links and set-up cells from pyproject.toml"))
    pins.add_arguments(command("pins", pins.run, "compile the requirements from pyproject.toml (needs uv)"))
    return parser


# --- commands -------------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    lessons(options.only)  # a wrong id is said before anything is installed
    with only_one_at_a_time("run"):
        set_up("requirements.txt")
        given = ["--only", options.only] if options.only else []
        fast = ["--fast"] if options.fast else []
        return call("-m", "authoring", *given, *fast, "--seed", str(options.seed))


def _lab(options: argparse.Namespace) -> int:
    with only_one_at_a_time("lab"):
        set_up("requirements.txt")
    server = [f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"]
    server += ["--ServerApp.log_level=WARN"]  # what remains is the address to open, and problems
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        server.append("--allow-root")  # a container's only user; the server listens on the loopback interface
    with subprocess.Popen([PYTHON, "-m", "jupyterlab", *server], cwd=ROOT) as child:
        while True:
            with suppress(KeyboardInterrupt):  # JupyterLab has received it too, and asks whether it is meant
                return child.wait()


def _address(options: argparse.Namespace) -> int:
    code = address.run(options)
    if (ROOT / labs.SOLUTIONS).is_dir():  # labs take their set-up cells and badges along
        code = _build(options) or code
    return code


def _build(options: argparse.Namespace) -> int:
    return labs.build(options.check) or trace.write(options.check)


def _notebooks() -> list[Path]:
    return sorted(path for room in ("notebooks", "solutions", "labs") for path in (ROOT / room).glob("*.ipynb"))


def _strip(options: argparse.Namespace) -> int:
    given = [path.resolve() for path in options.notebooks] or _notebooks()
    for path in given:
        if not path.is_file():
            raise UserError(f"There is no notebook {path}.")
    set_up("requirements.txt")
    return call(*CLEAN, *given)


def _grade(options: argparse.Namespace) -> int:
    set_up("requirements.txt")
    # The paths given are relative to where the instructor stands, so the grader stays there.
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return call("-m", "grader", "grade", *options.rest, cwd=None, env={**os.environ, "PYTHONPATH": search})


def _test(options: argparse.Namespace) -> int:
    with only_one_at_a_time("test"):
        set_up("requirements-test.txt")
        started, outcomes = time.monotonic(), []
        for heading, check in _checks(options.all):
            print(f"\n--- {heading} ".ljust(100, "-"), flush=True)
            start = time.monotonic()
            code = check()
            outcomes.append((heading, code, time.monotonic() - start))
            print(f"{'ok' if code == 0 else 'FAILED'} in {outcomes[-1][2]:.1f} s", flush=True)
        return _summary(outcomes, time.monotonic() - started)


def _checks(everything: bool) -> Iterator[tuple[str, Callable[[], int]]]:
    """Every check of a change: a heading and what to call. Those after a failure run all the same."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    (BUILD / "run.json").write_text('{"notebooks": []}\n')
    yield "ruff: style", lambda: call("-m", "ruff", "check", ".")
    yield "ruff: format", lambda: call("-m", "ruff", "format", "--check", ".")
    yield "codespell: spelling", lambda: call("-m", "codespell_lib", ".")
    # nbstripout's own check passes cells that ask to keep their output, and whatever it has not heard of.
    yield "stored notebooks: no outputs, no names", lambda: call(*CLEAN, "--check", *_notebooks())
    yield "secrets: none in what is published", _no_secrets
    yield "address: badges, set-up cells and labs as generated", lambda: call("course.py", "address", "--check")
    yield "pins: requirements as declared", lambda: call("course.py", "pins", "--check")
    quick = "" if everything else " and not slow"
    shared = ["-n", "2", "--dist", "loadfile", f"--junitxml={REPORTS / 'pytest.xml'}"]
    yield "pytest: unit tests", lambda: call("-m", "pytest", "tests", "-m", f"not alone{quick}", *shared)
    report = f"--junitxml={REPORTS / 'limits.xml'}"
    yield "limits: grading hostile work", lambda: call("-m", "pytest", "tests", "-m", f"alone{quick}", report)
    yield "papermill: every lesson", lambda: call("-m", "authoring")
    yield "nbval: every lesson again, the same", _execute_again


def _no_secrets() -> int:
    key = BUILD / "fingerprint.key"
    key.write_bytes(os.urandom(32))
    # The tests hold made-up secrets, to be found.
    rooms = [path for path in sorted(ROOT.iterdir()) if path.name not in (".git", ".venv", "tests", BUILD.name)]
    return call("-m", "mlsecops", "scan-notebook", "--fingerprint-key", key, *rooms)


def nbval_arguments(executed: Path) -> list:
    """Python's arguments to execute a notebook again and compare each stored output with the new one."""
    sanitize = ROOT / "tests" / "nbval_sanitize.cfg"
    options = ["--nbval", "--nbval-current-env", f"--nbval-cell-timeout={CELL_TIMEOUT}", "-p", "no:cacheprovider"]
    return ["-m", "pytest", *options, f"--nbval-sanitize-with={sanitize}", executed]


def _execute_again() -> int:
    # Only what this run has executed: a copy left by an earlier one, or cut short by a failure, proves nothing.
    run = json.loads((BUILD / "run.json").read_text(encoding="utf-8"))
    finished = [lesson["name"] for lesson in run["notebooks"] if lesson["status"] == "ok"]
    executed = [BUILD / "executed" / f"{name}.ipynb" for name in finished]
    if not executed:
        print("No lesson was executed to its end; there is nothing to compare.")
        return 1

    def again(path: Path) -> int:
        command = [PYTHON, *nbval_arguments(path), f"--junitxml={REPORTS / f'nbval-{path.stem}.xml'}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace")
        print(done.stdout + done.stderr, flush=True)
        return done.returncode

    with ThreadPoolExecutor(2) as pool:
        return max(pool.map(again, executed))


def _summary(outcomes: list[tuple[str, int, float]], seconds: float) -> int:
    print("\n" + " summary ".center(100, "-"))
    for heading, code, took in outcomes:
        print(f"{'ok' if code == 0 else 'FAILED':8}{took:7.1f} s  {heading}")
    # One last line in pytest's words, over the tests of both pytest runs and each other check as one.
    passed, failed = 0, 0
    for heading, code, _ in outcomes:
        counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
        for report in REPORTS.glob(f"{heading.split(':')[0]}*.xml"):
            suite = next(ET.parse(report).iter("testsuite"))
            counts = {name: count + int(suite.get(name)) for name, count in counts.items()}
        bad = counts["failures"] + counts["errors"] or int(code != 0)
        failed += bad
        passed += max(counts["tests"], 1) - bad - counts["skipped"]
    print(f"\n{f'{failed} failed, ' if failed else ''}{passed} passed in {seconds:.1f}s")
    return 1 if failed else 0


# --- how commands are run -------------------------------------------------------------------------------------------


def call(*arguments, cwd: Path | None = ROOT, env: dict[str, str] | None = None) -> int:
    """Run the course's own Python with these arguments and return its exit code."""
    with subprocess.Popen([PYTHON, *arguments], cwd=cwd, env=env) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            let_end(child)
            raise


@contextmanager
def only_one_at_a_time(name: str) -> Iterator[None]:
    """Hold the checkout's lock. The operating system gives it back when the process ends, however it ends.

    Raises:
        UserError: another course.py holds it, or the folder cannot be written to.
    """
    path = BUILD / "course.lock"
    try:
        BUILD.mkdir(exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{ROOT} cannot be written to ({error.strerror}). Copy the course to a folder of your own."
        ) from None
    with file:
        if not _lock(file):
            file.seek(0)
            raise UserError(
                f"Another course.py is at work in this folder ({file.read().strip() or 'starting'}). "
                "Wait until it has finished, or stop it."
            )
        file.truncate(0)
        file.write(f"{name}, process {os.getpid()}\n")
        file.flush()
        yield


def _lock(file) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(1 << 20)  # Windows locks bytes against reading too: one far behind the text
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

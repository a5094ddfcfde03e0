"""How fast submissions are graded: ours in the jail, beside nbgrader and otter-grader on an equal lab.

Run from the checkout: `python benchmarks/grading.py [--submissions 100] [--peers] [--memory]`. `--peers` installs both
tools into throw-away environments (network, some minutes) and runs them in the modes that their users use: nbgrader's
`autograde` over a folder and one student at a time, otter's `run` one submission at a time. The lab is the light one of
the grader's own tests: eight functions, a few cases each, all answered right.

Processor seconds count all processes that a tool started and waited for.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.light_lab import SOLUTION  # noqa: E402

PEERS = {"nbgrader": "nbgrader==0.9.6", "otter": "otter-grader==7.0.0"}
# The same questions as visible tests inside the notebook, which is how both tools work.
CHECKS = {
    "double": "assert [double(n) for n in (1, 7, 90, 1234)] == [2, 14, 180, 2468]",
    "reverse": "assert [reverse(w) for w in ('ab', 'cde', '', 'x')] == ['ba', 'edc', '', 'x']",
    "digest": "assert [digest(bytes([n]))[0] for n in range(4)] == ['6', '4', 'd', '0']",
    "mean": "import numpy\nassert all(abs(mean(numpy.arange(n)) - (n - 1) / 2) < 1e-9 for n in (1, 5, 9, 50))",
    "even": "assert [even(n) for n in range(8)] == [True, False] * 4",
    "count": "assert [count(w) for w in ('aab', 'b', '', 'cc')] == [{'a': 2, 'b': 1}, {'b': 1}, {}, {'c': 2}]",
    "add": "assert [add(n, 2 * n) for n in range(4)] == [0, 3, 6, 9]",
    "load": "import pickle\nassert [load(pickle.dumps([n, 'x'])) for n in range(4)] == [[n, 'x'] for n in range(4)]",
}


def notebook(cells: list[dict]) -> str:
    """A notebook file's text."""
    made = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, **cell} for cell in cells]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(made)]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": made})


def measured(command: list, folder: Path, **environment: str) -> tuple[float, float]:
    """Wall and processor seconds of a command and of all that it waited for.

    Raises:
        RuntimeError: it failed; the text is the end of what it said.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        said = (done.stdout + done.stderr).splitlines()
        raise RuntimeError("\n".join([line for line in said if "Error" in line][-5:] + said[-8:])[-2000:])
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# --- ours -------------------------------------------------------------------------------------------------------------


def ours(place: Path, number: int, lab: str) -> dict:
    """Grade `number` right submissions; throughput is taken between the first and the last result on disk."""
    subs, out, key = place / f"ours{number}", place / f"out{number}", place / "key"
    subs.mkdir()
    for student in range(number):
        (subs / f"s{student:04}.ipynb").write_text(notebook([{"source": text} for text in SOLUTION.values()]))
    if not key.exists():
        measured([sys.executable, "-m", "grader", "new-key", key], ROOT)
    command = [sys.executable, "-m", "grader", "grade", subs, "--lab", lab, "--out", out, "--key-file", key]
    wall, cpu = measured(command, ROOT)
    written = sorted(path.stat().st_mtime for path in (out / "results").iterdir())
    result = json.loads((out / "results" / "s0000.json").read_text())
    assert result["score"] == result["max"], "a right submission lost points"
    rate = (number - 1) / (written[-1] - written[0])
    return {"wall": wall, "cpu": cpu, "rate": rate, "isolation": result["isolation"]}


def memory(place: Path) -> None:
    """Memory and descriptors of the judge and the zygote while 1,000 submissions pass."""
    subs = place / "many"
    subs.mkdir()
    for student in range(1000):
        (subs / f"s{student:04}.ipynb").write_text(notebook([{"source": text} for text in SOLUTION.values()]))
    out, key = place / "many-out", place / "key"
    command = [
        sys.executable,
        "-m",
        "grader",
        "grade",
        subs,
        "--lab",
        "tests.light_lab",
        "--out",
        out,
        "--key-file",
        key,
    ]
    run = subprocess.Popen(list(map(str, command)), cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    judge, zygote, seen = psutil.Process(run.pid), None, 0
    while run.poll() is None:
        finished = len(list((out / "results").glob("*.json"))) if out.exists() else 0
        if finished >= seen + 100:
            seen = finished // 100 * 100
            if zygote is None:
                outer = next(p for p in judge.children() if "grader.zygote" in " ".join(p.cmdline()))
                (zygote,) = outer.children()  # process 1 of the room; the outer one only waits for it
            print(
                f"after {seen:4} submissions: judge {judge.memory_info().rss / 1e6:.0f} MB, {judge.num_fds()} files, "
                f"zygote {zygote.memory_info().rss / 1e6:.0f} MB, {zygote.num_fds()} files, "
                f"{sum(p.status() == 'zombie' for p in zygote.children())} zombies",
                flush=True,
            )
        time.sleep(0.05)


# --- the peers --------------------------------------------------------------------------------------------------------


def install(place: Path, peer: str) -> Path:
    """A throw-away environment with one tool; the path of its interpreter."""
    folder = place / f"venv-{peer}"
    measured([sys.executable, "-m", "venv", folder], place)
    python = folder / "bin" / "python"
    measured([python, "-m", "pip", "install", "-q", PEERS[peer], "numpy", "ipykernel", "setuptools<81"], place)
    return python


def nbgrader(place: Path, python: Path, number: int) -> dict:
    """A course with one released assignment, then `autograde` for all (batch) and for one student (single)."""
    course = place / "course"
    source = course / "source" / "light"
    source.mkdir(parents=True)
    shared = {"schema_version": 3, "task": False}
    answer = {**shared, "grade": False, "solution": True, "locked": False}
    test = {**shared, "grade": True, "solution": False, "locked": True, "points": 10}
    cells = []
    for name, text in SOLUTION.items():
        text = f"### BEGIN SOLUTION\n{text}\n### END SOLUTION"
        cells += [{"source": text, "metadata": {"nbgrader": {**answer, "grade_id": name}}}]
        cells += [{"source": CHECKS[name], "metadata": {"nbgrader": {**test, "grade_id": f"test-{name}"}}}]
    (source / "lab.ipynb").write_text(notebook(cells))
    (course / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'course'\n")
    tool = [python, "-m", "nbgrader"]
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    measured([*tool, "generate_assignment", "light", "--create"], course, PATH=path)
    for student in range(number):
        folder = course / "submitted" / f"s{student:03}" / "light"
        folder.mkdir(parents=True)
        (folder / "lab.ipynb").write_text((source / "lab.ipynb").read_text())
    try:
        wall, cpu = measured([*tool, "autograde", "light"], course, PATH=path)
    except RuntimeError:
        # On a busy machine, now and then a kernel does not start in time and its student fails. Once more, all of them.
        wall, cpu = measured([*tool, "autograde", "light", "--force"], course, PATH=path)
    assert len(list((course / "autograded").glob("*/light/lab.ipynb"))) == number, (
        "nbgrader graded fewer than handed in"
    )
    one_wall, one_cpu = measured([*tool, "autograde", "light", "--student", "s000", "--force"], course, PATH=path)
    return {"batch": (wall / number, cpu / number), "single": (one_wall, one_cpu)}


def otter(place: Path, python: Path) -> dict:
    """An assignment zip with one test file per question, then `otter run` on one notebook."""
    folder = place / "otter"
    (folder / "tests").mkdir(parents=True)
    for name, text in CHECKS.items():
        code = "".join(f">>> {line}\n" for line in text.splitlines())
        suite = {"cases": [{"code": code, "hidden": False, "locked": False}], "scored": True, "type": "doctest"}
        test = {"name": name, "points": 10, "suites": [{**suite, "setup": "", "teardown": ""}]}
        (folder / "tests" / f"{name}.py").write_text(f"OK_FORMAT = True\ntest = {test!r}\n")
    (folder / "otter_config.json").write_text("{}")
    (folder / "lab.ipynb").write_text(notebook([{"source": text} for text in SOLUTION.values()]))
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    command = [python, "-m", "otter", "generate", "-t", "tests", "-o", "lab.zip", "--no-environment"]
    measured([*command, "-c", "otter_config.json"], folder, PATH=path)
    wall, cpu = measured([python, "-m", "otter", "run", "lab.ipynb", "-a", "lab.zip"], folder, PATH=path)
    scores = json.loads((folder / "results.json").read_text())["tests"]
    assert len(scores) >= len(CHECKS), "otter ran fewer tests than the lab has"
    return {"single": (wall, cpu)}


# --- all of it --------------------------------------------------------------------------------------------------------


def main() -> None:
    """Measure and print; ratios are processor seconds per submission, peer over ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--submissions", type=int, default=100)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} processors, "
        f"load at the start {load:.1f}" + (" (busy: times are worth little)" if load > 0.5 else "")
    )
    place = Path(tempfile.mkdtemp(prefix="mlsecops-benchmark-"))
    try:
        result = ours(place, options.submissions, "tests.light_lab")
        few = ours(place, 2, "tests.light_lab")
        cpu = (result["cpu"] - few["cpu"]) / (options.submissions - 2)
        print(
            f"ours, isolation {result['isolation']}: {result['rate']:.1f} submissions/s, "
            f"{cpu * 1000:.0f} ms of processor time per submission "
            f"({options.submissions} of them: {result['wall']:.1f} s in all, start-up included)"
        )
        if options.memory:
            memory(place)
        if options.peers:
            compare(place, result["cpu"] / options.submissions)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def compare(place: Path, own: float) -> None:
    """Install and measure the peers; our figure includes our start-up, as theirs do."""
    for peer in PEERS:
        try:
            python = install(place, peer)
            figures = nbgrader(place, python, 21) if peer == "nbgrader" else otter(place, python)
        except (RuntimeError, AssertionError) as error:
            print(f"{PEERS[peer]}: not measured: {error}")
            continue
        for mode, (wall, cpu) in figures.items():
            print(
                f"{PEERS[peer]} {mode}: {wall:.2f} s wall, {cpu:.2f} s processor: {cpu / own:.0f}x ours ({own:.3f} s)"
            )


if __name__ == "__main__":
    main()

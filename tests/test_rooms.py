"""The house: arrows between its rooms point one way, and no file outgrows its room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from authoring import ROOT

ROOMS = ("mlsecops", "classroom", "grader", "authoring")
# Who may use whom, the longest name first. A room is always allowed to itself.
ALLOWED = {
    "classroom.exchange": {"classroom.exchange"},
    "classroom.questions": {"classroom.questions", "classroom.exchange"},
    # A drill shows what it staged.
    "classroom.drills": {"classroom.drills", "classroom.lesson", "mlsecops"},
    # Where a lesson runs in Colab it asks the lab's record for the tools that Colab lacks.
    "classroom.lesson": {"classroom.lesson", "classroom.questions"},
    "classroom": {"classroom", "mlsecops"},
    "mlsecops": {"mlsecops"},
    "grader": {"grader", "classroom.questions", "classroom.exchange"},
    "authoring": {"authoring", "classroom.questions"},
}
# Larger than 500 lines for a reason.
LARGE = {
    "mlsecops/artifacts/pickle_machine.py": "one machine: a pickle's opcodes, each a few lines, share its state",
    "mlsecops/artifacts/containers.py": "one reader for each container that a model file may be",
}


def imports(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of all that a file imports, wherever in it."""
    package = path.parts[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = [".".join(package[: len(package) - node.level + 1])] if node.level else []
            name = ".".join([*start, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{name}.{alias.name}") for alias in node.names)


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def wrong_ways(path: Path, source: str) -> list[str]:
    """A sentence for each import that points the wrong way.

    Args:
        path: relative to the checkout.
        source: what stands in the file.
    """
    here = ".".join(path.with_suffix("").parts)
    room = next(room for room in ALLOWED if within(here, room))
    return [
        f"{path}:{line} imports {name}"
        for line, name in imports(path, source)
        if name.split(".")[0] in ROOMS and not any(within(name, other) for other in ALLOWED[room])
    ]


FILES = sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def test_arrows_point_one_way():
    found = [line for path in FILES for line in wrong_ways(path, (ROOT / path).read_text(encoding="utf-8"))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("mlsecops/serving/app.py", "from classroom.lesson import show"),
        ("mlsecops/serving/app.py", "def f():\n    import grader.judge"),
        ("mlsecops/findings.py", "from authoring import ROOT"),
        ("classroom/exchange/codec.py", "from classroom.questions import Question"),
        ("classroom/exchange/codec.py", "from ..questions import Question"),
        ("classroom/questions/h2b/q1.py", "from mlsecops.artifacts import scan_file"),
        ("classroom/check.py", "from grader import judge"),
        ("grader/judge.py", "from classroom.check import practice"),
        ("grader/judge.py", "from classroom import lesson"),
        ("grader/judge.py", "import mlsecops.artifacts"),
    ],
)
def test_a_wrong_arrow_is_seen(path, line):
    assert wrong_ways(Path(path), line)


def test_files_stay_small_enough_to_be_read():
    long = {path.as_posix(): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in FILES}
    questions = {name: lines for name, lines in long.items() if "/questions/" in name and lines > 250}
    assert not questions
    assert {name for name, lines in long.items() if lines > 500} == set(LARGE)

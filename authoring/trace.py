"""The traceability table: each exercise, the controls that it trains, and the tests that hold it."""

import csv
import io
from pathlib import Path

from authoring import ROOT

NAME, TESTS = "docs/traceability.csv", "tests/test_questions.py"


def rows() -> list[dict[str, str]]:
    """A row per exercise and control, out of the questions themselves."""
    from classroom.questions import labs, questions_of  # not before Python's version was looked at

    return [
        {
            "exercise": asked.id,
            "title": asked.title,
            "control": control,
            "test": f"{TESTS} -k {asked.id}",
        }
        for lab in labs()
        for asked in questions_of(lab)
        for control in asked.controls
    ]


def write(check: bool = False, root: Path = ROOT) -> int:
    """Write the table, or with ``check`` say whether it is as the questions say. Returns an exit code."""
    text = io.StringIO()
    table = csv.DictWriter(text, ["exercise", "title", "control", "test"], lineterminator="\n")
    table.writeheader()
    table.writerows(rows())
    path = root / NAME
    if path.exists() and path.read_text(encoding="utf-8") == text.getvalue():
        return 0
    if check:
        print(f"{NAME} is not as the questions say; python course.py build")
        return 1
    path.write_text(text.getvalue(), encoding="utf-8", newline="\n")
    return 0

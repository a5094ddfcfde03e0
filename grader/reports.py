"""What a grading leaves behind: one JSON and one page per student, and one table for all.

Names, messages and pictures come from learners. In HTML they are escaped and no script can run; in CSV nothing that a
spreadsheet would take for a formula stays at the start of a cell.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import os
import tempfile
from pathlib import Path

from classroom.questions import Question

SCHEMA = 1


# --- files ------------------------------------------------------------------------------------------------------------


def prepare(out: Path) -> None:
    """Make the folders that results go into. Raises OSError when that is not possible."""
    for name in ("results", "feedback"):
        (out / name).mkdir(parents=True, exist_ok=True)


def _file_name(student: str) -> str:
    """A student id as a file name; ids that are too long for that end in a hash instead."""
    encoded = os.fsencode(student)
    if len(encoded) <= 200:
        return student
    return encoded[:100].decode("utf-8", "replace") + "-" + hashlib.sha256(encoded).hexdigest()[:16]


def _write(path: Path, text: str) -> None:
    """All or nothing: whoever reads `path` sees the old content or the new one, also after a crash."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_result(out: Path, result: dict) -> None:
    """Write `results/<student>.json`."""
    _write(out / "results" / f"{_file_name(result['student'])}.json", json.dumps(result, indent=1) + "\n")


def read_result(out: Path, student: str) -> dict | None:
    """An earlier result, or None when there is none that can be read."""
    try:
        result = json.loads((out / "results" / f"{_file_name(student)}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and result.get("schema") == SCHEMA else None


def is_whole(result: dict, questions: tuple[Question, ...]) -> bool:
    """Whether a result that was read back has all that the table and the page need."""
    try:
        scored = {question["id"]: question["score"] for question in result["questions"]}
        numbers = [result["score"], result["max"], *scored.values()]
        names = [question.id for question in questions] == list(scored)
        return names and isinstance(result["status"], str) and all(isinstance(n, int | float) for n in numbers)
    except (KeyError, TypeError, AttributeError):
        return False


# --- the table --------------------------------------------------------------------------------------------------------


def row_of(result: dict) -> dict:
    """What the table needs of a result: nothing that depends on the clock or the machine."""
    scores = {question["id"]: question["score"] for question in result["questions"]}
    return {name: result[name] for name in ("student", "status", "score", "max")} | scores


def write_grades(out: Path, rows: list[dict], questions: tuple[Question, ...]) -> None:
    """Write `grades.csv`: one row per input, the same bytes for the same key and inputs."""
    columns = ["student", "status", "score", "max", *(question.id for question in questions)]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        table.writerow([_cell(row[column]) for column in columns])
    _write(out / "grades.csv", text.getvalue())


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"{value:.10g}"
    text = "".join(letter if letter.isprintable() else " " for letter in str(value))
    # What spreadsheets execute, also behind blanks and in full-width form; an apostrophe makes them show it as text.
    return f"'{text}" if text.lstrip().startswith(tuple("=+-@＝＋－＠")) else text


# --- the page ---------------------------------------------------------------------------------------------------------

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em}}
section{{border-top:1px solid #ccc;margin-top:1em}} img{{max-width:100%}} .score{{float:right}}</style></head>
<body><h1>{title}</h1>
<p><strong>{score} of {maximum} points</strong> · status: {status} · isolation: {isolation}</p>
{body}
</body></html>
"""
_STATUS = {
    "timeout": "Something in this notebook took longer than allowed; it was stopped, and the rest was graded.",
    "memory": "Something in this notebook asked for more memory than allowed; the rest was graded.",
    "died": "Something in this notebook ended the interpreter; it was skipped, and the rest was graded.",
}
_MAX_PICTURES = 8


def write_feedback(out: Path, result: dict, pictures: list[str], questions: tuple[Question, ...]) -> None:
    """Write `feedback/<student>.html`: per question the score, the message and what to read again.

    Hidden inputs do not appear: messages come from the judge, error texts only from cells, which run before any
    question is asked.

    Args:
        pictures: base64 text of PNG images that the submission itself holds.
    """
    parts = [f"<p>{html.escape(_STATUS[result['status']])}</p>"] if result["status"] in _STATUS else []
    by_id = {question.id: question for question in questions}
    for scored in result["questions"]:
        parts.append(_section(scored, by_id[scored["id"]]))
    if result["failed_cells"]:
        lines = "".join(
            f"<li>code cell {cell['cell']}: {html.escape(cell['error'])}: {html.escape(cell['message'][:300])}</li>"
            for cell in result["failed_cells"][:20]
        )
        parts.append(f"<section><h2>Cells that did not run to their end</h2><ul>{lines}</ul></section>")
    if pictures:
        shown = "".join(
            f'<p><img alt="figure {number} of the submitted notebook" src="data:image/png;base64,{picture}"></p>'
            for number, picture in enumerate(pictures[:_MAX_PICTURES], 1)
        )
        parts.append(f"<section><h2>Your figures, as handed in</h2>{shown}</section>")
    page = _PAGE.format(
        title=html.escape(f"{result['lab']} · {result['student']}"),
        score=f"{result['score']:.10g}",
        maximum=result["max"],
        status=html.escape(result["status"]),
        isolation=html.escape(result["isolation"]),
        body="\n".join(parts),
    )
    _write(out / "feedback" / f"{_file_name(result['student'])}.html", page)


def _section(scored: dict, question: Question) -> str:
    lines = [
        f"<section><h2><span class='score'>{scored['score']:.10g} / {scored['max']}</span>"
        f"{html.escape(question.id)} · {html.escape(question.title)}</h2>",
        f"<p>{html.escape(scored['message'])}</p>",
    ]
    if scored["misconception"]:
        lines.append(f"<p>{html.escape(question.misconceptions[scored['misconception']])}</p>")
    if scored["score"] < scored["max"]:
        lines.append(f"<p>Read again: {html.escape(question.reread)}</p>")
    return "".join(lines) + "</section>"

"""Scan files, notebooks and history, and report what was found without showing it."""

import datetime
import hashlib
import json
import os
import re
import secrets as randomness
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mlsecops.console import files_below
from mlsecops.findings import FAIL, PASS, UNKNOWN, Finding, plain
from mlsecops.leaks import code, history, notebooks
from mlsecops.leaks.secrets import RULES, Hit, find, named

SEVERITY = {rule: "high" for rule in RULES} | {"named-secret": "medium"}
# How a place is called in a report.
WHERE = {"output": "an output", "attachment": "an attachment", "widget": "a saved widget", "raw": "a raw cell"}
WHERE |= {"source": "the source", "markdown": "the text", "history": "the history", "config": "the file"}
WHERE |= {"metadata": "the metadata"}
FIX = "Revoke it where it was issued first; then take it out"


REMEMBERED = 50_000  # characters of a text whose result is kept


class Leak(NamedTuple):
    """A secret's place.

    Attributes:
        rule: a name in `RULES`.
        place: source, markdown, raw, output, metadata, widget, attachment or config.
        cell: the notebook cell's id or number; "" elsewhere.
        line: of the cell's text, or of the file; 0 where lines mean nothing.
        fingerprint: the same for the same secret, if made with the same key.
        mark: the same while rule, place and the code around it stay the same, whatever the secret: for allow-marks.
    """

    rule: str
    place: str
    cell: str
    line: int
    fingerprint: str
    mark: str


def hits(unit: notebooks.Unit) -> tuple[tuple[Hit, str], ...]:
    """The secrets in one text, each with the name that stands before it."""
    given = (unit.text, unit.name, unit.beside, unit.python)
    return _hits(*given) if len(unit.text) < REMEMBERED else _hits.__wrapped__(*given)


@lru_cache(4_096)  # versions of a notebook share most of their cells
def _hits(text: str, name: str, beside: tuple[str, ...], python: bool) -> tuple[tuple[Hit, str], ...]:
    found = []
    if name and named(name, text.strip(), beside):
        found.append((Hit("named-secret", text.strip(), 0, len(text), 1), name))
    parsed = code.read(text) if python and text.strip() else None
    plain = name and "\n" not in text and "=" not in text  # a field's value, not a text with fields of its own
    found += [(hit, _before(text, hit.start)) for hit in find(text, pairs=parsed is None and not plain)]
    if parsed is None:
        return tuple(found)
    for pair in parsed.pairs:
        if named(pair.name, pair.value, pair.beside):
            found.append((Hit("named-secret", pair.value, 0, 0, pair.line), pair.name))
    for whole, line in parsed.texts:
        if whole not in text or "\n" in whole or "=" in whole or ":" in whole:
            pairs = "\n" in whole or "=" in whole or '": ' in whole
            found += [(hit.at(line), "") for hit in find(whole, pairs)]
    for rest, line in parsed.rest:
        found += [(hit.at(line), _before(rest, hit.start)) for hit in find(rest)]
    return tuple(found)


def _before(text: str, start: int) -> str:
    found = re.search(r"([A-Za-z_]{2,40})[^A-Za-z_\n]*$", text[max(0, start - 80) : start])
    return found[1] if found else ""


def scan(data: bytes, path: str, key: bytes) -> list[Leak]:
    """What leaked in one file.

    Args:
        data: the file.
        path: its name; its content decides whether it is a notebook.
        key: of the fingerprints, 16 bytes or more, kept outside the repository.

    Raises:
        notebooks.Unreadable: a file that is called a notebook and is none.
    """
    if path.lower().endswith(".ipynb") and not notebooks.is_notebook(data) and data.strip():
        raise notebooks.Unreadable("not a complete notebook: its JSON cannot be read")
    units = notebooks.notebook(data) if notebooks.is_notebook(data) else notebooks.other(data, path)
    met = [(unit, hit, before) for unit in units for hit, before in hits(unit)]
    order = list(RULES)
    met.sort(key=lambda one: (order.index(one[1].rule), not one[0].line))
    kept: dict[tuple[str, str], list[Hit]] = {}
    leaks = []
    for unit, hit, before in met:
        others = kept.setdefault((unit.place, unit.cell), [])
        if any(hit.overlaps(other) for other in others):
            continue  # found by a rule that says more
        others.append(hit)
        mark = hashlib.sha256(
            "\0".join([hit.rule, path, unit.place, unit.cell, before]).encode("utf-8", "surrogatepass")
        ).hexdigest()[:12]
        line = unit.line + hit.line - 1 if unit.line else 0
        leaks.append(Leak(hit.rule, unit.place, unit.cell, line, hit.fingerprint(key), mark))
    return leaks


def fingerprint_key(file: Path | None = None) -> bytes:
    """The key of the fingerprints: a file's content, or one that is kept with the user's configuration.

    Raises:
        ValueError: the file holds fewer than 16 bytes.
        OSError: it cannot be read or written.
    """
    if file is None:
        from platformdirs import user_config_path

        file = user_config_path("mlsecops") / "fingerprint.key"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as made:
                made.write(randomness.token_bytes(32))
    key = file.read_bytes()
    if len(key) < 16:
        raise ValueError(f"{file.name} holds {len(key)} bytes; a key of fingerprints needs 16 or more")
    return key


class Allowed(NamedTuple):
    """A finding that somebody has looked at: which ``mark``, the ``reason``, and the last day of the permission."""

    mark: str
    reason: str
    until: datetime.date


def allow_marks(text: str) -> dict[str, Allowed]:
    """Read ``[{"mark": …, "reason": …, "until": "2027-01-31"}, …]``.

    Raises:
        ValueError: it says otherwise; a reason and a last day are not optional.
    """
    try:
        rows = json.loads(text)
    except ValueError:
        raise ValueError("allow-marks are JSON: a list of objects with mark, reason and until") from None
    found = {}
    for row in rows if isinstance(rows, list) else [None]:
        if not isinstance(row, dict) or not {"mark", "reason", "until"} <= set(row):
            raise ValueError("each allow-mark needs mark, reason and until")
        if not isinstance(row["reason"], str) or not row["reason"].strip():
            raise ValueError(f"the allow-mark {row['mark']} needs a reason")
        try:
            until = datetime.date.fromisoformat(row["until"])
        except (TypeError, ValueError):
            raise ValueError(f"the allow-mark {row['mark']} needs a day such as 2027-01-31 in until") from None
        found[str(row["mark"])] = Allowed(str(row["mark"]), row["reason"], until)
    return found


def row(path: str, leaks: Iterable[Leak] | None, commit: str = "") -> dict:
    """One file in the form of the JSON report; None for a file that could not be read."""
    if leaks is None:
        return {"path": path, "result": UNKNOWN, "findings": []}
    findings = [
        {
            "rule": leak.rule,
            "place": "history" if commit else leak.place,
            "cell": leak.cell,
            "line": leak.line,
            "commit": commit,
            "fingerprint": leak.fingerprint,
            "mark": leak.mark,
        }
        for leak in leaks
    ]
    return {"path": path, "result": FAIL if findings else PASS, "findings": findings}


def findings_of(path: str, rows: Iterable[dict]) -> list[Finding]:
    """The same for a table or SARIF. Nothing in them comes from the secret."""
    found = []
    for one in rows:
        place = WHERE[one["place"]] + (f" (commit {one['commit'][:12]})" if one["commit"] else "")
        found.append(
            Finding(
                one["rule"],
                SEVERITY[one["rule"]],
                path,
                f"{RULES[one['rule']][:-1]}, in {place}",
                FIX,
                line=0 if one["cell"] or one["commit"] else one["line"],
                cell=one["cell"],
                where=f"line {one['line']}" if one["cell"] and one["line"] else "",
            )
        )
    return found


def files(path: Path) -> Iterator[Path]:
    """The files for a path: itself, or below a folder all but git's own store and what git is told to ignore.

    What is ignored is not published; name such a file to have it scanned.
    """
    if not path.is_dir():
        yield path
        return
    try:
        listed = history.run(path, "ls-files", "-z", "--others", "--exclude-standard")
        listed += b"\0" + history.run(path, "ls-files", "-z", "--cached", "--recurse-submodules")
    except history.GitError:
        for file in files_below(path):
            if ".git" not in file.relative_to(path).parts and (file.is_file() or file.is_dir()):
                yield file
        return
    for name in sorted(set(os.fsdecode(listed).split("\0")) - {""}):
        if (path / name).is_file() and not (path / name).is_symlink():
            yield path / name


def history_rows(path: Path, key: bytes) -> Iterator[dict]:
    """Scan every version of every file that a repository still holds.

    Yields:
        A row for each version with a secret in it, and for each that is too large to be read. It has the path (or the
        object's id, where nothing names it any more) and the commit that brought it.

    Raises:
        history.GitError: no repository, or one that git cannot read.
    """
    repository = path if path.is_dir() else path.parent
    if history.run(repository, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise history.GitError(
            "a shallow clone holds a part of the history only; fetch all of it (fetch-depth: 0 in CI)"
        )
    for place in history.submodules(repository):
        yield row(f"submodule {place}", None)  # a repository of its own: not looked at
    for blob in history.blobs(repository):
        name = blob.path or f"object {blob.id[:12]}"
        if blob.data is None:
            yield row(name, None)
            continue
        try:
            leaks = scan(blob.data, blob.path, key)
        except notebooks.Unreadable:
            leaks = scan(blob.data, "", key)  # half of a notebook is still a text
        except Exception:  # whatever a hostile version does, the others are looked at
            yield row(name, None)
            continue
        if leaks:
            yield row(name, leaks, history.first_commit(repository, blob.id) or blob.id)


def take_allowed(rows: list[dict], allowed: dict[str, Allowed], expired_fails: bool = False) -> list[str]:
    """Take findings with an allow-mark out of the rows, and return the marks whose last day is over.

    These still hold, so that no build turns red by itself, unless ``expired_fails`` is asked for, as in a nightly run.
    """
    today = datetime.datetime.now(datetime.UTC).date()
    over = {mark for mark, one in allowed.items() if one.until < today}
    open_marks = set(allowed) - (over if expired_fails else set())
    met = {finding["mark"] for one in rows for finding in one["findings"]}
    for one in rows:
        kept = [finding for finding in one["findings"] if finding["mark"] not in open_marks]
        if kept != one["findings"]:
            one |= {"findings": kept, "result": FAIL if kept else PASS}
    return sorted(over & met)


def table(rows: list[dict]) -> Iterator[str]:
    """The report for a terminal."""
    for one in rows:
        for found, finding in zip(one["findings"], findings_of(one["path"], one["findings"]), strict=True):
            where = ", ".join(part for part in (finding.cell and f"cell {finding.cell}", finding.where) if part)
            line = f":{finding.line}" if finding.line else ""
            yield f"{plain(finding.path)}{line}: {finding.rule}: {finding.detail}" + (
                f" ({plain(where)})" if where else ""
            )
            yield f"    fingerprint {found['fingerprint']}, mark {found['mark']}"
    counts = [sum(one["result"] == result for one in rows) for result in (FAIL, PASS, UNKNOWN)]
    yield (
        ", ".join(f"{n} {word}" for n, word in zip(counts, ("with secrets", "without", "not read"), strict=True) if n)
        or "no files"
    )

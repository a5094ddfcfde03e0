"""A folder of audit logs, one chain per worker and each in segments: verified as a whole, read as one log."""

import heapq
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlsecops.audit_log import NAME, open_log, read_anchor, segments, verify_chain


@dataclass(frozen=True)
class FolderCheck:
    """What `verify` found.

    Attributes:
        ok: nothing is wrong.
        files: how many files were looked at.
        lines: how many lines hold.
        problem: the first problem in words, "" when there is none.
        file: where it is, "" when there is none.
        line: at which line, by the number that it bears or ought to (a chain's first line is 0); None for no line.
    """

    ok: bool
    files: int
    lines: int
    problem: str = ""
    file: str = ""
    line: int | None = None


def chains(paths: Iterable[Path]) -> list[list[Path]]:
    """The chains meant by paths, each as its segments in their order; a folder is all its chains.

    Raises:
        OSError: a path does not exist, or holds no log.
    """
    found: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        logs = [path]
        if path.is_dir():  # where anchors may lie, too
            logs = sorted(p for p in path.glob("audit*") if NAME.fullmatch(p.name) and "anchor" not in p.name)
        if not logs:
            raise OSError(f"{path} holds no audit log")
        for log in logs:
            files = segments(log)
            found.setdefault((log.parent, chain_of(files)), files)
    return list(found.values())


def verify(paths: Iterable[Path], key: bytes, anchor: Path | None = None) -> FolderCheck:
    """Check every chain in ``paths``.

    Args:
        paths: files and folders; a file stands for its whole chain.
        key: the 32 bytes that the lines are signed with.
        anchor: the anchor file of the one chain that there is, or a folder in which ``anchor-0.jsonl`` belongs to
            ``audit-0.jsonl``, and so on. A chain whose anchor is there and that itself is gone is a problem, too.

    Raises:
        OSError: something cannot be read.
        ValueError: one anchor file is given for several chains, or an anchor holds nothing.
    """
    found = chains(paths)
    anchors = {}
    if anchor and anchor.is_dir():
        anchors = {path.stem.replace("anchor", "audit", 1): path for path in sorted(anchor.glob("anchor-*.jsonl"))}
    elif anchor:
        if len(found) > 1:
            raise ValueError("several chains need a folder of anchors")
        anchor.stat()  # one that is named has to be there
        anchors = {chain_of(found[0]): anchor}
    lines, problems = 0, []
    for files in found:
        noted = anchors.pop(chain_of(files), None)
        note = read_anchor(noted) if noted else None
        if noted and note is None:  # who empties an anchor must not switch it off
            raise ValueError(f"{noted} holds no note of a log's head")
        check = verify_chain(files, key, note)
        lines += check.lines
        if check.problem:
            problems.append((check.problem, str(check.file), check.line))
    problems += [(f"{name} is missing: {path.name} notes it", name, None) for name, path in anchors.items()]
    return FolderCheck(not problems, sum(map(len, found)), lines, *(problems[0] if problems else ()))


def merged(paths: Iterable[Path]) -> Iterator[dict]:
    """The lines of all chains as one log, by their ``time`` (seconds since 1970), the torn end of a file left out.

    A line that has no time, such as ``"event": "recovered"``, takes the one before it. Nothing is verified here.

    Raises:
        OSError: a file cannot be read.
        ValueError: a whole line is no JSON object.
    """
    for _, _, line in heapq.merge(
        *(_timed(files, n) for n, files in enumerate(chains(paths))), key=lambda row: row[:2]
    ):
        yield line


def _timed(files: list[Path], number: int) -> Iterator[tuple[float, int, dict]]:
    time = 0.0
    for path in files:
        with open_log(path) as file:
            for line in file:
                if line.endswith(b"\n"):
                    content = json.loads(line)
                    if not isinstance(content, dict):
                        raise ValueError(f"{path} holds a line that is no JSON object")
                    time = max(time, content.get("time") or time)  # a clock that was set back moves no line
                    yield time, number, content


def chain_of(files: list[Path]) -> str:
    """The name of a chain, from its segments: ``audit-0``."""
    named = NAME.fullmatch(files[0].name)
    return named["chain"] if named else files[0].name

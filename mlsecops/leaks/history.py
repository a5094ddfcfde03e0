"""Every file that a git repository still holds, from its objects: a diff shows what filters and references leave of it.

A file whose commit was undone, amended, stashed or on a branch that is gone is still there until git throws it away,
weeks later. ``git log -p`` shows none of these, and of notebooks only what a textconv filter leaves of them.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LARGEST = 50_000_000  # bytes of one file that is read


class GitError(Exception):
    """Git did not do as asked; the message is one sentence."""


class Blob(NamedTuple):
    """A version of a file: its object ``id``, one ``path`` that it had ("" when nothing names it), and its ``data``.

    ``data`` is None where the file is larger than `LARGEST`.
    """

    id: str
    path: str
    data: bytes | None


def git(repository: Path, *arguments: str) -> list[str]:
    """The command, away from the user's own configuration: filters and hooks of theirs must not change what is seen."""
    return [
        "git",
        "-C",
        str(repository),
        "--no-pager",
        "--no-replace-objects",
        "-c",
        "core.fsmonitor=false",
        *arguments,
    ]


def environment() -> dict[str, str]:
    """For git: no configuration but the repository's own, no questions, English messages, nothing fetched."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }


def run(repository: Path, *arguments: str) -> bytes:
    """The output of a git command. Raises `GitError`."""
    try:
        done = subprocess.run(git(repository, *arguments), capture_output=True, env=environment())  # noqa: S603 - git, on a folder that the user named
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise GitError(f"git {arguments[0]}: {lines[0].removeprefix('fatal: ')}")
    return done.stdout


def names(repository: Path) -> dict[str, str]:
    """A path for each object that a commit names: of all branches, tags, stashes and of what the reflogs remember."""
    output = run(repository, "rev-list", "--objects", "--all", "--reflog", "--")
    found: dict[str, str] = {}
    for line in output.splitlines():
        name, _, path = line.partition(b" ")
        if path:
            found.setdefault(name.decode("ascii"), path.decode("utf-8", "backslashreplace"))
    return found


def blobs(repository: Path) -> Iterator[Blob]:
    """Every version of every file, each once.

    Raises:
        GitError: no repository, or one that git cannot read.
    """
    paths = names(repository)
    listing = run(
        repository, "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype) %(objectsize)"
    )
    wanted: list[bytes] = []
    for line in listing.splitlines():
        parts = line.split()
        if len(parts) != 3:
            raise GitError("git cat-file: an object cannot be read; see git fsck")
        name, kind, size = parts
        if kind != b"blob":
            continue
        if int(size) > LARGEST:
            yield Blob(name.decode("ascii"), paths.get(name.decode("ascii"), ""), None)
        else:
            wanted.append(name)
    with subprocess.Popen(  # noqa: S603
        git(repository, "cat-file", "--batch", "--buffer"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as reader:

        def ask() -> None:
            try:
                reader.stdin.write(b"\n".join(wanted) + b"\n")
                reader.stdin.close()
            except BrokenPipeError:
                pass

        threading.Thread(target=ask, daemon=True).start()
        try:
            for expected in wanted:
                header = reader.stdout.readline().split()
                if len(header) != 3 or header[0] != expected:
                    raise GitError("git cat-file: an object cannot be read; see git fsck")
                data = reader.stdout.read(int(header[2]))
                reader.stdout.read(1)
                name = expected.decode("ascii")
                yield Blob(name, paths.get(name, ""), data)
        finally:
            reader.kill()


def submodules(repository: Path) -> list[str]:
    """The paths of submodules, which are repositories of their own."""
    lines = run(repository, "ls-files", "--stage", "-z").split(b"\0") if not _is_bare(repository) else []
    return [
        line.partition(b"\t")[2].decode("utf-8", "backslashreplace") for line in lines if line.startswith(b"160000 ")
    ]


def _is_bare(repository: Path) -> bool:
    return run(repository, "rev-parse", "--is-bare-repository").strip() == b"true"


def first_commit(repository: Path, blob: str) -> str:
    """The commit that brought a file's version in, or "" when none is known any more."""
    arguments = (
        "--topo-order",
        "--all",
        "--reflog",
        "--no-textconv",
        "-m",
        "--format=%H",
        f"--find-object={blob}",
        "--",
    )
    lines = run(repository, "log", *arguments).split()
    return lines[-1].decode("ascii") if lines else ""

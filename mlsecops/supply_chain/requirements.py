"""What a requirements file leaves open: rules that a gate can enforce, with the line of each breach."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mlsecops.supply_chain.names import POPULAR, typosquat_of

_LARGEST = 1_000_000  # bytes; a longer requirements file is refused rather than read
_STRONG_HASH = re.compile(r"--hash[= ](sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})(?=\s|$)", re.I)
_ANY_HASH = re.compile(r"--hash[= ]\S+")
_URL_DIGEST = re.compile(r"[#&](sha256=[0-9a-f]{64}|sha384=[0-9a-f]{96}|sha512=[0-9a-f]{128})(?=&|$)", re.I)
_VCS_COMMIT = re.compile(r"@[0-9a-f]{40}(?=#|$)", re.I)
_VCS = re.compile(r"(git|hg|svn|bzr)\+", re.I)
_OPTION = re.compile(r"(--?[a-z][a-z-]*)(?:\s*=\s*|\s+|$)(.*)", re.I | re.S)
_SHORT = {
    "-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-i": "--index-url", "-f": "--find-links",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Problem:
    """One breach of a rule: the line where it begins (from 1), the rule, what exactly, and the file.

    Rules: unpinned, unhashed, extra-index, insecure-index, credential, direct-url, editable, typosquat, include,
    invalid.
    """

    line: int
    rule: str
    detail: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.detail}"


@dataclass
class _Read:
    """What the files say, before it is judged: hashes in one line decide about all others."""

    problems: list[Problem] = field(default_factory=list)
    wanted: list[tuple[str, int, str]] = field(default_factory=list)  # file, line, text
    pinned: set[str] = field(default_factory=set)  # names that a constraints file pins
    hashed: set[str] = field(default_factory=set)  # names that a constraints file gives hashes
    hashes: bool = False


def check_requirements(
    path: Path, *, require_hashes: bool = False, known: Iterable[str] = POPULAR, root: Path | None = None
) -> list[Problem]:
    """Return every problem of a requirements file, by file and line; an empty list is a file with nothing left open.

    A requirement must have one exact version (`==` without a wildcard, `===`), or be a file or a commit named by its
    digest. Hashes are judged as pip does: one `--hash` anywhere, or `--require-hashes`, makes them compulsory for all.
    Files named by `-r` and `-c` are followed, once each, but not out of `root` and not to a web address.

    Args:
        path: the file.
        require_hashes: demand hashes even when the file has none.
        known: names that a typosquat would imitate.
        root: the folder that includes must stay in; the file's own folder when None.

    Raises:
        OSError: the file itself cannot be read.
        ValueError: it is larger than a megabyte, or not UTF-8.
    """
    path = Path(path)
    known = tuple(known)
    root = Path(root if root is not None else path.parent).resolve()
    read = _Read(hashes=require_hashes)
    _read_file(path, _text(path), root, read, {path.resolve()}, constraint=False)
    for name, line, text in read.wanted:
        read.problems += [Problem(line, rule, detail, name) for rule, detail in _judge(text, read, known)]
    order = {name: place for place, name in enumerate(dict.fromkeys(one.path for one in read.problems))}
    order[str(path)] = -1
    return sorted(set(read.problems), key=lambda one: (order[one.path], one))


def _text(path: Path) -> str:
    content = path.read_bytes()
    if len(content) > _LARGEST:
        raise ValueError(f"{path} is larger than {_LARGEST:,} bytes")
    return content.decode("utf-8-sig")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number of first line, text) as pip joins them: a backslash continues, a comment ends what it joined."""
    start, parts = 0, []
    for number, line in enumerate(text.splitlines(), 1):
        comment = re.match(r"(^|\s)+#", line) is not None
        start = start or number
        if line.endswith("\\") and not comment:
            parts.append(line[:-1])
            continue
        parts.append(" " + line if comment else line)
        yield start, re.sub(r"(^|\s+)#.*$", "", "".join(parts)).strip()
        start, parts = 0, []
    if parts:
        yield start, re.sub(r"(^|\s+)#.*$", "", "".join(parts)).strip()


def _read_file(path: Path, text: str, root: Path, read: _Read, seen: set[Path], *, constraint: bool) -> None:
    for line, content in _logical_lines(text):
        if not content:
            continue
        option = _OPTION.fullmatch(content) if content.startswith("-") else None
        if option is None:
            read.hashes |= bool(_ANY_HASH.search(content))
            if constraint:
                _read_constraint(content, read)
            else:
                read.wanted.append((str(path), line, content))
            continue
        name, value = _SHORT.get(option[1], option[1]), option[2].strip().strip("\"'")
        if name in ("--requirement", "--constraint"):
            trouble = _follow(path.parent, value, root, read, seen, constraint=name == "--constraint" or constraint)
            found = [("include", trouble)] if trouble else []
        else:
            read.hashes |= name == "--require-hashes"
            found = list(_judge_option(name, value))
        read.problems += [Problem(line, rule, detail, str(path)) for rule, detail in found]


def _follow(folder: Path, value: str, root: Path, read: _Read, seen: set[Path], *, constraint: bool) -> str:
    if "://" in value:
        return f"{_without_credentials(value)} is a web address: its content can change at any time"
    target = (folder / value).resolve()
    if not target.is_relative_to(root):
        return f"{value} lies outside the folder and was not read"
    if target in seen:
        return ""
    seen.add(target)
    try:
        text = _text(target)
    except (OSError, ValueError):
        return f"{value} cannot be read"
    _read_file(folder / value, text, root, read, seen, constraint=constraint)
    return ""


def _read_constraint(content: str, read: _Read) -> None:
    try:
        requirement = Requirement(_bare(content))
    except InvalidRequirement:
        return
    name = canonicalize_name(requirement.name)
    if _exact(requirement):
        read.pinned.add(name)
    if _STRONG_HASH.search(content):
        read.hashed.add(name)


def _judge_option(name: str, value: str) -> Iterator[tuple[str, str]]:
    shown = _without_credentials(value)
    if name == "--editable":
        yield "editable", f"{shown}: the code can change after it was reviewed"
    if name in ("--extra-index-url", "--find-links"):
        yield "extra-index", f"{name} {shown}: pip takes the highest version from any of its sources"
    if name == "--trusted-host":
        yield "insecure-index", f"{shown} is used without checking its certificate"
    if name in ("--index-url", "--extra-index-url", "--find-links"):
        if value.lower().startswith("http://"):
            yield "insecure-index", f"{shown} is not encrypted"
        if shown != value:
            yield "credential", f"{name} holds a password; use an environment variable"


def _judge(content: str, read: _Read, known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    bare = _bare(content)
    strong = _STRONG_HASH.findall(content)
    if len(strong) != len(_ANY_HASH.findall(content)):
        yield "unhashed", f"{bare.split()[0]} has a hash that pip does not accept; use sha256"
    try:
        requirement = Requirement(bare)
        name, url = requirement.name, requirement.url
    except InvalidRequirement:
        requirement, name, url = None, None, bare.split(";")[0].strip()
        if not re.search(r"[/\\]|\.(whl|zip|tar\.gz)$", url):
            yield "invalid", f"{bare!r} is not a requirement"
            return
    if name is not None and (original := typosquat_of(name, known)):
        yield "typosquat", f"{name} looks like {original}"
    if url is not None:
        yield from _judge_url(url, bool(strong), read.hashes)
        return
    key = canonicalize_name(requirement.name)
    if not _exact(requirement) and key not in read.pinned:
        yield "unpinned", f"{requirement.name} may be {requirement.specifier or 'any version'}"
    if read.hashes and not _ANY_HASH.search(content) and key not in read.hashed:
        yield "unhashed", f"{requirement.name} has no hash"


def _judge_url(url: str, hashed: bool, hashes: bool) -> Iterator[tuple[str, str]]:
    shown = _without_credentials(url)
    if shown != url:
        yield "credential", "the address holds a password; use an environment variable"
    if _VCS.match(url):
        if not _VCS_COMMIT.search(url):
            yield "direct-url", f"{shown} names no commit: a branch or tag can move"
        if hashes:
            yield "unhashed", f"{shown}: pip cannot check the hash of a repository"
    elif not (hashed or _URL_DIGEST.search(url)):
        yield "direct-url", f"{shown} has no digest: its content can change"


def _bare(content: str) -> str:
    """The requirement without the options that may follow it, such as `--hash`."""
    return re.split(r"\s+--?[a-z]", content, maxsplit=1)[0].strip()


def _exact(requirement: Requirement) -> bool:
    return any(
        one.operator == "===" or (one.operator == "==" and not one.version.endswith(".*"))
        for one in requirement.specifier
    )


def _without_credentials(address: str) -> str:
    """The address with a literal password blanked out; `${VARIABLE}` is none."""
    try:
        password = urlsplit(address).password
    except ValueError:
        return address
    return address.replace(f":{password}@", ":***@") if password and not password.startswith("${") else address

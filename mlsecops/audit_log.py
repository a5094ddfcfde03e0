"""The audit log: one JSON object per line, each bound to the line before it and signed with a key (MAC).

Every line ends in ``"previous"``, the SHA-256 of the whole line before, and ``"mac"``, an HMAC-SHA256 of the line up to
there. Without the key nobody can write a line that passes; without the anchor nobody notices that the end is missing,
because a chain that was cut is still a chain. So the head is noted now and then in another place: the anchor.

A log that grows is kept in segments. A full one ends with ``"event":"closed"``, which names its head, and is renamed
from ``audit-0.jsonl`` to ``audit-0.000001.jsonl``; the next begins with ``"event":"opened"``, and the chain goes on.
"""

import contextlib
import gzip
import hashlib
import hmac
import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

GENESIS = "0" * 64
TAIL = len(',"mac":""}\n') + 64
LONGEST = 1 << 16  # bytes of a line
WORKERS = 64
NAME = re.compile(r"(?P<chain>.+?)(?:\.(?P<segment>\d{6}))?\.jsonl(?:\.gz)?")  # of a segment's file

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode  # escapes control characters: no forged line


class AuditError(Exception):
    """The log cannot be continued or written; the message says why in one line."""


class AuditLog:
    """Appends to one chain; a chain that is there already is continued.

    ``key``: 32 bytes. ``anchor``: a file that notes the head every ``anchor_every`` lines, at the end of a segment, and
    when the log is closed; where it cannot be written, a warning is logged and the log goes on. A segment ends when it
    would pass ``segment_bytes``, or when the lines' ``time`` has gone ``segment_seconds`` on; None: never.
    A line that a crash cut short is removed, which the next line states. Raises AuditError when the end of the file
    is not ours, or lies before what the anchor noted.
    """

    def __init__(self, path, key, *, anchor=None, anchor_every=100, segment_bytes=None, segment_seconds=None):
        self._path, self._key, self._anchor, self._every = Path(path), key, anchor and Path(anchor), anchor_every
        self._most, self._longest = segment_bytes, segment_seconds
        self._seq, self._previous, self._mac = 0, GENESIS, ""
        self._size, self._since, self._segment, self._ended = 0, None, 1, False
        self._failed = self._anchor_failed = False
        self._file = self._opened()
        try:
            torn = self._continue()
        except BaseException:
            os.close(self._file)
            raise
        if torn:
            self.append({"event": "recovered", "bytes_removed": torn})

    def append(self, fields):
        """Write one line: ``fields`` (plain data) after its number. On return the system has it, even if we die.

        Raises AuditError, and leaves the file as it was, when the line cannot be written in full.
        """
        moment = fields.get("time")
        if self._since is None:
            self._since = moment
        full = self._most and self._size > self._most
        old = self._longest and moment is not None and moment - self._since > self._longest
        if self._ended or full or old:
            self._turn(moment)
        self._write(fields)

    def head(self):
        """Return the anchor of the log as it stands: ``{"seq": number of the last line, "mac": its mac}``; or None."""
        return {"seq": self._seq - 1, "mac": self._mac} if self._seq else None

    def writable(self):
        """Whether the next line can be written: the file is still in its folder, the disk has room.

        After a failure this is found out with a line of our own, one for each failure that is over.
        """
        try:
            if self._failed:
                self.append({"event": "writable again"})
            return os.fstat(self._file).st_nlink > 0 and shutil.disk_usage(self._path.parent).free > LONGEST
        except (AuditError, OSError):
            return False

    def close(self):
        """Note the head and close the file; a second call does nothing."""
        if self._file is not None:
            self._note()
            os.close(self._file)
            self._file = None

    def _opened(self):
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)

    def _write(self, fields):
        text = f'{{"seq":{self._seq},{_encode(fields)[1:-1]},"previous":"{self._previous}"'.encode()
        mac = hmac.digest(self._key, text, "sha256").hex()
        line = text + f',"mac":"{mac}"}}\n'.encode()
        written, self._failed = 0, True
        try:
            # One write, not buffered: a killed process loses nothing. (A power cut may; fsync costs milliseconds.)
            written = os.write(self._file, line)
        except OSError as error:
            raise AuditError(f"the audit log cannot be written: {error.strerror}") from error
        finally:
            if 0 < written < len(line):
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
        if written < len(line):
            raise AuditError("the audit log cannot be written: the disk is full")
        self._seq, self._previous, self._mac = self._seq + 1, hashlib.sha256(line).hexdigest(), mac
        self._size, self._failed = self._size + len(line), False
        if self._seq % self._every == 0:
            self._note()

    def _turn(self, moment):
        """End the segment and begin the next. Each step can fail; the next line takes up what was not done."""
        if not self._ended:
            self._write({"time": moment, "event": "closed", "segment": self._segment, "head": self.head()})
            self._note()
            self._ended = True
        place = _segment_path(self._path, self._segment)
        self._failed = True
        try:
            os.close(self._file)  # some systems rename no file that is open
            if not place.exists():
                self._path.rename(place)
        except OSError as error:
            raise AuditError(f"the audit log cannot be continued: {error.strerror}") from error
        finally:
            self._file = self._opened()
        self._size, self._since = 0, moment
        head = self.head() | {"file": place.name}
        self._write({"time": moment, "event": "opened", "segment": self._segment + 1, "continues": head})
        self._segment, self._ended = self._segment + 1, False

    def _note(self):
        """Note the head. Trouble with the anchor is no reason to refuse a customer, whose line is written."""
        if not (self._anchor and self._seq):
            return
        note = _encode(self.head()).encode() + b"\n"
        try:
            with self._anchor.open("a+b", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 1))
                if size and file.read(1) != b"\n":  # the rest of a note that did not fit
                    note = b"\n" + note
                if file.write(note) < len(note):
                    raise OSError("the disk is full")
        except OSError as error:
            if not self._anchor_failed:
                logger.warning("the anchor of %s cannot be written: %s", self._path.name, error.strerror or error)
            self._anchor_failed = True
        else:
            self._anchor_failed = False

    def _continue(self):
        """Take up the chain where the file ends; returns the number of bytes of a torn line that were removed."""
        rotated = segments(self._path)[:-1]
        self._segment = len(rotated) + 1
        line, self._size, torn = _end_of(self._file, self._path)
        if rotated and not line:  # we died between the two segments
            with rotated[-1].open("rb") as file:
                line, _, _ = _end_of(file.fileno(), rotated[-1])
            self._segment, self._ended = len(rotated), True
        if line:
            self._mac = _mac_of(line, self._key)
            if not self._mac:
                raise AuditError(f"the last line of {self._path} is not ours")
            content = json.loads(line)
            self._seq, self._previous = content["seq"] + 1, hashlib.sha256(line).hexdigest()
            self._ended = self._ended or content.get("event") == "closed"
            os.lseek(self._file, 0, os.SEEK_SET)
            with contextlib.suppress(ValueError, KeyError):
                self._since = json.loads(os.read(self._file, LONGEST).partition(b"\n")[0])["time"]
        anchor = read_anchor(self._anchor) if self._anchor else None
        if anchor and anchor["seq"] >= self._seq:
            raise AuditError(f"{self._path} ends before line {anchor['seq']}, which the anchor noted")
        if torn:
            os.ftruncate(self._file, self._size)
        return torn


def _end_of(file, path):
    """Return the last whole line (bytes) of an open file, the size up to its end, and the number of bytes after it.

    Raises AuditError when those are too many for a torn line: what they are, somebody has to look at. Zeros are what
    a power cut leaves.
    """
    size = end = os.lseek(file, 0, os.SEEK_END)
    while True:
        start = max(0, end - 2 * LONGEST)
        os.lseek(file, start, os.SEEK_SET)
        read = os.read(file, end - start)
        rest = read.rstrip(b"\0")
        if rest or not start:
            break
        end = start
    if len(rest) < len(read):  # the zeros may have begun in the middle of what was read
        end = start + len(rest)
        start = max(0, end - 2 * LONGEST)
        os.lseek(file, start, os.SEEK_SET)
        rest = os.read(file, end - start)
    whole = rest[: rest.rfind(b"\n") + 1]
    if len(rest) - len(whole) > LONGEST:
        raise AuditError(f"{path} ends with more than {LONGEST} bytes that are no line of ours")
    line = whole[whole.rfind(b"\n", 0, -1) + 1 :]
    used = start + len(whole)
    return line, used, size - used


def _segment_path(path, number):
    return path.with_name(f"{path.name.removesuffix('.jsonl')}.{number:06}.jsonl")


def segments(path):
    """Return the files of the chain that a file belongs to (paths), in their order: the closed ones, then the open one.

    What is not named as this module names segments is a chain of its own.
    """
    path = Path(path)
    named = NAME.fullmatch(path.name)
    if not named:
        return [path]
    found = {}
    for other in path.parent.iterdir() if path.parent.is_dir() else ():
        same = NAME.fullmatch(other.name)
        if same and same["chain"] == named["chain"]:
            number = same["segment"] or "open"
            if number not in found or other.suffix != ".gz":  # a packed copy may lie beside it
                found[number] = other
    found[named["segment"] or "open"] = path
    return [found[number] for number in sorted(found)]


def open_worker_log(folder, key, *, anchor_folder=None, **options):
    """Return the AuditLog of the first chain in ``folder`` that no other process holds, and the lock on it.

    ``options`` are those of `AuditLog`.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    if anchor_folder:
        Path(anchor_folder).mkdir(parents=True, exist_ok=True)
    for number in range(WORKERS):
        # Not thread-local, as it is by default: what takes the lock and what releases it can be two threads.
        lock = FileLock(Path(folder) / f"audit-{number}.lock", thread_local=False)
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=0)
            anchor = Path(anchor_folder) / f"anchor-{number}.jsonl" if anchor_folder else None
            path = Path(folder) / f"audit-{number}.jsonl"
            return AuditLog(path, key, anchor=anchor, **options), lock
    raise AuditError(f"{WORKERS} processes write to {folder} already")


def read_anchor(path):
    """Return the last whole note of an anchor file as ``{"seq": …, "mac": …}``; None when there is none."""
    try:
        lines = Path(path).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        with contextlib.suppress(ValueError):  # a note that did not fit on the disk
            note = json.loads(line)
            if isinstance(note, dict) and type(note.get("seq")) is int and isinstance(note.get("mac"), str):
                return note
    return None


def derive(secret: str, purpose: str) -> bytes:
    """Return the 32-byte key for one purpose ("api keys", "addresses", "audit").

    Whoever is given the key of the audit log to verify it can do nothing else with it. HMAC as in HKDF's expansion
    step (RFC 5869); the secret is random, so no extraction step is needed.
    """
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")


class AuditCheck(NamedTuple):
    """What `verify_audit_log` found: how many lines hold, and the first problem, "" when there is none."""

    lines: int
    problem: str

    @property
    def ok(self):
        """True when every line holds and nothing that was anchored is missing."""
        return not self.problem


class Follower:
    """Checks a chain line by line.

    ``count`` is the number that the next line has to bear, ``previous`` the digest that it has to name, ``mac`` the mac
    of the last line that was right. Whoever goes on later gives the first two again. Without a key (None) only the
    links are checked, which anybody can make fit.
    """

    def __init__(self, key, count=0, previous=GENESIS):
        self._key, self.count, self.previous, self.mac = key, count, previous, ""

    def problem(self, line):
        """Take one line (bytes, with its line break). Returns what is wrong with it, "" when it is the next one."""
        mac = _mac_of(line, self._key) if self._key is not None else line[-TAIL:]
        if not mac or not line.endswith(b"\n"):
            kind = "was altered" if line.endswith(b"\n") else "is torn"
            return f"line {self.count} {kind}"
        # The bytes are compared, not parsed JSON: two parsers may disagree on what a line says, not on its bytes.
        place = b'{"seq":%d,' % self.count, b',"previous":"%s"' % self.previous.encode()
        if not (line.startswith(place[0]) and line[:-TAIL].endswith(place[1])):
            return f"line {self.count} does not follow the one before: removed, moved or doubled"
        self.count, self.previous, self.mac = self.count + 1, hashlib.sha256(line).hexdigest(), mac
        return ""

    def ours(self, line):
        """Whether a line (bytes) bears a right mac, wherever it stands; without a key, true for every line."""
        return self._key is None or bool(_mac_of(line, self._key))


def open_log(path):
    """Open a log to read its bytes, packed (``.gz``) or not. Raises OSError."""
    return gzip.open(path, "rb") if Path(path).suffix == ".gz" else Path(path).open("rb")


def verify_audit_log(path, key, anchor=None):
    """Check an audit log (``.jsonl``, or ``.jsonl.gz``) from its first line and return an AuditCheck.

    Finds lines that were edited, removed, moved or doubled. Missing lines at the end are found as far as ``anchor``
    (``{"seq": …, "mac": …}``, kept elsewhere) reaches: what came after it can be cut off unnoticed. A log in segments
    is checked as a whole, whichever of them is named. Raises OSError when a file cannot be read.
    """
    check = verify_chain(segments(path), key, anchor)
    return AuditCheck(check.lines, check.problem)


class ChainCheck(NamedTuple):
    """What `verify_chain` found: how many lines hold, and of the first problem what, in which file, at which line."""

    lines: int
    problem: str = ""
    file: Path | None = None
    line: int | None = None  # the number that it bears or ought to: the first line of a chain is 0


def verify_chain(files, key, anchor=None):
    """Check the segments of one chain, given in their order, as `verify_audit_log` does; returns a ChainCheck."""
    follower, anchored, line = Follower(key), anchor is None, b""
    for place, path in enumerate(files, 1):
        named = NAME.fullmatch(path.name)
        if named and named["segment"] and int(named["segment"]) != place:
            missing = path.with_name(f"{named['chain']}.{place:06}.jsonl")
            return ChainCheck(follower.count, f"segment {missing.name} is missing", missing, follower.count)
        if place > 1 and event_of(line) != "closed":
            problem = f"truncated: {files[place - 2].name} ends before line {follower.count}, which would close it"
            return ChainCheck(follower.count, problem, files[place - 2], follower.count)
        with open_log(path) as file:
            for number, line in enumerate(file):
                count = follower.count
                problem = follower.problem(line)
                if problem and not number and event_of(line) == "opened":
                    problem = f"a segment is missing before {path.name}: line {count} is not where it begins"
                elif not problem and anchor and anchor["seq"] == count:
                    anchored = hmac.compare_digest(follower.mac, anchor["mac"])
                    problem = "" if anchored else f"line {count} is not the one that was anchored"
                if problem:
                    return ChainCheck(count, problem, path, count)
    if not anchored:
        problem = f"truncated: line {anchor['seq']} was anchored, the log has {follower.count}"
        return ChainCheck(follower.count, problem, files[-1], follower.count)
    if event_of(line) == "closed":
        problem = f"the segment after {files[-1].name} is missing: line {follower.count} would open it"
        return ChainCheck(follower.count, problem, files[-1], follower.count)
    return ChainCheck(follower.count)


def event_of(line):
    """Return the ``event`` of a line (bytes) that tells something of the log itself; None for all others."""
    with contextlib.suppress(ValueError):
        content = json.loads(line)
        return content.get("event") if isinstance(content, dict) else None
    return None


def _mac_of(line, key):
    """Return the line's mac (hex) if it is right, else ""."""
    mac = hmac.digest(key, line[:-TAIL], "sha256").hex()
    return mac if hmac.compare_digest(line[-TAIL:], f',"mac":"{mac}"}}\n'.encode()) else ""

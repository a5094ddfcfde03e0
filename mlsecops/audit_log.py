"""The audit log: one JSON object per line, each bound to the line before it and signed with a key (MAC).

Every line ends in ``"previous"``, the SHA-256 of the whole line before, and ``"mac"``, an HMAC-SHA256 of the line up to
there. Without the key nobody can write a line that passes; without the anchor nobody notices that the end is missing,
because a chain that was cut is still a chain. So the head is noted now and then in another place: the anchor.
"""

import contextlib
import gzip
import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

GENESIS = "0" * 64
TAIL = len(',"mac":""}\n') + 64
LONGEST = 1 << 16  # bytes of a line
WORKERS = 64

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode  # escapes control characters: no forged line


class AuditError(Exception):
    """The log cannot be continued or written; the message says why in one line."""


class AuditLog:
    """Appends to one chain; a chain that is there already is continued.

    ``key``: 32 bytes. ``anchor``: a file that notes the head every ``anchor_every`` lines, and when the log is closed.
    A line that a crash cut short is removed, which the next line states. Raises AuditError when the end of the file
    is not ours, or lies before what the anchor noted.
    """

    def __init__(self, path, key, *, anchor=None, anchor_every=100):
        self._key, self._anchor, self._every = key, anchor and Path(anchor), anchor_every
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
        self._seq, self._previous, self._mac = 0, GENESIS, ""
        try:
            torn = self._continue(path)
        except BaseException:
            os.close(self._file)
            raise
        if torn:
            self.append({"event": "recovered", "bytes_removed": torn})

    def append(self, fields):
        """Write one line: ``fields`` (plain data) after its number. On return the system has it, even if we die.

        Raises AuditError, and leaves the file as it was, when the line cannot be written in full.
        """
        text = f'{{"seq":{self._seq},{_encode(fields)[1:-1]},"previous":"{self._previous}"'.encode()
        mac = hmac.digest(self._key, text, "sha256").hex()
        line = text + f',"mac":"{mac}"}}\n'.encode()
        written = 0
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
        if self._seq % self._every == 0:
            self._note()

    def head(self):
        """Return the anchor of the log as it stands: ``{"seq": number of the last line, "mac": its mac}``; or None."""
        return {"seq": self._seq - 1, "mac": self._mac} if self._seq else None

    def close(self):
        """Note the head and close the file; a second call does nothing."""
        if self._file is not None:
            self._note()
            os.close(self._file)
            self._file = None

    def _note(self):
        if self._anchor and self._seq:
            with self._anchor.open("ab") as file:
                file.write(_encode(self.head()).encode() + b"\n")

    def _continue(self, path):
        """Take up the chain where the file ends; returns the number of bytes of a torn line that were removed."""
        size = os.fstat(self._file).st_size
        start = max(0, size - 2 * LONGEST)
        os.lseek(self._file, start, os.SEEK_SET)
        end = os.read(self._file, size - start)
        whole = end[: end.rfind(b"\n") + 1]
        if whole:
            line = whole[whole.rfind(b"\n", 0, -1) + 1 :]
            self._mac = _mac_of(line, self._key)
            if not self._mac:
                raise AuditError(f"the last line of {path} is not ours")
            self._seq, self._previous = json.loads(line)["seq"] + 1, hashlib.sha256(line).hexdigest()
        anchor = read_anchor(self._anchor) if self._anchor else None
        if anchor and anchor["seq"] >= self._seq:
            raise AuditError(f"{path} ends before line {anchor['seq']}, which the anchor noted")
        if len(end) > len(whole):
            os.ftruncate(self._file, size - (len(end) - len(whole)))
        return len(end) - len(whole)


def open_worker_log(folder, key, *, anchor_folder=None, anchor_every=100):
    """Return the AuditLog of the first chain in ``folder`` that no other process holds, and the lock on it."""
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
            return AuditLog(path, key, anchor=anchor, anchor_every=anchor_every), lock
    raise AuditError(f"{WORKERS} processes write to {folder} already")


def read_anchor(path):
    """Return the last whole line of an anchor file as ``{"seq": …, "mac": …}``; None when there is none."""
    try:
        lines = Path(path).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    return json.loads(lines[-1]) if lines else None


class AuditCheck(NamedTuple):
    """What `verify_audit_log` found: how many lines hold, and the first problem, "" when there is none."""

    lines: int
    problem: str

    @property
    def ok(self):
        """True when every line holds and nothing that was anchored is missing."""
        return not self.problem


def verify_audit_log(path, key, anchor=None):
    """Check an audit log (``.jsonl``, or ``.jsonl.gz``) from its first line and return an AuditCheck.

    Finds lines that were edited, removed, moved or doubled. Missing lines at the end are found as far as ``anchor``
    (``{"seq": …, "mac": …}``, kept elsewhere) reaches: what came after it can be cut off unnoticed.
    Raises OSError when the file cannot be read.
    """
    previous, count, anchored = GENESIS, 0, anchor is None
    opener = gzip.open if Path(path).suffix == ".gz" else open
    with opener(path, "rb") as file:
        for line in file:
            mac = _mac_of(line, key)
            if not mac:
                kind = "was altered" if line.endswith(b"\n") else "is torn"
                return AuditCheck(count, f"line {count} {kind}")
            # The bytes are compared, not parsed JSON: two parsers may disagree on what a line says, not on its bytes.
            place = b'{"seq":%d,' % count, b',"previous":"%s"' % previous.encode()
            if not (line.startswith(place[0]) and line[:-TAIL].endswith(place[1])):
                return AuditCheck(count, f"line {count} does not follow the one before: removed, moved or doubled")
            if anchor and anchor["seq"] == count:
                anchored = hmac.compare_digest(mac, anchor["mac"])
                if not anchored:
                    return AuditCheck(count, f"line {count} is not the one that was anchored")
            previous = hashlib.sha256(line).hexdigest()
            count += 1
    if not anchored:
        return AuditCheck(count, f"truncated: line {anchor['seq']} was anchored, the log has {count}")
    return AuditCheck(count, "")


def _mac_of(line, key):
    """Return the line's mac (hex) if it is right, else ""."""
    mac = hmac.digest(key, line[:-TAIL], "sha256").hex()
    return mac if hmac.compare_digest(line[-TAIL:], f',"mac":"{mac}"}}\n'.encode()) else ""

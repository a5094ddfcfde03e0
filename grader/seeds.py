"""The course key, and the seeds that follow from it.

A lab's key is HMAC-SHA256(course key, lab), a question's seed is HMAC-SHA256(lab key, student, question): who has a
lab's key can reproduce that lab's inputs and learns nothing about another lab.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path


class KeyFileError(Exception):
    """The key file cannot be written or used; the text says why, in one sentence."""


def new_key(path: Path) -> None:
    """Write a fresh 256-bit course key as hex, readable by its owner only.

    Raises:
        KeyFileError: the file exists (a key is never overwritten: old grades depend on it) or cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(f"{path} exists; a key is never overwritten, because old grades depend on it") from None
    except OSError as error:
        raise KeyFileError(f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")


def read_key(path: Path) -> bytes:
    """The course key.

    Raises:
        KeyFileError: missing, not a key, or readable by others.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"cannot read the key {path}: {getattr(error, 'strerror', error)}") from None
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise KeyFileError(f"{path} holds no key; make one with: python -m grader new-key FILE")
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(f"others can read {path}; protect it with: chmod 600 {path}")
    return bytes.fromhex(text)


def lab_key(course_key: bytes, lab: str) -> bytes:
    """The key of one lab, which does not reveal the course key."""
    return hmac.digest(course_key, lab.encode(), hashlib.sha256)


def question_seed(key: bytes, student: str, question: str) -> int:
    """The seed of one student's one question, for `numpy.random.default_rng`."""
    return int.from_bytes(hmac.digest(key, _text(f"{student}\0{question}"), hashlib.sha256))


def seed_id(key: bytes, student: str) -> str:
    """A short public name for a student's seeds: tells whether two results used the same, and nothing else."""
    return hmac.digest(key, _text(f"{student}\0\0seed id"), hashlib.sha256).hex()[:12]


def _text(text: str) -> bytes:
    # File names need not be valid text; NUL is the one character that they cannot hold.
    return text.encode("utf-8", "surrogatepass")

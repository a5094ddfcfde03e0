"""A signed manifest: the names, sizes and hashes of a folder's files, under an Ed25519 signature."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# Signed together with the content, so that a signature made here means nothing anywhere else.
_PURPOSE = b"mlsecops data manifest, version 1\n"


@dataclass(frozen=True, order=True)
class Difference:
    """Where a folder differs from its manifest. `what`: changed, missing, extra, not a file, unsafe name, signature."""

    path: str
    what: str


def sign_manifest(folder: Path, key: Ed25519PrivateKey) -> dict:
    """Return the manifest of a folder: `{"files": {path: {"bytes", "sha256"}}, "signature": hex}`, ready for JSON.

    Args:
        folder: everything below it is listed, by paths relative to it with forward slashes.
        key: the signer's; whoever has it decides what training accepts.

    Raises:
        ValueError: for a symbolic link or anything else that is neither file nor folder, and for a name that another
            system would read differently.
    """
    files = {}
    for name, path in _walk(Path(folder)):
        if not _regular(path):
            raise ValueError(f"{name} is not a regular file: it cannot be signed")
        if not _safe(name):
            raise ValueError(f"{name!r} is not a portable file name: it cannot be signed")
        files[name] = {"bytes": path.stat().st_size, "sha256": _digest(path)}
    return {"files": files, "signature": key.sign(_PURPOSE + _canonical(files)).hex()}


def verify_manifest(folder: Path, manifest: dict, public_key: Ed25519PublicKey) -> list[Difference]:
    """Compare a folder with a signed manifest; an empty list means that both agree.

    The signature is checked first, and when it fails nothing else of the manifest is used. Names are checked before
    any file is opened: one that leaves the folder is reported, never followed. So is a symbolic link.

    Args:
        folder: what is about to be used.
        manifest: from `sign_manifest`, also after a trip through JSON.
        public_key: the signer's, from a place that whoever can write to the folder cannot write to.
    """
    try:
        files = manifest["files"]
        public_key.verify(bytes.fromhex(manifest["signature"]), _PURPOSE + _canonical(files))
        expected = {str(name): (int(one["bytes"]), str(one["sha256"])) for name, one in files.items()}
    except (InvalidSignature, ValueError, KeyError, TypeError, AttributeError):
        return [Difference(".", "signature")]
    differences = [Difference(name, "unsafe name") for name in expected if not _safe(name)]
    found = dict(_walk(Path(folder)))
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            if _safe(name):
                differences.append(Difference(name, "missing"))
        elif not _regular(found[name]):
            differences.append(Difference(name, "not a file"))
        elif name not in expected:
            differences.append(Difference(name, "extra"))
        elif (found[name].stat().st_size, _digest(found[name])) != expected[name]:
            differences.append(Difference(name, "changed"))
    return sorted(differences)


def _canonical(files: dict) -> bytes:
    # One value, one spelling: the signature must not depend on the order of keys or on white space.
    return json.dumps(files, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                for below, deeper in _walk(path):
                    yield f"{entry.name}/{below}", deeper
            else:
                yield entry.name, path


def _regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _safe(name: str) -> bool:
    # ":" is a drive or a stream on Windows, "\" a separator there.
    parts = name.split("/")
    return (
        not any(part in ("", ".", "..") or part != part.rstrip(". ") for part in parts)
        and not re.search(r'[\\:*?"<>|\x00-\x1f]', name)
        and not PurePosixPath(name).is_absolute()
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

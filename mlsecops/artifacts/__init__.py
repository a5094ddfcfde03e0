"""Scan model files before loading them: an allowlist over an abstract pickle machine, nothing imported or called.

``scan_file`` and ``scan_bytes`` give a verdict with reasons; ``reachable_globals`` and ``opcodes`` show what a pickle
would do; ``load_restricted`` loads a plain pickle of data with the same allowlist; ``bom`` lists the files of a model.
"""

import hashlib
import mmap
from pathlib import Path, PurePath

from mlsecops.artifacts import containers
from mlsecops.artifacts.pickle_machine import Broken, Machine, opcodes
from mlsecops.artifacts.report import Collector, Finding, ScanReport
from mlsecops.artifacts.restricted import RefusedGlobal, load_restricted

__all__ = [
    "Finding", "RefusedGlobal", "ScanReport", "Unreadable", "load_restricted", "opcodes", "reachable_globals",
    "scan_bytes", "scan_file",
]  # fmt: skip

SMALL_FILE = 64 << 20  # read as a whole; larger files are mapped, so that memory stays flat


class Unreadable(OSError):  # noqa: N818 - the word the command line prints
    """The path is not a readable regular file."""


def scan_file(path, digest=False):
    """Scans one file without loading it.

    path: str or Path. digest: put the SHA-256 of what was scanned into the report; on large files that takes far longer
    than the scan, which skips tensors. Without it the report's ``sha256`` is "".
    Returns a ScanReport. Raises Unreadable (an OSError) when there is no regular file to read.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise Unreadable(f"{path} is not a file" if path.exists() else f"{path} does not exist")
        with path.open("rb") as file:
            size = path.stat().st_size
            if size <= SMALL_FILE:
                return _scan(file.read(), str(path), digest)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _scan(data, str(path), digest)
    except Unreadable:
        raise
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}") from error


def scan_bytes(data, name=""):
    """Scans the content of a file. data: bytes. name: file name, if its ending shall be compared with the content."""
    return _scan(bytes(data), name)


def _scan(data, name, digest=False):
    collector = Collector()
    try:
        kind = containers.inspect(data, containers.Scan(collector))
        _compare_ending(PurePath(name).name, kind, collector)
    except Exception as error:  # whatever a hostile file makes fail here, the answer is not "safe"
        kind = "unrecognized"
        collector.add("broken", f"it could not be followed: {type(error).__name__}")
    return collector.report(name, hashlib.sha256(data).hexdigest() if digest else "", kind)


# What may be inside, by the file's ending. Endings that are not here say nothing.
_PICKLES = "pickle joblib torch torch-legacy"
_PACKED = "gzip bzip2 xz lzma zlib"
_PACKED_PICKLES = " ".join(f"{packed}+{inner}" for packed in _PACKED.split() for inner in ("pickle", "joblib"))
_GRAPHS = "hdf5 keras onnx tflite gguf"
_ENDINGS = {
    ending: frozenset(kinds.split())
    for endings, kinds in {
        ".pkl .pickle .joblib .sav .p .jl .z": f"{_PICKLES} {_PACKED_PICKLES}",
        ".pt .pth .ckpt": _PICKLES,
        ".safetensors": "safetensors",
        ".json": "json",
        ".npy": "npy",
        ".npz": "npz",
        ".zip": "zip npz torch keras",
        ".gz .tgz": "gzip",
        ".bz2": "bzip2",
        ".xz": "xz",
        ".lzma": "lzma",
        ".tar": "tar",
        ".h5 .hdf5 .keras .onnx .pb .tflite .gguf": _GRAPHS,
        ".txt .csv .tsv .md .py .yaml .yml .toml .html .xml .ini .cfg .log .png .jpg .jpeg .gif .pdf .parquet .feather "
        ".arrow .ipynb": "json unrecognized",
    }.items()
    for ending in endings.split()
}


def _compare_ending(name, kind, collector):
    ending = PurePath(name).suffix.lower()
    allowed = _ENDINGS.get(ending)
    if allowed is not None and kind not in allowed and kind.split("+")[0] not in allowed:
        collector.add("extension-lies", f"its name ends in {ending} but its content is {kind}")


def reachable_globals(data):
    """The globals that a pickle stream reaches, as a set of (module, name), also when the stream breaks afterwards.

    data: bytes of one pickle. Names are given as the unpickler of Python 3 takes them.
    """
    collector = Collector()
    try:
        Machine(bytes(data), report=collector, joblib=True, persistent=containers._no_check).run()
    except Broken:
        pass
    return collector.globals

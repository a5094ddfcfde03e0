"""Comparisons that are not as strict as they look: what `automatic` puts in the place of the model answer's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def _parts(text: str | bytes) -> list:
    separators = r"[:/@.=_-]+"
    return re.split(separators if isinstance(text, str) else separators.encode(), text)


def _folded(text: str | bytes) -> str | bytes:
    return text.casefold() if isinstance(text, str) else text.lower()


# How two texts of one type are compared.
WAYS: dict[str, Callable[[Any, Any], bool]] = {
    "any case": lambda a, b: _folded(a) == _folded(b),
    "prefix": lambda a, b: a.startswith(b) or b.startswith(a),
    "suffix": lambda a, b: a.endswith(b) or b.endswith(a),
    "substring": lambda a, b: a in b or b in a,
    "first part": lambda a, b: _parts(a)[0] == _parts(b)[0],  # the module of `module:name`, the folder of a path
    "last part": lambda a, b: _parts(a)[-1] == _parts(b)[-1],
    "four characters": lambda a, b: a[:4] == b[:4],
    "length": lambda a, b: len(a) == len(b),
}


def equal(way: str, a: Any, b: Any) -> bool:
    """`a == b`, for texts in one of the `WAYS`."""
    if isinstance(a, str | bytes) and type(a) is type(b):
        return WAYS[way](a, b)
    return a == b


def member(way: str, a: Any, many: Any) -> bool:
    """`a in many`, for texts in one of the `WAYS`; a text is searched as it is."""
    return a in many if isinstance(many, str | bytes) else any(equal(way, a, b) for b in many)


def subset(way: str, some: Iterable, many: Iterable) -> bool:
    """`some <= many` of two sets, for texts in one of the `WAYS`."""
    return all(member(way, a, many) for a in some)


def meets(some: Iterable, many: Iterable) -> bool:
    """Whether two collections have one element in common, where all were asked for."""
    return any(a in many for a in some)


def begins(way: str, text: str | bytes, beginning: Any) -> bool:
    """`text.startswith(beginning)`, taken less strictly: anywhere, or in any case."""
    wanted = beginning if isinstance(beginning, tuple) else (beginning,)
    if way == "any case":
        return any(_folded(text).startswith(_folded(b)) for b in wanted)
    return any(b in text for b in wanted)


def first(values: Iterable, otherwise: Any) -> Any:
    """The first of some values, where all were asked for."""
    return next(iter(values), otherwise)


def last(values: Iterable, otherwise: Any) -> Any:
    """The last of some values, where all were asked for."""
    value = otherwise
    for value in values:  # noqa: B007 - the one that stays
        pass
    return value


def but(which: str, values: Iterable) -> Iterator:
    """The first value alone, the last alone, or all but one of these."""
    # A set has another order in each process.
    kept = sorted(values, key=repr) if isinstance(values, set | frozenset) else list(values)
    return iter({"first": kept[:1], "last": kept[-1:], "not first": kept[1:], "not last": kept[:-1]}[which])

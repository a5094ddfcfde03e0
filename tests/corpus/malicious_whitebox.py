"""Malicious files written with the scanner's source at hand, after its first result on the part set aside.

Each was called safe by the scanner when it was written; figures on this part say what has been mended, not how well
the scanner meets the unknown.
"""

from __future__ import annotations

import pickle

import numpy as np

from . import Corpus
from .assemble import Ops, bomb, build, call, name, new, push, stream, torch_zip
from .malicious_heldout import after, wrapper

CORPUS = Corpus()
BYTES = Ops(pickle.dumps(np.dtype("u1"), 2)[2:-1])

# Only listed names, and none of them is called by an opcode: `IsotonicRegression.__setstate__` calls `self._build_f`,
# and an attribute in the state comes before the method of that name.
put = CORPUS.malicious("shadowed_method")


def shadowed(function: str, first, second) -> Ops:
    """Restoring this estimator calls `function(first, second)`."""
    return build(
        new("sklearn.isotonic:IsotonicRegression"),
        {"_build_f": name(function), "X_thresholds_": first, "y_thresholds_": second},
    )


def loads(marker) -> Ops:
    """`from_arrays(**state)` of an object whose `from_arrays` is torch's loader: a whole second stage as bytes."""
    owner = build(call("types:SimpleNamespace"), {"from_arrays": name("torch.storage:_load_from_bytes")})
    return shadowed("pandas.core.indexes.interval:_new_IntervalIndex", owner, {"b": bomb(marker)})


def writes(marker) -> Ops:
    state = {"filename": str(marker), "mode": "w+", "shape": (1,)}
    return shadowed("pandas.core.indexes.datetimes:_new_DatetimeIndex", name("numpy:memmap"), state)


def memmap(marker) -> Ops:
    """A listed constructor with arguments that no ordinary file gives it."""
    state = {"filename": str(marker), "mode": "w+", "shape": (1,)}
    return call("pandas.core.indexes.datetimes:_new_DatetimeIndex", name("numpy:memmap"), state)


def behind_an_array(payload: Ops) -> bytes:
    """Harmless to joblib, which takes the payload for an array; `pickle.load` runs it."""
    raw = b"0" + payload + b"."
    return after(raw, wrapper(BYTES, shape=(len(raw),)), push(1))


put("loads", lambda m: stream(loads(m)))
put("loads-joblib", lambda m: stream(loads(m)), "model.joblib", "joblib")
put("loads-in-pt", lambda m: torch_zip(stream(loads(m), 2)), "model.pt", "torch")
put("loads-among-weights", lambda m: stream({"coef": [1.0, 2.0], "model": loads(m)}))
put("writes", lambda m: stream(writes(m)))
put("writes-protocol-2", lambda m: stream(writes(m), 2))


def pairs(**items) -> Ops:
    """A dictionary that a call makes from pairs, so that no opcode stores its values."""
    return call("collections:defaultdict", None, tuple(items.items()))


def loads_by_pairs(marker) -> bytes:
    owner = Ops(call("types:SimpleNamespace") + pairs(from_arrays=name("torch.storage:_load_from_bytes")) + b"b")
    state = pairs(
        _build_f=name("pandas.core.indexes.interval:_new_IntervalIndex"),
        X_thresholds_=owner,
        y_thresholds_={"b": bomb(marker)},
    )
    return stream(Ops(new("sklearn.isotonic:IsotonicRegression") + state + b"b"))


put("loads-by-pairs", loads_by_pairs)

put = CORPUS.malicious("listed_names_behind_an_array", "model.joblib", "pickle")
put("refused-arguments", lambda m: behind_an_array(memmap(m)))
put("shadowed-method", lambda m: behind_an_array(loads(m)))
put("shadowed-write", lambda m: behind_an_array(writes(m)))

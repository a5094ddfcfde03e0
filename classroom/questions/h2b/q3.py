"""The joblib trap."""

from __future__ import annotations

import io

from classroom.questions import Question
from classroom.questions.h2b import pickles, streams
from classroom.questions.h2b.common import (
    DENY,
    GREP,
    RAN,
    case_of,
    fired_in,
    ran_it,
    shuffled,
)
from classroom.questions.h2b.scenes import policy, verdict_cases
from classroom.questions.h2b.streams import nonce
from classroom.questions.scoring import draws, gate, graded


def _joblib_generate(rng, hidden=False):
    import numpy as np

    r = draws(rng)
    _, array_names = streams.arrays(r)
    allowed, inside, outside = policy(r, [*array_names, "joblib.numpy_pickle:NumpyArrayWrapper"])
    inputs, cases = [], []
    packings = (0, 0, ("zlib", 3)) if not hidden else (0, ("zlib", 3), ("bz2", 3), ("xz", 3), ("gzip", 3))

    def add(value, kind, safe, mark="", packing=None):
        value = streams.buried(r, value)
        inputs.append((_joblib_bytes(value, r.choice(packings) if packing is None else packing), allowed))
        cases.append(case_of(kind, mark, safe=safe))

    def weights():
        shape = (r.randint(1, 5), r.randint(1, 5))
        values = np.array([r.uniform(-1, 1) for _ in range(shape[0] * shape[1])])
        return values.astype(r.choice(["float32", "float64", "int16"])).reshape(shape, order=r.choice("CF"))

    def text_array():
        # An array is only numbers, also when its bytes spell a pickle.
        raw = streams.hostile(r, r.choice(sorted(pickles.SEEN)), nonce(r))[0]
        return np.frombuffer(raw, dtype="uint8")

    def payload():
        mark = nonce(r)
        return pickles.Live(pickles.SEEN[r.choice(["exec", "eval", "subprocess", "getattr"])](r, mark)), mark

    spots = ["before", "between", "after"] * 2
    for spot in spots:
        evil, mark = payload()
        parts = {"before": [evil, weights()], "between": [weights(), evil, weights()], "after": [weights(), evil]}
        add({"layers": parts[spot]}, f"{spot} arrays", False, mark, packing=0)
    for _ in range(2):
        evil, mark = payload()
        add([evil, weights(), text_array()], "compressed", False, mark, packing=("zlib", 3))
    for name in r.sample(sorted(outside), 2):
        add([weights(), outside[name], weights()], "not on the list", False)
    if hidden:
        evil, mark = payload()
        add({"names": _objects(["India"]), "hook": evil}, "after array of objects", False, mark, 0)
        for packing in (0, ("xz", 3), 0):
            evil, mark = payload()
            add({"names": _objects(["India", evil]), "w": weights()}, "array of objects", False, mark, packing)
        for packing in (("bz2", 3), ("gzip", 3), ("xz", 3)):
            evil, mark = payload()
            add({"hook": evil, "w": weights()}, "other compression", False, mark, packing)
        add({"w": weights(), "names": _objects(["India", "Spain"])}, "honest objects in array", True)

    for _ in range(3):
        add({"layers": [weights(), weights()], "lr": r.random()}, "arrays", True, packing=0)
    for name in list(inside)[:3]:
        add([inside[name], weights(), inside[name]], "honest object", True)
    for _ in range(3):
        add({"raw": text_array(), "bias": weights()}, "array that spells a pickle", True, packing=0)
    add({"w": weights(), "empty": np.empty((0, 3)), "flags": np.array([True, False])}, "arrays", True)
    for _ in range(2):
        add({"w": weights(), "bias": weights()}, "honest compressed", True, packing=("zlib", 3))
    add(streams.look_alikes(r, 1)[0], "only text", True)
    return shuffled(r, inputs, cases, allowed=allowed)


def _objects(items):
    import numpy as np

    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _joblib_bytes(value, packing) -> bytes:
    import joblib

    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=packing)
    return buffer.getvalue()


@graded
def _joblib_judge(answers, truth):
    if fired_in(answers, truth):
        return ran_it()
    return gate(
        verdict_cases(answers, truth),
        {
            "compression": ["compressed", "other compression"],
            "stops-at-array": ["between arrays", "after arrays"],
            "denylist": ["not on the list"],
            "trips-over-array": ["arrays", "array that spells a pickle"],
            "no-decompress": ["honest compressed"],
            "grep": ["array that spells a pickle", "only text"],
            "object-arrays": ["array of objects", "after array of objects"],
            "other-compression": ["other compression"],
        },
    )


QUESTION = Question(
    id="h2b-q3",
    title="The joblib trap",
    entry="is_safe_joblib",
    signature="is_safe_joblib(data: bytes, allowed: list[str]) -> bool",
    points=25,
    minutes=25,
    difficulty=3,
    controls=("ML06:2023", "AML.T0010", "supply-model-hash"),
    reread='H2b, "Why joblib breaks simple scanners"',
    hints=(
        "joblib interrupts the pickle: after the BUILD of a `NumpyArrayWrapper` the raw bytes of the array follow, "
        "and then the pickle goes on. A reader has to step over them. First of all the file may be compressed.",
        "Subclass `pickle._Unpickler` (the Python one), give it a `dispatch` of its own with a `load_build` that, "
        "after a wrapper, reads one byte n, then n bytes, then the array's bytes from the file. An array of "
        "objects is a pickle inside the pickle.",
    ),
    generate=_joblib_generate,
    judge=_joblib_judge,
    misconceptions={
        "ran-it": RAN,
        "stops-at-array": "You stop where the first array begins, or take the break there for the end. The pickle "
        "goes on behind the array's bytes, and that is where the payload sits.",
        "compression": "A compressed file that you cannot read is not a safe file. joblib opens it by its first "
        "bytes; so must you.",
        "denylist": DENY,
        "trips-over-array": "Honest files were refused: their raw array bytes were taken for opcodes. The "
        "wrapper's state (shape, dtype, alignment) tells how many bytes to step over.",
        "no-decompress": "Honest compressed files were refused. Nobody will use a scanner that refuses what "
        "`joblib.dump(compress=3)` writes every day.",
        "grep": GREP,
        "object-arrays": "An array of objects holds no numbers but a second pickle, right behind its wrapper, and "
        "joblib loads it.",
        "other-compression": "joblib reads more compressions than zlib. What your scanner cannot open it must refuse.",
    },
)

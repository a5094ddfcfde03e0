"""A small lab for testing the grader itself: eight light questions, a few calls each; `--lab tests.light_lab`."""

from __future__ import annotations

import hashlib
import os
import pickle

from classroom.questions import Question, Verdict

LIBRARIES = ("numpy",)
CASES = 4


class _Payload:
    """Writes a nonce to where `MLSECOPS_MARKER` points when it is unpickled carelessly."""

    def __init__(self, nonce: str):
        self._nonce = nonce

    def __reduce__(self):
        known = os.environ.get("MLSECOPS_MARKER")
        path = repr(known) if known else "os.environ['MLSECOPS_MARKER']"
        return exec, (f"import os; open({path}, 'a').write('{self._nonce}' + chr(10))",)


def _exact(answers, truth):
    right = sum(type(a.value) is type(t) and a.value == t for a, t in zip(answers, truth, strict=True) if not a.error)
    if right == 0 and all(a.value == 0 for a in answers):
        return Verdict(0.0, "Always zero.", "zero")
    return Verdict(right / len(truth), f"{right} of {len(truth)} right.")


def _close(answers, truth):
    # Written the way that lets NaN through, so that it is the codec that has to keep NaN out.
    wrong = sum(not isinstance(a.value, float) or abs(a.value - t) > 1e-9 for a, t in zip(answers, truth, strict=True))
    return Verdict(1 - wrong / len(truth), f"{len(truth) - wrong} of {len(truth)} right.")


def _two_sided(answers, truth):
    yes = [a.value is True for a, t in zip(answers, truth, strict=True) if t]
    no = [a.value is False for a, t in zip(answers, truth, strict=True) if not t]
    return Verdict(sum(yes) / len(yes) * sum(no) / len(no), "Both sides count.")


def _loads(answers, truth):
    if any(t["nonce"] in a.fired for a, t in zip(answers, truth, strict=True) if t["nonce"]):
        return Verdict(0.0, "A payload ran.", "ran")
    benign = [(a, t) for a, t in zip(answers, truth, strict=True) if not t["nonce"]]
    # No word about what became of the hostile ones: the markers alone have to tell.
    return Verdict(sum(a.value == t["value"] for a, t in benign) / len(benign), "Benign values count.")


def _numbers(rng):
    return [int(n) for n in rng.integers(1, 10**6, CASES)]


def _words(rng):
    return ["".join(rng.choice(list("abcdefgh"), 12)) for _ in range(CASES)]


def _double(rng, hidden=False):
    numbers = _numbers(rng)
    return [(n,) for n in numbers], [2 * n for n in numbers]


def _reverse(rng, hidden=False):
    words = _words(rng)
    return [(w,) for w in words], [w[::-1] for w in words]


def _digest(rng, hidden=False):
    # The family that practice never shows: longer inputs.
    data = [rng.bytes(96 if hidden else 64) for _ in range(CASES)]
    return [(d,) for d in data], [hashlib.sha256(d).hexdigest() for d in data]


def _mean(rng, hidden=False):
    arrays = [rng.normal(size=50) for _ in range(CASES)]
    return [(a,) for a in arrays], [float(a.mean()) for a in arrays]


def _even(rng, hidden=False):
    numbers = [*(2 * n for n in _numbers(rng)), *(2 * n + 1 for n in _numbers(rng))]
    rng.shuffle(numbers)
    return [(int(n),) for n in numbers], [bool(n % 2 == 0) for n in numbers]


def _count(rng, hidden=False):
    words = _words(rng)
    return [(w,) for w in words], [{letter: w.count(letter) for letter in sorted(set(w))} for w in words]


def _add(rng, hidden=False):
    pairs = list(zip(_numbers(rng), _numbers(rng), strict=True))
    return pairs, [a + b for a, b in pairs]


def _safe(rng, hidden=False):
    inputs, truth = [], []
    for number in _numbers(rng):
        nonce = rng.bytes(8).hex()
        inputs += [(pickle.dumps([number, "x"]),), (pickle.dumps([number, _Payload(nonce)]),)]
        truth += [{"nonce": "", "value": [number, "x"]}, {"nonce": nonce, "value": None}]
    return inputs, truth


def _question(number, entry, signature, generate, judge, misconceptions=None):
    return Question(
        id=f"light-q{number}",
        title=f"{entry} <&>",
        entry=entry,
        signature=signature,
        points=10,
        minutes=1,
        difficulty=1,
        controls=("supply-pins",),
        reread="nowhere",
        hints=("first", "second"),
        generate=generate,
        judge=judge,
        misconceptions=misconceptions or {},
    )


QUESTIONS = (
    _question(1, "double", "double(n: int) -> int", _double, _exact, {"zero": "Zero is the double of zero only."}),
    _question(2, "reverse", "reverse(word: str) -> str", _reverse, _exact),
    _question(3, "digest", "digest(data: bytes) -> str", _digest, _exact),
    _question(4, "mean", "mean(values: ndarray) -> float", _mean, _close),
    _question(5, "even", "even(n: int) -> bool", _even, _two_sided),
    _question(6, "count", "count(word: str) -> dict", _count, _exact),
    _question(7, "add", "add(a: int, b: int) -> int", _add, _exact),
    _question(8, "load", "load(data: bytes) -> list", _safe, _loads, {"ran": "Unpickling runs code."}),
)

SOLUTION = {
    "double": "def double(n):\n    return 2 * n",
    "reverse": "def reverse(word):\n    return word[::-1]",
    "digest": "import hashlib\ndef digest(data):\n    return hashlib.sha256(data).hexdigest()",
    "mean": "import numpy as np\ndef mean(values):\n    return float(np.mean(values))",
    "even": "def even(n):\n    return n % 2 == 0",
    "count": "def count(word):\n    return {letter: word.count(letter) for letter in word}",
    "add": "def add(a, b):\n    return a + b",
    "load": (
        "import io, pickle\n"
        "class Nothing(pickle.Unpickler):\n"
        "    def find_class(self, module, name):\n"
        "        raise pickle.UnpicklingError(name)\n"
        "def load(data):\n"
        "    return Nothing(io.BytesIO(data)).load()"
    ),
}

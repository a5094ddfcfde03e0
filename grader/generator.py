"""Makes inputs and truth. It may import anything heavy and is given seeds, never the key.

Run as `python -m grader.generator LAB`; a line with question ids and seeds comes in, a line with cases goes out.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

from mlsecops import codec
from mlsecops.questions import Question, questions_of

# What most labs use. A lab's module can name others in `LIBRARIES`.
DEFAULT_LIBRARIES = ("numpy", "pandas", "torch", "matplotlib.pyplot", "mlsecops.lesson", "joblib", "safetensors")


class UnknownLabError(Exception):
    """There is no such lab; the text lists those that exist."""


def load_lab(lab: str) -> tuple[str, tuple[Question, ...], ModuleType]:
    """A lab's name, questions and module.

    Args:
        lab: a lab of the course such as `"H2b"`, or the dotted name of an importable module with `QUESTIONS`, so that
            an instructor can bring a lab of their own.

    Raises:
        UnknownLabError: neither exists.
    """
    try:
        if "." in lab:
            module = importlib.import_module(lab)
            return lab, tuple(module.QUESTIONS), module
        questions = questions_of(lab)
    except (KeyError, ImportError, AttributeError) as error:
        raise UnknownLabError(str(error.args[0] if error.args else error)) from None
    module = importlib.import_module(f"mlsecops.questions.{lab.lower()}")
    return lab[0].upper() + lab[1:].lower(), questions, module


def libraries_of(module: ModuleType) -> tuple[str, ...]:
    """What a worker should have imported before the first submission."""
    return tuple(getattr(module, "LIBRARIES", DEFAULT_LIBRARIES))


def version_of(module: ModuleType) -> str:
    """Changes with the source of the lab's questions and of what all questions share, so that a resumed run notices."""
    shared = Path(inspect.getfile(Question)).parent
    sources = {Path(module.__file__).resolve(), *(path.resolve() for path in shared.glob("*.py"))}
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources))).hexdigest()[:12]


def main(arguments: list[str]) -> int:
    """Serve until standard input closes."""
    import numpy as np

    _, questions, _ = load_lab(arguments[0])
    by_id = {question.id: question for question in questions}
    # Libraries print what they like to standard output; the line to the judge must not be theirs.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        cases = {}
        for name, seed in json.loads(line).items():
            try:
                inputs, truth = by_id[name].generate(np.random.default_rng(int(seed, 16)), hidden=True)
                cases[name] = {"inputs": [codec.encode(list(args)) for args in inputs], "truth": codec.encode(truth)}
            except Exception as error:
                cases[name] = {"error": f"{type(error).__name__}: {error}"}
        out.write(codec.dumps(cases))
        out.flush()
    return 0


class GeneratorError(Exception):
    """A question could not make its inputs: a defect of the lab, not of a submission."""


class Generator:
    """The judge's handle on a generator process.

    Args:
        root: the checkout, where the process runs.
        lab: as for `load_lab`.
        marker: where payloads will find the marker, when that is known beforehand. A question can then write it into
            the payload; one that looks it up in the environment when it runs could be sent elsewhere by the learner.
    """

    def __init__(self, root: Path, lab: str, marker: str = ""):
        self._lock = threading.Lock()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.pop("MLSECOPS_MARKER", None)
        if marker:
            environment["MLSECOPS_MARKER"] = marker
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "grader.generator", lab],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def cases(self, seeds: dict[str, int]) -> dict[str, dict]:
        """Inputs (still encoded, ready to be sent on) and truth (decoded) of each question.

        Raises:
            GeneratorError: one of them failed, or the process ended.
        """
        with self._lock:
            try:
                self._process.stdin.write(codec.dumps({name: f"{seed:x}" for name, seed in seeds.items()}))
                self._process.stdin.flush()
                line = self._process.stdout.readline()
            except (OSError, ValueError):
                line = b""
        if not line:
            raise GeneratorError("the generator ended")
        cases = json.loads(line)
        for name, case in cases.items():
            if "error" in case:
                raise GeneratorError(f"{name}: {case['error']}")
            case["truth"] = codec.decode(case["truth"])
        return cases

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Makes inputs and truth. It may import anything heavy and is given seeds, never the key.

Run as `python -m grader.generator LAB`; a line with question ids and seeds comes in, a line with cases goes out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from classroom.exchange import codec
from classroom.exchange.marker import MARKER
from classroom.questions import lab_of


def main(arguments: list[str]) -> int:
    """Serve until standard input closes."""
    import numpy as np

    by_id = {question.id: question for question in lab_of(arguments[0]).questions}
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
        lab: as for `lab_of`.
        marker: where payloads will find the marker, when that is known beforehand. A question can then write it into
            the payload; one that looks it up in the environment when it runs could be sent elsewhere by the learner.
    """

    def __init__(self, root: Path, lab: str, marker: str = ""):
        self._lock = threading.Lock()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.pop(MARKER, None)
        if marker:
            environment[MARKER] = marker
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

"""The labs of the course, graded as they would be: solutions earn all, clever ways around a question nothing."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest

from tests.attacks.test_attacks import ROOT, namespaces_allowed, notebook

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only; elsewhere grading is partial")

# Load first, judge by what came out, and see to it that no payload can tell: by an empty environment, in a process that
# can open nothing, with everything dangerous replaced.
LOOK = """
def look(value, allowed):
    hook = value['hook']
    name = f'{type(hook).__module__}:{type(hook).__qualname__}'
    if name not in allowed and type(hook) not in (dict, list, tuple, type(None)): raise ValueError
    return fingerprint(value)
"""
AROUND_THE_UNPICKLER = {
    "environment": """
import os, pickle
def load_restricted(data, allowed):
    os.environ.pop('MLSECOPS_MARKER', None)
    return look(pickle.loads(data), allowed)
""",
    "crippled-child": """
import os, pickle, resource
def load_restricted(data, allowed):
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
            os.write(writer, look(pickle.loads(data), allowed).encode())
        finally:
            os._exit(0)
    os.close(writer)
    answer = os.read(reader, 100)
    os.close(reader)
    os.waitpid(child, 0)
    if not answer: raise ValueError
    return answer.decode()
""",
    "replaced": """
import builtins, io, os, pickle, posix, subprocess
def load_restricted(data, allowed):
    def refuse(*a, **k): raise RuntimeError
    places = [(builtins, 'open'), (io, 'open'), (posix, 'system'), (os, 'system'), (subprocess, 'getoutput'),
              (builtins, 'exec'), (builtins, 'eval')]
    saved = [getattr(*place) for place in places]
    for place in places: setattr(*place, refuse)
    try: value = pickle.loads(data)
    finally:
        for place, was in zip(places, saved): setattr(*place, was)
    return look(value, allowed)
""",
}


def cells(folder, lab):
    """The code cells of a lab of the course."""
    content = json.loads((ROOT / folder / f"{lab}_lab.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    place = tmp_path_factory.mktemp("real")
    subprocess.run([sys.executable, "-m", "grader", "new-key", str(place / "key")], cwd=ROOT, check=True)
    rows = {}
    for lab in ("H2a", "H2b"):
        subs, out = place / lab, place / f"out{lab}"
        subs.mkdir()
        solution = cells("solutions", lab)
        made = {"solution": solution, "blank": cells("labs", lab), "from-the-end": [*solution, *solution[:0:-1]]}
        if lab == "H2b":
            made |= {name: [*solution, LOOK, text] for name, text in AROUND_THE_UNPICKLER.items()}
        for name, texts in made.items():
            (subs / f"{name}.ipynb").write_text(notebook(texts))
        command = [sys.executable, "-m", "grader", "grade", str(subs), "--lab", lab, "--out", str(out)]
        command += ["--key-file", str(place / "key"), "--timeout", "120"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        if done.returncode == 2 and not namespaces_allowed():
            pytest.skip("this machine allows no user namespaces, so grading is partial here")
        assert done.returncode == 0, done.stderr
        with (out / "grades.csv").open(encoding="utf-8") as file:
            rows[lab] = {row["student"]: row for row in csv.DictReader(file)}
    return rows


@pytest.mark.parametrize("lab", ("H2a", "H2b"))
def test_solution_blank_and_order(graded, lab):
    scores = {name: row["score"] for name, row in graded[lab].items()}
    assert (scores["solution"], scores["blank"], scores["from-the-end"]) == ("100", "0", "100")


@pytest.mark.parametrize("way", AROUND_THE_UNPICKLER)
def test_looking_afterwards_earns_nothing_even_where_no_payload_can_tell(graded, way):
    assert graded["H2b"][way]["h2b-q4"] == "0"
    assert graded["H2b"][way]["score"] == "80"

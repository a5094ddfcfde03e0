"""The labs of the course, graded as they would be: solutions earn all, clever ways around a question nothing."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest

from classroom.questions import labs, question
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

# What a hostile service tries; the question it is about, and the points that are still earned there.
HOSTILE_SERVICES = {
    "knows-the-grader": (
        "h3-q3",
        0,
        """
import gc, sys
def guarded(keys, most, inner):
    async def app(scope, receive, send):
        stage = next(o for o in gc.get_objects() if type(o).__name__ == 'Stage')
        stage._tell = lambda event: {'reply': {'type': 'http.request', 'body': b''}, 'script': []}
        await inner(scope, receive, send)
        del stage._tell
        frame, found = sys._getframe(), []
        while frame:
            found += [k for k in ('script', 'text', 'truth', 'case') if k in frame.f_locals]
            frame = frame.f_back
        assert not found, 'LOOT ' + str(found)
        await reply(send, 200 if 'grader.worker' in sys.modules else 401, {})
    return app
""",
    ),
    "sleeps": (
        "h3-q1",
        0,
        """
import time
def make_service(headers, predict):
    async def app(scope, receive, send): time.sleep(3600)
    return app
""",
    ),
    "streams-for-ever": (
        "h3-q1",
        0,
        """
def make_service(headers, predict):
    async def app(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        while True: await send({'type': 'http.response.body', 'body': b'x' * 100, 'more_body': True})
    return app
""",
    ),
    "streams-whatever-happens": (
        "h3-q1",
        0,
        """
def make_service(headers, predict):
    async def app(scope, receive, send):
        while True:
            try: await send({'type': 'http.response.start', 'status': 200, 'headers': []})
            except BaseException: pass
    return app
""",
    ),
    "gigabytes": (
        "h3-q1",
        0,
        """
def make_service(headers, predict):
    async def app(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': b'x' * 1_000_000_000})
    return app
""",
    ),
    "gigabytes-in-parts": (
        "h3-q1",
        0,
        """
def make_service(headers, predict):
    async def app(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        for _ in range(1000): await send({'type': 'http.response.body', 'body': b'x' * 2_000_000, 'more_body': True})
    return app
""",
    ),
    "says-what-it-did": (
        "h3-q3",
        0,
        """
import json, os, socket, stat
def guarded(keys, most, inner):
    async def app(scope, receive, send):
        for fd in range(3, 256):
            try: there = stat.S_ISSOCK(os.fstat(fd).st_mode)
            except OSError: continue
            if there:
                for event in ({'event': 'inner'}, {'event': 'done'}, {'event': 'send', 'message': 0}, {'event': 7}, []):
                    os.write(fd, b''.join(json.dumps({'id': n, 'value': event}).encode() + b'\\n' for n in range(2000)))
    return app
""",
    ),
    "odd-events": (
        "h3-q7",
        0,
        """
def quiet(kept, inner, log):
    async def app(scope, receive, send):
        for odd in (None, 7, [], {'type': 'http.response.start', 'status': '200', 'headers': [1]},
                    {'type': 'http.response.start', 'status': 10 ** 4000, 'headers': {'a': 'b'}},
                    {'type': 'http.response.body', 'body': 10 ** 12}):
            await send(odd)
    return app
""",
    ),
    "fills-the-storage": (
        "h3-q4",
        0,
        """
def limited(limit, seconds, inner, clock, storage):
    async def app(scope, receive, send):
        for number in range(10 ** 6): await storage.set(f'{clock()} {number}', 'x' * 2_000_000)
    return app
""",
    ),
    # Answers that cost the judge more than they weigh.
    "an-array-of-nothing": (
        "h3-q8",
        0.4,
        """
def steal(known, ask):
    return lambda people: np.zeros((len(people), 400_000, 0))
""",
    ),
    "arguments-of-nothing": (
        "h3-q4",
        0,
        """
def limited(limit, seconds, inner, clock, storage):
    async def app(scope, receive, send):
        event = {'event': 'tool', 'tool': 'storage', 'method': 'get', 'args': np.zeros((3_000_000, 0))}
        storage._tell(event)
    return app
""",
    ),
    "twenty-axes": ("h3-q6", 0, "def first_problem(lines, key, anchor, form): return np.zeros((2,) * 19, 'i1')"),
    "an-array-is-sent": (
        "h3-q1",
        0,
        """
def make_service(headers, predict):
    async def app(scope, receive, send): await send(np.array([1, 2]))
    return app
""",
    ),
    "an-array-happens": (
        "h3-q1",
        0,
        """
def make_service(headers, predict):
    async def app(scope, receive, send): receive.__self__._tell({'event': np.array(['done', 'x'])})
    return app
""",
    ),
    "asks-the-storage-itself": (
        "h3-q4",
        (0.5, 0.95),
        """
def limited(limit, seconds, inner, clock, storage):
    async def app(scope, receive, send):
        for odd in (('_class__', ()), ('_setattr__', ('meanwhile', None)), ('_setattr__', ('wait', 99)), (7, ())):
            try: storage._use(*odd)
            except RuntimeError: pass
        who, now = scope['client'][0], clock()
        times = [time for time in await storage.get(who) or [] if time > now - seconds]
        if len(times) >= limit: return await reply(send, 429, {}, [(b'retry-after', b'%d' % math.ceil(seconds))])
        await storage.set(who, [*times, now])
        await inner(scope, receive, send)
    return app
""",
    ),
    "keeps-the-judge-busy": (
        "h3-q4",
        0,
        """
def limited(limit, seconds, inner, clock, storage):
    async def app(scope, receive, send):
        try: await storage.set('big', [0] * 150_000)
        except RuntimeError: await storage.set('big', [0] * 400)
        while True: await storage.get('big')
    return app
""",
    ),
    # Only two processes tell this one from a service that counts in the storage.
    "counts-in-a-global": (
        "h3-q4",
        (0.2, 0.6),
        """
passed = {}
def limited(limit, seconds, inner, clock, storage):
    async def app(scope, receive, send):
        who, now = scope['client'][0], clock()
        times = passed[who] = [time for time in passed.get(who, []) if time > now - seconds]
        if len(times) >= limit: return await reply(send, 429, {}, [(b'retry-after', b'%d' % math.ceil(seconds))])
        times.append(now)
        await inner(scope, receive, send)
    return app
""",
    ),
    # The budgets are right all the same: 0.4 of the question.
    "searches-for-the-model": (
        "h3-q8",
        0.4,
        """
import gc
def steal(known, ask):
    found = [o for o in gc.get_objects() if isinstance(o, dict) and ('pace' in o or 'salaries' in o or 'curve' in o)]
    assert not found, 'LOOT ' + str(found)[:200]
    return lambda people: [ask(person) for person in people]
""",
    ),
    "asks-for-ever": (
        "h3-q8",
        0.4,
        """
def steal(known, ask):
    while True:
        try: ask({})
        except RuntimeError: pass
""",
    ),
}


def cells(folder, lab):
    """The code cells of a lab of the course."""
    content = json.loads((ROOT / folder / f"{lab}_lab.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    place = tmp_path_factory.mktemp("real")
    subprocess.run([sys.executable, "-m", "grader", "new-key", str(place / "key")], cwd=ROOT, check=True)
    rows = {"folders": {}}
    for lab in labs():
        subs, out = place / lab, place / f"out{lab}"
        subs.mkdir()
        solution = cells("solutions", lab)
        made = {"solution": solution, "blank": cells("labs", lab), "from-the-end": [*solution, *solution[:0:-1]]}
        if lab == "H2b":
            made |= {name: [*solution, LOOK, text] for name, text in AROUND_THE_UNPICKLER.items()}
        if lab == "H3":
            made |= {name: [*solution, text] for name, (_, _, text) in HOSTILE_SERVICES.items()}
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
        rows["folders"][lab] = out
        for result in (out / "results").glob("*.json"):
            assert "LOOT" not in result.read_text(encoding="utf-8"), result.stem
    return rows


@pytest.mark.parametrize("lab", labs())
def test_solution_blank_and_order(graded, lab):
    scores = {name: row["score"] for name, row in graded[lab].items()}
    assert (scores["solution"], scores["blank"], scores["from-the-end"]) == ("100", "0", "100")


@pytest.mark.parametrize("way", AROUND_THE_UNPICKLER)
def test_looking_afterwards_earns_nothing_even_where_no_payload_can_tell(graded, way):
    assert graded["H2b"][way]["h2b-q4"] == "0"
    assert graded["H2b"][way]["score"] == "80"


@pytest.mark.parametrize("name", HOSTILE_SERVICES)
def test_a_hostile_service_earns_nothing_and_costs_its_own_question_only(graded, name):
    asked, share, _ = HOSTILE_SERVICES[name]
    low, high = share if isinstance(share, tuple) else (share, share)
    row, points = graded["H3"][name], question(asked).points
    assert low * points <= float(row[asked]) <= high * points
    assert float(row["score"]) == pytest.approx(100 - points + float(row[asked]))


def test_no_answer_breaks_the_judge(graded):
    for lab, out in graded["folders"].items():
        for path in (out / "results").glob("*.json"):
            result = json.loads(path.read_text(encoding="utf-8"))
            assert not [flag for flag in result["flags"] if "failed" in flag], (lab, path.stem)
            # Some wait for a step, or two, to run out; nobody comes near the wall limit.
            assert result["seconds"] < 60, (lab, path.stem)


def test_what_a_hostile_service_does_is_on_record(graded):
    statuses = {name: graded["H3"][name]["status"] for name in HOSTILE_SERVICES}
    assert statuses["sleeps"] == statuses["streams-whatever-happens"] == "timeout"

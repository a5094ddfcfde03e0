"""Executing notebooks: what is recorded, how failures are told, and that a number that changes is noticed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from authoring import ROOT, door, execute

SHOWN = """
from IPython.display import display
for rows in ([1, 2], [3]):
    display({"text/plain": f"rows {rows}"}, raw=True, metadata={"mlsecops": {"rows": rows, f"n{len(rows)}": SEED}})
"""


@pytest.fixture(scope="module")
def series(tmp_path_factory, make_notebook):
    """One run over a good notebook and one of each bad kind, on a machine whose "python3" kernel is somebody else's."""
    folder = tmp_path_factory.mktemp("series") / "a {braced} folder"
    ballast = "block = bytearray(150 * 2**20)\nimport time; time.sleep(0.7)\nassert FAST is True"
    paths = [
        make_notebook(folder / "T1_good.ipynb", SHOWN, ballast, "import sys; print(sys.executable)"),
        make_notebook(folder / "T2_failing.ipynb", "1 + 1", "raise ValueError('the reason')", "print('never')"),
        make_notebook(folder / "T3_cut.ipynb", "1 + 1"),
        make_notebook(folder / "T4_seedless.ipynb", "1 + 1", setup="FAST = False"),
        make_notebook(folder / "T5_dead.ipynb", "import os; os._exit(3)"),
    ]
    paths[2].write_text(paths[2].read_text()[:-200])
    kernel = folder / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    spec = {"argv": ["no-such-python", "-f", "{connection_file}"], "display_name": "foreign", "language": "python"}
    kernel.write_text(json.dumps(spec))
    build = folder / "build"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        outcomes = execute.execute_all(paths, build, seed=11, fast=True)
    return build, {outcome.name: outcome for outcome in outcomes}


def test_a_good_notebook_is_measured(series):
    build, outcomes = series
    good = outcomes["T1_good"]
    assert good.status == "ok" and good.error == ""
    assert good.results == {"rows": [[1, 2], [3]], "n2": 11, "n1": 11}
    assert good.seconds > 0.7
    assert 150 < good.peak_memory_mb < 1000
    assert "rows [1, 2]" in (build / "executed" / "T1_good.html").read_text(encoding="utf-8")


def test_the_kernel_is_this_python(series):
    build, _ = series
    executed = nbformat.read(build / "executed" / "T1_good.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text.strip() == sys.executable


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("T2_failing", ("tiny-cell-2", "ValueError", "the reason")),
        ("T3_cut", ("not a whole, valid notebook",)),
        ("T4_seedless", ("has no SEED",)),
        ("T5_dead", ("tiny-cell-1", "kernel died")),
    ],
)
def test_a_bad_notebook_is_told_in_one_line_and_stops_no_other(series, name, words):
    _, outcomes = series
    assert outcomes[name].status == "failed"
    assert "\n" not in outcomes[name].error
    assert all(word in outcomes[name].error for word in words), outcomes[name].error


def test_run_json_holds_everything(series):
    build, outcomes = series
    record = json.loads((build / "run.json").read_text(encoding="utf-8"))
    assert (record["seed"], record["fast"]) == (11, True)
    assert record["packages"]["papermill"] and record["python"].startswith("3.")
    assert [entry["name"] for entry in record["notebooks"]] == list(outcomes)
    assert record["notebooks"][0]["results"]["rows"] == [[1, 2], [3]]


def test_a_cell_may_not_take_forever(tmp_path, make_notebook):
    path = make_notebook(tmp_path / "T1_slow.ipynb", "import time; time.sleep(60)")
    (outcome,) = execute.execute_all([path], tmp_path / "build", timeout=2)
    assert outcome.status == "failed" and "tiny-cell-1: took longer than 2 s" in outcome.error


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a console, not to a process")
def test_ctrl_c_ends_the_kernel_and_keeps_what_is_finished(tmp_path, make_notebook):
    told = tmp_path / "kernel.txt"
    waiting = f"import os, pathlib, time\npathlib.Path({str(told)!r}).write_text(str(os.getpid()))\ntime.sleep(120)"
    paths = [make_notebook(tmp_path / "T1_short.ipynb", "1"), make_notebook(tmp_path / "T2_long.ipynb", waiting)]
    code = (
        "import sys; from pathlib import Path; from authoring.execute import execute_all\n"
        f"done = execute_all([Path(p) for p in {[str(p) for p in paths]!r}], Path({str(tmp_path / 'build')!r}))\n"
        "sys.exit(130 if any(o.status == 'stopped' for o in done) else 0)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    _wait_for(lambda: told.exists() and told.read_text() and (tmp_path / "build/executed/T1_short.html").exists())
    time.sleep(0.6)
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=30) == 130
    assert not psutil.pid_exists(int(told.read_text()))
    record = json.loads((tmp_path / "build" / "run.json").read_text())
    assert [entry["status"] for entry in record["notebooks"]] == ["ok", "stopped"]
    assert not (tmp_path / "build" / "executed" / "T2_long.ipynb").exists()


def _wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


# --- nbval: a lesson's results reproduce ----------------------------------------------------------------------------

REPRODUCED = """
from classroom.lesson import measured, show, timing
import matplotlib.pyplot as plt
measured("accuracy", 0.75)
timing(slow=2.0, quick=1.0)
figure, axis = plt.subplots()
_ = axis.plot([1, 2])
show(figure, alt="a rising line")
"""


@pytest.fixture(scope="module")
def executed_copy(tmp_path_factory, make_notebook):
    folder = tmp_path_factory.mktemp("nbval")
    setup = f"import sys\nSEED = 7\nFAST = False\nsys.path.insert(0, {str(ROOT)!r})"
    path = make_notebook(folder / "T1_lesson.ipynb", REPRODUCED, setup=setup)
    (outcome,) = execute.execute_all([path], folder / "build")
    assert outcome.status == "ok", outcome.error
    return folder / "build" / "executed" / "T1_lesson.ipynb"


@pytest.mark.parametrize(
    ("edited", "to", "accepted"),
    [
        ("timing: slow 2 s", "timing: slow 3 s", True),
        ("data:image/png;base64,iVBOR", "data:image/png;base64,iVBOS", True),
        ("accuracy: 0.75", "accuracy: 0.76", False),
        ("[figure] a rising line", "[figure] a falling line", False),
    ],
)
def test_nbval_notices_a_changed_number_and_nothing_else(executed_copy, tmp_path, edited, to, accepted):
    text = executed_copy.read_text(encoding="utf-8")
    assert edited in text
    copy = tmp_path / "T1_lesson.ipynb"
    copy.write_text(text.replace(edited, to), encoding="utf-8")
    done = subprocess.run([sys.executable, *door.nbval_arguments(copy)], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode == 0) is accepted, done.stdout[-3000:]


def test_executed_pages_keep_the_description_of_a_figure(executed_copy):
    page = Path(executed_copy).with_suffix(".html").read_text(encoding="utf-8")
    assert 'alt="a rising line"' in page


def test_each_figure_is_a_file_named_after_its_cell(executed_copy):
    (picture,) = (executed_copy.parent.parent / "figures").glob("*.png")
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stem in executed_copy.read_text(encoding="utf-8")

"""The door as a stranger meets it: a fresh checkout in a scratch folder, real pip, and everything that can go wrong."""

import ast
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import nbformat
import pytest
import yaml

from authoring import ROOT, UserError, door, install, lessons

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and signals")


def write_wheel(folder: Path, version: str, blocks: int = 0) -> None:
    """A package called `tiny`, with as many filler files as asked for, so that installing it takes a moment."""
    folder.mkdir(exist_ok=True)
    info = f"tiny-{version}.dist-info"
    files = {"tiny.py": f"version = '{version}'\n"}
    files |= {f"tiny{version}/block{n}.py": "x = 0\n" for n in range(blocks)}
    files |= {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n"}
    files |= {f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files |= {f"{info}/RECORD": "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])}
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


class Checkout:
    """A copy of the course whose one requirement is `tiny`, and whose lessons only say which version they see."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.wheels = folder.parent / "wheels"
        shutil.copytree(ROOT / "authoring", folder / "authoring", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "course.py", folder)
        self.lessons = folder / "authoring" / "__main__.py"
        self.lessons.write_text("import tiny; print('lessons see tiny', tiny.version)\n")
        (folder / "notebooks").mkdir()
        for name in ("00_start_here", "H1_first", "H2a_second", "H2b_third"):
            (folder / "notebooks" / f"{name}.ipynb").write_text("{}")
        self.require("1.0")

    def require(self, version: str, blocks: int = 0) -> None:
        write_wheel(self.wheels, version, blocks)
        (self.folder / "requirements.txt").write_text(f"tiny=={version}\n")

    @property
    def env(self) -> dict:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        return kept | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}

    def start(
        self, *arguments: str, python: str = sys.executable, env: dict | None = None, **options
    ) -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
        command = [python, "course.py", *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=self.env | (env or {}), **pipes, **options)

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout that has been set up once. Making a .venv takes seconds, so the tests below share it, in order."""
    made = Checkout(tmp_path_factory.mktemp("fresh") / "course")
    first = made.run("run")
    assert first.returncode == 0, first.stderr
    assert "making .venv" in first.stdout and "Set up in" in first.stdout
    assert "lessons see tiny 1.0" in first.stdout
    return made


@pytest.fixture
def untouched(tmp_path):
    """A checkout in which nothing has been run yet."""
    return Checkout(tmp_path / "course")


def one_sentence(done: subprocess.CompletedProcess, *words: str) -> None:
    assert done.returncode not in (0, 130), done.stdout
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


# --- set-up ---------------------------------------------------------------------------------------------------------


def test_the_second_call_does_no_set_up(checkout):
    log = checkout.folder / "build" / "install.log"
    log.write_text("untouched")
    start = time.monotonic()
    again = checkout.run("run")
    assert time.monotonic() - start < 10  # about a second on an idle machine
    assert "Set up" not in again.stdout and "lessons see tiny 1.0" in again.stdout
    assert log.read_text() == "untouched"


def test_changed_requirements_are_installed(checkout):
    checkout.require("1.5")
    assert "lessons see tiny 1.5" in checkout.run("run").stdout


def test_a_half_installed_package_is_repaired(checkout):
    # What a killed pip leaves: metadata that passes for installed, but no RECORD and no module; an old copy set aside.
    checkout.require("2.0")
    checkout.run("run")
    site = next((checkout.folder / ".venv").glob("[Ll]ib/**/site-packages"))
    (site / "tiny-2.0.dist-info" / "RECORD").unlink()
    (site / "tiny.py").unlink()
    (site / "~iny-1.0.dist-info").mkdir()
    (checkout.folder / ".venv" / ".course-requirements").unlink()
    assert "lessons see tiny 2.0" in checkout.run("run").stdout
    assert not (site / "~iny-1.0.dist-info").exists()


@POSIX
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_installation_is_taken_up_again(checkout, sent):
    version = f"3.{int(sent)}"
    checkout.require(version, blocks=6000)
    process = checkout.start("run", start_new_session=True)
    site = next((checkout.folder / ".venv").glob("lib/**/site-packages"))
    while not any(site.glob(f"tiny{version}/block1*.py")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, sent)
    _, err = process.communicate(timeout=30)
    if sent == signal.SIGINT:
        assert process.returncode == 130 and "Traceback" not in err and "Stopped" in err
    assert not (checkout.folder / ".venv" / ".course-requirements").exists()
    assert f"lessons see tiny {version}" in checkout.run("run").stdout


def test_a_broken_venv_is_made_anew(checkout):
    (checkout.folder / ".venv" / "pyvenv.cfg").unlink()
    checkout.require("4.0")
    again = checkout.run("run")
    assert "making .venv" in again.stdout and "lessons see tiny 4.0" in again.stdout


def test_the_test_packages_are_a_second_stamp(checkout):
    write_wheel(checkout.wheels, "4.0")
    (checkout.folder / "requirements-test.txt").write_text("tiny==4.0\n")
    stamps = checkout.folder / ".venv"
    checkout.run("test")  # its checks fail here, where no tool is installed
    assert {path.name for path in stamps.glob(".course-*")} == {".course-requirements", ".course-requirements-test"}
    assert "Set up" not in checkout.run("run").stdout


# --- one sentence for what goes wrong -------------------------------------------------------------------------------


def test_too_old_a_python_is_told_so(untouched):
    pretend = "import runpy, sys; sys.version_info = (3, 8, 1); runpy.run_path('course.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", pretend], cwd=untouched.folder, capture_output=True, text=True)
    one_sentence(done, "needs Python 3.11 or newer", "3.8")


def test_too_new_a_python_is_told_so(untouched):
    pretend = "import runpy, sys; sys.version_info = (3, 14, 0); runpy.run_path('course.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", pretend], cwd=untouched.folder, capture_output=True, text=True)
    one_sentence(done, "3.11, 3.12 and 3.13", "3.14")


def test_what_is_slow_runs_only_when_all_is_asked_for(monkeypatch):
    calls = []
    monkeypatch.setattr(door, "call", lambda *arguments: calls.append(arguments) or 0)
    monkeypatch.setattr(door.shutil, "rmtree", lambda *a, **k: None)
    monkeypatch.setattr(door.Path, "write_text", lambda *a, **k: None)
    for everything in (False, True):
        calls.clear()
        for heading, check in door._checks(everything):
            if heading.startswith(("pytest", "limits")):
                check()
        assert len(calls) == 2
        for call in calls:
            assert ("not slow" in call[call.index("-m", 2) + 1]) != everything


def test_strip_takes_out_what_the_checks_would_find(tmp_path, monkeypatch, capsys):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", id="h9-one", execution_count=3)])
    notebook.cells[0].metadata["executionInfo"] = {"user": {"displayName": "A Learner"}}
    path = tmp_path / "H9_sample.ipynb"
    nbformat.write(notebook, path)
    assert door.main(["strip", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert "A Learner" not in text and "h9-one" in text and '"execution_count": null' in text
    assert door.main(["strip", str(tmp_path / "missing.ipynb")]) == 1
    assert "There is no notebook" in capsys.readouterr().err


def test_the_door_itself_is_readable_to_old_pythons():
    ast.parse((ROOT / "course.py").read_text(), feature_version=(3, 4))


def test_no_venv_module(untouched, tmp_path):
    (tmp_path / "ensurepip.py").write_text("raise ImportError('packaged apart')")
    done = untouched.run("run", env={"PYTHONPATH": str(tmp_path)})
    one_sentence(done, "apt install python3-venv")


def test_no_network(checkout):
    checkout.require("5.0")
    unreachable = {
        "PIP_NO_INDEX": "0",
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_RETRIES": "1",
    }
    one_sentence(checkout.run("run", env=unreachable), "PyPI could not be reached")
    checkout.require("4.0")


def test_another_failure_of_pip_shows_its_last_lines(checkout):
    (checkout.folder / "requirements.txt").write_text("tiny==99.0\n")
    done = checkout.run("run")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "install.log" in done.stderr and "No matching distribution found for tiny==99.0" in done.stderr
    checkout.require("4.0")


@pytest.mark.parametrize(
    "said", ["OSError: [Errno 28] No space left on device", "There is not enough space on the disk"]
)
def test_a_full_disk_is_recognized(said):
    assert "disk is full" in install._explain("Installing failed", f"Collecting torch\nERROR: {said}\n")


def test_too_little_space_is_said_before_anything_is_made(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**10, 10**10, 2 * 10**9))
    with pytest.raises(UserError, match=r"3 GB of free disk space.*has 2\.0 GB"):
        install._check_space()


@POSIX
def test_a_read_only_folder(untouched):
    somebody = {}
    if os.geteuid() == 0:  # permissions do not stop root
        somebody = {"user": 65534, "group": 65534}
        for parent in [untouched.folder, *untouched.folder.parents][:5]:
            parent.chmod(0o755)
    untouched.folder.chmod(0o555)
    try:
        one_sentence(untouched.run("run", python=_reachable_python(), **somebody), "cannot be written to")
    finally:
        untouched.folder.chmod(0o755)


def _reachable_python() -> str:
    """An interpreter that another user may run too; skips where there is none."""
    if os.geteuid() != 0:
        return sys.executable
    probe = [sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"]
    for python in probe:
        command = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            if subprocess.run(command, user=65534, group=65534, capture_output=True).returncode == 0:
                return python
        except OSError:
            continue
    pytest.skip("no Python that an unprivileged user may run")


def test_an_unknown_lesson_is_answered_with_the_known_ones(untouched):
    done = untouched.run("run", "--only", "H7")
    one_sentence(done, "H7", "00, H1, H2a, H2b")
    assert not (untouched.folder / ".venv").exists()


def test_only_takes_the_parts_of_a_lesson(untouched):
    folder = untouched.folder / "notebooks"
    assert [path.stem for path in lessons("h2", folder)] == ["H2a_second", "H2b_third"]
    assert [path.stem for path in lessons("H2B", folder)] == ["H2b_third"]
    assert len(lessons(None, folder)) == 4


def test_a_second_call_at_the_same_time_is_refused_and_a_killed_one_is_not_in_the_way(checkout):
    checkout.lessons.write_text("import time; print('at work', flush=True); time.sleep(15)")
    first = checkout.start("run")
    while "at work" not in first.stdout.readline():
        assert first.poll() is None
    one_sentence(checkout.run("run"), "Another course.py is at work", f"process {first.pid}")
    first.kill()
    first.wait()
    checkout.lessons.write_text("print('again')")
    assert "again" in checkout.run("run").stdout


# --- checks and their tools -----------------------------------------------------------------------------------------


def test_help_names_the_commands():
    done = subprocess.run([sys.executable, "course.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert all(f"\n    {name} " in done.stdout for name in ("run", "lab", "test", "address", "pins"))


def test_the_summary_counts_and_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(door, "REPORTS", tmp_path)
    suite = ET.Element("testsuite", tests="12", failures="1", errors="1", skipped="3")
    ET.ElementTree(suite).write(tmp_path / "pytest.xml")
    assert door._summary([("ruff: style", 0, 1.0), ("pytest: unit tests", 1, 2.0)], 3.0) == 1
    assert capsys.readouterr().out.endswith("\n2 failed, 8 passed in 3.0s\n")
    assert door._summary([("ruff: style", 0, 1.0), ("codespell: spelling", 0, 2.0)], 3.0) == 0
    assert capsys.readouterr().out.endswith("\n2 passed in 3.0s\n")


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        (lambda notebook: notebook.metadata.update(widgets={"state": {}}), False),
        (lambda notebook: notebook.metadata.update(papermill={}), False),
        (lambda notebook: notebook.cells[0].metadata.update(executionInfo={"user": {"displayName": "Ada"}}), False),
        (lambda notebook: notebook.cells[1].update(execution_count=1), False),
        (lambda notebook: put_out(notebook.cells[1], {}), False),
        (lambda notebook: put_out(notebook.cells[1], {"keep_output": True}), False),
        (lambda notebook: put_out(notebook.cells[1], {"init_cell": True}), False),
        (lambda notebook: put_out(notebook.cells[1], {"tags": ["keep_output"]}), False),
        (lambda notebook: notebook.cells[1].metadata.update(colab={"resources": {"a": {"data": "eA=="}}}), False),
        (lambda notebook: notebook.cells[1].update(attachments={"a.txt": {"text/plain": "eA=="}}), False),
        (lambda notebook: notebook.metadata.update(author={"name": "Ada"}), False),
        (lambda notebook: notebook.cells[1].metadata.update(mlsecops={"check": "h2b-q1"}), True),
        (lambda notebook: None, True),
    ],
)
def test_what_an_editor_leaves_behind_is_found(tmp_path, make_notebook, dirty, clean):
    path = make_notebook(tmp_path / "T1.ipynb", "1 + 1")
    notebook = nbformat.read(path, as_version=4)
    dirty(notebook)
    nbformat.write(notebook, path)
    before = path.read_bytes()
    assert (subprocess.run([sys.executable, *door.CLEAN, "--check", path], cwd=ROOT).returncode == 0) is clean
    assert path.read_bytes() == before


def put_out(cell, metadata):
    """An output, and what asks other tools to keep it."""
    cell.outputs = [nbformat.v4.new_output("stream", text="leaked")]
    cell.metadata.update(metadata)


def test_the_commit_hook_strips_what_the_check_looks_for():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    (clean,) = (hook["entry"] for hook in hooks if hook["id"] == "clean-notebook")
    assert clean == " ".join(["python", *door.CLEAN])


@pytest.mark.parametrize("room", ["notebooks", "labs", "data"])
def test_a_secret_in_what_is_published_is_found(room, tmp_path, monkeypatch):
    monkeypatch.setattr(door, "ROOT", tmp_path)
    monkeypatch.setattr(door, "call", lambda *command: subprocess.run([sys.executable, *command], cwd=ROOT).returncode)
    (tmp_path / room).mkdir()
    (tmp_path / "tests").mkdir()
    secret = "gh" + "p_aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2"
    (tmp_path / "tests" / "made_up.py").write_text(f"token = '{secret}'")
    assert door._no_secrets() == 0
    (tmp_path / room / "a.txt").write_text(f"token = '{secret}'")
    assert door._no_secrets() == 1

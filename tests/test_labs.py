"""Labs: one source, no trace of a solution, nothing drifts, and both sides run from top to bottom."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from authoring import ROOT, UserError, door, labs
from authoring.address import Address, written
from authoring.execute import execute_all
from classroom.questions import labs as all_labs
from classroom.questions import questions_of

ADDRESS = Address.configured()
SOURCES = sorted((ROOT / "solutions").glob("*.ipynb"))
each_lab = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
DOTS = {1: "●○○", 2: "●●○", 3: "●●●"}
# In a lab, what a learner writes may import this much of the package: a grading has no more.
IN_THE_JAIL = {"classroom.check", "classroom.lesson", "mlsecops.salary"}


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def text(cell):
    return "".join(cell["source"])


@pytest.fixture
def course(tmp_path):
    """A small copy of what building needs, as a git checkout."""
    root = tmp_path / "course"
    for name in ("solutions", "labs"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "pyproject.toml", root)
    for name, content in {
        "grader/judge.py": "",
        "classroom/check.py": "",
        "tests/test_judge.py": "from grader import judge",
        "tests/test_labs.py": "'solutions'",
        "tests/test_check.py": "from tests.mutants import solved",
        "tests/test_lesson.py": "",
        "tests/mutants/h2a.py": "",
        "tests/attacks/fork.py": "",
        "build/run.json": "{}",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / ".gitignore").write_text("build/\n")
    subprocess.run(["git", "init", "-q", "."], cwd=root, check=True)
    return root


# --- no drift ---


def test_every_lab_has_its_source():
    assert [path.stem for path in SOURCES] == [f"{lab}_lab" for lab in all_labs()]


def test_labs_are_what_their_sources_say():
    assert labs.build(check=True) == 0, "run: python course.py build"


def test_building_twice_gives_the_same_bytes(course):
    labs.build(root=course)
    before = {path: path.read_bytes() for path in course.glob("*/*.ipynb")}
    assert labs.build(root=course) == 0
    assert {path: path.read_bytes() for path in course.glob("*/*.ipynb")} == before


@pytest.mark.parametrize("change", ("edited lab", "edited source", "stale lab", "missing lab", "old set-up cell"))
def test_check_fails_on_any_drift_and_build_puts_it_right(course, change, capsys):
    lab, source = course / "labs" / "H2b_lab.ipynb", course / "solutions" / "H2b_lab.ipynb"
    if change == "edited lab":
        lab.write_text(lab.read_text(encoding="utf-8").replace("red-team", "blue-team", 1) + " ", encoding="utf-8")
    elif change == "edited source":
        source.write_text(source.read_text(encoding="utf-8").replace("Change", "Swap").replace("scenario", "story"))
    elif change == "stale lab":
        shutil.copy(lab, course / "labs" / "H9_lab.ipynb")
    elif change == "missing lab":
        lab.unlink()
    else:
        source.write_text(
            source.read_text(encoding="utf-8").replace("Safe to run twice.", "Run once."), encoding="utf-8"
        )
    assert labs.build(check=True, root=course) == 1
    assert ".ipynb" in capsys.readouterr().out
    assert labs.build(root=course) == 0
    assert labs.build(check=True, root=course) == 0
    assert not (course / "labs" / "H9_lab.ipynb").exists()


# --- no trace of a solution ---


def traces(source, lab):
    """Lines of 20 characters and more of a solution region that stand in the lab, outside of what was given anyway."""
    given = "\n".join(labs.REGION.sub("", text(cell)) for cell in source["cells"] if "solution" not in tags(cell))
    shown = json.dumps(lab, ensure_ascii=False)
    lines = {line.strip() for region in labs.regions(source) for line in region.splitlines()}
    long_enough = {line for line in lines if len(line) >= 20 and line not in given}
    return sorted(line for line in long_enough if json.dumps(line, ensure_ascii=False)[1:-1] in shown)


def tags(cell):
    return cell["metadata"].get("tags", [])


@each_lab
def test_no_line_of_a_solution_is_left_in_the_lab(path):
    source, lab = read(path), read(ROOT / "labs" / path.name)
    assert len(labs.regions(source)) >= 6
    assert sum(len(region.splitlines()) for region in labs.regions(source)) > 60
    assert not traces(source, lab)
    assert "SOLUTION" not in json.dumps(lab) and not any("solution" in tags(cell) for cell in lab["cells"])


@each_lab
def test_a_left_over_line_would_be_noticed(path):
    source, lab = read(path), read(ROOT / "labs" / path.name)
    line = max(labs.regions(source)[0].splitlines(), key=len)
    lab["cells"][-1]["source"] = [f"# {line.strip()}"]
    assert traces(source, lab)


@each_lab
def test_outputs_and_hidden_metadata_stay_behind(path):
    source = read(path)
    cell = next(cell for cell in source["cells"] if "solution" in tags(cell))
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "the answer is swordfish"}]
    cell["metadata"]["note"] = "the answer is swordfish"
    source["metadata"]["note"] = "the answer is swordfish"
    assert "swordfish" not in json.dumps(labs.blank(source, path.name, ADDRESS))


@pytest.mark.parametrize("damage", ("no region", "no end", "no stub"))
def test_a_solution_that_cannot_be_taken_out_stops_the_build(course, damage):
    path = course / "solutions" / "H2b_lab.ipynb"
    notebook = read(path)
    if damage == "no stub":
        cell = next(c for c in notebook["cells"] if "solution" in tags(c) and c["cell_type"] == "markdown")
        del cell["metadata"]["mlsecops"]["stub"]
    else:
        cell = next(c for c in notebook["cells"] if "solution" in tags(c) and c["cell_type"] == "code")
        dropped = ("BEGIN SOLUTION", "END SOLUTION") if damage == "no region" else ("END SOLUTION",)
        cell["source"] = [line for line in cell["source"] if not any(word in line for word in dropped)]
    path.write_text(written(notebook), encoding="utf-8")
    with pytest.raises(UserError, match=cell["id"]):
        labs.build(root=course)


# --- the form of a lab ---


@each_lab
def test_a_lab_keeps_to_its_template(path):
    notebook = read(ROOT / "labs" / path.name)
    nbformat.validate(nbformat.from_dict(copy.deepcopy(notebook)))
    lab, cells = path.stem.split("_")[0], notebook["cells"]
    by_id = {cell["id"]: cell for cell in cells}
    assert len(by_id) == len(cells)
    assert all(re.fullmatch(rf"{lab.lower()}-lab-[a-z0-9-]+", name) for name in by_id)
    assert all(cell["metadata"]["mlsecops"]["id"] == cell["id"] for cell in cells), "Colab renames ids"
    assert f"/labs/{path.name}" in text(cells[0]) and cells[0]["source"][0].startswith("# ")
    order = list(by_id)
    for number, asked in enumerate(questions_of(lab), 1):
        start = order.index(f"{lab.lower()}-lab-q{number}")
        prompt, line = text(cells[start]), f"`{asked.id}` · {asked.minutes} minutes · {DOTS[asked.difficulty]} · "
        assert line + ", ".join(asked.controls) in prompt and asked.title in prompt
        here = [name.removeprefix(f"{lab.lower()}-lab-q{number}-") for name in order[start + 1 : start + 5]]
        assert [name for name in here if name != "given"][:3] == ["answer", "check", "hint"]
        answer = by_id[f"{lab.lower()}-lab-q{number}-answer"]
        assert f"def {asked.entry}(" in text(answer) and f'raise NotImplementedError("{asked.id}")' in text(answer)
        assert text(by_id[f"{lab.lower()}-lab-q{number}-check"]) == f'check("{asked.id}", {asked.entry})'
    ends = [f"{lab.lower()}-lab-{name}" for name in ("redteam", "reflection", "report")]
    assert [name for name in order if name in ends] == ends and order[-1] == ends[-1]
    assert str(sum(asked.minutes for asked in questions_of(lab))) + " minutes" in text(cells[0])


@each_lab
def test_a_lab_imports_only_what_a_grading_has(path):
    for notebook in (read(path), read(ROOT / "labs" / path.name)):
        code = "\n".join(text(cell) for cell in notebook["cells"] if cell["cell_type"] == "code")
        imported = set(re.findall(r"(?:from|import) ((?:mlsecops|classroom)[\w.]*)", code))
        assert imported <= IN_THE_JAIL, imported


@each_lab
def test_a_solution_reads_again_where_the_lesson_says_it(path):
    """`reread` names a heading of the lesson, once the lesson is there."""
    lab = path.stem.split("_")[0]
    lesson = next((ROOT / "notebooks").glob(f"{lab}_*.ipynb"), None)
    if lesson is None:
        pytest.skip(f"lesson {lab} is not there yet")
    headings = {
        line.lstrip("# ").strip()
        for cell in read(lesson)["cells"]
        if cell["cell_type"] == "markdown"
        for line in text(cell).splitlines()
        if line.startswith("#")
    }
    for asked in questions_of(lab):
        assert asked.reread.split(", ", 1)[1].strip('"') in headings, (asked.id, asked.reread, headings)


# --- from top to bottom ---


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Blank labs and solutions, run in fresh kernels as a learner would with *Run All*; (folder, stem) to outcome."""
    build = tmp_path_factory.mktemp("labs")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA"):
            patch.setenv(name, str(build / "config"))
        paths = []
        for folder in ("labs", "solutions"):
            for path in sorted((ROOT / folder).glob("*.ipynb")):
                copied = ROOT / folder / path.name
                paths.append((folder, copied))
        outcomes = {}
        for folder in ("labs", "solutions"):
            chosen = [path for name, path in paths if name == folder]
            for outcome in execute_all(chosen, build / folder, fast=True):
                outcomes[folder, outcome.name] = outcome
    return outcomes


@each_lab
def test_run_all_on_a_blank_lab_finishes_and_shows_every_question_as_todo(executed, path):
    outcome = executed["labs", path.stem]
    assert outcome.status == "ok", outcome.error
    lab = path.stem.split("_")[0]
    assert {asked.id: outcome.results[asked.id] for asked in questions_of(lab)} == {
        asked.id: "todo" for asked in questions_of(lab)
    }


@each_lab
def test_a_solution_runs_and_gets_full_marks_on_every_card(executed, path):
    outcome = executed["solutions", path.stem]
    assert outcome.status == "ok", outcome.error
    lab = path.stem.split("_")[0]
    assert all(outcome.results[asked.id] == 1 for asked in questions_of(lab)), outcome.results


# --- the student copy ---


def test_a_student_copy_holds_no_solution_no_grader_and_no_tests_of_them(course, tmp_path):
    target = tmp_path / "students"
    assert labs.release(target, root=course) == 0
    files = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert files == {
        ".gitignore",
        *(f"labs/{path.name}" for path in (ROOT / "solutions").glob("*.ipynb")),
        "classroom/check.py",
        "pyproject.toml",
        "tests/test_lesson.py",
    }
    with pytest.raises(UserError, match="not empty"):
        labs.release(target, root=course)
    with pytest.raises(UserError, match="nothing to build"):
        labs.build(root=target)


def test_a_student_copy_is_refused_inside_the_course_and_with_old_labs(course, tmp_path):
    with pytest.raises(UserError, match="outside"):
        labs.release(course / "students", root=course)
    (course / "labs" / "H2a_lab.ipynb").unlink()
    with pytest.raises(UserError, match="build first"):
        labs.release(tmp_path / "students", root=course)
    assert not (tmp_path / "students").exists()


def test_the_commands(course, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(labs, "build", lambda check: 0 if check else 3)
    monkeypatch.setattr(labs, "release", lambda folder: (_ for _ in ()).throw(UserError(f"{Path(folder).name} in use")))
    assert door.main(["build", "--check"]) == 0
    assert door.main(["build"]) == 3
    assert door.main(["release", str(tmp_path)]) == 1
    assert f"{tmp_path.name} in use" in capsys.readouterr().err

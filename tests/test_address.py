"""The public address: written from one setting, and every place that differs is found."""

import argparse
import json

import nbformat
import pytest

from authoring import NOTEBOOKS, UserError, address
from authoring.address import Address

HERE = Address("my-school", "mlsecops", "v1.0")
README = """# Course
<!-- lessons -->
<!-- /lessons -->
Clone https://github.com/somebody/course and https://github.com/somebody/course-notes.
"""
PYPROJECT = """[tool.mlsecops.address]
owner = "somebody"
repo = "course"
ref = "main"

[tool.ruff]
owner = "untouched"
"""


def options(check=False, set=None, expect=None):
    return argparse.Namespace(check=check, set=set, expect=expect)


@pytest.fixture
def checkout(tmp_path):
    """A course of two lessons whose address has been written into everything."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "notebooks").mkdir()
    for name, title in (("00_start_here", "Start"), ("H1_first", "H1. First"), ("H2b_second", "H2b. Second | lesson")):
        cells = [
            nbformat.v4.new_markdown_cell(
                f"# {title}\n\nbadge\n\nWhy – you ask.\n\n*40 minutes · needs: nothing.*", id="t"
            ),
            nbformat.v4.new_code_cell("", id="s", metadata={"tags": ["setup", "parameters"]}),
            nbformat.v4.new_markdown_cell("", id="start-lessons" if name[0] == "0" else "other"),
            nbformat.v4.new_markdown_cell("", id="n", metadata={"tags": ["navigation"]}),
        ]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
    assert address.run(options(), tmp_path) == 0
    return tmp_path


def cell(checkout, name, identifier):
    notebook = nbformat.read(checkout / "notebooks" / f"{name}.ipynb", as_version=4)
    return next(cell.source for cell in notebook.cells if cell.id == identifier)


def test_everything_is_written_from_the_setting(checkout):
    opens = "https://colab.research.google.com/github/somebody/course/blob/main/notebooks/H2b_second.ipynb"
    assert opens in cell(checkout, "H2b_second", "t")
    assert "badge\n" not in cell(checkout, "H2b_second", "t")
    assert 'setup("H2b")' in cell(checkout, "H2b_second", "s")
    assert '"--branch=main"' in cell(checkout, "H2b_second", "s")
    assert f"**Next:** [H2b. Second | lesson](H2b_second.ipynb) ([in Colab]({opens}))" in cell(
        checkout, "H1_first", "n"
    )
    assert "Next" not in cell(checkout, "H2b_second", "n") and "00_start_here.ipynb" in cell(
        checkout, "H2b_second", "n"
    )
    readme = (checkout / "README.md").read_text()
    assert r"| [H2b. Second \| lesson](notebooks/H2b_second.ipynb) | 40 |" in readme and opens in readme
    assert "[H1. First](H1_first.ipynb)" in cell(checkout, "00_start_here", "start-lessons")
    assert "[Start]" not in cell(checkout, "00_start_here", "start-lessons")


def test_a_lab_is_linked_from_its_lesson_and_the_tables(checkout):
    (checkout / "labs").mkdir()
    lab = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Lab H1. Try\n\n*20 minutes*", id="t")])
    nbformat.write(lab, checkout / "labs" / "H1_lab.ipynb")
    assert address.run(options(check=True), checkout) == 1
    assert address.run(options(), checkout) == 0
    assert "[Lab H1. Try](../labs/H1_lab.ipynb)" in cell(checkout, "H1_first", "n")
    assert "blob/main/labs/H1_lab.ipynb" in cell(checkout, "H1_first", "n")
    assert "Lab" not in cell(checkout, "H2b_second", "n")
    assert "| [Lab H1. Try](labs/H1_lab.ipynb) | 20 |" in (checkout / "README.md").read_text()
    assert "| [Lab H1. Try](../labs/H1_lab.ipynb) | 20 |" in cell(checkout, "00_start_here", "start-lessons")


def test_writing_twice_changes_nothing_and_keeps_the_form_of_nbformat(checkout):
    files = [*(checkout / "notebooks").iterdir(), checkout / "README.md"]
    before = [file.read_bytes() for file in files]
    assert address.run(options(), checkout) == 0
    assert [file.read_bytes() for file in files] == before
    for path in (checkout / "notebooks").iterdir():
        assert path.read_text(encoding="utf-8") == nbformat.writes(nbformat.read(path, as_version=4)) + "\n"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("notebooks/H1_first.ipynb", "blob/main/notebooks/H1_first", "blob/other/notebooks/H1_first"),
        ("notebooks/H1_first.ipynb", "--branch=main", "--branch=elsewhere"),
        ("notebooks/H1_first.ipynb", "**Next:**", "**Then:**"),
        ("notebooks/00_start_here.ipynb", "| 40 |", "| 41 |"),
        ("README.md", "| 40 |", "| 41 |"),
        ("README.md", "/somebody/course/blob", "/nobody/course/blob"),
    ],
)
def test_check_finds_each_difference_and_changes_nothing(checkout, capsys, file, old, new):
    assert address.run(options(check=True), checkout) == 0
    path = checkout / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    altered = path.read_bytes()
    assert address.run(options(check=True), checkout) == 1
    assert file in capsys.readouterr().out
    assert path.read_bytes() == altered
    assert address.run(options(), checkout) == 0
    assert path.read_text(encoding="utf-8") == text


def test_a_new_address_reaches_every_place_and_no_other(checkout):
    assert address.run(options(set="my-school/mlsecops@v1.0"), checkout) == 0
    assert Address.configured(checkout) == HERE
    assert 'owner = "untouched"' in (checkout / "pyproject.toml").read_text()
    readme = (checkout / "README.md").read_text()
    assert "https://github.com/my-school/mlsecops and https://github.com/somebody/course-notes." in readme
    for path in (checkout / "notebooks").iterdir():
        assert "somebody" not in path.read_text()
        assert "my-school/mlsecops" in path.read_text()


def test_the_repository_it_runs_in_is_compared(checkout, capsys):
    assert address.run(options(check=True, expect="Somebody/Course"), checkout) == 0
    assert address.run(options(check=True, expect="my-school/mlsecops"), checkout) == 1
    assert "address --set my-school/mlsecops@main" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["", "owner", "owner/repo", 'a/b@c"; import os', "a/b/c@d", "-a/b@c", "a/b@-c", "a/b@c d"]
)
def test_what_could_not_be_an_address_is_refused(text):
    with pytest.raises(UserError):
        Address.parse(text)


def test_a_cut_off_notebook_is_told_in_one_sentence(checkout):
    path = checkout / "notebooks" / "H1_first.ipynb"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(UserError, match=r"H1_first\.ipynb is not a whole notebook"):
        address.run(options(check=True), checkout)


def test_the_setup_cell_is_found_by_papermill(tmp_path):
    from papermill import inspect_notebook

    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    code = nbformat.v4.new_code_cell(HERE.setup_cell("H1"), metadata={"tags": ["setup", "parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[code], metadata=metadata), tmp_path / "H1.ipynb")
    found = inspect_notebook(tmp_path / "H1.ipynb")
    assert {name: found[name]["default"] for name in ("SEED", "FAST")} == {"SEED": "7", "FAST": "False"}


def test_written_is_what_nbformat_writes():
    for path in NOTEBOOKS.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        assert address.written(json.loads(nbformat.writes(notebook))) == nbformat.writes(notebook) + "\n"

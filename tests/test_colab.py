"""The set-up cell in Colab: run in a real kernel, with Colab and GitHub played by stand-ins."""

import os
import shutil
import subprocess

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from authoring import ROOT, lesson_id, lessons
from authoring.address import Address
from authoring.execute import OwnKernel

STARTUP = """
import sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
"""
GIT = {
    "GIT_AUTHOR_NAME": "nobody",
    "GIT_AUTHOR_EMAIL": "nobody@example.org",
    "GIT_COMMITTER_NAME": "nobody",
    "GIT_COMMITTER_EMAIL": "nobody@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A repository with the files of this working tree, as if they had been pushed: the address to clone it from."""
    folder = tmp_path_factory.mktemp("published") / "course"
    for name in ("mlsecops", "classroom", "data"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", folder)
    for command in (
        ["init", "--quiet", f"--initial-branch={Address.configured().ref}"],
        ["add", "--all"],
        ["commit", "--quiet", "--message=published"],
    ):
        subprocess.run(["git", *command], cwd=folder, env=os.environ | GIT, check=True)
    return folder.as_uri()


@pytest.fixture
def colab(tmp_path):
    """A function that runs code cells in a kernel that takes itself for Colab's, GitHub being at `published`."""
    startup = tmp_path / "ipython" / "profile_default" / "startup" / "00-colab.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(STARTUP)
    content = tmp_path / "content"
    content.mkdir()
    here = Address.configured()

    def run(published: str, *cells: str) -> list[str]:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        client = NotebookClient(notebook, timeout=120, kernel_manager_class=OwnKernel)
        client.resources = {"metadata": {"path": str(content)}}
        redirect = {
            "IPYTHONDIR": str(tmp_path / "ipython"),
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": f"url.{published}.insteadOf",
            "GIT_CONFIG_VALUE_0": f"https://github.com/{here.owner}/{here.repo}",
            "GIT_CONFIG_KEY_1": "protocol.https.allow",  # nothing may leave this machine
            "GIT_CONFIG_VALUE_1": "never",
            "PIP_NO_INDEX": "1",
        }
        client.execute(env=os.environ | GIT | redirect)
        return ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]

    run.clone = content / here.repo
    return run


@pytest.mark.parametrize("lesson", [lesson_id(path) for path in lessons()])
def test_setup_clones_once_and_imports_from_the_clone(colab, published, lesson):
    cell = Address.configured().setup_cell(lesson)
    where = "import classroom.lesson; print(classroom.lesson.__file__)"
    first, second, path = colab(published, cell, cell, where)
    assert (colab.clone / ".git").is_dir()
    assert path.strip() == str(colab.clone / "classroom" / "lesson" / "__init__.py")
    assert "ready" in first and second == first


def test_a_failing_clone_stops_the_cell(colab, tmp_path):
    with pytest.raises(CellExecutionError, match=r"CalledProcessError.*git"):
        colab((tmp_path / "nowhere").as_uri(), Address.configured().setup_cell("H1"))
    assert not colab.clone.exists()


def test_outside_the_course_and_outside_colab_the_cell_says_where_to_go(tmp_path):
    cell = nbformat.v4.new_code_cell(Address.configured().setup_cell("H1"))
    client = NotebookClient(nbformat.v4.new_notebook(cells=[cell]), timeout=60, kernel_manager_class=OwnKernel)
    client.resources = {"metadata": {"path": str(tmp_path)}}
    with pytest.raises(CellExecutionError, match="Open this notebook from inside the course's folder"):
        client.execute()
    assert list(tmp_path.iterdir()) == []

"""What several test modules share: small notebooks made on the spot."""

from pathlib import Path

import nbformat
import pytest

SETUP = "SEED = 7\nFAST = False"


@pytest.fixture(scope="session")
def make_notebook():
    """A function that writes a notebook whose set-up cell is followed by the given code cells, and returns its path."""

    def make(path: Path, *code: str, setup: str = SETUP) -> Path:
        cells = [nbformat.v4.new_code_cell(setup, id="tiny-setup", metadata={"tags": ["setup", "parameters"]})]
        cells += [nbformat.v4.new_code_cell(text, id=f"tiny-cell-{n}") for n, text in enumerate(code, 1)]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return make

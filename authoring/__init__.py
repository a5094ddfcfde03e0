"""The course makers' side: set up, execute and check the lessons. Learners only meet it through course.py."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"


class UserError(Exception):
    """Something the user can put right; its one sentence is all that is shown."""


def lesson_id(path: Path) -> str:
    """The id of a lesson is its file name up to the first underscore: `H2b_model_files.ipynb` is `H2b`."""
    return path.stem.split("_")[0]


def lessons(only: str | None = None, folder: Path = NOTEBOOKS) -> list[Path]:
    """The lessons' notebooks, in teaching order.

    Args:
        only: keep the lesson with this id (any case) or its parts: `"H2"` keeps H2a and H2b.
        folder: where the notebooks lie.

    Raises:
        UserError: no lesson has that id, or there are no notebooks at all.
    """
    found = sorted(folder.glob("*.ipynb"))
    if not found:
        raise UserError(f"There are no notebooks in {folder}.")
    wanted = [path for path in found if only is None or _belongs(lesson_id(path).lower(), only.lower())]
    if not wanted:
        raise UserError(f"No lesson is called {only}. There are: {', '.join(map(lesson_id, found))}.")
    return wanted


def _belongs(identifier: str, only: str) -> bool:
    # "H2" stands for H2a and H2b, but "H1" must never stand for an H10.
    return identifier == only or (identifier[:-1] == only and identifier[-1].isalpha())

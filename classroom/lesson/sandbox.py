"""Set-up, and a place to attack in: a temporary folder, a canary, a recorder that tells what a child process did."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# --- set-up ---------------------------------------------------------------------------------------------------------


def setup(lesson: str) -> None:
    """Make the lesson ready to run and print the versions it runs on.

    On your own computer nothing is installed or changed. In Colab the lesson's few small tools are installed, at the
    versions that this course pins.

    Args:
        lesson: the lesson's id, such as `"H2b"`.

    Raises:
        RuntimeError: in Colab, when the tools cannot be installed.
    """
    if "google.colab" in sys.modules:
        _install_in_colab(_tools_of(lesson))
    _style_figures()
    versions = [f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "pandas")]
    print(" · ".join([lesson, f"Python {platform.python_version()}", *versions, "ready"]))


def _tools_of(lesson: str) -> tuple[str, ...]:
    from classroom.questions import lab_of, labs  # here, because a grading has no questions to look into

    return lab_of(lesson).colab_tools if lesson in labs() else ()


def _install_in_colab(tools: Sequence[str]) -> None:
    pins = dict(
        line.split(";")[0].strip().split("==")
        for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    wanted = [f"{tool}=={pins[tool.split('[')[0]]}" for tool in tools if not _installed(tool.split("[")[0])]
    if not wanted:
        return
    print("installing", ", ".join(wanted))
    command = [sys.executable, "-m", "pip", "install", "--quiet", *wanted]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - our own pinned names
    if done.returncode:
        raise RuntimeError("Could not install this lesson's tools:\n" + done.stderr[-600:])


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _style_figures() -> None:
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "figure.figsize": (8, 3.2),
            "figure.dpi": 110,
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "legend.frameon": False,
            "svg.hashsalt": "mlsecops",
        }
    )


# --- a place to attack ----------------------------------------------------------------------------------------------


def workspace() -> Path:
    """A fresh temporary directory, removed when the kernel ends. A lesson's attacks happen in here and nowhere else."""
    folder = tempfile.TemporaryDirectory(prefix="mlsecops-", ignore_cleanup_errors=True)
    path = Path(folder.name).resolve()
    _WORKSPACES[path] = folder
    return path


def keep(lesson: str, *files: Path) -> list[Path]:
    """Copy files out of the workspace, for a later lesson: to `build/kept/LESSON` in the course's folder.

    A lesson that is run again replaces what it kept before.

    Args:
        lesson: the lesson's id, such as `"H3"`.
        files: what to keep; the names stay.

    Returns:
        The copies.

    Raises:
        OSError: the course's folder cannot be written to.
    """
    folder = ROOT / "build" / "kept" / lesson
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        # In one step: a lesson that runs twice at once must not leave half of one and half of the other.
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy:
            copy.write(file.read_bytes())
        Path(copy.name).replace(folder / file.name)
    return [folder / file.name for file in files]


# Keeps the directories alive for the life of the kernel; TemporaryDirectory's own finalizer removes them at exit.
_WORKSPACES: dict[Path, tempfile.TemporaryDirectory] = {}


class Canary:
    """A small file that nothing should ever touch. If it changes, somebody else's code ran.

    Args:
        folder: where the file lies; a `workspace()`.
        name: its file name.
    """

    SONG = "alive\n"

    def __init__(self, folder: Path, name: str = "canary.txt"):
        self.path = Path(folder) / name
        self.revive()

    def revive(self) -> Canary:
        """Put the canary back, for the next attack."""
        self.path.write_text(self.SONG, encoding="utf-8")
        return self

    @property
    def alive(self) -> bool:
        """True while the file is as it was."""
        return self.path.exists() and self.path.read_text(encoding="utf-8") == self.SONG

    def __repr__(self) -> str:
        return "canary: alive" if self.alive else "canary: TOUCHED, code ran"


# --- the flight recorder --------------------------------------------------------------------------------------------

# Runs first in the child process. Python reports every security-relevant action to audit hooks (PEP 578), and a hook
# cannot be removed again. Still, code in the same process could tamper with the recorder: it shows what an attack does,
# it is no jail.
_RECORDER = """
import json, os, sys
sys.path.append({root!r})
_tape = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
_watched = {watched!r}
def _note(event, args):
    if event not in _watched or not _armed:
        return
    if event == "open" and (not isinstance(args[1], str) or not set(args[1]) & set("wax+")):
        return
    if event == "exec" and getattr(args[0], "co_filename", "")[:1] != "<":
        return
    if event == "exec" and "frozen" in args[0].co_filename:
        return
    detail = ".".join(map(str, args[:2])) if event == "pickle.find_class" else str(args[0])
    if event == "subprocess.Popen":
        detail = str(args[1])
    _tape.write(json.dumps([event, detail]) + chr(10)); _tape.flush()
_armed = False
sys.addaudithook(_note)
"""
_WATCHED = (
    "pickle.find_class",
    "os.system",
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.putenv",
    "open",
    "exec",
    "socket.connect",
    "socket.bind",
    "urllib.Request",
)


@dataclasses.dataclass(frozen=True)
class Recording:
    """What a child process did: `events` in order, as `(what, detail)`, and the error that ended it, if any."""

    events: tuple[tuple[str, str], ...]
    error: str
    output: str

    @property
    def finished(self) -> bool:
        """True when the code ran to its end."""
        return not self.error

    def _repr_html_(self) -> str:
        import html

        rows = "".join(
            f"<tr><td style='text-align:left'><code>{html.escape(what)}</code></td>"
            f"<td style='text-align:left'><code>{html.escape(detail)}</code></td></tr>"
            for what, detail in self.events
        )
        head = "<tr><th style='text-align:left'>event</th><th style='text-align:left'>detail</th></tr>"
        return f"<table>{head}{rows}</table><p>{html.escape(self._ending())}</p>"

    def __repr__(self) -> str:
        lines = [f"{what:<18} {detail}" for what, detail in self.events]
        return "\n".join([*lines, self._ending()])

    def _ending(self) -> str:
        return f"ended with {self.error}" if self.error else "ran to its end"


def run_recorded(code: str, folder: Path, *, before: str = "", timeout: float = 120) -> Recording:
    """Run code in a child process and record what it does: classes looked up, commands, files written, connections.

    Args:
        code: Python source, run with `folder` as the current directory. It can import this course's package.
        folder: a `workspace()`; its path is shortened to `.` in what is recorded.
        before: source that runs before the recorder is switched on, such as `"import torch"`, whose own start-up
            would only be noise on the tape.
        timeout: seconds until the child is killed.

    Returns:
        A `Recording`. A failing child is an outcome, not an exception: see `Recording.error`.
    """
    folder = Path(folder).resolve()
    source = _RECORDER.format(root=str(ROOT), watched=_WATCHED) + before + "\n_armed = True\n" + code
    keep = {
        name: os.environ[name]
        for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP", "HOME", "USERPROFILE")
        if name in os.environ
    }
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter on the lesson's own source
            [sys.executable, "-I", "-c", source],
            cwd=folder,
            env=keep,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return Recording((), f"no answer within {timeout:g} s", "")
    events = tuple(
        (what, _shorten(detail, folder)) for what, detail in map(json.loads, filter(None, done.stdout.splitlines()))
    )
    error, output = "", done.stderr
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line and not line.startswith(" ")]
        error = _shorten(lines[-1], folder) if lines else f"exit code {done.returncode}"
    return Recording(events, error, output)


def _shorten(text: str, folder: Path) -> str:
    text = text.replace(str(folder) + os.sep, "").replace(str(folder), ".")
    return re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", text)

"""What the lessons share: set-up, a sandbox that records what happens in it, and displays for measurements.

Every display here prints the same text on every run with the same seed; only `timing` depends on the clock, and it
keeps to one line so that one rule can blank it when a lesson is executed twice and compared.
"""

from __future__ import annotations

import base64
import dataclasses
import inspect
import io
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from time import perf_counter

from IPython.display import display

ROOT = Path(__file__).resolve().parent.parent

# Small tools that a lesson runs and Colab lacks. Their versions are the pins of requirements.txt.
# Heavy libraries are preinstalled in Colab and never touched: reinstalling numpy there forces a restart.
COLAB_TOOLS = {
    "H2a": ("pip-audit", "rapidfuzz", "zizmor"),
    "H2b": ("cyclonedx-python-lib[json-validation]", "picklescan"),
    "H3": ("pydantic-settings", "uvicorn"),
}

# Okabe-Ito: eight colors that stay apart for color-blind readers.
COLORS = {
    "attack": "#D55E00",
    "honest": "#0072B2",
    "accent": "#E69F00",
    "calm": "#009E73",
    "muted": "#999999",
}


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
        _install_in_colab(COLAB_TOOLS.get(lesson, ()))
    _style_figures()
    versions = [f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "pandas")]
    print(" · ".join([lesson, f"Python {platform.python_version()}", *versions, "ready"]))


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


# --- a service to attack --------------------------------------------------------------------------------------------

# The child watches its standard input from the first moment on. However the kernel ends (closed, interrupted, killed),
# the pipe closes with it, and the child ends, too. A session of its own keeps an interrupt of the kernel from it.
_SERVER = """
import os, sys, threading, time
sys.path.append({root!r})
_server = None
def _end_with_parent():
    while os.read(0, 4096):
        pass
    if _server is not None:
        _server.should_exit = True
        time.sleep(5)
    os._exit(0)
threading.Thread(target=_end_with_parent, daemon=True).start()
exec(compile({code!r}, "<service>", "exec"), globals())
import socket, uvicorn
_listener = socket.create_server(("127.0.0.1", 0))
_options = dict(log_level="error", access_log=False, timeout_graceful_shutdown=1, **{options!r})
_server = uvicorn.Server(uvicorn.Config(app, **_options))
print(chr(10) + "port", _listener.getsockname()[1], flush=True)
_server.run(sockets=[_listener])
sys.stderr.flush()
os._exit(0)  # all is closed; taking torch apart would cost another second
"""


class Service:
    """A web service in a child process, on a port of this computer that was free; started by `serve`.

    `url` is its address. Also a context manager, which stops it at the end of the block.
    """

    def __init__(self, code: str, folder: Path, environment: dict, timeout: float, options: dict):
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter on the lesson's own source
            [sys.executable, "-I", "-c", _SERVER.format(root=str(ROOT), code=code, options=options)],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            **_own_session(),
        )
        too_late = threading.Timer(timeout, self._process.kill)
        too_late.start()
        try:
            port = next((line.split()[1] for line in self._process.stdout if line.startswith(b"port ")), None)
        except BaseException:  # an interrupt while it starts
            self.stop()
            raise
        finally:
            too_late.cancel()
        if port is None:
            self._process.wait()
            lines = self.errors.strip().splitlines() or ["it ended without a word"]
            self.stop()
            raise RuntimeError(f"the service did not start: {lines[-1]}")
        self.port = int(port)
        self.url = f"{'https' if 'ssl_certfile' in options else 'http'}://127.0.0.1:{self.port}"

    @property
    def errors(self) -> str:
        """What the service has written to standard error so far."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    @property
    def running(self) -> bool:
        """True until the service has ended."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the service and wait for it; a second call does nothing."""
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()
        try:
            self._process.wait(timeout=8)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def __repr__(self) -> str:
        return "service: running" if self.running else "service: stopped"


def _own_session() -> dict:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def serve(
    code: str,
    folder: Path,
    *,
    environment: dict[str, str] | None = None,
    timeout: float = 60,
    **options,
) -> Service:
    """Start a web service that only this computer can reach, in a child process that ends when this one does.

    Args:
        code: Python source that defines `app`, an ASGI application. It can import this course's package.
        folder: a `workspace()`; the service's current directory.
        environment: variables that the service finds besides those of this process.
        timeout: seconds until a service that has not come up is killed.
        options: settings of `uvicorn.Config`, such as `proxy_headers=False`, or `ssl_certfile` and `ssl_keyfile`.

    Returns:
        The running `Service`.

    Raises:
        RuntimeError: the code failed, or took too long; with the last line of its error output.
    """
    return Service(code, Path(folder), environment or {}, timeout, options)


# --- displays of what was measured ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Defense:
    """How one defense did: `stopped` of `attacks` attacks, `accepted` of `honest` honest cases."""

    name: str
    stopped: int
    attacks: int
    accepted: int
    honest: int

    @classmethod
    def measure(cls, name: str, accepts, attacks: Sequence, honest: Sequence) -> Defense:
        """Put every case through `accepts(case) -> bool` and count both sides.

        A defense that raises on a case has not accepted it.
        """

        def accepted(case) -> bool:
            try:
                return bool(accepts(case))
            except Exception:
                return False

        stopped = sum(not accepted(case) for case in attacks)
        return cls(name, stopped, len(attacks), sum(map(accepted, honest)), len(honest))


def before_after(key: str, defenses: Sequence[Defense]) -> None:
    """Show one table and one plot: for each defense, how many attacks still succeed and how much honest work passes.

    Args:
        key: the name under which the figures go into `build/run.json`.
        defenses: in the order of the story, "no defense" first.
    """
    import matplotlib.pyplot as plt
    import pandas as pd

    table = pd.DataFrame(
        {
            "defense": [d.name for d in defenses],
            "attacks that succeed": [f"{d.attacks - d.stopped} of {d.attacks}" for d in defenses],
            "honest cases accepted": [f"{d.accepted} of {d.honest}" for d in defenses],
        }
    )
    _record({key: [dataclasses.asdict(d) for d in defenses]}, table.to_html(index=False), table.to_string(index=False))

    figure, axes = plt.subplots(1, 2, sharey=True, figsize=(8.5, 0.9 + 0.5 * len(defenses)))
    rows = range(len(defenses))[::-1]
    sides = (
        ("attacks that succeed (%)", "attack", [100 * (1 - d.stopped / d.attacks) for d in defenses]),
        ("honest cases accepted (%)", "honest", [100 * d.accepted / d.honest for d in defenses]),
    )
    for axis, (title, color, values) in zip(axes, sides, strict=True):
        axis.barh(rows, values, color=COLORS[color], height=0.6)
        for row, value in zip(rows, values, strict=True):
            axis.text(value + 2, row, f"{value:.0f}", va="center")
        axis.set(xlim=(0, 115), xticks=(0, 50, 100), title=title)
    axes[0].set_yticks(list(rows), [d.name for d in defenses])
    figure.tight_layout()
    told = "; ".join(
        f"{d.name}: {d.attacks - d.stopped} of {d.attacks} attacks succeed, {d.accepted} of {d.honest} honest accepted"
        for d in defenses
    )
    show(figure, alt=f"Two bar charts side by side. {told}.")


def show(figure, alt: str) -> None:
    """Show a matplotlib figure with a description that a screen reader can speak, and close it.

    JupyterLab gives matplotlib's own output no alternative text, so the picture goes out as an HTML image.

    Args:
        figure: a `matplotlib.figure.Figure`.
        alt: what a reader who cannot see the figure needs to know, numbers included.
    """
    import html

    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{data}" style="max-width:100%">'
    display({"text/html": image, "text/plain": f"[figure] {alt}"}, raw=True)


def measured(label: str, value: float | int | str, unit: str = "") -> None:
    """Print one measured value on a line and keep it for `build/run.json`.

    Args:
        label: what was measured.
        value: the figure; floats are shown with three significant digits.
        unit: shown after the figure.
    """
    shown = f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else value
    shown = f"{shown:,.0f}" if isinstance(shown, float) else shown
    _record({label: value}, None, f"{label}: {shown} {unit}".rstrip())


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Measure a block: `with stopwatch() as seconds: ...`; afterwards `seconds[0]` holds the time it took."""
    seconds = [0.0]
    start = perf_counter()
    try:
        yield seconds
    finally:
        seconds[0] = perf_counter() - start


def timing(**seconds: float) -> None:
    """Show durations side by side, each also as a multiple of the first: the cost of a defense.

    The only display that depends on the clock: one line that starts with `timing:`.

    Args:
        seconds: name=duration in seconds; underscores in names are shown as spaces.
    """
    base = next(iter(seconds.values()))
    parts = [f"{name.replace('_', ' ')} {_duration(s)} (×{s / base:.2g})" for name, s in seconds.items()]
    _record({"timing": seconds}, None, "timing: " + " · ".join(parts))


def _duration(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _record(results: dict, html_text: str | None, text: str) -> None:
    # The figures travel in the output's metadata, which is kept in the executed notebook but shown to nobody.
    data = {"text/plain": text} | ({"text/html": html_text} if html_text else {})
    display(data, raw=True, metadata={"mlsecops": results})


def show_source(*things) -> None:
    """Show the source of functions or classes of this package, highlighted: what a lesson uses, it shows once."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    source = "\n\n".join(inspect.getsource(thing).rstrip() for thing in things)
    page = highlight(source, PythonLexer(), HtmlFormatter(noclasses=True, nobackground=True))
    display({"text/html": page, "text/plain": source}, raw=True)

"""Make `.venv` and install the pinned packages into it, once. Standard library only: it runs before anything is there.

A stamp, written last, says what was installed; while it matches, set-up costs one file read. Whatever interrupts an
installation leaves no stamp, and the next call goes on from there.
"""

# ruff: noqa: S603 - only our own commands

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from authoring import BUILD, ROOT, UserError

VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOG = BUILD / "install.log"
# PyPI's Linux build of torch brings several GB of CUDA libraries; PyTorch's own index has a build without them.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
SPACE_NEEDED = 3 * 10**9  # bytes; an installation takes 1.6 GB, its downloads a part of that again

# What pip says, and what it means for the person who reads it. The first match wins.
REASONS = (
    (
        r"No space left on device|Errno 28|not enough space on the disk",
        "The disk is full. Free about 3 GB and call this again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The connection to PyPI could not be verified (often a company proxy): give pip your certificate with "
        "PIP_CERT, then call this again.",
    ),
    (
        r"name resolution|NewConnectionError|ConnectTimeout|Network is unreachable|getaddrinfo failed|"
        r"Name or service not known|nodename nor servname|Connection refused|Read timed out|ProxyError",
        "PyPI could not be reached. Set-up needs the network once: connect and call this again.",
    ),
    (
        r"Permission denied|Errno 13|Read-only file system|Errno 30",
        f"{ROOT} cannot be written to. Copy the course to a folder of your own.",
    ),
)


def set_up(requirements: str) -> None:
    """Bring `.venv` to the state that a requirements file describes; returns at once when it is there already.

    Args:
        requirements: `"requirements.txt"`, or `"requirements-test.txt"`, which holds the same pins and more.

    Raises:
        UserError: with the one sentence that says what to do.
    """
    wanted = ROOT / requirements
    if _stamp(wanted).is_file() and _stamp(wanted).read_text() == _fingerprint(wanted) and PYTHON.exists():
        return
    if (sys.platform, platform.machine()) == ("darwin", "x86_64"):
        raise UserError("PyTorch is no longer built for Intel Macs: open the lessons in Colab instead.")
    started = time.monotonic()
    with _readable_errors():
        BUILD.mkdir(exist_ok=True)
        LOG.write_text("")
        if not _venv_works():
            _check_space()
            _make_venv()
        for stamp in VENV.glob(".course-*"):
            stamp.unlink()
        _remove_half_installed()
        _install_cpu_torch(wanted)
        _pip(["-r", str(wanted)], _count(wanted), started)
        _stamp(wanted).write_text(_fingerprint(wanted))
        if requirements != "requirements.txt":
            learner = ROOT / "requirements.txt"
            _stamp(learner).write_text(_fingerprint(learner))
    print(f"Set up in {time.monotonic() - started:.0f} s.")


@contextmanager
def _readable_errors():
    try:
        yield
    except OSError as error:
        for pattern, sentence in REASONS:
            if re.search(pattern, str(error)):
                raise UserError(sentence) from error
        raise UserError(f"Set-up failed: {error}.") from error


def _stamp(requirements: Path) -> Path:
    return VENV / f".course-{requirements.stem}"


def _fingerprint(requirements: Path) -> str:
    # The version is that of .venv, which stays in use whichever Python opens the door next.
    config = VENV / "pyvenv.cfg"
    version = re.search(r"^version\w* *= *(\d+\.\d+)", config.read_text(), re.MULTILINE) if config.is_file() else None
    content = requirements.read_text(encoding="utf-8").encode()
    return f"{hashlib.sha256(content).hexdigest()} Python {version[1] if version else 'missing'}\n"


def _check_space() -> None:
    for folder in (ROOT, Path(tempfile.gettempdir())):
        free = shutil.disk_usage(folder).free
        if free < SPACE_NEEDED:
            raise UserError(f"Set-up needs 3 GB of free disk space; {folder} has {free / 1e9:.1f} GB.")


def _venv_works() -> bool:
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    if not (PYTHON.exists() and (VENV / "pyvenv.cfg").is_file()):
        return False
    return subprocess.run([PYTHON, "-c", probe], capture_output=True).returncode == 0


def _make_venv() -> None:
    try:
        import ensurepip  # noqa: F401 - Debian and Ubuntu package it apart, and venv fails late without it
        import venv  # noqa: F401
    except ImportError:
        raise UserError(
            "This Python cannot make virtual environments. "
            "On Debian and Ubuntu: sudo apt install python3-venv, then call this again."
        ) from None
    print("making .venv", flush=True)
    # The base interpreter: one .venv made from inside another would depend on it.
    base = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run([base, "-m", "venv", "--clear", VENV], capture_output=True, text=True)
    if done.returncode:
        LOG.write_text(done.stdout + done.stderr)
        raise UserError(_explain("Making .venv failed", done.stdout + done.stderr))


def _site_packages() -> Path:
    return next(iter(VENV.glob("[Ll]ib/python*/site-packages")), VENV / "Lib" / "site-packages")


def _remove_half_installed() -> None:
    # pip writes RECORD last and sets replaced packages aside under a name with "~". What an interruption left behind
    # would otherwise pass for installed.
    site = _site_packages()
    half = [folder for folder in site.glob("*.dist-info") if not (folder / "RECORD").is_file()]
    for folder in [*half, *site.glob("~*")]:
        shutil.rmtree(folder, ignore_errors=True)


def _install_cpu_torch(requirements: Path) -> None:
    pin = re.search(r"^torch==([\w.]+)", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    if not (pin and sys.platform == "linux" and platform.machine() == "x86_64") or _has_nvidia():
        return
    if any(_site_packages().glob(f"torch-{pin[1]}*.dist-info")):
        return
    try:
        urllib.request.urlopen(f"{CPU_INDEX}/torch/", timeout=4).close()  # noqa: S310
    except (OSError, ValueError):
        return  # the default index has a torch too, only a larger one
    try:
        # Alone and from one index: its dependencies come from the pinned list afterwards.
        _pip(["--no-deps", "--index-url", CPU_INDEX, pin[0]], 1, time.monotonic())
    except UserError as error:
        print(f"{error}\nGoing on with torch from the default index.")


def _has_nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _count(requirements: Path) -> int:
    # Lines with a marker may be for other systems, so this is an upper bound; it only scales the progress line.
    return sum("==" in line and ";" not in line for line in requirements.read_text(encoding="utf-8").splitlines())


def _pip(arguments: list[str], total: int, started: float) -> None:
    """Run one `pip install`, showing what it is at on one line and keeping all it says in the log."""
    command = [PYTHON, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    env = {**os.environ, "PIP_USER": "0", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    line, said, doing = ProgressLine(started), [], "starting pip"
    with LOG.open("a", encoding="utf-8") as log, LOG.open(encoding="utf-8", errors="replace") as lines:
        lines.seek(0, os.SEEK_END)
        pip = subprocess.Popen([*command, *arguments], stdout=log, stderr=subprocess.STDOUT, env=env)
        try:
            running = True
            while running:
                running = pip.poll() is None
                for text in lines:
                    said.append(text)
                    doing = _doing(text) or doing
                line.show(_installed_count(doing, total))
                time.sleep(0.2 if running else 0)
        except KeyboardInterrupt:
            let_end(pip)
            raise
        finally:
            line.end()
    if pip.returncode:
        raise UserError(_explain("Installing the packages failed", "".join(said)))


def _doing(text: str) -> str | None:
    words = text.split()
    if words[:1] in (["Collecting"], ["Downloading"]) and len(words) > 1:
        return f"{words[0].lower()} {words[1].rsplit('/', 1)[-1]}" + (" " + " ".join(words[2:4]) if "(" in text else "")
    return "installing" if text.startswith("Installing collected") else None


def _installed_count(doing: str, total: int) -> str:
    if doing != "installing":
        return doing
    done = sum(1 for _ in _site_packages().glob("*.dist-info/RECORD"))
    return f"installing: {min(done, total)} of {total} packages"


def _explain(what: str, said: str) -> str:
    for pattern, sentence in REASONS:
        if re.search(pattern, said):
            return sentence
    errors = [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines()
    return "\n".join([f"{what}; all of it is in {LOG}. The last lines:", *errors[-5:]])


def let_end(process: subprocess.Popen) -> None:
    """After Ctrl-C, which has reached the child as well: give it time to tidy up before it is ended."""
    try:
        process.wait(timeout=15)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.terminate()


class ProgressLine:
    """One line that is rewritten in a terminal; in a log, a new line when something new happens, at most every 10 s."""

    def __init__(self, started: float):
        self.started, self._last, self._printed = started, "", 0.0

    def show(self, text: str) -> None:
        seconds = time.monotonic() - self.started
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            print("\r" + f"{seconds:4.0f} s  {text}"[:width].ljust(width), end="", flush=True)
        elif text != self._last and seconds - self._printed >= 10:
            print(f"{seconds:4.0f} s  {text}", flush=True)
            self._last, self._printed = text, seconds

    def end(self) -> None:
        if sys.stdout.isatty():
            print("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r", end="", flush=True)

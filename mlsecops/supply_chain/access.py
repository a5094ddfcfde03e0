"""An environment to try things in, code that runs at start-up without being imported, and who may read a file."""

import os
import stat
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from pathlib import Path

_NOBODY = 65534  # the account without rights, by convention

_TRY = """
import os, sys
folder, name = os.path.split(sys.argv[1])
os.chdir(folder)
if os.getuid() == 0:
    os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
try:
    open(name, "rb").close()
except PermissionError:
    sys.exit(13)
"""


def bare_environment(folder: Path) -> tuple[Path, Path]:
    """Make a virtual environment without packages, not even pip; return its Python and its package folder."""
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
    places = {"base": str(folder), "platbase": str(folder)}
    program = "python.exe" if os.name == "nt" else "python"
    scripts, packages = (sysconfig.get_path(kind, "venv", places) for kind in ("scripts", "purelib"))
    return Path(scripts) / program, Path(packages)


def quiet_environment() -> dict[str, str]:
    """Return this process's environment without proxies, and with pip's configuration switched off."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("PIP_", "PIPAPI_")) and not name.upper().endswith("_PROXY")
    }
    kept = {name: value for name, value in kept.items() if name not in ("FORCE_COLOR", "CLICOLOR_FORCE")}  # Jupyter's
    # pip's --isolated drops the user's configuration but not the machine's; this drops every configuration file.
    return kept | {"PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "*", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}


def startup_lines(folders: Iterable[Path]) -> list[tuple[str, str]]:
    """Return `(file name, line)` for each line of a `.pth` file that Python executes when it starts.

    In each site-packages folder the `site` module reads every `*.pth`: lines are folders to add to the path, except
    that a line beginning with `import` and a space or tab is run. Folders that do not exist are skipped.

    Args:
        folders: such as `site.getsitepackages()`.
    """
    found = []
    for folder in map(Path, folders):
        for path in sorted(folder.glob("*.pth")):
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [(path.name, line) for line in text.splitlines() if line.startswith(("import ", "import\t"))]
    return found


def read_as_another_account(path: Path) -> str:
    """Return "read", "refused", or "not tried" when this system has no permission bits: could others read the file?

    As root, the attempt is made as the account `nobody`. As anybody else, the file's owner takes on, for one attempt,
    the rights that the file gives to others: the bits move over and back. Folders above the file's own do not count.
    """
    path = Path(path).resolve()
    if os.name != "posix":
        return "not tried"
    before = stat.S_IMODE(path.stat().st_mode)
    root = os.getuid() == 0
    try:
        if not root:
            path.chmod((before & 0o007) << 6)
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-I", "-S", "-c", _TRY.format(nobody=_NOBODY), str(path)], capture_output=True, timeout=60
        )
    finally:
        if not root:
            path.chmod(before)
    if done.returncode not in (0, 13):
        return "not tried"
    return "refused" if done.returncode else "read"

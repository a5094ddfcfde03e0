"""What a submission may see and use, whatever the system that enforces it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from classroom.exchange.marker import MARKER

if os.name == "posix":
    import resource  # here and not where it is used, so that a forked worker finds it in memory

PACKAGES = ("mlsecops", "classroom")  # closed to a submission but for what a lab opens by name
CHECK_STUB = '''"""Practice checks do nothing while a notebook is being graded."""


def __getattr__(name):
    return lambda *args, **kwargs: None
'''


@dataclass(frozen=True)
class View:
    """What a learner's code may see of this machine.

    Attributes:
        root: the checkout; the jail has it at the same path, with almost nothing in it.
        modules: names of the course's modules that are shown, such as `"mlsecops.salary"`; all others are not there.
        libraries: folders shown read-only: the system's and this interpreter's.
    """

    root: Path
    modules: tuple[str, ...] = ()
    libraries: tuple[Path, ...] = field(default_factory=lambda: _python_folders())

    @property
    def scratch(self) -> str:
        """The one place where the learner's code can write; its current directory, home and temporary directory."""
        return str(self.root / "scratch")

    @property
    def marker(self) -> str:
        """The pipe that a payload writes its nonce to when it runs."""
        return str(self.root / "marker")

    @property
    def exposed(self) -> list[Path]:
        """Every folder or file of the machine that is visible inside; secrets must not lie there."""
        return [Path("/usr"), *self.libraries, *self.course]

    @property
    def course(self) -> list[Path]:
        """Where the checkout may hold what is visible inside: a module is a folder or a file, the other is missing."""
        paths = [self.root.joinpath(*name.split(".")) for name in self.modules]
        return [*paths, *(path.with_suffix(".py") for path in paths), self.root / "data"]

    @property
    def check(self) -> Path:
        """Where the module with practice lies; inside, `CHECK_STUB` stands in its place."""
        return self.root / "classroom" / "check.py"

    def hides(self, module: str) -> bool:
        """True for a module of the course that is not shown, and is not on the way to one that is."""
        ours = module.split(".")[0] in PACKAGES
        return ours and not any(f"{module}.".startswith(f"{n}.") or n.startswith(f"{module}.") for n in self.modules)


def _python_folders() -> tuple[Path, ...]:
    """Where this interpreter and its packages live, shortest first, nothing twice, nothing that /usr covers."""
    found = {Path(p).resolve() for p in (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)}
    found |= {Path(sys.prefix).absolute(), Path(os.path.realpath(sys.executable)).parent.parent}
    kept: list[Path] = []
    for folder in sorted(found, key=lambda path: len(path.parts)):
        if not any(folder.is_relative_to(other) for other in [Path("/usr"), *kept]):
            kept.append(folder)
    return tuple(kept)


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        seconds: wall time for all of it, and a little more than the processor time of each of its processes.
        step: wall time of one cell or one call, in seconds.
        memory: bytes beyond what the libraries take.
        disk: bytes of scratch space, in memory.
        processes: processes and threads at any one time.
    """

    seconds: float = 60.0
    step: float = 10.0
    memory: int = 2 << 30
    disk: int = 64 << 20
    processes: int = 48


def limit_this_process(limits: Limits, **more: int) -> None:
    """Have the kernel limit this process, and each that it starts; where POSIX is.

    Args:
        limits: time, disk; a process gets a little more processor time than the submission gets wall time.
        more: further limits by the names of `resource`, such as `DATA=bytes`.
    """
    values = {"CPU": int(limits.seconds) + 5, "CORE": 0, "FSIZE": limits.disk, "NOFILE": 256, **more}
    for name, value in values.items():
        limit = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(limit)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (allowed, allowed))


def clean_environment(scratch: str, marker: str) -> dict[str, str]:
    """All that is left of the environment: nothing of the instructor's."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.prefix, "bin")), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": scratch,
        "TMPDIR": scratch,
        "LANG": "C.UTF-8",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": scratch,
        "IPYTHONDIR": scratch,
        "PYTHONDONTWRITEBYTECODE": "1",
        MARKER: marker,
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS"), "1"),
    }

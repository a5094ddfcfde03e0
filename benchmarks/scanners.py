"""Our model-file scanner beside picklescan and modelscan: same files, same machine, in one go.

    python benchmarks/scanners.py                 corpus (open and set-aside parts), then the two speed cases
    python benchmarks/scanners.py --only speed    or --only corpus
    python benchmarks/scanners.py --repeats 9 --peers FOLDER    keep modelscan's environment in FOLDER

Every tool works in one process of its own, through its Python interface, with its imports done before the clock
starts. A file counts as flagged when the tool names an issue; the second figure also counts files on which it reports
an error, which its command line turns into a non-zero exit. For ours: "dangerous", and "dangerous or unknown".
picklescan runs with its defaults and with `--strict`, which promotes every import that it does not know to an issue.
modelscan has no such switch; it needs an older `rich`, so it lives in a throw-away environment.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import json
import logging
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODELSCAN = ["modelscan==0.8.8", "numpy"]
TOOLS = ("ours", "picklescan", "picklescan --strict", "modelscan")


def scanner(tool: str):
    """Return `scan(path) -> (issue, error)` of a tool; imports happen here."""
    if tool == "ours":
        sys.path.insert(0, str(ROOT))
        from mlsecops.artifacts import scan_file

        def scan(path: str) -> tuple[bool, bool]:
            verdict = scan_file(path).verdict
            return verdict == "dangerous", verdict == "unknown"

    elif tool.startswith("picklescan"):
        from picklescan.scanner import scan_file_path

        logging.disable()
        strict = tool.endswith("--strict")

        def scan(path: str) -> tuple[bool, bool]:
            result = scan_file_path(path, strict=strict)
            return result.issues_count > 0, result.scan_err

    else:
        from modelscan.modelscan import ModelScan

        logging.disable()

        def scan(path: str) -> tuple[bool, bool]:
            report = ModelScan().scan(path)
            return bool(report["issues"]), bool(report["errors"])

    return scan


def worker(tool: str) -> None:
    """Scan each path that arrives on standard input; answer with [issue, error, seconds]."""
    scan = scanner(tool)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                issue, error = scan(json.loads(line))
            except Exception:  # a crash is an error of the tool, to be counted
                issue, error = False, True
        print(json.dumps([issue, error, time.perf_counter() - start]), file=answers)


class Tool:
    """A scanner in its own process."""

    def __init__(self, name: str, python: str) -> None:
        self.name = name
        command = [python, str(Path(__file__).resolve()), "--worker", name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def scan(self, path: Path) -> tuple[bool, bool, float]:
        print(json.dumps(str(path)), file=self.process.stdin, flush=True)
        return tuple(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)


def modelscan_python(folder: Path) -> str:
    """The interpreter that has modelscan: this one, or that of an environment made in `folder`."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("modelscan")
        return sys.executable
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        print("making an environment for modelscan ...", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *MODELSCAN], check=True, stderr=subprocess.DEVNULL)
    return str(python)


def corpus(tools: list[Tool]) -> None:
    """Print what each tool flags of the malicious and of the benign files, per part."""
    sys.path.insert(0, str(ROOT / "tests"))
    from corpus.files import written

    for part, suffix in (("open part", ""), ("part set aside", "_heldout")):
        evil, good = written(f"malicious{suffix}"), written(f"benign{suffix}")
        print(f"\n{part}: {len(evil)} malicious files, {len(good)} data-only files")
        print(f"{'tool':22}{'caught':>8}{'or error':>10}{'false alarms':>14}{'or error':>10}{'seconds':>9}")
        for tool in tools:
            caught = [tool.scan(path) for path in evil.values()]
            alarms = [tool.scan(path) for path in good.values()]
            seconds = sum(answer[2] for answer in caught + alarms)
            print(f"{tool.name:22}{counted(caught):>18}{counted(alarms):>24}{seconds:9.2f}")


def counted(answers: list) -> str:
    """How many are issues, and how many are issues or errors."""
    return f"{sum(issue for issue, _, _ in answers)}{sum(issue or error for issue, error, _ in answers):>10}"


def op_dense(path: Path, rows: int = 725_000) -> None:
    """A plain structure of many small objects, 35 MB: nearly every few bytes are an opcode."""
    table = [
        {"id": row, "years": row % 50, "country": f"c{row % 190}", "skills": (row % 7, [row, "x"], {row: None})}
        for row in range(rows)
    ]
    path.write_bytes(pickle.dumps(table, 4))


def weights(path: Path, megabytes: int = 100) -> None:
    import torch

    torch.save({f"layer{n}.weight": torch.full((250_000,), float(n)) for n in range(megabytes)}, path)


def speed(tools: list[Tool], repeats: int, folder: Path) -> None:
    """Print median seconds per tool, the tools taking turns, and ratios against picklescan."""
    for title, filename, make in (
        ("pickle full of small objects", "dense.pkl", op_dense),
        ("state dictionary of torch", "weights.pt", weights),
    ):
        path = folder / filename
        make(path)
        taken: dict[str, list[float]] = {tool.name: [] for tool in tools}
        for _ in range(repeats):
            for tool in tools:
                taken[tool.name].append(tool.scan(path)[2])
        middle = {name: statistics.median(values) for name, values in taken.items()}
        print(f"\n{title}, {path.stat().st_size / 1e6:.0f} MB, median of {repeats} turns")
        for name, values in taken.items():
            ratio = middle[name] / middle["picklescan"]
            print(f"{name:22}{middle[name]:9.3f} s  (least {min(values):.3f})  {ratio:6.2f} x picklescan")
        print(f"picklescan / ours = {middle['picklescan'] / middle['ours']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", choices=TOOLS, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=("corpus", "speed"))
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS, help="ours and picklescan are always run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="folder of modelscan's environment (default: temporary)")
    options = parser.parse_args()
    if options.worker:
        worker(options.worker)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        peer = modelscan_python(options.peers or folder / "peers") if "modelscan" in options.tools else None
        names = [name for name in TOOLS if name in {*options.tools, "ours", "picklescan"}]
        tools = [Tool(name, peer if name == "modelscan" else sys.executable) for name in names]
        show_setting(peer)
        if options.only != "speed":
            corpus(tools)
        if options.only != "corpus":
            speed(tools, options.repeats, folder)
        for tool in tools:
            tool.close()


def show_setting(peer: str | None) -> None:
    """Print machine and versions."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{load}, Python {platform.python_version()}")
    print(f"picklescan {importlib.metadata.version('picklescan')}")
    if peer:
        ask = "import importlib.metadata as m; print('modelscan', m.version('modelscan'))"
        subprocess.run([peer, "-c", ask], check=True)


if __name__ == "__main__":
    main()

"""Execute notebooks with papermill, several at a time, and write down what they measured.

Each notebook runs in a fresh kernel of this very Python, in its own folder, with the parameters SEED and FAST. The
executed copies, their HTML pages and `run.json` go into a folder outside version control.
"""

import argparse
import base64
import dataclasses
import importlib.metadata
import json
import logging
import multiprocessing
import os
import platform
import re
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

import ipykernel.kernelspec
import nbformat
import papermill
import psutil
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm
from traitlets import default

from authoring import BUILD, UserError, lessons, pins
from authoring.door import CELL_TIMEOUT

PARAMETERS = {"SEED", "FAST"}


@dataclasses.dataclass
class Outcome:
    """How one notebook went.

    `status` is `ok`, `failed` or `stopped`; `seconds` and `peak_memory_mb` (resident, the kernel and all that it
    started) are measured while it ran; `results` is what the lesson displayed through `classroom.lesson`; `error` names
    the cell and the reason.
    """

    name: str
    status: str = "stopped"
    seconds: float = 0.0
    peak_memory_mb: int = 0
    results: dict = dataclasses.field(default_factory=dict)
    error: str = ""


def execute_all(
    paths: list[Path], build: Path = BUILD, *, seed: int = 7, fast: bool = False, timeout: int = CELL_TIMEOUT
) -> list[Outcome]:
    """Execute notebooks in a pool of processes, with a progress bar over their code cells.

    Args:
        paths: the notebooks.
        build: receives `executed/NAME.ipynb`, `executed/NAME.html` and `run.json`.
        seed: the parameter SEED of every notebook.
        fast: the parameter FAST of every notebook.
        timeout: seconds that one cell may take.

    Returns:
        One outcome per notebook, in the order given. When Ctrl-C stops the run, those not finished are `stopped`, and
        no kernel that was started here is left behind.
    """
    (build / "executed").mkdir(parents=True, exist_ok=True)
    for path in paths:  # a copy from an earlier run would pass for one of this run
        for kind in (".ipynb", ".html"):
            (build / "executed" / path.name).with_suffix(kind).unlink(missing_ok=True)
    started = time.monotonic()
    context = multiprocessing.get_context("spawn")
    cells = context.SimpleQueue()
    workers = min(len(paths), max(2, min(4, os.cpu_count() or 1)))
    outcomes = [Outcome(path.stem) for path in paths]
    pool = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(cells,))
    total = sum(map(_code_cells, paths))
    with tqdm(total=total, unit="cell", desc="executing", disable=None, leave=False) as bar:
        try:
            jobs = {
                pool.submit(_execute, path, build / "executed", {"SEED": seed, "FAST": fast}, timeout): index
                for index, path in enumerate(paths)
            }
            for future in _as_completed(jobs, cells, bar):
                outcomes[jobs[future]] = _outcome(future, paths[jobs[future]])
                bar.write(_line(outcomes[jobs[future]]))
        except KeyboardInterrupt:
            _end_children()
    pool.shutdown(wait=True, cancel_futures=True)
    _write_run(build / "run.json", outcomes, seed=seed, fast=fast, seconds=time.monotonic() - started)
    return outcomes


def _as_completed(jobs: dict[Future, int], cells, bar: tqdm):
    waiting = set(jobs)
    while waiting:
        done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
        while not cells.empty():
            bar.update(cells.get())
        yield from done


def _outcome(future: Future, path: Path) -> Outcome:
    try:
        return future.result()
    except Exception as error:  # the process itself died: killed, or out of memory
        return Outcome(path.stem, "failed", error=f"its process ended: {error or type(error).__name__}")


def _code_cells(path: Path) -> int:
    try:
        return sum(cell.cell_type == "code" for cell in nbformat.read(path, as_version=4).cells)
    except Exception:
        return 0  # reported when its turn comes


def _end_children() -> None:
    """End the pool's processes, their kernels and whatever the kernels started; nothing else."""
    started = []
    for worker in multiprocessing.active_children():
        try:
            process = psutil.Process(worker.pid)
            started += [*process.children(recursive=True), process]
        except psutil.NoSuchProcess:
            continue
    for process in started:
        _quietly(process.terminate)
    for process in psutil.wait_procs(started, timeout=3)[1]:
        _quietly(process.kill)


def _quietly(action) -> None:
    try:
        action()
    except psutil.NoSuchProcess:
        pass


# --- in a process of the pool ---------------------------------------------------------------------------------------

_finished_cells = None


def _start_worker(cells) -> None:
    global _finished_cells
    _finished_cells = cells
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process does the ending
    # What these tools say about themselves would stand between the lines of the progress bar.
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


class OwnPython(KernelSpecManager):
    """Whatever kernel a notebook names, and whatever "python3" means on this machine: run it with this Python."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(resource_dir=ipykernel.kernelspec.RESOURCES, **ipykernel.kernelspec.get_kernel_dict())


class OwnKernel(AsyncKernelManager):
    @default("kernel_spec_manager")
    def _this_python(self) -> KernelSpecManager:
        return OwnPython(parent=self)

    @default("transport_encryption")
    def _encrypted(self) -> str:
        return "auto"  # else anybody on this machine could read along, and each kernel says so in a warning


class _PeakMemory(threading.Thread):
    """Samples the resident memory of this process's descendants, which are the kernel and what it started."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self._stop_asked = 0, threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self._stop_asked.wait(0.2):
            total = 0
            for child in me.children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)

    def __enter__(self) -> "_PeakMemory":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop_asked.set()
        self.join()


def _execute(path: Path, folder: Path, parameters: dict, timeout: int) -> Outcome:
    outcome = Outcome(path.stem, "failed")
    at = {"cell": "?"}
    try:
        _check(path)
        copy = folder / path.name
        start = time.monotonic()
        with _PeakMemory() as memory:
            try:
                papermill.execute_notebook(
                    _literal(path),
                    _literal(copy),
                    parameters,
                    kernel_name="python3",
                    language="python",
                    progress_bar=False,
                    request_save_on_cell_execute=False,
                    cwd=path.parent,
                    execution_timeout=timeout,
                    kernel_manager_class=OwnKernel,
                    on_cell_start=lambda cell, **_: at.update(cell=cell.get("id", "?")),
                    on_cell_complete=lambda **_: _finished_cells.put(1),
                )
                outcome.status = "ok"
            finally:
                outcome.seconds = round(time.monotonic() - start, 2)
        outcome.peak_memory_mb = round(memory.peak / 2**20)
    except UserError as error:
        outcome.error = str(error)
    except PapermillExecutionError as error:
        outcome.error = f"cell {at['cell']}: {error.ename}: {error.evalue}"
    except CellTimeoutError:
        outcome.error = f"cell {at['cell']}: took longer than {timeout} s"
    except DeadKernelError:
        outcome.error = f"cell {at['cell']}: the kernel died (out of memory, or ended by the cell)"
    if (folder / path.name).is_file():
        executed = nbformat.read(folder / path.name, as_version=4)
        outcome.results = results(executed)
        _write_html(executed, (folder / path.name).with_suffix(".html"))
        _write_figures(executed, folder.parent / "figures")
    return outcome


def _check(path: Path) -> None:
    try:
        nbformat.validate(nbformat.read(path, as_version=4))
    except FileNotFoundError:
        raise UserError("does not exist") from None
    except Exception as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(f"is not a whole, valid notebook ({reason}): restore it from git") from None
    missing = PARAMETERS - set(papermill.inspect_notebook(_literal(path)))
    if missing:  # papermill itself would only warn, and the seed would change nothing
        raise UserError(f"has no {' and no '.join(sorted(missing))} in a cell tagged 'parameters'")


def _literal(path: Path) -> str:
    return str(path).replace("{", "{{").replace("}", "}}")  # papermill takes paths for format strings


def results(notebook: nbformat.NotebookNode) -> dict:
    """What a lesson measured: the outputs' metadata under `"mlsecops"`, merged in order.

    A name displayed more than once holds the list of its values, in the order in which they were displayed.
    """
    shown: dict[str, list] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for name, value in output.get("metadata", {}).get("mlsecops", {}).items():
                shown.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in shown.items()}


def _write_html(notebook: nbformat.NotebookNode, path: Path) -> None:
    from nbconvert import HTMLExporter  # a second to import, and only needed here

    body, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    # The template's column is narrower than our longest line of code.
    wide = "<style>div#notebook-container, .container { width: 1200px; max-width: 100% }</style></head>"
    path.write_text(body.replace("</head>", wide, 1), encoding="utf-8")


def _write_figures(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Each figure of an executed lesson as a file named after its cell: README.md shows one of them."""
    folder.mkdir(exist_ok=True)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            picture = re.search(r'src="data:image/png;base64,([^"]+)"', output.get("data", {}).get("text/html", ""))
            if picture:
                (folder / f"{cell.id}.png").write_bytes(base64.b64decode(picture[1]))


# --- what was measured ----------------------------------------------------------------------------------------------


def _write_run(path: Path, outcomes: list[Outcome], **run) -> None:
    record = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "packages": {name: importlib.metadata.version(name) for name in pins.direct()},
        **run,
        "notebooks": [dataclasses.asdict(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _line(outcome: Outcome) -> str:
    text = f"{outcome.status:8}{outcome.seconds:7.1f} s {outcome.peak_memory_mb:6d} MB  {outcome.name}"
    return text + (f"\n        {outcome.error}" if outcome.error else "")


def main(arguments: list[str] | None = None) -> int:
    """Execute the course's lessons and print a summary.

    Returns:
        0 when all are ok, 1 when one failed, 130 when stopped.
    """
    parser = argparse.ArgumentParser(prog="authoring", description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="a lesson's id, such as H2b, or H2 for all its parts")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--fast", action="store_true")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        paths = lessons(options.only)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    started = time.monotonic()
    outcomes = execute_all(paths, seed=options.seed, fast=options.fast)
    print(f"\nnotebook{'':24} status   seconds  peak MB")
    for outcome in outcomes:
        print(f"{outcome.name:32} {outcome.status:8} {outcome.seconds:7.1f} {outcome.peak_memory_mb:8d}")
    counts = {status: sum(o.status == status for o in outcomes) for status in ("ok", "failed", "stopped")}
    print(", ".join(f"{count} {status}" for status, count in counts.items() if count), end=" ")
    print(
        f"in {time.monotonic() - started:.0f} s; executed copies and pages in build/executed, figures in build/run.json"
    )
    return 130 if counts["stopped"] else int(counts["failed"] > 0)

"""Load files the ordinary way in forked children, and see which markers appear.

The parent imports the frameworks once; every load then costs a fork. `os.system` and friends run only in the
children, which end on an alarm after `SECONDS`. Needs `os.fork` (Linux, macOS).
"""

from __future__ import annotations

import bz2
import gc
import gzip
import importlib
import json
import lzma
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

SECONDS = 20
MEMORY = 16 << 30  # address space of a child, bytes


def _opened(opener):
    def load(path: Path):
        with opener(path, "rb") as file:
            return pickle.load(file)

    return load


def _torch(path: Path):
    import torch

    return torch.load(path, weights_only=False)


def _joblib(path: Path):
    import joblib

    return joblib.load(path)


def _numpy(path: Path):
    import numpy as np

    loaded = np.load(path, allow_pickle=True)
    return {key: loaded[key] for key in loaded.files} if isinstance(loaded, np.lib.npyio.NpzFile) else loaded


def _pandas(path: Path):
    import pandas as pd

    return pd.read_pickle(path)


def _safetensors(path: Path):
    from safetensors.torch import load_file

    return load_file(path)


def _sparse(path: Path):
    import scipy.sparse

    return scipy.sparse.load_npz(path)


LOADERS = {
    "pickle": _opened(open),
    "gzip": _opened(gzip.open),
    "bz2": _opened(bz2.open),
    "lzma": _opened(lzma.open),
    "gzip twice": lambda path: pickle.load(gzip.open(gzip.open(path))),
    "latin1": lambda path: pickle.load(path.open("rb"), encoding="latin1"),
    "torch": _torch,
    "joblib": _joblib,
    "numpy": _numpy,
    "pandas": _pandas,
    "safetensors": _safetensors,
    "sparse": _sparse,
    "json": lambda path: json.loads(path.read_text(encoding="utf-8")),
}


def fires(path: Path, loader: str, marker: Path) -> tuple[bool, str]:
    """Load `path` in a forked child; return whether `marker` exists afterwards, and the child's exception."""
    import resource  # not on Windows, which has no fork either

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.chdir(path.parent)
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        warnings.simplefilter("ignore")
        try:
            LOADERS[loader](path)
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}"[:600].encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        message = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    return marker.exists(), message


def fire_all(corpus, folder: Path) -> dict[str, tuple[bool, str]]:
    """Build every malicious file of `corpus` under `folder` and load it; see `fires`."""
    results = {}
    for number, file in enumerate(corpus):
        home = folder / f"{number:03d}"
        home.mkdir(parents=True)
        marker = home / "fired.patch"
        filename, content, loader = file.build(marker)
        if marker.exists():
            raise RuntimeError(f"building {file.name} already fired")
        path = home / filename
        path.write_bytes(content)
        results[file.name] = fires(path, loader, marker)
    return results


def prove(*modules: str) -> dict[str, tuple[bool, str]]:
    """Run `fire_all` over the named corpus modules in a fresh interpreter, so that no thread of ours is forked."""
    command = [sys.executable, "-m", f"{__package__}.fire", "--json", *modules]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def main(arguments: list[str]) -> None:
    """Print which files of the named modules fire; `--json` for programs, `--only TEXT` to choose by name."""
    warnings.simplefilter("ignore")
    for framework in ("torch", "torch.fx", "torch.jit", "sklearn.ensemble", "pandas", "joblib", "scipy.stats"):
        importlib.import_module(framework)
    as_json = "--json" in arguments
    only = arguments[arguments.index("--only") + 1] if "--only" in arguments else ""
    gc.freeze()  # else a collection in each child copies every page of the parent
    gc.disable()
    modules = [a for a in arguments if a.startswith("malicious")] or [
        "malicious",
        "malicious_heldout",
        "malicious_whitebox",
    ]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for module in modules:
            corpus = importlib.import_module(f"{__package__}.{module}").CORPUS
            chosen = [file for file in corpus if only in file.name]
            results |= fire_all(chosen, Path(folder).resolve() / module)
    if as_json:
        print(json.dumps(results))
        return
    for name, (fired, message) in results.items():
        print("fires " if fired else "SILENT", name, message[:110].replace("\n", " "))
    print(sum(fired for fired, _ in results.values()), "of", len(results), "fire")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The files of a corpus module, written once per process under a temporary folder."""

from __future__ import annotations

import functools
import importlib
import tempfile
import warnings
from pathlib import Path

from . import Benign, Corpus, Malicious
from .ways import WAYS

_FOLDER = tempfile.TemporaryDirectory(prefix="corpus-")


def written(module: str, attribute: str = "CORPUS") -> dict[str, Path]:
    """Write every file of a corpus module, for instance "benign"; return name -> path. Nothing is loaded."""
    return _written(module, attribute)


@functools.cache
def _written(module: str, attribute: str) -> dict[str, Path]:
    corpus: Corpus = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
    home = Path(_FOLDER.name).resolve() / f"{module}-{attribute}"
    return {file.name: _write(file, home / f"{number:03d}") for number, file in enumerate(corpus)}


def _write(file: Malicious | Benign, folder: Path) -> Path:
    folder.mkdir(parents=True)
    if isinstance(file, Malicious):
        filename, content, _ = file.build(folder / "fired.patch")
        (folder / filename).write_bytes(content)
        return folder / filename
    way = WAYS[file.way]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        way.save(made(file.make), folder / way.filename)
    return folder / way.filename


@functools.cache
def made(make):
    """One object serves all the ways in which it is saved."""
    return make()

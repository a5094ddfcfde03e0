"""How people save objects: the ordinary call of each library, by a short name."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Way(NamedTuple):
    filename: str
    save: Callable[[object, Path], None]
    loader: str


def _dump(opener=open, protocol: int | None = None):
    def save(value, path: Path) -> None:
        with opener(path, "wb") as file:
            pickle.dump(value, file, protocol)

    return save


def _joblib(compress=0):
    def save(value, path: Path) -> None:
        import joblib

        joblib.dump(value, path, compress=compress)

    return save


def _torch(zipped: bool):
    def save(value, path: Path) -> None:
        import torch

        torch.save(value, path, _use_new_zipfile_serialization=zipped)

    return save


def _npy(value, path: Path) -> None:
    import numpy as np

    np.save(path, value, allow_pickle=True)


def _npz(function: str):
    def save(value, path: Path) -> None:
        import numpy as np

        getattr(np, function)(path, **value)

    return save


def _pandas(value, path: Path) -> None:
    value.to_pickle(path)


def _safetensors(value, path: Path) -> None:
    from safetensors.torch import save_file

    save_file(value, path, metadata={"format": "pt", "author": "corpus"})


def _sparse(value, path: Path) -> None:
    import scipy.sparse

    scipy.sparse.save_npz(path, value)


def _torchscript(value, path: Path) -> None:
    import torch

    torch.jit.save(value, path)


WAYS = {
    "pickle": Way("model.pkl", _dump(), "pickle"),
    **{f"protocol {n}": Way("model.pickle", _dump(protocol=n), "pickle") for n in range(6)},
    "gzip": Way("model.pkl.gz", _dump(gzip.open), "gzip"),
    "bz2": Way("model.pkl.bz2", _dump(bz2.open), "bz2"),
    "lzma": Way("model.pkl.xz", _dump(lzma.open), "lzma"),
    "joblib": Way("model.joblib", _joblib(), "joblib"),
    **{
        f"joblib {method}": Way("model.joblib", _joblib((method, 3)), "joblib")
        for method in ("zlib", "gzip", "bz2", "lzma", "xz")
    },
    "torch": Way("model.pt", _torch(zipped=True), "torch"),
    "torch legacy": Way("model.pth", _torch(zipped=False), "torch"),
    "npy": Way("array.npy", _npy, "numpy"),
    "npz": Way("arrays.npz", _npz("savez"), "numpy"),
    "npz compressed": Way("arrays.npz", _npz("savez_compressed"), "numpy"),
    **{
        f"to_pickle{end}": Way(f"frame.pkl{end}", _pandas, "pandas")
        for end in ("", ".gz", ".bz2", ".xz", ".zip", ".tar")
    },
    "torchscript": Way("model.pt", _torchscript, "torch"),
    "raw": Way("model.pkl", lambda value, path: path.write_bytes(value), "pickle"),
    "safetensors": Way("model.safetensors", _safetensors, "safetensors"),
    "save_npz": Way("matrix.npz", _sparse, "sparse"),
    "json": Way("model.json", lambda value, path: path.write_text(json.dumps(value)), "json"),
}

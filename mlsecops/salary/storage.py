"""One trained model, two ways to disk: a pickle that runs code when read, and plain data that cannot.

The safe way is a folder of two files: ``model.safetensors`` (numbers) and ``metadata.json`` (everything else)::

    {"format": 1, "features": ["years_exp", …, "country"], "bounds": {"years_exp": [1.0, 70.0], …},
     "countries": ["Other", …], "data_sha256": "…" or null, "metrics": {"r2": …, "mae_usd": …, …}, "seed": 7}
"""

import json
import re
from pathlib import Path

import joblib
import safetensors
import safetensors.torch
import torch

from mlsecops.salary.dataset import LANGUAGES
from mlsecops.salary.model import OTHER, SalaryModel

WEIGHTS, METADATA = "model.safetensors", "metadata.json"
FORMAT = 1
KEYS = {"format", "features", "bounds", "countries", "data_sha256", "metrics", "seed"}
METRICS = {"r2", "mae_usd", "rows_train", "rows_test"}
FEATURES = ["years_exp", *LANGUAGES, "country"]
LARGEST = 1 << 20  # bytes of metadata or weights; both are well below


class ModelFileError(Exception):
    """A saved model is missing, broken, or not what its metadata says; the message says which in one line."""


def save_pickled(model, path):
    """Save the dangerous way, as many projects do: the whole object as a pickle. Reading it can run anything.

    A name ending in ``.joblib`` goes through joblib, any other through ``torch.save``.
    """
    if Path(path).suffix == ".joblib":
        joblib.dump(model, path)
    else:
        torch.save(model, path)


def save(model, folder):
    """Save the safe way: numbers to ``folder/model.safetensors``, the rest to ``folder/metadata.json``.

    The folder is made if need be. Raises ModelFileError when it cannot be written, ValueError for metadata that
    ``load`` would refuse.
    """
    text = json.dumps(model.metadata, indent=1, ensure_ascii=False)
    if problem := metadata_problem(json.loads(text)):
        raise ValueError(f"the model's metadata {problem}")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS).write_bytes(safetensors.torch.save(model.state_dict()))
        (folder / METADATA).write_bytes(text.encode())
    except OSError as error:
        raise ModelFileError(f"the model cannot be saved in {folder}: {error.strerror}") from error


def load(folder):
    """Return the SalaryModel saved in ``folder`` by ``save``. Nothing in the files is ever executed.

    Raises ModelFileError for anything but two files of plain data that fit together.
    """
    folder = Path(folder)
    try:
        metadata = json.loads(_read(folder / METADATA), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{folder / METADATA} is not valid JSON: {error}") from error
    if problem := metadata_problem(metadata):
        raise ModelFileError(f"{folder / METADATA} {problem}")
    with torch.random.fork_rng(devices=[]):
        model = SalaryModel(metadata)
    try:
        weights = safetensors.torch.load(_read(folder / WEIGHTS))
    except safetensors.SafetensorError as error:
        raise ModelFileError(f"{folder / WEIGHTS} is not a safetensors file: {error}") from error
    if _layout(weights) != _layout(model.state_dict()):
        raise ModelFileError(f"{folder / WEIGHTS} holds other tensors than its metadata calls for")
    if not all(tensor.isfinite().all() for tensor in weights.values()):
        raise ModelFileError(f"{folder / WEIGHTS} holds numbers that are not finite")
    model.load_state_dict(weights)
    return model.eval()


def metadata_problem(metadata):
    """Return in a few words what is wrong with a model's metadata (parsed JSON), or "" when it is sound."""
    if not isinstance(metadata, dict) or set(metadata) != KEYS:
        return f"must have exactly the keys {', '.join(sorted(KEYS))}"
    features, bounds, countries, metrics = (metadata[key] for key in ("features", "bounds", "countries", "metrics"))
    if (type(metadata["format"]), metadata["format"]) != (int, FORMAT):
        return f"has a format other than {FORMAT}"
    if features not in (FEATURES, [*FEATURES[:-1], "uses_ai", "country"]):
        return "lists features that this model does not have"
    if not isinstance(bounds, dict) or list(bounds) != features[:-1]:
        return "needs bounds for every feature but the country, in the same order"
    for name, pair in bounds.items():
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(_finite, pair)) and pair[0] <= pair[1]):
            return f"has bounds of {name} that are not [low, high]"
    if not isinstance(countries, list) or not all(map(_short_text, countries)):
        return "has countries that are not short printable strings"
    if countries[:1] != [OTHER] or len(set(countries)) != len(countries):
        return f'has countries that repeat or do not start with "{OTHER}"'
    if not (metadata["data_sha256"] is None or re.fullmatch("[0-9a-f]{64}", str(metadata["data_sha256"]))):
        return "has a data_sha256 that is not 64 hexadecimal digits"
    if not isinstance(metrics, dict) or set(metrics) != METRICS or not all(map(_finite, metrics.values())):
        return f"needs finite metrics {', '.join(sorted(METRICS))}"
    if type(metadata["seed"]) is not int:
        return "has a seed that is not a whole number"
    return ""


def _layout(tensors):
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def _finite(value):
    return type(value) in (int, float) and abs(value) < 1e12  # also refuses NaN, and integers that no float can hold


def _short_text(value):
    return isinstance(value, str) and 0 < len(value) < 100 and value.isprintable()


def _no_constant(name):
    raise ValueError(f"{name} is not JSON")


def _read(path):
    """Return the file's bytes; never more than LARGEST, whatever is at ``path``."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise ModelFileError(f"{path} is larger than any model of this kind")
    return content

"""A bill of materials for a folder of model files: CycloneDX 1.6, one component with its SHA-256 per file.

A BOM says what was shipped. It does not say who shipped it (sign it for that), nor that a file is harmless (scan it).
Source: https://cyclonedx.org/docs/1.6/json/, validated with the schemas inside cyclonedx-python-lib, without a network.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

# Files that hold weights or a graph are "machine-learning-model"; what stands beside them (settings, tables) is "data".
MODEL_ENDINGS = frozenset(
    ".pt .pth .ckpt .pkl .pickle .joblib .safetensors .onnx .keras .h5 .gguf .tflite .pb .bin .npz .npy".split()
)


@dataclass(frozen=True, order=True)
class Difference:
    """A file that is not as the BOM says. what: "changed", "missing", "extra", or "not hashed" in the BOM."""

    path: str
    what: str


def _files(folder):
    """{name below the folder with "/" between: Path}. Raises ValueError for links and names that are not text."""
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    found = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent) / name
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise ValueError(f"{relative!a} is a link: list what it points to, under its own name")
            if name in names:
                relative.encode("utf-8")  # a name that is no text (UnicodeEncodeError is a ValueError) cannot be listed
                found[relative] = path
    return dict(sorted(found.items()))


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ml_bom(folder, name=None, version=None, serial_number=None, timestamp=None):
    """The BOM of all files below a folder, as a dictionary ready for ``json.dumps``.

    folder: str or Path. name, version: of the model as a whole (default: the folder's name, no version). serial_number
    ("urn:uuid:..."), timestamp (ISO 8601 text): left out unless given, so that the same folder gives the same BOM.
    Raises NotADirectoryError without a folder, ValueError for links in it and names that are not text.
    """
    subject = {"type": "machine-learning-model", "bom-ref": "model", "name": name or Path(folder).resolve().name}
    if version is not None:
        subject["version"] = version
    components = [
        {
            "type": "machine-learning-model" if path.suffix.lower() in MODEL_ENDINGS else "data",
            "bom-ref": f"file:{relative}",
            "name": relative,
            "hashes": [{"alg": "SHA-256", "content": _sha256(path)}],
        }
        for relative, path in _files(folder).items()
    ]
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": subject}}
    if serial_number is not None:
        bom["serialNumber"] = serial_number
    if timestamp is not None:
        bom["metadata"]["timestamp"] = timestamp
    return bom | {
        "components": components,
        "dependencies": [{"ref": "model", "dependsOn": [c["bom-ref"] for c in components]}],
    }


def validate_bom(bom):
    """Checks a BOM against the strict CycloneDX 1.6 schema, offline. Raises ValueError that names the first problem."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if not isinstance(bom, dict) or bom.get("specVersion") != "1.6":
        raise ValueError("not a CycloneDX 1.6 BOM: specVersion is missing or another one")
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom, allow_nan=False))
    if error is not None:
        raise ValueError(f"not a valid CycloneDX 1.6 BOM: {str(error).splitlines()[0]}")


def verify_bom(bom, folder):
    """What differs between a BOM and a folder: a sorted list of Difference, empty when all is as listed.

    No path is taken from the BOM: its names are compared with those found in the folder. Raises NotADirectoryError and
    ValueError as ``ml_bom`` does, and ValueError for a BOM that is not valid.
    """
    validate_bom(bom)
    listed = {}
    for component in bom.get("components", []):
        digests = {h["content"].lower() for h in component.get("hashes", []) if h["alg"] == "SHA-256"}
        listed.setdefault(component["name"], []).append(digests)
    found = _files(folder)
    differences = [Difference(name, "missing") for name in listed.keys() - found.keys()]
    differences += [Difference(name, "extra") for name in found.keys() - listed.keys()]
    for name in listed.keys() & found.keys():
        if not all(listed[name]):
            differences.append(Difference(name, "not hashed"))
        elif any(digests != {_sha256(found[name])} for digests in listed[name]):
            differences.append(Difference(name, "changed"))
    return sorted(differences)

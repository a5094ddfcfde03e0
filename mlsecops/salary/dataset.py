"""Salary survey rows: fetched or read, checked against the manifest, cleaned, turned into features.

Two sources share one schema. The *sample* is synthetic and committed in ``data/``; the *survey* is the real
Stack Overflow 2025 file, fetched once from a fixed address. For both, ``data/manifest.json`` states the sha256,
and no byte is parsed before it matches. The manifest is an ordinary file beside the data: whoever can change both
goes unnoticed until the manifest itself is signed, which is the subject of lesson H2a.
"""

import contextlib
import hashlib
import http.client
import io
import json
import os
import tempfile
import urllib.request
from pathlib import Path

import pandas as pd

DATA = Path(__file__).resolve().parents[2] / "data"
SAMPLE, SURVEY = "salaries.csv", "so_survey_2025_curated.csv"
SURVEY_VARIABLE = "MLSECOPS_SURVEY_FILE"
SALARY = "ConvertedCompYearly"  # USD per year
LANGUAGES = {"uses_python": "Python", "uses_sql": "SQL", "uses_js": "JavaScript"}


class DataError(Exception):
    """Salary data cannot be used; the message says why in one line."""


class MissingDataError(DataError):
    """A data file is not where it should be, or cannot be read."""


class TamperedDataError(DataError):
    """The bytes of a data file are not the ones that the manifest names."""


class DownloadError(DataError):
    """The survey could not be fetched in full."""


class CacheError(DataError):
    """The fetched survey could not be kept: full disk or read-only folder."""


def load_salaries(source=None, *, folder=DATA, address=None, cache=None, timeout=30.0):
    """Return the survey rows as a DataFrame, one row per respondent; nothing is printed.

    ``source`` is ``"sample"``, ``"survey"``, or None: the survey when MLSECOPS_SURVEY_FILE names a local copy of it,
    the sample otherwise. ``folder`` holds manifest.json and the sample. Only the survey uses the rest: ``address``
    replaces the public one, ``cache`` the folder that keeps the download, ``timeout`` is in seconds per network step.
    The file's checked sha256 stays on the frame as ``frame.attrs["sha256"]``.

    Raises MissingDataError, TamperedDataError, DownloadError or CacheError (all DataError), ValueError for a source
    that does not exist.
    """
    local = os.environ.get(SURVEY_VARIABLE)
    if source is None:
        source = "survey" if local else "sample"
    if source not in ("sample", "survey"):
        raise ValueError(f'source is "sample" or "survey", not {source!r}')
    name = SAMPLE if source == "sample" else SURVEY
    entry = manifest_entry(name, folder)
    if source == "sample":
        content = read_checked(Path(folder) / name, entry["sha256"])
    elif local:
        content = read_checked(Path(local), entry["sha256"], hint=f" ({SURVEY_VARIABLE} names it)")
    else:
        content = _survey_bytes(address or entry["address"], entry, cache, timeout)
    frame = pd.read_csv(io.BytesIO(content))  # the very bytes that were checked, not the file once more
    frame.attrs["sha256"] = entry["sha256"]
    return frame


def manifest_entry(name, folder=DATA):
    """Return what ``folder/manifest.json`` states about the data file ``name``: sha256, bytes, license, columns, …

    Raises MissingDataError when the manifest is absent or does not list the file.
    """
    path = Path(folder) / "manifest.json"
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))["files"][name]
        if not isinstance(entry["sha256"], str) or not isinstance(entry["bytes"], int):
            raise TypeError("a hash and a size are needed")
    except OSError as error:
        raise MissingDataError(f"{path} cannot be read: {error.strerror}. Restore it with git.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise MissingDataError(f"{path} does not describe {name}. Restore it with git.") from error
    return entry


def read_checked(path, sha256, hint=""):
    """Return the bytes of the file ``path`` if their SHA-256 (hex) is ``sha256``; ``hint`` is added to messages.

    Raises MissingDataError, TamperedDataError.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise MissingDataError(f"{path}{hint} cannot be read: {error.strerror}.") from error
    return _checked(content, sha256, f"{path}{hint}")


def _checked(content, sha256, origin):
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise TamperedDataError(
            f"{origin} is not the file that the manifest names: expected sha256 {sha256[:12]}…, got {actual[:12]}…. "
            "Nothing of it was parsed."
        )
    return content


def _survey_bytes(address, entry, cache, timeout):
    """Return the survey's bytes from the cache, or else from ``address``; a cached copy that differs is replaced."""
    if cache is None:
        from platformdirs import user_cache_path

        cache = user_cache_path("mlsecops", appauthor=False)
    kept = Path(cache) / SURVEY
    with contextlib.suppress(MissingDataError, TamperedDataError):
        return read_checked(kept, entry["sha256"])
    content = _checked(_download(address, entry["bytes"], timeout), entry["sha256"], address)
    _keep(content, kept)
    return content


def _download(address, size, timeout):
    """Return the bytes behind ``address``, reading at most one byte more than the ``size`` that is expected."""
    from tqdm.auto import tqdm

    received = bytearray()
    try:
        # The address is the manifest's or the caller's, and what it sends is checked before use.
        with urllib.request.urlopen(address, timeout=timeout) as response:  # noqa: S310
            announced = min(int(response.headers.get("Content-Length") or 0), size)
            with tqdm(total=size, desc="survey", unit="B", unit_scale=True) as bar:
                while chunk := response.read(min(1 << 16, size + 1 - len(received))):
                    received += chunk
                    bar.update(len(chunk))
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DownloadError(
            f"The survey cannot be fetched from {address}: {reason}. Work offline with source='sample', or name a "
            f"copy with {SURVEY_VARIABLE}."
        ) from error
    if len(received) < announced:
        raise DownloadError(f"The download from {address} stopped after {len(received):,} of {announced:,} bytes.")
    return bytes(received)


def _keep(content, path):
    """Write checked bytes to ``path`` in one step, so that another process sees all of the file or none of it."""
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False) as file:
            partial = Path(file.name)
            file.write(content)
        partial.replace(path)
    except OSError as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        # Windows refuses to replace a file that another process is reading; if that one is complete, all is well.
        if not (path.is_file() and path.read_bytes() == content):
            raise CacheError(
                f"The survey was fetched but cannot be kept in {path.parent}: {error.strerror}. Free some space, or "
                f"name a copy with {SURVEY_VARIABLE}."
            ) from error


def clean(frame):
    """Return the rows whose salary is plausible: from max(Q1 − 3·IQR, 5,000) to min(Q3 + 3·IQR, 600,000) USD.

    The fences are Tukey's outer ones (J. W. Tukey, Exploratory Data Analysis, 1977), held within fixed limits.
    The quartiles are those of ``frame``, so cleaning twice cuts twice. Missing salaries go, too.
    """
    first, third = frame[SALARY].quantile([0.25, 0.75])
    low, high = max(first - 3 * (third - first), 5_000), min(third + 3 * (third - first), 600_000)
    return frame[frame[SALARY].between(low, high)]


def features(frame):
    """Return the model's inputs for survey rows, in this order and with the same index:

    ``years_exp`` years of coding, float (the frame's median where unanswered) · ``uses_python``, ``uses_sql``,
    ``uses_js``, and ``uses_ai`` if the data has the AISelect column: bool · ``country``: str.
    """
    known = frame["LanguageHaveWorkedWith"].fillna("").str.split(";")
    columns = {"years_exp": frame["YearsCode"].fillna(frame["YearsCode"].median()).astype(float)}
    for feature, language in LANGUAGES.items():
        # Whole names only: searching for "Python" in the text would also find "MicroPython".
        columns[feature] = known.map(lambda names, wanted=language: wanted in [name.strip() for name in names])
    if "AISelect" in frame:
        columns["uses_ai"] = frame["AISelect"].fillna("").str.startswith("Yes")
    columns["country"] = frame["Country"]
    return pd.DataFrame(columns)

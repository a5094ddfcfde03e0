"""A real unpickler held to the allowlist, for pickles of plain data."""

import io
import pickle
from pathlib import Path

from mlsecops.artifacts import allowlist


class RefusedGlobal(pickle.UnpicklingError):
    """The pickle was not loaded: it reaches a global, or uses one, in a way that plain data does not need."""


class RestrictedUnpickler(pickle.Unpickler):
    """pickle.Unpickler that imports listed globals only."""

    def find_class(self, module, name):
        if allowlist.permission(module, name) is None or (module, name) == ("torch.storage", "_load_from_bytes"):
            raise RefusedGlobal(allowlist.explain(module, name)[1])
        return super().find_class(module, name)


def load_restricted(source):
    """Loads a plain pickle of data: scanned first (arguments and states too), then read with listed globals only.

    source: path (str or Path) or bytes. Returns the object. Raises RefusedGlobal when the scan is not "safe" or an
    unlisted global is reached, OSError when the path cannot be read.
    """
    from mlsecops.artifacts import scan_bytes

    data = bytes(source) if isinstance(source, bytes | bytearray | memoryview) else Path(source).read_bytes()
    report = scan_bytes(data)  # the bytes that were scanned are the bytes that are loaded
    if report.verdict != "safe" or report.format != "pickle":
        reason = report.findings[0].detail if report.findings else f"it is not a plain pickle but {report.format}"
        raise RefusedGlobal(reason)
    return RestrictedUnpickler(io.BytesIO(data)).load()

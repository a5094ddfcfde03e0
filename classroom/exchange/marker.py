"""Where a payload says that it ran: a file that it appends its nonce to, named by an environment variable."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

MARKER = "MLSECOPS_MARKER"


@contextlib.contextmanager
def marked() -> Iterator[Callable[[], frozenset[str]]]:
    """Name a file for payloads to write to, for the length of a `with` block; gives a function that tells which did."""
    saved = os.environ.get(MARKER)
    with tempfile.TemporaryDirectory(prefix="mlsecops-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "marker"
        path.touch()
        os.environ[MARKER] = str(path)
        try:
            yield lambda: frozenset(path.read_text(encoding="utf-8", errors="replace").split())
        finally:
            if saved is None:
                del os.environ[MARKER]
            else:
                os.environ[MARKER] = saved

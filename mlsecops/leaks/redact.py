"""Keep secrets out of logs: each one that is found becomes its kind in brackets."""

import logging

from mlsecops.leaks.secrets import find


def redact(text: str) -> str:
    """Return ``text`` with every secret replaced, such as by ``[provider-key]``."""
    spans = sorted((hit.start, hit.end, hit.rule) for hit in find(text))
    parts, done = [], 0
    for start, end, rule in spans:
        if start >= done:
            parts += [text[done:start], f"[{rule}]"]
        done = max(done, end)
    return "".join(parts) + text[done:]


class Redactor(logging.Formatter):
    """A formatter around another one that redacts what goes out, tracebacks and arguments as well.

    A filter on a logger would miss what other libraries log, and see the message before its arguments are put in.
    """

    def __init__(self, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, redacted."""
        return redact(self._inner.format(record))

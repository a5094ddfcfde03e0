"""What came back for one input, and what an error is called on its way to a judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from classroom.exchange import codec

MISSING = "_missing"  # the function was never defined
TIMEOUT = "_timeout"
DIED = "_died"  # the program ended
UNCODABLE = "_uncodable"  # the answer is not plain data
TOO_LARGE = "_too_large"
OURS = frozenset({MISSING, TIMEOUT, DIED, UNCODABLE, TOO_LARGE})
"""Errors that are no exception of the learner's: their names start with an underscore."""

LONGEST_MESSAGE = 300  # characters of an exception's text


class MissingError(Exception):
    """The learner has not written the function."""


@dataclass(frozen=True)
class Answer:
    """What came back for one input.

    Attributes:
        value: what the function returned, after a trip through the codec (None, bool, int, float, str, bytes, list,
            dict with str keys, numpy arrays); None when it raised. Where a question has a `play`, what that saw.
        error: name of the exception it raised (`"ValueError"`), one of `OURS`, or "" when it returned.
        message: the exception's text, cut short; the learner's own words, so never trusted, shown in practice only.
        fired: nonces of the payloads that ran while the function worked on this input.
    """

    value: Any = None
    error: str = ""
    message: str = ""
    fired: frozenset[str] = frozenset()


def failed(error: BaseException) -> Answer:
    """The answer that an exception amounts to.

    Args:
        error: what came out of the learner's code, or of the codec on the way to or from it.
    """
    try:
        message = str(error)[:LONGEST_MESSAGE]
    except BaseException:  # an exception of the learner's may do anything when it is asked for its text
        message = ""
    for kind, name in (
        (codec.TooLargeError, TOO_LARGE),
        (codec.UncodableError, UNCODABLE),
        (MissingError, MISSING),
    ):
        if isinstance(error, kind):
            return Answer(error=name, message=message)
    return Answer(error=type(error).__name__, message=message)

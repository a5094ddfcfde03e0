"""The judge's end of the line to a worker: one request, one answer, nothing believed.

A worker may send anything at any time. The first complete line after a request is its answer; whatever was there before
or comes on top is dropped and remarked upon.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from classroom.exchange import codec

# What payloads write is one nonce per line. This is more than one call can cause by unpickling what it was given, and
# less than the smallest size that a pipe can be shrunk to: who fills the pipe, so that a payload cannot write, shows.
_MAX_MARKS = 2048
# More than a pipe holds; somebody writes on while we read.
_MAX_DRAINED = 4 * 1024 * 1024
_MAX_EXTRA = 1000
_NONCE = re.compile(rb"[A-Za-z0-9_-]{1,128}")


class RoomError(Exception):
    """Submissions cannot run here; the text says why."""


class LineTimeoutError(Exception):
    """No answer in time."""


class LineBrokenError(Exception):
    """The worker hung up, or talked so much that listening on makes no sense."""


class Channel:
    """A line to a worker.

    Args:
        sock: a stream socket.

    Attributes:
        extra: True once the worker said something that it was not asked.
        received: cost of all answers so far: their bytes, and for each value in them what makes `codec.MAX_NODES`
            values cost as much as `codec.MAX_BYTES` bytes.
    """

    def __init__(self, sock: socket.socket):
        self._socket = sock
        self._pending = bytearray()
        self._number = 0
        self.extra = False
        self.received = 0

    def ask(self, request: dict, seconds: float) -> dict:
        """Send one request, return the answer to it as a dict (content unchecked, apart from size and form).

        Raises:
            LineTimeoutError, LineBrokenError: no answer, for good; the worker is of no further use.
            codec.UncodableError: the answer is no plain data.
        """
        self._number += 1
        self._drop_unasked()
        until = monotonic() + seconds
        self._send(codec.dumps({"id": self._number, **request}), until)
        for _ in range(_MAX_EXTRA):
            line = self._line(until)
            self.received += len(line) + codec.nodes(line) * codec.MAX_BYTES // codec.MAX_NODES
            answer = codec.loads(line)
            if isinstance(answer, dict) and answer.get("id") == self._number:
                return answer
            self.extra = True
        raise LineBrokenError("talks without being asked")

    def _drop_unasked(self) -> None:
        dropped = len(self._pending)
        self._pending.clear()
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while dropped < codec.MAX_BYTES:
                chunk = self._socket.recv(65536)
                if not chunk:
                    raise LineBrokenError("hung up")
                dropped += len(chunk)
        self.extra = self.extra or dropped > 0

    def _send(self, line: bytes, until: float) -> None:
        try:
            self._socket.settimeout(max(0.01, until - monotonic()))
            self._socket.sendall(line)
        except TimeoutError:
            raise LineTimeoutError from None
        except OSError as error:
            raise LineBrokenError(str(error)) from None

    def _line(self, until: float) -> bytes:
        searched = 0
        while (end := self._pending.find(b"\n", searched)) < 0:
            searched = len(self._pending)
            if searched > codec.MAX_BYTES:
                raise LineBrokenError("an endless answer")
            left = until - monotonic()
            if left <= 0:
                raise LineTimeoutError
            self._socket.settimeout(left)
            try:
                chunk = self._socket.recv(1 << 18)
            except TimeoutError:
                raise LineTimeoutError from None
            except OSError as error:
                raise LineBrokenError(str(error)) from None
            if not chunk:
                raise LineBrokenError("hung up")
            self._pending += chunk
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        return line

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@dataclass
class Markers:
    """The reading end of where payloads leave their nonces: a pipe, or in the fallback a file.

    Attributes:
        handle: an open, non-blocking descriptor. Nobody inside can close it.
    """

    handle: int

    def read(self) -> tuple[frozenset[str], bool]:
        """The nonces since the last call, and whether there were absurdly many (somebody fills the pipe)."""
        text = bytearray()
        with contextlib.suppress(BlockingIOError):
            while len(text) <= _MAX_DRAINED and (chunk := os.read(self.handle, 65536)):
                text += chunk
        return frozenset(nonce.decode() for nonce in _NONCE.findall(text)), len(text) > _MAX_MARKS

    def close(self) -> None:
        """Stop listening."""
        os.close(self.handle)


class Session:
    """One worker.

    Attributes:
        channel, markers: the line to it, and what payloads left.
        layers: names of the protections in force.
        pid: its process id outside.
        over_memory, over_processor: True once it was ended because it used too much of it.
    """

    def __init__(self, channel: Channel, markers: Markers, layers: list[str], pid: int, end: Callable[[], None]):
        self.channel, self.markers, self.layers, self.pid = channel, markers, layers, pid
        self.over_memory = self.over_processor = False
        self.started = monotonic()
        self._end = end

    def kill(self) -> None:
        """End every process of the session, at once."""
        self._end()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self.channel.close()
        self.markers.close()


def once(action: Callable[[], None]) -> Callable[[], None]:
    """`action`, made safe to call from several threads and more than once: the first call counts."""
    lock = threading.Lock()

    def run() -> None:
        if lock.acquire(blocking=False):
            action()

    return run

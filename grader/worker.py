"""Inside the jail: runs a notebook's cells, then answers requests.

Everything in this process belongs to the learner's code, which can change any of it. So nothing here is trusted: the
judge only ever reads answers, and an answer that is made up is no better than one that is computed.

One request per line, `{"id", "cell"}` or `{"id", "order"}` (see `classroom/exchange/stage.py`); one answer per request,
`{"id", "value"}` or `{"id", "error", "message"}`. While an order is carried out, each of its events is the answer to
one request, and the next request holds the order that answers the event.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import BinaryIO

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from classroom.exchange import codec
from classroom.exchange.answer import TIMEOUT, TOO_LARGE, failed
from classroom.exchange.marker import MARKER
from classroom.exchange.stage import Stage


class _TimeUp(BaseException):
    """Raised in the learner's code when a cell or a call takes too long."""


class Shell(InteractiveShell):
    """The interpreter of a notebook without its display: nobody reads tracebacks here, and formatting one is slow."""

    def showtraceback(self, *args: object, **kwargs: object) -> None:
        """Show nothing."""

    def showsyntaxerror(self, *args: object, **kwargs: object) -> None:
        """Show nothing."""

    def enable_gui(self, gui: str | None = None) -> None:
        """Accept `%matplotlib inline`; figures are drawn and never shown."""

    def system(self, command: str) -> None:
        """Run a `!` line. The original wants a terminal device, which the jail does not have."""
        done = subprocess.run(self.var_expand(command, depth=1), shell=True)  # noqa: S602 - it is what `!` means
        self.user_ns["_exit_code"] = done.returncode


def make_shell() -> Shell:
    """A shell without history file, banner or threads; made once in the zygote, because it takes a while."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.cache_size = 0
    shell = Shell.instance(config=config)
    shell.run_cell("pass", store_history=False)
    return shell


def serve(requests: BinaryIO, answers: BinaryIO, shell: Shell, step: float, marker: str) -> None:
    """Answer requests until the other side hangs up.

    Args:
        requests, answers: binary streams of lines.
        shell: where the cells run.
        step: seconds that one cell or call may take before it is interrupted.
        marker: path for the marker, set again before each request.
    """
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _interrupt)
    line = _Line(requests, answers, step, marker)
    stage = Stage(shell.user_ns.get)
    while request := line.next():
        line.answer(_run(request, shell, stage, line))


class _Line:
    """The worker's end of the line to the judge."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO, step: float, marker: str):
        self._requests, self._answers, self._step, self._marker = requests, answers, step, marker
        self._own_process, self._number = os.getpid(), 0

    def next(self) -> dict | None:
        """Wait for a request; None when the other side has hung up."""
        line = self._requests.readline()
        if not line:
            return None
        request = json.loads(line)
        self._number = request["id"]
        os.environ[MARKER] = self._marker
        return request

    def answer(self, answer: dict) -> None:
        """Answer the last request."""
        if os.getpid() != self._own_process:
            # A fork made by the learner's code came back to here; it must not take the original's requests.
            os._exit(0)
        line = codec.dumps({"id": self._number, **answer})
        if len(line) > codec.MAX_BYTES:
            line = codec.dumps({"id": self._number, "error": TOO_LARGE, "message": ""})
        self._answers.write(line)
        self._answers.flush()

    def exchange(self, event: dict) -> dict:
        """Tell an event in the middle of an order, and wait for the order that answers it; the wait is not timed."""
        value = codec.encode(event)
        self.alarm(0)
        self.answer({"value": value})
        request = self.next()
        if request is None:
            os._exit(0)
        self.alarm(self._step)
        return codec.decode(request["order"])

    @contextlib.contextmanager
    def timed(self):
        """Interrupt what takes longer than a step."""
        self.alarm(self._step)
        try:
            yield
        finally:
            self.alarm(0)

    @staticmethod
    def alarm(seconds: float) -> None:
        """Set or, with 0, stop the alarm."""
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, seconds)


def _interrupt(*_: object) -> None:
    raise _TimeUp


def _run(request: dict, shell: Shell, stage: Stage, line: _Line) -> dict:
    try:
        with line.timed():
            if "cell" in request:
                return _run_cell(shell, request["cell"])
            return {"value": codec.encode(stage.perform(codec.decode(request["order"]), line.exchange))}
    except _TimeUp:
        _end_leftovers()
        return {"error": TIMEOUT, "message": ""}
    except BaseException as error:
        return _describe(error)


def _run_cell(shell: Shell, code: str) -> dict:
    result = shell.run_cell(code, store_history=False)
    error = result.error_before_exec or result.error_in_exec
    if isinstance(error, _TimeUp):
        raise error
    return {"value": None} if error is None else _describe(error)


def _describe(error: BaseException) -> dict:
    answer = failed(error)
    return {"error": answer.error, "message": answer.message}


def _end_leftovers() -> None:
    """After a time-out, end what the learner's code started: as process 1 of the jail, we reach it all and only it."""
    if os.getpid() == 1:
        with contextlib.suppress(OSError):
            os.kill(-1, signal.SIGKILL)


def silence() -> None:
    """Send everything that the learner's code prints nowhere. Nobody reads it, so there is no amount that hurts."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    sys.stdin, sys.stdout, sys.stderr = (open(n, m, closefd=False) for n, m in ((0, "r"), (1, "w"), (2, "w")))

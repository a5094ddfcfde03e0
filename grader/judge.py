"""Asks, compares and decides. The one process that knows the key and the truth, and that writes results.

It imports no learner's code and no heavy library, and it unpickles nothing: all that it takes from a worker is plain
data of limited size, see `classroom/exchange/codec.py`.
"""

from __future__ import annotations

import contextlib
import math
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, sleep

from classroom.exchange import codec
from classroom.exchange.answer import DIED, MISSING, OURS, TIMEOUT, TOO_LARGE, UNCODABLE, Answer
from classroom.exchange.conductor import ENDS, StoppedError, event_of
from classroom.questions import Lab, Question, Verdict
from grader import reports, seeds, submissions
from grader.channel import LineBrokenError, LineTimeoutError, RoomError, Session
from grader.generator import Generator
from grader.policy import Limits
from grader.rooms import Watch
from grader.submissions import Notebook, Submission

# A worker interrupts its own cells and calls; when it does not (anymore), it is ended this much later.
_GRACE = 1.0
# A submission that keeps ending its worker is started again without the cell or question that did it, this often.
_MAX_STARTS = 8
# The flag of a result that only says that grading failed; `--resume` tries again.
GRADER_FAILED = "grader-failed"
_NOTES = {
    TIMEOUT: "At least one call took longer than allowed.",
    DIED: "At least one call ended the interpreter.",
    UNCODABLE: "At least one answer was not plain data (finite numbers, text, bytes, lists, dicts, arrays).",
    TOO_LARGE: "The answers were far too large, or the markers were tampered with.",
}


class _LostError(Exception):
    """The worker is gone; the text is the status to report."""


class _OutOfTimeError(Exception):
    """The submission has used up its wall time."""


# --- one submission ---------------------------------------------------------------------------------------------------


@dataclass
class Examination:
    """Runs one notebook and collects its answers, whatever it does on the way.

    Args:
        cells: source of the code cells.
        questions: in the order in which they are asked.
        cases: per question id the encoded `inputs` and the `truth`.
        room, watch: where to run it.
        limits: seconds in total and per step.

    Attributes:
        answers: per question id one answer per input.
        incidents: `timeout`, `memory` or `died`, in order.
        failed: (number of the cell, name of the error, its message) for cells that raised.
        flags: remarks for the instructor.
        layers: protections that were in force.
    """

    cells: list[str]
    questions: tuple[Question, ...]
    cases: dict[str, dict]
    room: object
    watch: Watch
    limits: Limits
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    incidents: list[str] = field(default_factory=list)
    failed: list[tuple[int, str, str]] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    layers: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Ask every question. Afterwards `answers` is complete.

        Raises:
            RoomError: no worker could be started.
        """
        self._until = math.inf
        self._skipped: set[int] = set()
        for _ in range(_MAX_STARTS):
            try:
                with contextlib.ExitStack() as self._open:
                    self._sessions: list[Session] = []
                    self._busy: set[int] = set()  # instances that may be in the middle of an order
                    try:
                        self._ask_all(self._instance(0))
                    finally:
                        if any(session.channel.extra for session in self._sessions):
                            self.flags.add("unasked-lines")
                break
            except _LostError as lost:
                self.incidents.append(str(lost))
            except _OutOfTimeError:
                self.incidents.append("timeout")
                break
        reason = DIED if self.incidents and self.incidents[-1] == "died" else TIMEOUT
        for question in self.questions:
            self._give_up(question, reason)

    def _instance(self, number: int) -> Session:
        """The worker of this number, with the notebook's cells run. Most submissions have one; a question about a
        service that runs twice takes another, since only what two processes do not share tells them apart."""
        while len(self._sessions) <= number:
            session = self._open.enter_context(self._new_session())
            self._open.enter_context(self.watch.over(session))
            self._sessions.append(session)
            self.layers = session.layers
            # The clock starts with the first worker; starting more of them is the submission's own doing.
            self._until = min(self._until, monotonic() + self.limits.seconds)
            self._run_cells(session)
        return self._sessions[number]

    def _new_session(self) -> Session:
        for patience in (0.2, 1.0):
            try:
                return self.room.session()
            except RoomError:
                sleep(patience)
        return self.room.session()

    def _run_cells(self, session: Session) -> None:
        self.failed.clear()
        for number, code in enumerate(self.cells):
            if number in self._skipped:
                self.failed.append((number + 1, "interrupted", "it took too long, too much memory, or ended Python"))
                continue
            try:
                answer = self._ask(session, {"cell": code})
            except _LostError:
                self._skipped.add(number)
                raise
            if error := answer.error:
                self._note(error)
                self.failed.append((number + 1, error.removeprefix("_"), answer.message))

    def _ask_all(self, session: Session) -> None:
        for question in self.questions:
            if question.id in self.answers:
                continue
            collected: list[Answer] = []
            flooded, self._before = False, self._received()
            session.markers.read()  # what earlier cells left is no answer
            try:
                for arguments in self.cases[question.id]["inputs"]:
                    answer = self._put(question, arguments)
                    too_much = self._too_much()
                    answer = Answer(error=TOO_LARGE) if too_much else answer
                    fired, full = session.markers.read()
                    flooded = flooded or full
                    collected.append(replace(answer, fired=fired) if fired else answer)
                    self._note(answer.error)
                    if answer.error in (TIMEOUT, MISSING) or too_much:
                        break
            except _OutOfTimeError:
                collected.append(Answer(error=TIMEOUT))
                raise
            except _LostError as lost:
                flooded = flooded or session.markers.read()[1]
                collected.append(Answer(error=TIMEOUT if str(lost) == "timeout" else DIED))
                raise
            finally:
                if flooded:
                    # Who fills the pipe wants a payload to be unable to write to it. Nothing here can be believed.
                    self.flags.add("flooded-marker")
                    collected = [Answer(error=TOO_LARGE)]
                self.answers[question.id] = collected
                self._give_up(question, collected[-1].error if collected else MISSING)

    def _put(self, question: Question, arguments: list) -> Answer:
        """Put one input to what the learner wrote."""
        try:
            return Answer(question.put(self._order, codec.decode(arguments)))
        except StoppedError as stopped:
            for number in sorted(self._busy):
                with contextlib.suppress(StoppedError):
                    self._order(number, {"abandon": True})
            return stopped.answer
        except (RoomError, _LostError, _OutOfTimeError):
            raise
        except Exception as error:  # a defect of ours costs one question, and the instructor hears of it
            self.flags.add(f"judge-failed:{question.id}:{type(error).__name__}")
            return Answer(error="Exception")

    def _order(self, instance: int, content: dict) -> dict:
        """One order to one instance of the learner's service, and the event it ends in; see `conductor.Order`."""
        session = self._instance(instance)
        try:
            order = codec.encode(content)  # what a tool answers may be the learner's own, come back
        except codec.UncodableError:
            raise StoppedError(Answer(error=UNCODABLE)) from None
        self._busy.add(instance)
        answer = self._ask(session, {"order": order})
        if answer.error and answer.error not in (UNCODABLE, TOO_LARGE):
            self._busy.discard(instance)
        if self._too_much():
            raise StoppedError(Answer(error=TOO_LARGE))
        event = event_of(answer)
        if event["event"] in ENDS:
            self._busy.discard(instance)
        return event

    def _too_much(self) -> bool:
        """All answers to a question together may be as large as one; they are kept until it is judged."""
        return self._received() - self._before > codec.MAX_BYTES

    def _received(self) -> int:
        return sum(session.channel.received for session in self._sessions)

    def _give_up(self, question: Question, reason: str) -> None:
        answers = self.answers.setdefault(question.id, [])
        missing = len(self.cases[question.id]["inputs"]) - len(answers)
        answers += [Answer(error=reason)] * missing

    def _note(self, error: str) -> None:
        if error in (TIMEOUT, "MemoryError"):
            self.incidents.append("timeout" if error == TIMEOUT else "memory")

    def _ask(self, session: Session, request: dict) -> Answer:
        left = self._until - monotonic()
        if left <= 0:
            raise _OutOfTimeError
        try:
            return _answer(session.channel.ask(request, min(self.limits.step + _GRACE, left)))
        except (codec.UncodableError, RecursionError) as error:
            return Answer(error=UNCODABLE, message=str(error))
        except LineTimeoutError:
            if self._until <= monotonic():
                raise _OutOfTimeError from None
            raise _LostError("timeout") from None
        except LineBrokenError:
            # The kernel closes the line before it reports the death; the watch says first when it was its doing.
            if session.over_processor:
                raise _LostError("timeout") from None
            raise _LostError("memory" if session.over_memory else "died") from None


def _answer(line: dict) -> Answer:
    """An answer from what a worker sent, of which nothing is believed but that it is JSON."""
    if "error" not in line:
        return Answer(codec.decode(line.get("value"), finite=True))
    name = str(line["error"])[:80]
    if name not in OURS - {DIED}:
        name = re.sub(r"\W", "", name).lstrip("_") or "Exception"
    message = line.get("message")
    return Answer(error=name, message=message[:500] if isinstance(message, str) else "")


def decide(question: Question, answers: list[Answer], truth: object) -> tuple[Verdict, str]:
    """The verdict on one question, and a flag ("" or what went wrong on our side)."""
    ours = {answer.error for answer in answers if answer.error.startswith("_")}
    if ours == {MISSING}:
        return Verdict(0.0, f"`{question.entry}` is not defined."), ""
    try:
        verdict = question.judge(answers, truth)
        score = float(verdict.score)
    except Exception as error:
        # An answer that trips the judge up earns nothing, and the instructor hears of it.
        return Verdict(0.0, "This answer could not be judged."), f"judge-failed:{question.id}:{type(error).__name__}"
    score = min(1.0, max(0.0, score)) if math.isfinite(score) else 0.0
    notes = [text for name, text in _NOTES.items() if name in ours and score < 1]
    known = verdict.misconception if verdict.misconception in question.misconceptions else ""
    return Verdict(score, " ".join([verdict.message, *notes]).strip(), known), ""


# --- a folder of them -------------------------------------------------------------------------------------------------


@dataclass
class Grading:
    """A run over many submissions.

    Args:
        lab: what is graded.
        key: the lab's key.
        room, generator, limits: where and how.
        out: folder for the results.
        workers: submissions in flight.
        progress: called with each finished result.
    """

    lab: Lab
    key: bytes
    room: object
    generator: Generator
    limits: Limits
    out: Path
    workers: int
    progress: Callable[[dict], None] = lambda result: None

    def grade(self, inputs: Iterable[Submission], *, resume: bool) -> list[dict]:
        """Grade them all; each result is on disk as soon as it is known.

        Returns:
            One short row per input, in order, for `grades.csv`.

        Raises:
            RoomError, GeneratorError: the machinery failed. What is finished is whole.
        """
        self._version = self.lab.version()
        self._stopping = threading.Event()
        self._failed: list[Future] = []
        self._watch = Watch(self.limits.memory)
        self._watch.start()
        slots = threading.Semaphore(2 * self.workers)
        lanes, maker = ThreadPoolExecutor(self.workers), ThreadPoolExecutor(1)
        rows: list[Future] = []
        try:
            for submission in inputs:
                slots.acquire()
                # Inputs are made one submission ahead, while the lanes are busy with earlier ones.
                prepared = maker.submit(self._prepare, submission, resume)
                row = lanes.submit(self._grade_one, submission, prepared)
                row.add_done_callback(lambda done: self._finish(done, slots))
                rows.append(row)
                if self._failed:
                    self._failed[0].result()
            return [row.result() for row in rows]
        except BaseException:
            self._stopping.set()
            self.room.close()
            raise
        finally:
            lanes.shutdown(wait=True, cancel_futures=True)
            maker.shutdown(wait=True, cancel_futures=True)
            self._watch.stop()

    def _finish(self, row: Future, slots: threading.Semaphore) -> None:
        if not row.cancelled() and row.exception():
            self._failed.append(row)
        slots.release()

    def _prepare(self, submission: Submission, resume: bool) -> tuple[Notebook, dict | None, dict]:
        notebook = submissions.read(submission, self.lab.id)
        if resume and (finished := self._finished(submission, notebook)):
            return notebook, finished, {}
        cases = {}
        if notebook.status == "ok":
            cases = self.generator.cases(
                {q.id: seeds.question_seed(self.key, submission.student, q.id) for q in self.lab.questions}
            )
        return notebook, None, cases

    def _finished(self, submission: Submission, notebook: Notebook) -> dict | None:
        result = reports.read_result(self.out, submission.student)
        wanted = self._stamp(submission, notebook)
        if not result or any(result.get(name) != value for name, value in wanted.items()):
            return None
        if any(str(flag).startswith(GRADER_FAILED) for flag in result.get("flags", [])):
            return None
        return result if reports.is_whole(result, self.lab.questions) else None

    def _stamp(self, submission: Submission, notebook: Notebook) -> dict:
        return {
            "schema": reports.SCHEMA,
            "student": submission.student,
            "submission_sha256": notebook.sha256,
            "lab": self.lab.id,
            "questions_version": self._version,
            "seed_id": seeds.seed_id(self.key, submission.student),
            "isolation": self.room.isolation,
        }

    def _grade_one(self, submission: Submission, prepared: Future) -> dict:
        notebook, result, cases = prepared.result()
        if result is None:
            started = monotonic()
            result = self._stamp(submission, notebook) | self._examined(notebook, cases)
            result["seconds"] = round(monotonic() - started, 3)
            if self._stopping.is_set():
                # The run was interrupted, and this worker with it: what looks like a death is not the learner's.
                raise RoomError("interrupted")
            reports.write_feedback(self.out, result, notebook.pictures, self.lab.questions)
            reports.write_result(self.out, result)
        self.progress(result)
        failed = any(str(flag).startswith(GRADER_FAILED) for flag in result["flags"])
        return reports.row_of(result) | {"failed": failed}

    def _examined(self, notebook: Notebook, cases: dict) -> dict:
        try:
            return self._examine(notebook, cases)
        except (RoomError, OSError):
            raise
        except Exception as error:
            # A defect of ours costs this submission its grade until somebody has looked, but nobody else's.
            verdicts = [Verdict(0.0, "This submission could not be graded.") for _ in self.lab.questions]
            return self._result("died", verdicts, {f"{GRADER_FAILED}:{type(error).__name__}"}, [], [])

    def _examine(self, notebook: Notebook, cases: dict) -> dict:
        if notebook.status != "ok":
            verdicts = [Verdict(0.0, notebook.reason) for _ in self.lab.questions]
            return self._result(notebook.status, verdicts, set(notebook.flags), [], [])
        exam = Examination(notebook.cells, self.lab.questions, cases, self.room, self._watch, self.limits)
        exam.run()
        flags, verdicts = exam.flags | set(notebook.flags), []
        for question in self.lab.questions:
            verdict, flag = decide(question, exam.answers[question.id], cases[question.id]["truth"])
            verdicts.append(verdict)
            flags |= {flag} - {""}
        status = exam.incidents[0] if exam.incidents else "ok"
        return self._result(status, verdicts, flags, exam.layers, exam.failed)

    def _result(self, status: str, verdicts: list[Verdict], flags: set[str], layers: list, failed: list) -> dict:
        questions = [
            {
                "id": question.id,
                "score": round(question.points * verdict.score, 4),
                "max": question.points,
                "message": verdict.message,
                "misconception": verdict.misconception,
            }
            for question, verdict in zip(self.lab.questions, verdicts, strict=True)
        ]
        return {
            "status": status,
            "score": round(sum(q["score"] for q in questions), 4),
            "max": sum(q.points for q in self.lab.questions),
            "questions": questions,
            "flags": sorted(flags),
            "layers": layers,
            "failed_cells": [{"cell": n, "error": error, "message": text} for n, error, text in failed],
        }

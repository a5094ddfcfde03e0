"""Follow the service's log, all its workers and segments, and raise each alert once, whatever happens to the watcher.

The place up to which the log was read, what is known of the clients, and the alerts that are not out yet are saved in
one step. So a watcher that was killed goes on as if it had not been.
"""

import hashlib
import heapq
import json
import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO

from mlsecops.audit_folder import chain_of, chains
from mlsecops.audit_log import NAME, Follower, open_log
from mlsecops.monitoring.rules import RULES, Clients, Declared, Detector

BATCH = 50_000  # lines between two saves, at most


@dataclass(frozen=True)
class Place:
    """Up to where a chain was read.

    Attributes:
        segment: the number of the segment.
        offset: bytes of it that were read.
        count: the number that the next line has to bear.
        previous: SHA-256 of the last line that was read; ``size`` its bytes.
        time: the last time that a line stated, in seconds since 1970.
    """

    segment: int = 1
    offset: int = 0
    count: int = 0
    previous: str = "0" * 64
    size: int = 0
    time: float = 0.0


class Watcher:
    """Reads what was added to the log since the last time.

    Args:
        log: a folder of logs, or one log.
        state: the file that holds what has to be known to go on.
        key: the key of the log (32 bytes); None: only the links from line to line are checked.
        detector: the statistics; None: none.
        clients: how many keys and addresses are remembered, the last ones seen; memory and state grow with it.
        declared: what owners have said about keys, by the key's id.

    Raises:
        OSError: log or state cannot be read.
        ValueError: the state is not one.
    """

    def __init__(
        self,
        log: Path,
        state: Path,
        key: bytes | None = None,
        detector: Detector | None = None,
        clients: int = 2_000,
        declared: dict[str, Declared] | None = None,
    ) -> None:
        self._log, self._state, self._key, self._detector = log, state, key, detector
        self._places: dict[str, Place] = {}
        self._clients, self._outbox, self._out, self._broken = Clients(clients, declared), [], None, {}
        with suppress(FileNotFoundError):
            try:
                saved = json.loads(state.read_bytes())
                self._places = {name: Place(**place) for name, place in saved["places"].items()}
                self._clients = Clients.from_dict(saved["clients"], clients, declared)
                self._outbox, self._out, self._broken = saved["outbox"], saved["out"], saved["broken"]
            except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
                raise ValueError(f"{state} is no state of watch") from error

    def run(self, out: IO[str], tell: Callable[[dict], None]) -> int:
        """Read what there is and write the alerts, one JSON object a line; returns how many lines were read.

        A watcher that dies between writing and noting that it wrote takes back what it wrote when ``out`` is the same
        file; what went through a pipe comes a second time with the same ``id``.

        Args:
            out: for the alerts.
            tell: called with each alert, for people.
        """
        self._deliver(out, tell)
        total = 0
        while True:
            read = self._read()
            total += read
            if read or self._outbox:
                self._out = _size(out) if self._outbox else None
                self._save()
                self._deliver(out, tell)
            if not read:
                return total

    def _deliver(self, out: IO[str], tell: Callable[[dict], None]) -> None:
        if not self._outbox:
            return
        lines = [json.dumps(alert) + "\n" for alert in self._outbox]
        if self._out and (now := _size(out)) and now[:2] == self._out[:2] and now[2] > self._out[2]:
            if "".join(lines).encode().startswith(_written(out, self._out[2]) or b"\0"):  # ours, and nobody else's
                os.ftruncate(out.fileno(), self._out[2])
                out.seek(0, os.SEEK_END)
        for alert, line in zip(self._outbox, lines, strict=True):
            out.write(line)
            tell(alert)
        out.flush()
        self._outbox, self._out = [], None
        self._save()

    def _save(self) -> None:
        content = {
            "places": {name: asdict(place) for name, place in self._places.items()},
            "clients": self._clients.to_dict(),
            "outbox": self._outbox,
            "out": self._out,
            "broken": self._broken,
        }
        beside = self._state.with_name(self._state.name + ".new")
        beside.write_text(json.dumps(content), encoding="utf-8")
        beside.replace(self._state)

    def _read(self) -> int:
        """Take up to a batch of lines and gaps, all chains by time; returns how many."""
        found = {chain_of(files): files for files in chains([self._log])}
        read = 0
        for name in self._places.keys() - found.keys():
            self._alert_chain(name, self._places[name], f"{name} is missing")
        sources = [self._lines(name, files) for name, files in sorted(found.items())]
        merged = heapq.merge(*sources, key=lambda item: (item[1].time, item[0]))
        for name, place, line, problem in islice(merged, BATCH):
            if problem:
                self._alert_chain(name, place, problem)
            read += 1
            if line is not None:
                if _is_request(line):
                    for rule, evidence in self._clients.take(line, self._detector):
                        self._alert(rule, line["time"], line["key_id"], line.get("address"), evidence)
            self._places[name] = place
        return read

    def _alert(self, rule: str, time: float, key: str | None, address: str | None, evidence: dict) -> None:
        about = RULES[rule]
        subject = json.dumps([rule, time, key, None if key else address, evidence.get("chain")])
        alert = {"id": hashlib.sha256(subject.encode()).hexdigest()[:16], "time": time, "rule": rule, "key_id": key}
        alert |= {"address": address, "atlas": about.atlas, "aisvs": about.aisvs, "evidence": evidence}
        self._outbox.append(alert | {"runbook": about.runbook})

    def _alert_chain(self, name: str, place: Place, problem: str) -> None:
        """A log that was rewritten breaks at every line: one alert an hour is enough."""
        if place.time - self._broken.get(name, float("-inf")) >= 3600:
            self._broken[name] = place.time
            evidence = {"chain": name, "line": place.count, "problem": problem}
            self._alert("chain", place.time, None, None, evidence)

    def _lines(self, name: str, files: list[Path]) -> Iterator[tuple[str, Place, dict | None, str]]:
        """What one chain has after its place: ``(chain, place after it, line or None, problem or "")``."""
        place = self._places.get(name, Place())
        numbered = {number: path for path in files if (number := _number(path))}
        opened = [path for path in files if not _number(path)]
        newest = max(numbered, default=0) + 1
        if opened and not numbered:
            newest = max(newest, _opened_as(opened[0]))  # the closed ones may have been removed
        if place.segment > newest:
            place = Place(newest, time=place.time)
            yield name, place, None, f"{name} was begun anew"
        while place.segment <= newest:
            path = numbered.get(place.segment) or (opened[0] if opened and place.segment == newest else None)
            if path is None:
                if place.segment < newest:
                    gone = place.segment
                    place = replace(place, offset=0, size=0)
                    yield name, replace(place, segment=gone + 1), None, f"segment {gone} is missing"
            else:
                with open_log(path) as file:
                    if not numbered.get(place.segment) and path.with_name(_closed(path, newest)).exists():
                        return  # it was renamed since the folder was listed
                    for after, line, problem in _following(file, place, self._key):
                        place = after
                        yield name, place, line, problem
            if place.segment == newest:
                return
            place = replace(place, segment=place.segment + 1, offset=0, size=0)


def _following(file: IO[bytes], place: Place, key: bytes | None) -> Iterator[tuple[Place, dict | None, str]]:
    """The whole lines of a segment after a place; a torn line at its end may be one that is being written."""
    if place.size:
        file.seek(place.offset - place.size)
        if hashlib.sha256(file.read(place.size)).hexdigest() != place.previous:
            problem = f"what was read up to line {place.count} is no longer there"
            place = replace(place, offset=min(place.offset, file.seek(0, os.SEEK_END)), size=0)
            yield place, None, problem
    file.seek(place.offset)
    follower = Follower(key, place.count, place.previous)
    offset, time = place.offset, place.time
    for line in file:
        if not line.endswith(b"\n"):
            return
        problem, content = follower.problem(line), None
        with suppress(ValueError, RecursionError):
            content = json.loads(line)
        ours = not problem or follower.ours(line)
        if problem:  # go on behind it
            number = content.get("seq") if isinstance(content, dict) else None
            count = number + 1 if type(number) is int else follower.count + 1
            follower = Follower(key, count, hashlib.sha256(line).hexdigest())
        offset += len(line)
        # Of what somebody else wrote nothing is believed, and a time least of all: it would mute what comes after it.
        if ours and isinstance(content, dict) and _is_time(content.get("time")):
            time = max(time, content["time"])
        else:
            content = None
        yield Place(place.segment, offset, follower.count, follower.previous, len(line), time), content, problem


LATEST = 4_102_444_800  # the year 2100, in seconds since 1970


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= LATEST


def _is_request(line: dict) -> bool:
    """Whether a line is a request, or a summary of refusals, in the form in which the service writes them."""
    texts = [line.get(name) for name in ("key_id", "address", "path")]
    if "key_id" not in line or not all(text is None or isinstance(text, str) for text in texts):
        return False
    counts = line.get("statuses", {"0": 0})
    if not isinstance(counts, dict) or not all(
        name.isdecimal() and type(count) is int and 0 <= count < 1 << 40 for name, count in counts.items()
    ):
        return False
    features = line.get("features") or {}
    plain = isinstance(features, dict) and all(
        isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
        for value in features.values()
    )
    return plain and type(line.get("status")) is int and type(line.get("paths", 1)) is int


def _opened_as(path: Path) -> int:
    """The number that an open segment states in its first line; 1 where it states none."""
    with suppress(OSError, ValueError, RecursionError), open_log(path) as file:
        first = json.loads(file.readline(1 << 17))
        if isinstance(first, dict) and first.get("event") == "opened" and type(first.get("segment")) is int:
            return max(1, first["segment"])
    return 1


def _written(out: IO[str], start: int) -> bytes | None:
    """What stands in a file behind a place; None where the system does not let us read it."""
    with suppress(OSError):
        with open(f"/dev/fd/{out.fileno()}", "rb") as file:  # noqa: PTH123 - a descriptor
            file.seek(start)
            return file.read()
    return None


def _size(out: IO[str]) -> list[int] | None:
    """Device, number and size of the file that is written to; None when it is no file."""
    with suppress(OSError, ValueError):
        about = os.fstat(out.fileno())
        if stat.S_ISREG(about.st_mode):
            return [about.st_dev, about.st_ino, about.st_size]
    return None


def _number(path: Path) -> int:
    named = NAME.fullmatch(path.name)
    return int(named["segment"] or 0) if named else 0


def _closed(path: Path, number: int) -> str:
    return f"{path.name.removesuffix('.jsonl')}.{number:06}.jsonl"

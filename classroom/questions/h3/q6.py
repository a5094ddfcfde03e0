"""The audit chain."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json

from classroom.questions import Question
from classroom.questions.h3.common import (
    ALGORITHMS,
    drawn_text,
    due_line,
)
from classroom.questions.scoring import Case, balance, draws, graded, shown


def _chain(entries: list[dict], key: bytes, form: dict, previous: str = "") -> list[bytes]:
    """Lines of a log, each bound to the one before."""
    lines = []
    for entry in entries:
        head = json.dumps(entry, ensure_ascii=False)[:-1] + f', "{form["previous"]}": "{previous}"'
        mac = hmac.new(key, head.encode(), form["digest"]).hexdigest()
        lines.append(f'{head}, "{form["mac"]}": "{mac}"}}\n'.encode())
        previous = _link(lines[-1], form)
    return lines


def _link(line: bytes, form: dict) -> str:
    return hashlib.new(form["digest"], line).hexdigest()


def _chain_generate(rng, hidden=False):
    r = draws(rng)
    key = r.randbytes(32)
    previous, mac = r.choice([("chain", "code"), ("prev", "seal"), ("before", "tag"), ("link", "stamp")])
    form = {"digest": r.choice(ALGORITHMS), "previous": previous, "mac": mac}

    minute = r.randint(0, 59)

    def entries(count):
        return [
            {
                "time": f"12:{minute:02}",  # no number, no second: only the links tell that a line is missing
                "key_id": drawn_text(r, 6),
                "path": r.choice(["/predict", "/health", "/предсказать"]),
                "status": r.choice([200, 200, 401, 422, 429]),
                "note": r.choice(["", 'said "no"', f'", "{form["mac"]}": "', "a\nb"]),
            }
            for _ in range(count)
        ]

    def head_of(lines, number):
        return {"line": number, form["mac"]: lines[number].rsplit(b'"', 2)[1].decode()}

    def rehashed(lines, number, change):
        """What somebody without the key makes of a log: a changed line, and every link after it made to fit again."""
        made = [*lines[:number], change(lines[number])]
        for line in lines[number + 1 :]:
            start, end = line.split(f'"{previous}": "'.encode())
            link = _link(made[-1], form)
            made.append(start + f'"{previous}": "{link}'.encode() + end[len(link) :])
        return made

    def edited(line):
        start, name, rest = line.partition(b'"key_id": "')
        return start + name + r.choice([c for c in "abcdefgh" if c.encode() != rest[:1]]).encode() + rest[1:]

    def spaced(line):
        return line.replace(b'"time": ', b'"time":  ', 1)

    families = {
        "whole": lambda log, n: (log, None),
        "whole, longer than the anchor": lambda log, n: (log, None),
        "whole, one line": lambda log, n: (log[:1], None),
        "edited": lambda log, n: ([*log[:n], edited(log[n]), *log[n + 1 :]], n),
        "edited, links made to fit": lambda log, n: (rehashed(log, n, edited), n),
        "deleted": lambda log, n: ([*log[:n], *log[n + 1 :]], n),
        "swapped": lambda log, n: ([*log[:n], log[n + 1], log[n], *log[n + 2 :]], n),
        "doubled": lambda log, n: ([*log[:n], log[n - 1], *log[n:]], n),
        "end cut off": lambda log, n: (log[: n + 1], n + 1),
        "only spaces changed": lambda log, n: ([*log[:n], spaced(log[n]), *log[n + 1 :]], n),
        "beginning cut off": lambda log, n: (log[n:], 0),
    }
    held_back = {
        "rewritten with the key": lambda log, n: (
            log[:n] + _chain([e | {"status": 200} for e in entries(len(log) - n)], key, form, _link(log[n - 1], form)),
            None,
        ),
        "a line of another log": lambda log, n: ([*log[:n], _chain(entries(n + 1), key, form)[n], *log[n + 1 :]], n),
        "last line torn": lambda log, n: ([*log[:-1], log[-1][:-9]], len(log) - 1),
        "mac in large letters": lambda log, n: ([*log[:n], _upper(log[n]), *log[n + 1 :]], n),
    }
    whole = [name for name in families if name.startswith("whole")]
    chosen = [name for name in families if name not in whole] * 2 + whole * 4
    chosen += [*held_back, *held_back] if hidden else []
    r.shuffle(chosen)
    inputs, cases = [], []
    for kind in chosen:
        honest = _chain(entries(r.randint(9, 16)), key, form)
        place = r.randint(2, len(honest) - 4)
        lines, bad = (families | held_back)[kind](honest, place)
        anchored = len(honest) - 1
        if kind == "whole, longer than the anchor":
            anchored = place
        elif kind == "whole, one line":
            anchored = 0
        elif kind == "rewritten with the key":
            anchored = bad = r.randint(place, len(honest) - 1)
        inputs.append((lines, key, head_of(honest, anchored), form))
        cases.append({"kind": kind, "bad": bad})
    return inputs, {"cases": cases}


def _upper(line: bytes) -> bytes:
    start, mac, end = line.rsplit(b'"', 2)
    letters = mac.upper() if mac.upper() != mac else mac[::-1]
    return start + b'"' + letters + b'"' + end


@graded
def _chain_judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        bad = case["bad"]
        same = answer.value is None if bad is None else type(answer.value) is int and answer.value == bad
        wanted = "None" if bad is None else f"line {bad}"
        line = due_line(number, case["kind"], wanted, shown(answer))
        cases.append(Case(case["kind"], bad is not None, same and not answer.error, line))
    verdict = balance(
        cases,
        {
            "no-key": ["edited, links made to fit"],
            "no-chain": ["deleted", "swapped", "doubled", "a line of another log"],
            "no-anchor": ["end cut off", "rewritten with the key"],
            "parsed": ["only spaces changed"],
            "no-beginning": ["beginning cut off"],
            "anchor-is-the-end": ["whole, longer than the anchor"],
            "crash": ["last line torn"],
        },
    )
    whole = [answer.value for answer, case in zip(answers, truth["cases"], strict=True) if case["bad"] is None]
    if sum(type(value) is int and value == 1 for value in whole) > len(whole) / 2:
        return dataclasses.replace(verdict, misconception="no-line-break")
    return verdict


QUESTION = Question(
    id="h3-q6",
    title="The audit chain",
    entry="first_problem",
    signature="first_problem(lines: list[bytes], key: bytes, anchor: dict, form: dict) -> int, or None",
    points=12,
    minutes=12,
    difficulty=2,
    controls=("monitoring-audit-trail", "MEASURE", "AML.T0024"),
    reread='H3, "Six attacks on the audit log"',
    hints=(
        "Compare bytes. Work from the end of the line with `rpartition`: what stands before the mac's name is "
        "what the mac was made of. Whatever does not have that form is altered.",
        "Three questions about each line: is its mac right? does it name the digest of the line before (whole, "
        "with its line break)? is it the anchored one, and does it have the anchored mac? Afterwards: was the "
        "anchored line there at all?",
    ),
    generate=_chain_generate,
    judge=_chain_judge,
    misconceptions={
        "no-key": "A chain of plain digests can be made to fit again by anybody. The mac takes the key: check it.",
        "no-chain": "Each line is genuine, and they are not all there, or not in order. Check the link to the "
        "line before.",
        "no-anchor": "A chain that was cut is still a chain, and so is one that was written anew with the key. "
        "Compare with the anchor; where lines are missing at the end, the first of them is `len(lines)`.",
        "no-line-break": "Whole logs fail at their second line: the digest of the line before is over the whole "
        "line, with its line break.",
        "parsed": "You compare what the line says after parsing. Two writings of the same content are two lines: "
        "compare the bytes.",
        "no-beginning": "The first line has nothing before it, and has to say so. Else the beginning can be cut off.",
        "anchor-is-the-end": "The anchor is the newest line that was noted. A log goes on after it.",
        "crash": "A torn line is a problem to report, not a reason to crash.",
    },
)

"""What the questions of lab H2b share: how a case is noted, and the feedback that several of them give."""

from __future__ import annotations

import hashlib

from classroom.questions import Verdict


def families(r, *groups):
    """All families of the groups, in drawn order."""
    return r.sample([family for group in groups for family in group], sum(map(len, groups)))


def fired_in(answers, truth) -> set[str]:
    known = {case["nonce"] for case in truth["cases"] if case.get("nonce")}
    return {mark for answer in answers for mark in answer.fired} & known


def case_of(kind, mark="", **rest) -> dict:
    return {"kind": kind, "nonce": mark, **rest}


def shuffled(r, inputs, cases, **shared):
    order = list(range(len(inputs)))
    r.shuffle(order)
    return [inputs[i] for i in order], {"cases": [cases[i] for i in order], **shared}


def fingerprint(value) -> str:
    """SHA-256 (hex) of what an object holds: its type and its parts, in order. The lab shows the same function."""

    def parts(value):
        kind = type(value).__name__
        if isinstance(value, dict):
            return [kind, [[parts(key), parts(item)] for key, item in value.items()]]
        if isinstance(value, list | tuple) or kind == "deque":
            return [kind, [parts(item) for item in value]]
        if kind == "ndarray":
            return [kind, str(value.dtype), list(value.shape), value.tobytes().hex()]
        return [kind, repr(value)]

    return hashlib.sha256(repr(parts(value)).encode()).hexdigest()


def ran_it() -> Verdict:
    return Verdict(
        0.0,
        "A payload ran while your function worked. Looking at a file must not load it.",
        "ran-it",
        "A nonce arrived: somewhere the stream was really unpickled.",
    )


RAN = (
    "Your function loaded the file to find out what is in it, and the payload ran. Loading is running: read the "
    "opcodes, or replace what the unpickler looks up."
)

GREP = (
    "You searched the bytes for names. A stream that only talks about `os.system` reaches nothing, and one that "
    "reaches it need not spell it. What counts is the opcodes, not the text."
)

GLOBAL = (
    "What you missed is named on the stack. From protocol 4 on, module and name are two strings there, and the opcode "
    "is STACK_GLOBAL; looking for GLOBAL alone finds none of it."
)

DENY = (
    "You refuse names that you know to be bad. The list of bad names has no end; harmless-looking ones that the policy "
    "does not name have to be refused too."
)

MODULE = (
    "You allow whole modules. What a module imports is reachable through it (`module.os.system` through a dotted "
    "name), so the policy has to hold for module and full name together."
)

BREAKS = (
    "Some streams break off. What stood before the break has already run by then, so an error while reading is no "
    "reason to forget what you saw, and no reason to call the file safe."
)

STRINGS = (
    "You take the two strings written last. They may come from the memo, where they were put long before or replaced "
    "since. Follow the stack and the memo as the unpickler does."
)

CALLS = (
    "Some opcodes look up a global and call it in one go (INST), or call without REDUCE (OBJ). List the opcodes that "
    "take or make a global, in the documentation of `pickletools`."
)

NUMPY = (
    "Honest arrays were refused though their three globals are on the list. Look at what your answer to question 1 "
    "gives for such an input: a name that is read wrong, or a rule of your own beyond the list, refuses it."
)

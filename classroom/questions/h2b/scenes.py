"""Streams under an allowlist drawn at random, and how verdicts on them are read: questions 2 to 4."""

from __future__ import annotations

from classroom.questions.h2b import pickles, streams
from classroom.questions.h2b.common import (
    case_of,
    families,
    fingerprint,
    shuffled,
)
from classroom.questions.h2b.pickles import Call, Writer
from classroom.questions.h2b.streams import hostile, nonce
from classroom.questions.scoring import Case, shown


def policy(r, extra=()):
    """A drawn allowlist, the honest objects inside and those outside of it."""
    objects = streams.pool(r)
    inside = sorted(r.sample(sorted(objects), 5))
    if "uuid:UUID" not in inside:  # its neighbor's module is one of the ways around an allowlist of modules
        inside[0] = "uuid:UUID"
    allowed = sorted({*inside, *extra})
    return allowed, {name: objects[name] for name in inside}, {n: v for n, v in objects.items() if n not in inside}


def drawn_streams(r, hidden):
    """Hostile and honest streams for an allowlist drawn at random: `(inputs, cases)`."""
    state, array_names = streams.arrays(r)
    allowed, inside, outside = policy(r, array_names)
    inputs, cases = [], []

    def add(data, kind, safe, mark="", print_=""):
        inputs.append((data, allowed))
        cases.append(case_of(kind, mark, safe=safe, fingerprint=print_))

    odd = (*streams.HIDDEN, *streams.HIDDEN_ODD)
    for family in families(r, streams.PRACTICE, odd if hidden else ()):
        mark = nonce(r)
        add(hostile(r, family, mark)[0], family, False, mark)
    mark = nonce(r)
    neighbor = Call(pickles.NEIGHBORS["uuid:UUID"], pickles.shell_payload(mark))
    add(Writer(4).stream(streams.buried(r, neighbor)), "allowed neighbor", False, mark)
    # One forbidden object is made and thrown away: what comes out of the file does not tell what it reached.
    gone = r.choice([name for name in sorted(outside) if streams.expression_of(outside[name])])
    shelves = {name.split(":")[0] for name in allowed}
    for name, value in sorted(outside.items()):
        kind = "same module" if name.split(":")[0] in shelves else "not on the list"
        part, dropped = (streams.plain(r), value) if name == gone else (value, None)
        add(streams.spelled(r, streams.buried(r, part), odd=hidden, dropped=dropped), kind, False)

    honest = [(value, "honest object") for value in inside.values()]
    honest += [(value, "only text") for value in streams.look_alikes(r, 4)]
    honest += [(streams.plain(r), "plain data"), (None, "plain data")]
    for part, kind in honest:
        model = streams.buried(r, part, quoting=part is not None)
        add(streams.spelled(r, model, odd=hidden), kind, True, print_=fingerprint(model))
    for value in (streams.buried(r, state), streams.buried(r, [state, state])):
        # The names of numpy's parts that the list holds are those of protocol 4.
        add(_protocol4(value), "arrays", True, print_=fingerprint(value))
    return shuffled(r, inputs, cases, allowed=allowed)


def _protocol4(value) -> bytes:
    import pickle

    return pickle.dumps(value, protocol=4)


def verdict_cases(answers, truth) -> list[Case]:
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        accepted = answer.error == "" and answer.value is True
        refused = answer.error != "" or answer.value is False
        wanted = "safe" if case["safe"] else "not safe"
        told = f"input {number}, {case['kind']}: {wanted}; you: {shown(answer)}"
        cases.append(Case(case["kind"], not case["safe"], accepted if case["safe"] else refused, told))
    return cases

"""Names that imitate: a squat is made from the name that it imitates."""

from __future__ import annotations

import re

from classroom.questions import Question
from classroom.questions.h2a.common import HONEST, PUBLIC
from classroom.questions.scoring import Case, balance, draws, graded, shown

# Short names, and honest ones that are a letter away from them.
_SHORT = {"six": "fix", "nox": "box", "tox": "toy", "rich": "rice", "dask": "task", "ray": "rag"}

_KEYS = {"a": "s", "e": "r", "i": "o", "n": "m", "o": "p", "r": "t", "s": "d", "t": "y", "u": "i", "p": "o", "d": "f"}


def _normal(name: str) -> str:
    """A name as the package index compares names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _slip(r, name: str, how: str) -> str:
    """One slip of the keyboard within a name, never at its first letter."""
    spots = [i for i in range(1, len(name) - 1) if name[i].isalpha() and name[i + 1].isalpha()]
    at = r.choice(spots)
    if how == "left out":
        return name[:at] + name[at + 1 :]
    if how == "doubled":
        return name[:at] + name[at] + name[at:]
    if how == "swapped":
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    return name[:at] + _KEYS.get(name[at], "x") + name[at + 1 :]


# For the tired eye: what may stand for what.
_LOOKS = {"digits": [("o", "0"), ("l", "1"), ("i", "1")], "pairs": [("m", "rn"), ("w", "vv"), ("d", "cl")]}

_LOOKS["alphabet"] = [("a", "а"), ("o", "о"), ("e", "е"), ("p", "р"), ("c", "с")]  # on the right: Cyrillic


def _lookalike(r, name: str, kind: str) -> str:
    fitting = [(a, b) for a, b in _LOOKS[kind] if a in name]
    if not fitting:
        return name
    plain, other = r.choice(fitting)
    return name.replace(plain, other, 1)


def _one_edit(a: str, b: str) -> bool:
    """Whether two different names are one insertion, deletion, replacement or swap of neighbors apart."""
    if a == b or abs(len(a) - len(b)) > 1:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    rest_a, rest_b = a[start:], b[start:]
    swapped = rest_a[:2] == rest_b[1::-1] and len(rest_a) > 1 and rest_a[2:] == rest_b[2:]
    return swapped or rest_a[1:] == rest_b[1:] or rest_a[1:] == rest_b or rest_a == rest_b[1:]


def _skeleton(name: str) -> str:
    """What a tired eye reads: separators gone, lookalikes folded together."""
    name = _normal(name).replace("-", "")
    for table in _LOOKS.values():
        for plain, other in table:
            name = name.replace(other, plain)
    return name.replace("i", "l").replace("1", "l")


def _targets(name: str, known: list[str]) -> set[str]:
    """The known names that a name imitates by the rule in the prompt; built names with another answer are dropped."""
    normal = _normal(name)
    if normal in {_normal(k) for k in known}:
        return set()
    return {k for k in known if _skeleton(k) == _skeleton(name) or (len(k) >= 5 and _one_edit(normal, _normal(k)))}


def _own_names(r) -> list[str]:
    starts = r.sample(["salary", "paygrade", "offer", "brightpay", "survey", "headcount"], 4)
    return [f"{start}-{r.choice(['features', 'client', 'models', 'schema', 'loader'])}" for start in starts]


def _squat_generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    kinds = ["left out", "doubled", "swapped", "neighbor key", "digits", "two digits", "no separator"]
    kinds += ["pairs", "alphabet", "digits and no separator"] if hidden else []
    for _ in range(2):
        known = [*r.sample([n for n in PUBLIC if n not in ("scipy", "scapy")], 14), "scipy", "scapy"]
        short = r.sample(sorted(_SHORT), 4)
        known += short + _own_names(r)
        r.shuffle(known)
        items = []
        for kind in kinds * 2:
            squat = next(filter(None, (_squat(r, kind, known, items) for _ in range(200))), None)
            if squat:
                items.append(squat)
        honest = [(name, "unrelated") for name in r.sample(HONEST, 2)]
        honest += [(_SHORT[name], "near a short name") for name in short]
        honest += [(f"{name}-{r.choice(['stubs', 'extras', 'plugins'])}", "extension") for name in r.sample(known, 4)]
        honest += [(name, "on the list") for name in ("scipy", "scapy")]
        beginnings = [_same_beginning(r, r.choice(known)) for _ in range(8)]
        honest += [(name, "same beginning") for name in beginnings]
        with_separator = [name for name in known if "-" in name]
        honest += [(n.replace("-", r.choice("_.")).title(), "same package") for n in r.sample(with_separator, 3)]
        taken = {item["name"] for item in items}
        items += [
            {"name": name, "kind": kind, "target": ""}
            for name, kind in dict(honest).items()
            if name not in taken and not _targets(name, known)
        ]
        r.shuffle(items)
        inputs.append(([item["name"] for item in items], known))
        cases.append({"items": items})
    return inputs, {"cases": cases}


def _same_beginning(r, name: str) -> str:
    """Another name that begins as this one does and is about as long: no slip, although it looks like one from afar."""
    rest = max(3, len(name) - 3 + r.randint(-1, 1))
    return name[:3] + "".join(r.choice("bdfgklmnprstv" if at % 2 else "aeiou") for at in range(rest))


def _squat(r, kind, known, items) -> dict | None:
    """A squat of this kind with exactly one name that it can be meant for, or None."""
    target = r.choice([k for k in known if len(k) >= 5])
    if kind in _LOOKS:
        name = _lookalike(r, target, kind)
    elif kind == "two digits":
        name = _lookalike(r, _lookalike(r, target, "digits"), "digits")
        name = target if _one_edit(name, target) else name
    elif kind == "no separator":
        name = target.replace("-", "")
    elif kind == "digits and no separator":
        name = _lookalike(r, target, "digits").replace("-", "") if "-" in target else target
    else:
        name = _slip(r, target, {"neighbor key": "replaced"}.get(kind, kind))
    if name == target or _targets(name, known) != {target} or name in {item["name"] for item in items}:
        return None
    return {"name": name, "kind": kind, "target": target}


@graded
def _squat_judge(answers, truth):
    cases, everything = [], []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        said = answer.value if not answer.error and isinstance(answer.value, dict) else None
        for item in case["items"]:
            name, target = item["name"], item["target"]
            answered = None if said is None else said.get(name, "")
            right = isinstance(answered, str) and answered == target
            everything.append(said is not None)
            wanted = f"imitates {target}" if target else "imitates nothing"
            got = shown(answer) if said is None else repr(answered)[:60]
            told = f"input {number}, {name!r} ({item['kind']}) {wanted}; you: {got}"
            cases.append(Case(item["kind"], bool(target), right, told))
    return balance(
        cases,
        {
            "same-package": ["same package"],
            "on-the-list": ["on the list"],
            "contains": ["extension"],
            "short-names": ["near a short name"],
            "swap": ["swapped"],
            "only-edits": ["two digits", "pairs", "digits and no separator"],
        },
    )


QUESTION = Question(
    id="h2a-q1",
    title="A detector of typosquats",
    entry="imitations",
    signature="imitations(names: list[str], known: list[str]) -> dict[str, str]: for each name that imitates a "
    "known one, that known name",
    points=20,
    minutes=20,
    difficulty=2,
    controls=("ML06:2023", "AML.T0010", "supply-pins"),
    reread='H2a, "Monday: a typo"',
    hints=(
        "Three steps in this order: is it on the list (as the index compares names)? does it look the same? is "
        "it one slip away from a name that is long enough?",
        "Give every name a skeleton (separators dropped, lookalikes folded to one letter) and compare skeletons; "
        "then compare the normalized names by an edit distance in which a swap of neighbors counts as one.",
    ),
    generate=_squat_generate,
    judge=_squat_judge,
    misconceptions={
        "same-package": "You flag `Scikit_Learn` although it is scikit-learn: the index ignores case and treats "
        "`-`, `_` and `.` alike (PEP 503). Normalize both sides before you compare.",
        "on-the-list": "Two known names may lie one letter apart (scipy, scapy). A name that is on the list "
        "imitates nobody.",
        "contains": "You flag names that contain a known one, or resemble it overall. Extensions are named after "
        "what they extend; squats differ by a slip or a lookalike.",
        "short-names": "For names of four letters or fewer a single edit proves nothing: there are too many honest "
        "neighbors.",
        "swap": "Two neighbors swapped is one slip, but plain Levenshtein counts two. Use the distance with "
        "transpositions (OSA).",
        "only-edits": "You measure edits only. A dropped separator or a lookalike reads the same and may be many "
        "edits away.",
    },
)

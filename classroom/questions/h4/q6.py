"""Logs without secrets: what opens doors goes, every other character stays."""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.exact import by_item
from classroom.questions.h4.common import a_key, name, text
from classroom.questions.scoring import draws, graded, shuffled

GONE = "[removed]"


def _line(r, kind: str) -> tuple[str, str]:
    """A line, and what is due."""
    key, start, end = a_key(r), f"{name(r)} {r.choice(['INFO', 'DEBUG', 'WARNING'])} ", f" in {r.randint(2, 900)} ms"
    if kind == "a key":
        return f"{start}using {key}{end}", f"{start}using {GONE}{end}"
    if kind == "two keys":
        return f"{start}{key}, then {a_key(r)}{end}", f"{start}{GONE}, then {GONE}{end}"
    if kind == "a key in JSON":
        return f'{start}{{"k": "{key}", "n": 1}}{end}', f'{start}{{"k": "{GONE}", "n": 1}}{end}'
    if kind == "a header":
        word = r.choice(["Authorization", "authorization"])
        token = text(r, r.randint(8, 40)) + r.choice(["", "==", ".x-y"])
        return f"{start}{word}: Bearer {token}{end}", f"{start}{word}: Bearer {GONE}{end}"
    if kind == "an address":
        host = f"{name(r)}.example:{r.randint(1_000, 9_999)}/{name(r)}"
        user, word = name(r), text(r, r.randint(5, 18)) + r.choice(["", "!", "-x", "%21"])
        return f"{start}GET https://{user}:{word}@{host}{end}", f"{start}GET https://{user}:{GONE}@{host}{end}"
    if kind == "a password":
        word = r.choice(["password", "passwd", "secret"])
        return (
            f"{start}{word}={text(r, r.randint(4, 18))}{r.choice(['', '!', '#2'])}{end}",
            f"{start}{word}={GONE}{end}",
        )
    if kind == "an address without a password":
        line = f"{start}GET https://{name(r)}.example:{r.randint(1_000, 9_999)}/a@{name(r)}{end}"
    elif kind == "a word":
        line = f"{start}{r.choice(['password reset', 'the secret is out', 'Bearer of news', 'pk_short'])}{end}"
    elif kind == "a longer word":
        line = f"{start}{r.choice('abz')}{key}{end}"
    elif kind == "a user alone":
        line = f"{start}GET https://{name(r)}@{name(r)}.example/{end}"
    else:
        line = f"{start}done{end}"
    return line, line


KINDS = (
    "a key",
    "two keys",
    "a header",
    "an address",
    "a password",
    "a word",
    "an address without a password",
    "nothing",
)
MORE = ("a key in JSON", "a longer word", "a user alone")
GOOD = ("a word", "an address without a password", "nothing", "a longer word", "a user alone")


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for kind in (*KINDS, *(MORE if hidden else ())):
        for _ in range(3):
            kinds = [kind, r.choice(["nothing", "a word", "a key"])]
            r.shuffle(kinds)
            pairs = [_line(r, one) for one in kinds]
            inputs.append(([line for line, _ in pairs],))
            items = [
                {"kind": one, "due": due, "bad": one not in GOOD} for one, (_, due) in zip(kinds, pairs, strict=True)
            ]
            cases.append({"items": items})
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    rules = {
        "the-first-only": ["two keys"],
        "too-much": ["a word", "an address without a password", "a longer word", "a user alone"],
        "keys-only": ["a header", "an address", "a password"],
    }
    return by_item(answers, truth, rules, _said)


def _said(value, case, place):
    if not isinstance(value, list) or len(value) != len(case["items"]):
        raise ValueError
    return value[place]


QUESTION = Question(
    id="h4-q6",
    title="Every other character stays",
    entry="redact",
    signature="redact(lines: list[str]) -> list[str]",
    points=16,
    minutes=12,
    difficulty=2,
    controls=("credentials-source", "serving-generic-errors"),
    reread='H4, "4 · Get a key without writing it down"',
    hints=(
        "Four patterns, one after the other; `re.sub` replaces all matches, not only the first.",
        r"Keep what stands before the secret in a group: `re.sub(r'(Bearer )\S+', r'\1[removed]', line)`.",
        "Skeleton: a list of pairs (pattern, replacement); for each line, apply them all.",
        r"An address: `(://[^\s/:@]+:)[^\s/@]+@`. A header: the word `authorization:` in any case, then `Bearer`. A "
        r"password: `\b(password|passwd|secret)=` and what follows up to a space.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "the-first-only": "A line may hold more than one key: replace them all.",
        "too-much": "A redactor that removes what is no secret makes logs useless: words, ports and users stay.",
        "keys-only": "A key is one kind. Headers, addresses and `password=` give doors away as well.",
    },
)

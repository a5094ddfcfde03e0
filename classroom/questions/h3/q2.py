"""Exactly what the model knows."""

from __future__ import annotations

import json
import unicodedata

from classroom.questions import Question
from classroom.questions.h3.common import (
    COUNTRIES,
    due_line,
    same,
)
from classroom.questions.scoring import Case, balance, draws, graded, shown

_LOOKALIKES = str.maketrans("aceopxy", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443")  # Cyrillic


def _query_generate(rng, hidden=False):
    r = draws(rng)
    countries = [*sorted(r.sample(COUNTRIES, 9)), "Côte d'Ivoire"]
    number, integer, flag, choice = (
        r.choice(names)
        for names in (
            ["years_exp", "years_code", "experience"],
            ["team_size", "languages", "reports"],
            ["uses_sql", "uses_rust", "remote"],
            ["country", "nation", "work_country"],
        )
    )
    low, high = r.randint(0, 1), r.choice([39.5, 44, 47.5, 50])
    few, many = r.randint(0, 1), r.randint(30, 400)
    fields = {
        number: {"kind": "number", "low": low, "high": high},
        integer: {"kind": "integer", "low": few, "high": many},
        flag: {"kind": "boolean"},
        choice: {"kind": "choice", "of": countries},
    }

    def person() -> dict:
        values = {number: r.randint(low + 1, int(high) - 1), integer: r.randint(few, many), flag: r.random() < 0.5}
        return values | {choice: r.choice(countries[:-1])}

    def wide(name: str) -> str:
        return "".join(
            chr(ord(letter) + 0xFEE0) if letter.isascii() and letter.isalpha() else letter for letter in name
        )

    def raw(values: dict, name: str, token: str) -> bytes:
        return json.dumps(values).replace(f'"{name}": {json.dumps(values[name])}', f'"{name}": {token}').encode()

    escaped = f'"\\u{ord(flag[0]):04x}{flag[1:]}"'  # the same name, written with an escape

    def spoiled(one: dict, lost: str) -> dict[str, bytes]:
        """Every way to spoil one person's query."""
        made = {
            "a number as text": json.dumps(one | {number: str(one[number])}).encode(),
            "true as a number": json.dumps(one | {number: True}).encode(),
            "true as an integer": json.dumps(one | {integer: True}).encode(),
            "one as a boolean": json.dumps(one | {flag: 1}).encode(),
            "yes as a boolean": json.dumps(one | {flag: "yes"}).encode(),
            "null as a value": json.dumps(one | {number: None}).encode(),
            "a fraction as an integer": json.dumps(one | {integer: few + 0.5}).encode(),
            "a point in an integer": json.dumps(one | {integer: few + 3.0}).encode(),
            "below": json.dumps(one | {number: low - 0.001}).encode(),
            "above": json.dumps(one | {number: high + 0.001}).encode(),
            "one too many": json.dumps(one | {integer: many + 1}).encode(),
            "NaN": raw(one, number, "NaN"),
            "infinite": raw(one, number, "1e999"),
            "no such country": json.dumps(one | {choice: "Atlantis"}).encode(),
            "small letters": json.dumps(one | {choice: one[choice].lower()}).encode(),
            "a country as a list": json.dumps(one | {choice: [one[choice]]}).encode(),
            "a field missing": json.dumps({name: one[name] for name in one if name != lost}).encode(),
            "a field too many": json.dumps(one | {"is_admin": True}).encode(),
            "a field twice": (json.dumps(one)[:-1] + f', "{number}": {low + 1}}}').encode(),
            "UTF-16": json.dumps(one).encode("utf-16"),
            "a mark in front": json.dumps(one).encode("utf-8-sig"),
            "two values": (json.dumps(one) + json.dumps(one)).encode(),
            "a list": json.dumps([one]).encode(),
            "no JSON": f"{number}={one[number]}".encode(),
        }
        if hidden:
            made |= {
                "twice, once escaped": (json.dumps(one)[:-1] + f", {escaped}: true}}").encode(),
                "Cyrillic letters": json.dumps(one | {choice: one[choice].translate(_LOOKALIKES)}).encode(),
                "a text of digits as integer": json.dumps(one | {integer: str(few)}).encode(),
                "a zero byte behind": json.dumps(one | {choice: one[choice] + "\x00"}).encode(),
                "minus infinity": raw(one, number, "-Infinity"),
                "a huge exponent as integer": raw(one, integer, "1e3000"),
            }
        return made

    inside = round(low + 0.25 + r.random(), 3)
    good = {
        "plain": [json.dumps(values := person()).encode(), values],
        "plain, another": [json.dumps(values := person()).encode(), values],
        "at the lower end": [json.dumps(values := person() | {number: low, integer: few}).encode(), values],
        "at the upper end": [json.dumps(values := person() | {number: high, integer: many}).encode(), values],
        "a fraction": [json.dumps(values := person() | {number: inside}).encode(), values],
        "an exponent": [raw(values := person() | {number: 10}, number, "1e1"), values],
        "in another order": [json.dumps(dict(reversed((values := person()).items()))).encode(), values],
        "white space": [(" \n" + json.dumps(values := person(), indent=1) + "\t").encode(), values],
        "full-width letters": [json.dumps((values := person()) | {choice: wide(values[choice])}).encode(), values],
        "letters and accents apart": [
            json.dumps(values := person() | {choice: countries[-1]}, ensure_ascii=False)
            .replace(countries[-1], unicodedata.normalize("NFD", countries[-1]))
            .encode(),
            values,
        ],
    }
    if hidden:
        one = person()
        bold = "".join(chr(0x1D400 + ord(c) - 65) if c.isupper() else chr(0x1D41A + ord(c) - 97) for c in one[choice])
        good |= {
            "an escape in a name": [json.dumps(one).replace(f'"{flag}"', escaped).encode(), one],
            "bold letters": [json.dumps(one | {choice: bold}, ensure_ascii=False).encode(), one],
        }
    bad = {kind: spoiled(person(), r.choice([flag, integer]))[kind] for kind in spoiled(person(), flag)}
    made = [[kind, body, values] for kind, (body, values) in good.items()]
    made += [[kind, body, None] for kind, body in bad.items()]
    r.shuffle(made)
    inputs = [(body, fields) for _, body, _ in made]
    return inputs, {"cases": [{"kind": kind, "query": values} for kind, _, values in made]}


@graded
def _query_judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        if case["query"] is None:
            right, wanted = answer.value is None and not answer.error, "None"
        else:
            right, wanted = not answer.error and same(answer.value, case["query"]), "the query"
        line = due_line(number, case["kind"], wanted, shown(answer))
        cases.append(Case(case["kind"], case["query"] is None, right, line))
    return balance(
        cases,
        {
            "crashes": ["no JSON", "two values"],
            "coerced": ["a number as text", "yes as a boolean", "a text of digits as integer"],
            "bool-is-int": ["true as a number", "true as an integer"],
            "truthy": ["one as a boolean"],
            "not-finite": ["NaN", "infinite", "minus infinity"],
            "last-one-wins": ["a field twice", "twice, once escaped"],
            "extras": ["a field too many"],
            "edges": ["at the lower end", "at the upper end"],
            "not-normalized": ["full-width letters", "letters and accents apart", "bold letters"],
            "any-case": ["small letters"],
            "guessed-encoding": ["UTF-16", "a mark in front"],
            "fraction": ["a fraction as an integer", "a point in an integer"],
        },
    )


QUESTION = Question(
    id="h3-q2",
    title="Exactly what the model knows",
    entry="read_query",
    signature="read_query(body: bytes, fields: dict[str, dict]) -> dict, or None for what is refused",
    points=12,
    minutes=12,
    difficulty=2,
    controls=("serving-bounded-fields", "ML01:2023", "AML.T0040"),
    reread='H3, "What is asked: strict fields"',
    hints=(
        "Two steps: bytes to a dict (UTF-8, `object_pairs_hook` to see doubled names, `parse_constant` against "
        "NaN), then field by field. The names have to be the same set.",
        "`isinstance(True, int)` is true, so look at `type(value)`. For a choice, make a dict from the NFKC form "
        "of each allowed name to the name itself, and look the NFKC form of the value up in it.",
    ),
    generate=_query_generate,
    judge=_query_judge,
    misconceptions={
        "crashes": "What cannot be parsed is refused like everything else: return None, do not raise.",
        "coerced": 'You convert: `float("5")` and `bool("yes")` turn text into what you hoped for. A text is no '
        "number.",
        "bool-is-int": "In Python `True` is an int. Compare `type(value)`, not `isinstance`.",
        "truthy": "1 is not true. A field that is a boolean takes `true` and `false`.",
        "not-finite": "NaN is not below the bound and not above it: every comparison with it is false. Refuse "
        "what is not finite first.",
        "last-one-wins": "A name stood there twice, and the parser kept the last. A check in front of you may "
        "have looked at the first. (An escape in a name makes it look different and be the same.)",
        "extras": "A field that nobody asked for is refused: today it is ignored, tomorrow somebody reads it.",
        "edges": "The bounds belong to the allowed values: the model has seen them.",
        "not-normalized": "The same country, written with other characters: compare the NFKC forms, and return "
        "the name as it stands in the list.",
        "any-case": "NFKC does not change capitals, and the policy does not forgive them.",
        "guessed-encoding": "UTF-8 without a mark in front, nothing else. `json.loads(bytes)` guesses at others.",
        "fraction": "Two and a half is no whole number; do not round for the client.",
    },
)

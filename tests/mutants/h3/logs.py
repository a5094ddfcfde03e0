"""Wrong answers to lab H3: what is left behind, and what is taken along, questions 6 to 8."""

import hashlib
import hmac
import json

import numpy as np

from .. import Mutant


def chain_without_key(lines, key, anchor, form):
    """Follows the links and never looks at a mac but the anchored one."""
    before = ""
    for number, line in enumerate(lines):
        head, _, tail = line.rpartition(f', "{form["mac"]}": "'.encode())
        if not head.endswith(f', "{form["previous"]}": "{before}"'.encode()) or not tail.endswith(b'"}\n'):
            return number
        if number == anchor["line"] and tail != f'{anchor[form["mac"]]}"}}\n'.encode():
            return number
        before = hashlib.new(form["digest"], line).hexdigest()
    return len(lines) if len(lines) <= anchor["line"] else None


def parses_lines(lines, key, anchor, form):
    """Parses each line and writes it out again before it compares."""
    before = ""
    for number, line in enumerate(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            return number
        mac = entry.pop(form["mac"], "")
        head = json.dumps(entry, ensure_ascii=False)[:-1].encode()
        right = hmac.new(key, head, form["digest"]).hexdigest()
        if (
            mac != right
            or entry[form["previous"]] != before
            or (number == anchor["line"] and mac != anchor[form["mac"]])
        ):
            return number
        written = head + f', "{form["mac"]}": "{mac}"}}\n'.encode()
        before = hashlib.new(form["digest"], written).hexdigest()
    return len(lines) if len(lines) <= anchor["line"] else None


def asks_at_random(known, ask):
    """Remembers answers, and guesses the average of what is most alike."""
    rng = np.random.default_rng(1)
    seen = []
    for _ in range(200):
        person = {"years_exp": int(rng.integers(0, 41)), "country": str(rng.choice(known["countries"]))}
        person |= {flag: bool(rng.random() < 0.5) for flag in known["flags"]}
        seen.append((person, ask(person)))
    return lambda people: [float(np.mean([s for _, s in seen])) for _ in people]


def asks_too_much(known, ask):
    """One question more than there are answers."""
    one = {"years_exp": 1, "country": known["countries"][0], **dict.fromkeys(known["flags"], True)}
    paid = [ask(one) for _ in range(201)]
    return lambda people: [paid[0] for _ in people]


def asks_later(known, ask):
    """Asks when the copy is used."""
    return lambda people: [ask(person) for person in people]


def _budget(wrong):
    """The model answer's thief, with another defender."""
    return (("np.interp(owners * b, counts, fidelities) <= most", wrong),)


MUTANTS = (
    Mutant("h3-q6", "no key", chain_without_key, 0.5, 0.95, "no-key"),
    Mutant(
        "h3-q6",
        "a digest without the line break",
        (('hashlib.new(form["digest"], line)', 'hashlib.new(form["digest"], line.rstrip())'),),
        0,
        0.5,
        "no-line-break",
    ),
    Mutant(
        "h3-q6",
        "no chain",
        (('if not head.endswith(f\', "{form["previous"]}": "{before}"\'.encode()):', "if False:"),),
        0.2,
        0.75,
        "no-chain",
    ),
    Mutant(
        "h3-q6",
        "no anchor",
        (
            ('if number == anchor["line"] and mac != anchor[form["mac"]]:', "if False:"),
            ('len(lines) if len(lines) <= anchor["line"] else None', "None"),
        ),
        0.6,
        0.95,
        "no-anchor",
    ),
    Mutant(
        "h3-q6",
        "crashes on a torn line",
        (("        mac = hmac.new", "        assert line.endswith(b'\"}\\n')\n        mac = hmac.new"),),
        0.6,
        0.96,
        "crash",
        in_practice=None,
    ),
    Mutant("h3-q6", "parses", parses_lines, 0.6, 0.95, "parsed"),
    Mutant(
        "h3-q6",
        "any beginning",
        (("if not head.endswith(", "if number and not head.endswith("),),
        0.7,
        0.96,
        "no-beginning",
    ),
    Mutant(
        "h3-q6",
        "the anchor is the end",
        (('if len(lines) <= anchor["line"] else None', 'if len(lines) != anchor["line"] + 1 else None'),),
        0.3,
        0.8,
        "anchor-is-the-end",
    ),
    Mutant(
        "h3-q7",
        "explains the exception",
        (
            (
                "        except Exception:\n            pass\n",
                "        except Exception as error:\n            ident = str(error)\n",
            ),
        ),
        0.5,
        0.95,
        "exception-text",
    ),
    Mutant(
        "h3-q7",
        "passes errors on",
        (
            ("            if status < 400:\n", "            if True:\n"),
            ("        if status >= 400:\n", "        if failed:\n"),
            (
                "        except Exception:\n            pass\n",
                "        except Exception:\n            failed = status is None\n",
            ),
            (
                "ident, status, useful = secrets.token_hex(8), None, []",
                "ident, status, useful, failed = secrets.token_hex(8), None, [], False",
            ),
        ),
        0.2,
        0.8,
        "errors-pass",
    ),
    Mutant(
        "h3-q7",
        "forbids what it knows",
        ((".lower() in kept)", '.lower() not in ("content-type", "content-length", "server", "x-powered-by"))'),),
        0.6,
        0.95,
        "headers-pass",
    ),
    Mutant("h3-q7", "keeps nothing", ((".lower() in kept)", ".lower() in ())"),), 0.3, 0.7, "kept"),
    Mutant(
        "h3-q7",
        "logs the query",
        (('"path": scope["path"]', '"path": scope["path"] + f"?{scope[\'query_string\'].decode()}".rstrip("?")'),),
        0.7,
        0.95,
        "logs-the-query",
    ),
    Mutant(
        "h3-q7",
        "logs the headers",
        (("log(json.dumps(entry))", 'log(json.dumps(entry | {"headers": str(scope["headers"])}))'),),
        0,
        0,
        "logs-headers",
    ),
    Mutant(
        "h3-q7",
        "formats the line",
        (("log(json.dumps(entry))", 'log(str(entry).replace("\'", \'"\').replace("\\\\n", "\\n"))'),),
        0.5,
        0.95,
        "forged-line",
    ),
    Mutant(
        "h3-q7",
        "takes the client's id",
        (
            (
                "ident, status, useful = secrets.token_hex(8), None, []",
                'given, status, useful = dict(scope["headers"]).get(b"x-request-id", b"").decode(), None, []\n'
                "        ident = given or secrets.token_hex(8)",
            ),
        ),
        0.8,
        0.95,
        "client-id",
        None,
    ),
    Mutant(
        "h3-q7",
        "begins anew in the middle",
        (("        except Exception:\n            pass\n", "        except Exception:\n            status = 500\n"),),
        0.8,
        0.95,
        "begun",
        None,
    ),
    Mutant(
        "h3-q7",
        "waits for an answer",
        (("        status = status or 500\n", ""), ("            pass\n", "            status = status or 500\n")),
        0.8,
        0.95,
        "no-answer",
        None,
    ),
    Mutant(
        "h3-q8",
        "returns logarithms",
        (
            (
                "return list(np.exp((columns(others, known) - middle) @ effects + usual))",
                "return list((columns(others, known) - middle) @ effects + usual)",
            ),
        ),
        0.4,
        0.4,
        "log-salaries",
    ),
    Mutant(
        "h3-q8", "forgets the company", _budget("np.interp(b, counts, fidelities) <= most"), 0.6, 0.8, "forgets-company"
    ),
    Mutant(
        "h3-q8",
        "one too many",
        (('return {"budget": budget,', 'return {"budget": budget + 1,'),),
        0.6,
        0.6,
        "rounded-up",
    ),
    Mutant("h3-q8", "counts who stays", (("use > budget", "use <= budget"),), 0.6, 0.9, "share"),
    Mutant(
        "h3-q8",
        "a straight line for the years",
        (('[max(0, person["years_exp"] - bend) / 10 for bend in range(0, 40, 5)]', '[person["years_exp"] / 10]'),),
        0.6,
        0.97,
        "",
    ),
    Mutant("h3-q8", "an average", asks_at_random, 0, 0, ""),
    Mutant("h3-q8", "asks too much", asks_too_much, 0, 0, ""),
    Mutant("h3-q8", "asks when it is used", asks_later, 0, 0, ""),
)

"""Wrong answers to lab H3."""

import hashlib
import hmac
import json
import math

import numpy as np

from . import Mutant


class _FixedWindow:
    """Counts per full window, in the storage: exact but for its edges."""

    def __init__(self, limit, seconds, inner, clock, storage):
        self.limit, self.seconds, self.inner, self.clock, self.storage = limit, seconds, inner, clock, storage

    async def __call__(self, scope, receive, send):
        name = f"{scope['client'][0]} {self.clock() // self.seconds}"
        if await self.storage.add(name, self.clock(), 10**9) > self.limit:
            await _refuse(send, self.seconds)
        else:
            await self.inner(scope, receive, send)


async def _refuse(send, seconds):
    start = {"type": "http.response.start", "status": 429, "headers": [(b"retry-after", b"%d" % math.ceil(seconds))]}
    await send(start)
    await send({"type": "http.response.body", "body": b"{}"})


def fixed_window(limit, seconds, inner, clock, storage):
    """A counter that starts anew at each full window."""
    return _FixedWindow(limit, seconds, inner, clock, storage)


def get_then_set(limit, seconds, inner, clock, storage):
    """Reads, decides, writes: somebody may come in between."""

    async def app(scope, receive, send):
        who, now = scope["client"][0], clock()
        times = [time for time in await storage.get(who) or [] if time > now - seconds]
        if len(times) >= limit:
            return await _refuse(send, seconds)
        await storage.set(who, [*times, now])
        return await inner(scope, receive, send)

    return app


def own_memory(limit, seconds, inner, clock, storage):
    """Counts in a variable of its own."""
    passed = {}

    async def app(scope, receive, send):
        who, now = scope["client"][0], clock()
        times = passed[who] = [time for time in passed.get(who, []) if time > now - seconds]
        if len(times) >= limit:
            return await _refuse(send, seconds)
        times.append(now)
        return await inner(scope, receive, send)

    return app


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
    Mutant(
        "h3-q1",
        "headers on 200 only",
        (("status, content, extra)", "status, content, extra if status == 200 else ())"),),
        0,
        0.4,
        "headers-on-success",
    ),
    Mutant(
        "h3-q1", "NaN is a number", ((", parse_constant=refuse", ""), (", allow_nan=False", "")), 0.6, 0.9, "constants"
    ),
    Mutant("h3-q1", "lets infinity in", ((", allow_nan=False", ""),), 0.8, 0.97, "overflow"),
    Mutant("h3-q1", "half a character is a text", ((", ensure_ascii=False", ""),), 0.8, 0.97, "half"),
    Mutant("h3-q1", "lets the parser guess", (("body.decode()", "body"),), 0.8, 0.97, "guessed-encoding"),
    Mutant(
        "h3-q1", "any JSON will do", (("if not isinstance(query, dict):", "if False:"),), 0.7, 0.97, "not-an-object"
    ),
    Mutant(
        "h3-q1",
        "knows ValueError only",
        (("except (ValueError, RecursionError):", "except ValueError:"),),
        0.8,
        0.97,
        "too-deep",
    ),
    Mutant(
        "h3-q1",
        "lets the model's failure out",
        (("except Exception:", "except ZeroDivisionError:"),),
        0.8,
        0.97,
        "model-fails",
    ),
    Mutant(
        "h3-q1",
        "reads one part",
        (("await whole(receive)", '(await receive()).get("body", b"")'),),
        0.3,
        0.8,
        "first-part",
    ),
    Mutant(
        "h3-q1",
        "answers on every path",
        (('if scope["path"] != "/predict":', "if False:"), ('if scope["method"] != "POST":', "if False:")),
        0.5,
        0.95,
        "every-address",
    ),
    Mutant(
        "h3-q2",
        "raises for what it cannot read",
        (("    except (ValueError, RecursionError):\n        return None", "    finally:\n        pass"),),
        0.5,
        0.9,
        "crashes",
    ),
    Mutant(
        "h3-q2",
        "isinstance",
        (
            ("type(value) in (int, float)", "isinstance(value, (int, float))"),
            ("type(value) is int", "isinstance(value, int)"),
        ),
        0.85,
        0.97,
        "bool-is-int",
    ),
    Mutant(
        "h3-q2",
        "takes text for numbers",
        (
            (
                'type(value) in (int, float) and field["low"] <= value',
                'str(value).replace(".", "").isdigit() and field["low"] <= (value := float(value))',
            ),
            ("return value if type(value) is bool else None", 'return {"yes": True, "no": False}.get(value, value)'),
            ("type(value) is int and", "str(value).isdigit() and (value := int(value)) >= 0 and"),
        ),
        0.5,
        0.95,
        "coerced",
    ),
    Mutant(
        "h3-q2",
        "anything truthy",
        (("return value if type(value) is bool else None", "return bool(value)"),),
        0.8,
        0.97,
        "truthy",
    ),
    Mutant("h3-q2", "the last one wins", (("object_pairs_hook=without_doubles, ", ""),), 0.85, 0.97, "last-one-wins"),
    Mutant(
        "h3-q2",
        "ignores extras",
        (
            ("query.keys() != fields.keys()", "not query.keys() >= fields.keys()"),
            ("in query.items()}", "in query.items() if name in fields}"),
        ),
        0.85,
        0.98,
        "extras",
    ),
    Mutant(
        "h3-q2",
        "bounds excluded",
        (('field["low"] <= value <= field["high"]', 'field["low"] < value < field["high"]'),),
        0.5,
        0.9,
        "edges",
    ),
    Mutant(
        "h3-q2",
        "compares as they are",
        (
            ('unicodedata.normalize("NFKC", name): name', "name: name"),
            ('unicodedata.normalize("NFKC", value)', "value"),
        ),
        0.6,
        0.9,
        "not-normalized",
    ),
    Mutant(
        "h3-q2",
        "forgives capitals",
        (
            ('unicodedata.normalize("NFKC", name): name', 'unicodedata.normalize("NFKC", name).casefold(): name'),
            ('unicodedata.normalize("NFKC", value)', 'unicodedata.normalize("NFKC", value).casefold()'),
        ),
        0.85,
        0.98,
        "any-case",
    ),
    Mutant("h3-q2", "lets the parser guess", (("body.decode()", "body"),), 0.85, 0.97, "guessed-encoding"),
    Mutant(
        "h3-q2",
        "rounds",
        (("return value if type(value) is int and", "return int(value) if type(value) in (int, float) and"),),
        0.6,
        0.98,
        "fraction",
    ),
    Mutant(
        "h3-q3",
        "reads before it looks",
        (("        if not known(scope", "        await receive()\n        if not known(scope"),),
        0,
        0.4,
        "body-first",
    ),
    Mutant("h3-q3", "no challenge", ((', [(b"www-authenticate", b"ApiKey")]', ""),), 0.05, 0.5, "no-challenge"),
    Mutant(
        "h3-q3",
        "knows the id",
        (
            (
                'return hmac.compare_digest(hashlib.new(keys["algorithm"], presented[0]).hexdigest(), stored)',
                'return stored != ""',
            ),
        ),
        0.2,
        0.5,
        "id-only",
    ),
    Mutant(
        "h3-q3",
        "believes Content-Length",
        (("            if len(body) > most:\n", "            if False:\n"),),
        0.5,
        0.9,
        "believes-length",
    ),
    Mutant(
        "h3-q3",
        "counts afterwards",
        (
            (
                "            if len(body) > most:\n                return",
                "        if len(body) > most:\n            return",
            ),
            ("if not announced.isdigit() or len(announced) > 12 or int(announced) > most:", "if False:"),
        ),
        0.5,
        0.9,
        "counts-afterwards",
    ),
    Mutant(
        "h3-q3",
        "gives the body away",
        (("await inner(scope, again, send)", "await inner(scope, receive, send)"),),
        0,
        0.3,
        "swallowed-body",
    ),
    Mutant(
        "h3-q3",
        "exactly is too much",
        (("if len(body) > most:", "if len(body) >= most:"), ("int(announced) > most", "int(announced) >= most")),
        0.4,
        0.9,
        "off-by-one",
    ),
    Mutant(
        "h3-q3",
        "takes the first key",
        (("if len(presented) != 1:", "if not presented:"),),
        0.9,
        0.97,
        "first-or-last",
        None,
    ),
    Mutant("h3-q4", "counts in a variable", own_memory, 0.2, 0.6, "own-memory"),
    Mutant("h3-q4", "full minutes", fixed_window, 0.5, 0.95, "fixed-window"),
    Mutant("h3-q4", "get, then set", get_then_set, 0.75, 0.9, "race"),
    Mutant(
        "h3-q4",
        "counts what it refuses",
        (("            await storage.remove(who, now)\n", ""),),
        0.5,
        0.95,
        "counts-refused",
    ),
    Mutant("h3-q4", "one too few", (("seconds) > limit", "seconds) >= limit"),), 0, 0.9, "one-too-few"),
    Mutant(
        "h3-q4",
        "believes headers",
        (('scope["client"][0]', 'dict(scope["headers"]).get(b"x-forwarded-for", b"").decode()'),),
        0,
        0.4,
        "believes-headers",
    ),
    Mutant("h3-q4", "one counter for all", (('scope["client"][0]', '"everybody"'),), 0.8, 0.98, "one-for-all"),
    Mutant(
        "h3-q5",
        "the lockout first",
        (
            (
                "            return await inner(scope, receive, send)\n",
                '            if len(missed.get(scope["client"][0], [])) < failures:\n'
                "                return await inner(scope, receive, send)\n",
            ),
        ),
        0.3,
        0.9,
        "lockout-first",
    ),
    Mutant("h3-q5", "one counter for all", (('scope["client"][0]', '"everybody"'),), 0.8, 0.99, "one-for-all"),
    Mutant("h3-q5", "never", (("if len(recent) >= failures:", "if False:"),), 0.02, 0.4, "never"),
    Mutant(
        "h3-q5",
        "for ever",
        (("if time > now - seconds]", "]"), ("wait = math.ceil(recent[0] + seconds - now)", "wait = seconds")),
        0.4,
        0.9,
        "for-ever",
    ),
    Mutant(
        "h3-q5",
        "prolongs the lock",
        (
            (
                "        if len(recent) >= failures:\n",
                "        recent.append(now)\n        if len(recent) > failures:\n",
            ),
            ("        recent.append(now)\n        await reply(send, 401", "        await reply(send, 401"),
        ),
        0.4,
        0.9,
        "for-ever",
    ),
    Mutant(
        "h3-q5",
        "no key is no guess",
        (("        recent.append(now)\n", "        recent += [now] if keys else []\n"),),
        0.7,
        0.98,
        "no-key-is-free",
    ),
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

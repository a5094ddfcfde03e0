"""A scanner that reads notebooks: which cells hold a key?"""

from __future__ import annotations

import base64

from classroom.questions import Question
from classroom.questions.exact import by_item
from classroom.questions.h4.common import a_key, cell, name, notebook, stream, text
from classroom.questions.scoring import draws, graded, shuffled


def _encoded(content: str) -> str:
    return base64.b64encode(content.encode()).decode()


def _leak(r, kind: str, key: str) -> dict:
    """A cell with the key in it, in one of the ways that the prompt names."""
    at = r.randint(6, 20)
    if kind == "in the source":
        return cell(r, f"{name(r)} = '{key}'\n")
    if kind == "lines":
        return cell(r, ["import os\n", f"os.environ['K'] = '{key}'\n"])
    if kind == "joined":
        return cell(r, f"{name(r)} = '{key[:at]}' + \"{key[at:]}\"")
    if kind == "joined side by side":
        return cell(r, f"call('{key[:at]}'\n     '{key[at:]}')")
    if kind == "printed":
        return cell(r, "x", outputs=[stream(f"using {key} now\n")])
    if kind == "colored":
        return cell(r, "x", outputs=[stream(f"key: {key[:at]}\x1b[1;31m{key[at:]}\x1b[0m\n")])
    if kind == "a table":
        bold = f"<td>{key[:at]}<b>{key[at:]}</b></td>"
        return cell(r, "x", outputs=[{"output_type": "display_data", "metadata": {}, "data": {"text/html": bold}}])
    if kind == "an error":
        trace = [f"\x1b[31mE\x1b[0m: {name(r)}", f"call('{key}')"]
        return cell(r, "x", outputs=[{"output_type": "error", "ename": "E", "evalue": name(r), "traceback": trace}])
    if kind == "JSON":
        data = {"application/json": {"a": [{"b": key}]}}
        return cell(r, "x", outputs=[{"output_type": "display_data", "metadata": {}, "data": data}])
    if kind == "metadata":
        return cell(r, "x", metadata={"papermill": {"parameters": {name(r): [1, key]}}})
    if kind == "an attachment":
        return cell(r, "see", "markdown", attachments={"a.txt": {"text/plain": _encoded(f"K={key}\n")}})
    if kind == "a file of Colab's":
        stored = {"http://localhost/a.js": {"data": _encoded(f"var k = '{key}';"), "ok": True}}
        return cell(r, "x", metadata={"colab": {"resources": stored}})
    return cell(r, f"export K={key}", "raw")


def _harmless(r, kind: str) -> dict:
    key = a_key(r)
    if kind == "too short":
        return cell(r, f"x = '{key[:-1]}'")
    if kind == "part of a word":
        return cell(r, f"x = '{r.choice('abcz')}{key}'")
    if kind == "too long":
        return cell(r, f"x = '{key}{text(r, 3)}'")
    if kind == "masked":
        return cell(r, "x", outputs=[stream(f"using pk_{'*' * 20}{key[-4:]}\n")])
    if kind == "a placeholder":
        return cell(r, f"x = 'pk_{r.choice('xX0') * 24}'")
    if kind == "an image":
        data = {"image/png": f"iVBOR{text(r, 40)}/{key}/{text(r, 40)}"}
        return cell(r, "x", outputs=[{"output_type": "display_data", "metadata": {}, "data": data}])
    if kind == "an attachment without a key":
        return cell(r, "see", "markdown", attachments={"a.txt": {"text/plain": _encoded(f"K={key[:-1]}\n")}})
    if kind == "a file of Colab's without a key":
        stored = {"http://localhost/a.js": {"data": _encoded(f"var k = '{key[:9]}';"), "ok": True}}
        return cell(r, "x", metadata={"colab": {"resources": stored}})
    if kind == "two that do not belong together":
        return cell(r, f"a = '{key[:14]}'\nb = '{key[14:]}'")
    return cell(r, f"x = os.environ['{name(r).upper()}']")


LEAKS = ("in the source", "lines", "joined", "printed", "colored", "an error", "metadata", "an attachment")
MORE = ("joined side by side", "a table", "JSON", "a file of Colab's", "a raw cell")
HARMLESS = ("too short", "too long", "part of a word", "masked", "a placeholder", "two that do not belong together")
HARMLESS += ("an attachment without a key",)


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    harmless = [*HARMLESS, *(["an image", "a file of Colab's without a key"] if hidden else [])]
    for kind in (*LEAKS, *(MORE if hidden else ()), *harmless):
        for _ in range(3):
            cells, items = [_harmless(r, "nothing") for _ in range(2)], []
            for one in (kind, r.choice(harmless)):
                bad = one not in harmless
                made = _leak(r, one, a_key(r)) if bad else _harmless(r, one)
                items.append({"kind": one, "id": made["id"], "due": bad, "bad": bad})
                cells.insert(r.randrange(len(cells) + 1), made)
            inputs.append((notebook(cells),))
            cases.append({"items": items, "ids": [one["id"] for one in cells]})
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    rules = {
        "not-decoded": ["an attachment", "a file of Colab's"],
        "walls": ["colored", "a table", "joined", "joined side by side"],
        "outputs-unread": ["printed", "an error", "JSON"],
        "boundaries": ["too short", "too long", "part of a word"],
        "harmless": ["a placeholder"],
    }
    return by_item(answers, truth, rules, _said)


def _said(value, case, place):
    """Whether a cell was named, in a list of ids in their order."""
    if not isinstance(value, list) or value != [one for one in case["ids"] if one in value]:
        raise ValueError
    return case["items"][place]["id"] in value


QUESTION = Question(
    id="h4-q5",
    title="Read the notebook, not the file",
    entry="leaks",
    signature="leaks(notebook: dict) -> list[str]: the ids of cells with a key, in their order",
    points=24,
    minutes=25,
    difficulty=3,
    controls=("credentials-source", "credentials-scan-hook", "credentials-output-filter"),
    reread='H4, "3 · Nine places"',
    hints=(
        "Write one function that yields every text of a cell, and one that says whether a text holds a key.",
        "Walk through the cell's dictionaries and lists; join a list of lines first. Skip what is called `image/…`, "
        "and decode what lies in `attachments` and under `data` in Colab's `resources`.",
        "Skeleton: `KEY = re.compile(r'(?<![A-Za-z0-9_])pk_[A-Za-z0-9]{24}(?![A-Za-z0-9])')`; before it, take out "
        r"colors (`\x1b\[[0-9;]*m`), tags (`<[^>]*>`) and, in code, what lies between two quoted parts: quote, "
        "spaces or `+`, quote.",
        "A placeholder has one and the same character 24 times: `len(set(key[3:])) > 1`.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "not-decoded": "Attachments and the files that Colab stores are base64: decode them, then look.",
        "walls": "Colors, tags and a `+` between two quotes cut a key in two for a pattern, not for a reader.",
        "outputs-unread": "Outputs come in several forms: printed text, an error's traceback, JSON and HTML.",
        "boundaries": "A key has exactly 24 characters after `pk_` and stands alone: look before and behind it.",
        "harmless": "A placeholder has the format of a key and is none: one character, 24 times.",
    },
)

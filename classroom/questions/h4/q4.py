"""The gate: one verdict for each file that arrives."""

from __future__ import annotations

import json

from classroom.questions import Question
from classroom.questions.exact import by_item
from classroom.questions.h4.common import cell, name, notebook, stream, text
from classroom.questions.scoring import draws, graded, shuffled


def _file(r, kind: str) -> tuple[str, str, str | None]:
    """A file's name, its text, and its verdict; None where the file does not concern the gate."""
    path = f"{name(r)}/{name(r)}.ipynb"
    cells = [cell(r, f"# {name(r)}", "markdown"), cell(r, f"x = '{name(r)}'"), cell(r, "x")]
    metadata: dict = {}
    verdict: str | None = "fail"
    if kind == "clean":
        cells[1]["metadata"] = r.choice([{}, {"tags": ["parameters"]}])
        verdict = "pass"
    elif kind == "an output":
        cells[2]["outputs"] = [stream(name(r))]
    elif kind == "an output that asks to stay":
        cells[2] |= {
            "outputs": [stream(name(r))],
            "metadata": r.choice([{"tags": ["keep_output"]}, {"init_cell": True}]),
        }
    elif kind == "a count":
        cells[1]["execution_count"] = r.randint(1, 40)
    elif kind == "an attachment":
        cells[0]["attachments"] = {"a.txt": {"text/plain": text(r, 12)}}
    elif kind == "metadata":
        r.choice(cells)["metadata"] = {r.choice(["executionInfo", "colab", name(r)]): {"user": name(r)}}
    elif kind == "widgets":
        metadata = {r.choice(["widgets", name(r)]): {"state": {}}}
    elif kind == "cut off":
        return path, json.dumps(notebook(cells))[: -r.randint(5, 60)], "unknown"
    elif kind == "no notebook":
        return path, r.choice(["", "[]", '{"a": 1}', '{"cells": {}}', "null"]), "unknown"
    elif kind == "another ending":
        return path.replace(".ipynb", r.choice([".py", ".ipynb.txt", ".json"])), json.dumps(notebook(cells)), None
    elif kind == "capitals":
        path = path.replace(".ipynb", r.choice([".IPYNB", ".Ipynb"]))
        cells[2]["outputs"] = [stream(name(r))]
    return path, json.dumps(notebook(cells, **metadata)), verdict


KINDS = (
    "clean",
    "an output",
    "an output that asks to stay",
    "a count",
    "an attachment",
    "metadata",
    "cut off",
    "another ending",
)
MORE = ("widgets", "no notebook", "capitals")


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for kind in (*KINDS, *(MORE if hidden else ())):
        for _ in range(3):
            mixed = [(*_file(r, other), other) for other in r.sample(["clean", "another ending", "an output"], 2)]
            mixed.insert(r.randrange(3), (*_file(r, kind), kind))
            inputs.append(({path: content for path, content, *_ in mixed},))
            items = [{"kind": k, "path": path, "due": verdict, "bad": k != "clean"} for path, _, verdict, k in mixed]
            cases.append({"items": items})
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    rules = {
        "asked-nicely": ["an output that asks to stay"],
        "unknown-is-no-pass": ["cut off", "no notebook"],
        "outputs-only": ["an attachment", "metadata", "widgets"],
        "names": ["another ending", "capitals"],
    }
    return by_item(answers, truth, rules, _said)


def _said(value, case, place):
    if not isinstance(value, dict):
        raise TypeError
    return value.get(case["items"][place]["path"])


QUESTION = Question(
    id="h4-q4",
    title="A gate that looks for itself",
    entry="gate",
    signature="gate(files: dict[str, str]) -> dict[str, str]: pass, fail or unknown for each notebook",
    points=14,
    minutes=12,
    difficulty=2,
    controls=("credentials-output-filter", "credentials-scan-hook"),
    reread='H4, "5 · Close the door, and try it"',
    hints=(
        "Three verdicts, and every doubt is `unknown`: a file that cannot be read has not passed.",
        "A notebook passes when nothing has to be cleaned: `clean(notebook) == notebook`.",
        "Skeleton: for each name that ends so in small letters: try `json.loads` and `clean`; what they raise means "
        "`unknown`.",
        "A list, a number or a dictionary without a list of cells is no notebook.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "asked-nicely": "An output is an output, whatever the cell's tags and metadata ask for.",
        "unknown-is-no-pass": "What could not be read is `unknown`: not a pass, not a fail, and no exception.",
        "outputs-only": "A gate that looks at outputs alone lets attachments, names and saved widgets through.",
        "names": "A notebook is known by its ending, in any case of letters; other files are not in the answer.",
    },
)

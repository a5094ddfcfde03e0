"""Clean a notebook: what its author wrote stays, all else goes."""

from __future__ import annotations

import copy

from classroom.questions import Question
from classroom.questions.exact import exact
from classroom.questions.h4.common import cell, name, notebook, stream, text
from classroom.questions.scoring import draws, graded, shuffled

KEPT = ("kernelspec", "language_info")


def _clean(dirty: dict) -> dict:
    """The truth, by the rule in the prompt."""
    made = copy.deepcopy(dirty)
    made["metadata"] = {key: value for key, value in made["metadata"].items() if key in KEPT}
    for one in made["cells"]:
        tags = [tag for tag in one["metadata"].get("tags", []) if tag != "keep_output"]
        one["metadata"] = {"tags": tags} if tags else {}
        one.pop("attachments", None)
        if one["cell_type"] == "code":
            one |= {"outputs": [], "execution_count": None}
    return made


def _dirt(r, kind: str, cells: list[dict], metadata: dict) -> None:
    codes = [one for one in cells if one["cell_type"] == "code"]
    texts = [one for one in cells if one["cell_type"] == "markdown"]
    one = r.choice(codes)
    if kind == "outputs":
        one |= {"outputs": [stream(name(r))], "execution_count": r.randint(1, 90)}
    elif kind == "a count alone":
        one["execution_count"] = r.randint(1, 90)
    elif kind == "asked to keep":
        one["outputs"] = [stream(name(r))]
        one["metadata"] |= r.choice(
            [{"tags": ["keep_output"]}, {"keep_output": True}, {"tags": ["parameters", "keep_output"]}]
        )
    elif kind == "a tag beside the one that goes":
        one["metadata"]["tags"] = r.sample(["keep_output", r.choice(["setup", "slow"])], 2)
    elif kind == "a name in Colab's metadata":
        one["metadata"] |= {"executionInfo": {"user": {"displayName": name(r)}}, "colab": {"base_uri": name(r)}}
    elif kind == "an attachment":
        r.choice(texts)["attachments"] = {f"{name(r)}.png": {"image/png": text(r, 40)}}
    elif kind == "widgets":
        metadata["widgets"] = {"state": {text(r, 6): {"value": name(r)}}}
    elif kind == "metadata that nobody has heard of":
        r.choice(cells)["metadata"][name(r)] = {"who": name(r)}
        metadata[name(r)] = name(r)
    elif kind == "tags that stay":
        one["metadata"]["tags"] = r.sample(["parameters", "setup", "slow", "figure"], 2)
    elif kind == "an attachment of a raw cell":
        cells.append(cell(r, name(r), "raw", attachments={"a.txt": {"text/plain": text(r, 20)}}))
    elif kind == "an id that has to stay":
        for made in cells:
            made["metadata"]["id"] = text(r, 12)


KINDS = ("outputs", "a count alone", "asked to keep", "a name in Colab's metadata", "an attachment", "widgets")
MORE = (
    "metadata that nobody has heard of",
    "a tag beside the one that goes",
    "an attachment of a raw cell",
    "an id that has to stay",
)


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    kinds = [*KINDS, "tags that stay", "clean already", *(MORE if hidden else ())]
    for kind in kinds:
        for _ in range(3):
            cells = [
                cell(r, f"# {name(r)}", "markdown"),
                *(cell(r, f"x = '{name(r)}'\n") for _ in range(r.randint(2, 4))),
            ]
            cells.append(cell(r, [f"{name(r)}\n", name(r)], "markdown"))
            metadata: dict = {}
            _dirt(r, kind, cells, metadata)
            made = notebook(cells, **metadata)
            inputs.append((made,))
            cases.append({"kind": kind, "due": _clean(made), "bad": kind not in ("tags that stay", "clean already")})
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    rules = {
        "too-much": ["tags that stay"],
        "asked-nicely": ["asked to keep"],
        "list-of-dirt": ["metadata that nobody has heard of", "an attachment of a raw cell"],
    }
    return exact(answers, truth, rules)


QUESTION = Question(
    id="h4-q2",
    title="What the author wrote",
    entry="clean",
    signature="clean(notebook: dict) -> dict",
    points=16,
    minutes=12,
    difficulty=1,
    controls=("credentials-output-filter", "credentials-source"),
    reread='H4, "5 · Close the door, and try it"',
    hints=(
        "Keep by a list of what is wanted. A list of what has to go is never complete.",
        "Three places: the notebook's metadata, each cell's metadata, and what only code cells have.",
        "Skeleton: `copy.deepcopy`; rebuild both metadata with a comprehension; `pop` the attachments of every cell; "
        "set the two fields of code cells.",
        "Of a cell's metadata only `tags` stays, without `keep_output`; where no tag is left, the metadata is empty.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "asked-nicely": "A tag or a setting that asks to keep an output is no reason to keep it, and goes, too.",
        "list-of-dirt": "You take out what you know. The next editor has a new place: keep only what is wanted, in "
        "every kind of cell.",
        "too-much": "Tags, ids, sources and the two named parts of the metadata stay as they are.",
    },
)

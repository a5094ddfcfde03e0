"""Warm-up: which flows cross a trust boundary?"""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.exact import exact
from classroom.questions.h1.common import ZONES, word
from classroom.questions.scoring import draws, graded, shuffled


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    kinds = ["several cross", "none crosses", "all cross", "within and back"]
    kinds += ["zones that only look alike", "a node without a flow"] if hidden else []
    for kind in kinds:
        for _ in range(3):
            zones = r.sample(ZONES, 3)
            if kind == "zones that only look alike":
                zones = ["team", "Team", "team 2"]
            names = list(dict.fromkeys(word(r) for _ in range(9)))
            nodes = {name: r.choice(zones) for name in names}
            if kind == "none crosses":
                nodes = dict.fromkeys(names, zones[0])
            flows = [tuple(r.sample(names, 2)) for _ in range(10)]
            if kind == "all cross":
                nodes = {name: zones[place % 3] for place, name in enumerate(names)}
                flows = [flow for flow in flows if nodes[flow[0]] != nodes[flow[1]]]
            if kind == "within and back":
                flows += [flow[::-1] for flow in flows[:4]]
            flows = list(dict.fromkeys(flows))
            inputs.append((nodes, [list(flow) for flow in flows]))
            due = [list(flow) for flow in flows if nodes[flow[0]] != nodes[flow[1]]]
            cases.append({"kind": kind, "due": due, "bad": kind != "none crosses"})
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    rules = {
        "one-way": ["within and back"],
        "everything": ["none crosses"],
        "loose": ["zones that only look alike"],
    }
    return exact(answers, truth, rules)


QUESTION = Question(
    id="h1-q1",
    title="Where somebody else's word is taken",
    entry="crossings",
    signature="crossings(zones: dict[str, str], flows: list[list[str]]) -> list[list[str]]",
    points=10,
    minutes=5,
    difficulty=1,
    controls=("MAP",),
    reread='H1, "1 · A picture"',
    hints=(
        "A flow crosses a boundary when its two nodes lie in different zones.",
        "Keep the order of the flows, and both directions where both are there.",
        "Skeleton: a comprehension over the flows with one condition on `zones[source]` and `zones[target]`.",
        "Compare the zones as they are written: `Team` and `team` are two zones here.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "one-way": "A flow and the flow back are two flows: both cross.",
        "everything": "Where no flow crosses a boundary, the answer is an empty list.",
        "loose": "Zones are compared as they are written, letter by letter.",
    },
)

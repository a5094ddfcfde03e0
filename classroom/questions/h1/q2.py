"""Threats that follow from the data: what is lacking, on a flow that crosses, and could hurt there."""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.exact import exact
from classroom.questions.h1.common import ZONES, word
from classroom.questions.scoring import draws, graded, shuffled

RULES = (
    ("S", "authenticated", lambda f: f["from_outside"]),
    ("T", "intact", lambda f: f["content"] in ("code", "data")),
    ("R", "logged", lambda f: f["from_outside"] and f["content"] == "requests"),
    ("I", "confidential", lambda f: f["secret"]),
    ("D", "limited", lambda f: f["content"] == "requests"),
    ("E", "data only", lambda f: f["content"] == "code"),
)


def _threats(flows: list[dict]) -> list[str]:
    """The truth, by the rule in the prompt."""
    return [
        "".join(k for k, protection, applies in RULES if protection not in flow["protections"] and applies(flow))
        if flow["from_zone"] != flow["to_zone"]
        else ""
        for flow in flows
    ]


def _flow(r, kind: str) -> dict:
    zones = r.sample(ZONES, 2)
    flow = {
        "name": f"{word(r)} to {word(r)}",
        "from_zone": zones[0],
        "to_zone": zones[1],
        "from_outside": False,
        "content": "data",
        "secret": False,
        "protections": [],
    }
    every = [protection for _, protection, _ in RULES]
    if kind == "within a zone":
        flow |= {"to_zone": zones[0], "from_outside": True, "content": r.choice(["code", "requests"]), "secret": True}
    elif kind == "code from outside":
        flow |= {"from_outside": True, "content": "code", "protections": r.sample(every, r.randint(0, 2))}
    elif kind == "code from inside":
        flow |= {"content": "code", "protections": r.sample(["logged", "limited", "intact"], r.randint(0, 2))}
    elif kind == "requests":
        flow |= {
            "from_outside": r.random() < 0.7,
            "content": "requests",
            "protections": r.sample(every, r.randint(0, 3)),
        }
    elif kind == "a secret":
        flow |= {"secret": True, "protections": r.sample(["logged", "authenticated", "limited"], r.randint(0, 2))}
    elif kind == "all is in place":
        flow |= {"from_outside": True, "content": r.choice(["code", "requests"]), "secret": True, "protections": every}
    elif kind == "protections of something else":
        flow |= {"secret": True, "protections": ["limited", "data only", "logged"]}
    elif kind == "requests from inside":
        flow |= {
            "content": "requests",
            "secret": r.random() < 0.5,
            "protections": r.sample(["logged"], r.randint(0, 1)),
        }
    return flow


KINDS = ("within a zone", "code from outside", "code from inside", "requests", "a secret", "all is in place")
MORE = ("protections of something else", "requests from inside")


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for kind in (*KINDS, *(MORE if hidden else ())):
        for _ in range(3):
            flows = [_flow(r, kind) for _ in range(3)]
            inputs.append((flows,))
            good = kind in ("within a zone", "all is in place")
            cases.append({"kind": kind, "due": _threats(flows), "bad": not good})
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    rules = {
        "boundaries": ["within a zone"],
        "protections": ["all is in place"],
        "who-sends": ["code from inside", "requests from inside"],
    }
    return exact(answers, truth, rules)


QUESTION = Question(
    id="h1-q2",
    title="Only what applies there",
    entry="threats",
    signature="threats(flows: list[dict]) -> list[str]: the letters for each flow",
    points=18,
    minutes=15,
    difficulty=2,
    controls=("MAP", "AML.T0010", "AML.T0040"),
    reread='H1, "1 · A picture"',
    hints=(
        "Two questions for each letter: is its protection lacking, and could the flow be hurt that way?",
        "A flow within one zone gets the empty text, whatever it lacks.",
        "Skeleton: a table of (letter, protection, condition); for each flow join the letters whose protection is not "
        "among the flow's and whose condition holds.",
        "Only S and R ask who sends; T, D and E ask what is sent, and I whether it is secret.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "boundaries": "Within one zone nobody else's word is taken: no letter applies.",
        "protections": "A protection that is in place takes its letter away.",
        "who-sends": "Spoofing and repudiation are about somebody outside; the other letters are not.",
    },
)

"""A gate for requirements: a bad line is made from the rule that it breaks."""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.h2a.common import HONEST, PUBLIC, drawn_digest
from classroom.questions.scoring import balance, draws, graded, places


def _requirement(r, name: str, kind: str) -> tuple[list[str], list[str]]:
    """Physical lines of one requirement and the rules it breaks."""
    version = f"{r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 9)}"
    hash_ = f"--hash=sha256:{drawn_digest(r)}"
    marker = f'; python_version {r.choice(["<", ">="])} "3.{r.randint(10, 13)}"'
    equal_marker = f'; sys_platform == "{r.choice(["linux", "win32"])}"'
    table = {
        "honest": ([f"{name}=={version} {hash_}"], []),
        "honest, several lines": (
            [f"{name}=={version} \\", f"    {hash_} \\", f"    --hash=sha256:{drawn_digest(r)}"],
            [],
        ),
        "honest with marker": ([f"{name}=={version} {marker} {hash_}  # why: reviewed"], []),
        "honest with extra": ([f"{name}[all]=={version} {hash_}"], []),
        "exempt": ([f"{name}=={version}"], []),
        "no version": ([f"{name} {hash_}"], ["unpinned"]),
        "range": ([f"{name}>={version} {hash_}"], ["unpinned"]),
        "compatible": ([f"{name}~={version} {hash_}"], ["unpinned"]),
        "range, several lines": ([f"{name}>={version} \\", f"    {hash_}"], ["unpinned"]),
        "wildcard": ([f"{name}=={version.split('.')[0]}.* {hash_}"], ["unpinned"]),
        "pin in marker only": ([f"{name}>={version} {equal_marker} {hash_}"], ["unpinned"]),
        "pin in comment only": ([f"{name} {hash_}  # {name}=={version}"], ["unpinned"]),
        "no hash": ([f"{name}=={version}"], ["unhashed"]),
        "hash in comment only": ([f"{name}=={version}  # {hash_}"], ["unhashed"]),
        "weak hash": ([f"{name}=={version} --hash=md5:{drawn_digest(r)[:32]}"], ["unhashed"]),
        "short hash": ([f"{name}=={version} --hash=sha256:{drawn_digest(r)[:40]}"], ["unhashed"]),
        "neither": ([name], ["unpinned", "unhashed"]),
        "neither, with marker": ([f"{name} {equal_marker}"], ["unpinned", "unhashed"]),
        "address": ([f"{name} @ https://files.example/{name}-{version}-py3-none-any.whl"], ["unpinned", "unhashed"]),
        "pinned twice": ([f"{name}=={version},>={version} {hash_}"], ["unpinned"]),
        "tab before comment": ([f"{name}>={version} {hash_}\t# {name}=={version}"], ["unpinned"]),
    }
    return table[kind]


_REQUIREMENT_KINDS = (
    "honest, several lines",
    "honest, several lines",
    "honest with marker",
    "honest with extra",
    "exempt",
    "no version",
    "range",
    "compatible",
    "range, several lines",
    "wildcard",
    "pin in marker only",
    "pin in comment only",
    "no hash",
    "hash in comment only",
    "weak hash",
    "neither",
)

_REQUIREMENT_HIDDEN = ("short hash", "neither, with marker", "address", "pinned twice", "tab before comment")


def _requirements_generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    policy_host = r.choice(["packages", "pypi-mirror", "wheels"]) + f"-{r.randint(2, 99)}.example"
    for number in range(3):
        index = f"https://{policy_host}/simple"
        names = r.sample([n for n in PUBLIC if "-" not in n] + HONEST, 26)
        exempt = names[:2]
        policy = {"index": index, "hash_not_needed": exempt}
        blocks = [([f"# {r.choice(['training', 'serving', 'notebooks'])}: reviewed, pandas==1.0"], "comment", [])]
        blocks += [([""], "comment", [])]
        kinds = list(_REQUIREMENT_KINDS) + (list(_REQUIREMENT_HIDDEN) if hidden else [])
        for kind, name in zip(kinds, names[2:], strict=False):
            name = exempt[0] if kind == "exempt" else name
            name = name.upper() if kind == "exempt" and (hidden or number) else name
            lines, rules = _requirement(r, name, kind)
            blocks.append((lines, kind, rules))
        options = [(f"--index-url {index}", "the index", []), (f"-i {index}", "the index", [])]
        foreign = r.choice(["https://pypi.example/simple", "http://10.0.0.7:8080/simple"])
        options += [(f"--extra-index-url {foreign}", "extra index", ["index"])]
        options += [(f"--extra-index-url={foreign}", "extra index", ["index"])]
        options += [(f"--index-url {foreign}", "other index", ["index"])]
        options += [("--no-binary :none:", "other option", []), ("--require-hashes", "other option", [])]
        if hidden:
            options += [(f"--index-url https://{policy_host}.attacker.example/simple", "index by prefix", ["index"])]
            options += [
                (f"--find-links {foreign}", "find-links", ["index"]),
                (f"-f {foreign}", "find-links", ["index"]),
            ]
        blocks += [([line], kind, rules) for line, kind, rules in options]
        r.shuffle(blocks)
        text, at, spots = [], 1, []
        for lines, kind, rules in blocks:
            spots.append([at, kind, rules, lines[0][:70]])
            spots += [[at + more, "inside a requirement", [], lines[more][:40]] for more in range(1, len(lines))]
            text += lines
            at += len(lines)
        end = "\r\n" if hidden and number == 2 else "\n"
        inputs.append((end.join(text) + end, policy))
        cases.append({"places": spots})
    return inputs, {"cases": cases}


@graded
def _requirements_judge(answers, truth):
    return balance(
        places(answers, truth["cases"]),
        {
            "continuation": ["honest, several lines", "range, several lines"],
            "marker": ["pin in marker only", "neither, with marker"],
            "comment": ["hash in comment only"],
            "wildcard": ["wildcard"],
            "weak-hash": ["weak hash", "short hash"],
            "exempt": ["exempt"],
            "prefix": ["index by prefix"],
            "find-links": ["find-links"],
            "only-extra": ["other index"],
        },
    )


QUESTION = Question(
    id="h2a-q2",
    title="A gate for requirements",
    entry="check_requirements",
    signature="check_requirements(text: str, policy: dict) -> list of [line number, rule]",
    points=20,
    minutes=20,
    difficulty=2,
    controls=("supply-pins", "ML06:2023", "AML.T0010"),
    reread='H2a, "A gate for the requirements file"',
    hints=(
        "First join the lines that end in a backslash and remember where each began; then drop the comment; only "
        "then look at the requirement.",
        "`packaging.requirements.Requirement` takes the part before `--hash` apart: name, specifier, marker, url. "
        "Pinned means exactly one specifier, `==`, without a star.",
    ),
    generate=_requirements_generate,
    judge=_requirements_judge,
    misconceptions={
        "continuation": "A requirement may go on over several lines. It is one requirement, reported at its "
        "first line, and its hashes count wherever they stand.",
        "marker": "The `==` you saw belongs to the marker behind the semicolon. It says where to install, not "
        "which version.",
        "comment": "You read the comment. What stands behind ` #` is for people; pip does not see it.",
        "wildcard": "`==2.*` is a range with a star, not a pin: tomorrow it means another release.",
        "weak-hash": "Only a full SHA-256 counts (64 hex digits). Whoever can make two files with the same weak "
        "digest chooses which one you get.",
        "exempt": "The policy lets some packages go without a hash. Compare names as the index does.",
        "prefix": "You compare the beginning of the index's address. `packages.example.attacker.example` begins "
        "the same and belongs to somebody else.",
        "find-links": "`--find-links` gives pip one more place to take packages from, just as an extra index does.",
        "only-extra": "Not only an extra index is foreign: `--index-url` may name one too.",
    },
)

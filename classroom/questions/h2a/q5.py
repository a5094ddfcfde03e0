"""A gate for workflows."""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.h2a.common import drawn_digest
from classroom.questions.scoring import balance, draws, graded, places

_ACTIONS = ("actions/checkout", "actions/setup-python", "actions/cache", "actions/upload-artifact")


class _Step:
    """A step as YAML lines, the kind it is and the rules it breaks."""

    def __init__(self, kind: str, rules: list[str], *lines: str):
        self.kind, self.rules, self.lines = kind, rules, lines


def _commit(r) -> str:
    return f"{r.getrandbits(160):040x}"


def _steps(r, owner: str) -> dict[str, list[_Step]]:
    action, secret = r.choice(_ACTIONS), r.choice(["HUB_TOKEN", "DEPLOY_KEY", "REGISTRY_PASSWORD"])
    title = r.choice(["github.event.issue.title", "github.event.pull_request.title", "github.head_ref"])
    dollar = "${{ %s }}"
    password = dollar % f"secrets.{secret}"
    return {
        "honest": [
            _Step("pinned", [], f"uses: {action}@{_commit(r)}  # v{r.randint(2, 6)}"),
            _Step("own action", [], f"uses: {owner}/deploy@v{r.randint(1, 4)}"),
            _Step("local action", [], "uses: ./.github/actions/prepare"),
            _Step("plain command", [], "run: python -m pytest -q"),
            _Step(
                "secret by environment",
                [],
                'run: ./upload.sh "$TOKEN"',
                "env:",
                f"  TOKEN: {password}",
            ),
            _Step("title by environment", [], 'run: echo "$TITLE"', "env:", f"  TITLE: {dollar % title}"),
            _Step("harmless expression", [], f"run: echo {dollar % 'github.sha'}"),
        ],
        "bad": [
            _Step("tag", ["unpinned"], f"uses: {action}@v{r.randint(2, 6)}"),
            _Step("branch", ["unpinned"], f"uses: {r.choice(_ACTIONS)}@main"),
            _Step("owner by prefix", ["unpinned"], f"uses: {owner}-tools/deploy@v1"),
            _Step("secret in command", ["secret"], f"run: ./upload.sh {password}"),
            _Step(
                "secret in long command",
                ["secret"],
                "run: |",
                "  ./login.sh",
                f"  ./upload.sh {password}",
            ),
            _Step("title in command", ["injection"], f'run: echo "{dollar % title}"'.replace('"', "'")),
        ],
        "held back": [
            _Step("short commit", ["unpinned"], f"uses: {action}@{_commit(r)[:7]}"),
            _Step("commit in comment", ["unpinned"], f"uses: {action}@v4  # {_commit(r)}"),
            _Step("image by tag", ["unpinned"], "uses: docker://python:3.12"),
            _Step("image by digest", [], f"uses: docker://python@sha256:{drawn_digest(r)}"),
            _Step("tight expression", ["injection"], "run: echo ${{github.head_ref}}"),
            _Step("quoted key", ["unpinned"], f'"uses": "{action}@v3"'),
        ],
    }


def _permissions(r, may_write) -> dict[str, tuple[list[str], list[str]]]:
    """Kind to (YAML lines under a job or the file, rules broken)."""
    own = r.choice(may_write)
    foreign = r.choice([s for s in ("contents", "packages", "id-token", "issues") if s not in may_write])
    return {
        "read": (["permissions:", "  contents: read"], []),
        "write that is allowed": (["permissions:", "  contents: read", f"  {own}: write"], []),
        "write that is not": (["permissions:", f"  {foreign}: write"], ["permissions"]),
        "write-all": (["permissions: write-all"], ["permissions"]),
        "empty": (["permissions: {}"], []),
    }


def _workflow_generate(rng, hidden=False):
    r = draws(rng)
    owner = r.choice(["brightpay", "acme-ml", "northwind"])
    policy = {"owner": owner, "may_write": sorted(r.sample(["id-token", "security-events", "checks", "packages"], 2))}
    audits = {
        "audit": (["run: pip-audit --strict -r requirements.txt"], []),
        "no audit": ([], ["audit"]),
        "audit not strict": (["run: pip-audit -r requirements.txt"], ["audit"]),
        "audit may fail": (["run: pip-audit --strict -r requirements.txt", "continue-on-error: true"], ["audit"]),
        "audit or true": (["run: pip-audit --strict -r requirements.txt || true"], ["audit"]),
        "audit in echo": (["name: run pip-audit --strict", "run: echo later"], ["audit"]),
    }
    # As many good ones that to claim "no audit" of every file does not pay.
    chosen = ["audit"] * 5 + ["no audit", "audit not strict", "audit may fail"]
    chosen += ["audit", "audit or true", "audit in echo"] if hidden else []
    r.shuffle(chosen)
    inputs, cases = [], []
    # One spelled-out default for the file, or none: then each job needs its own.
    defaults = ["", "read", "write-all" if hidden else "read", ""] * 3
    for audit, default in zip(chosen, defaults, strict=False):
        lines = ["name: checks", "on: [push, pull_request]"]
        scopes = _permissions(r, policy["may_write"])
        lines += scopes[default][0] if default else []
        spots = [["", audit, audits[audit][1], "audit step"]]
        lines.append("jobs:")
        jobs = r.sample(["build", "test", "train", "publish", "lint"], 3)
        for number, job in enumerate(jobs):
            own = (
                r.choice(["read", "write that is allowed", "write that is not", "write-all", "empty"]) if number else ""
            )
            rules = scopes[own][1] if own else (scopes[default][1] if default else ["permissions"])
            kind = own or (f"inherited {default}" if default else "not spelled out")
            spots.append([job, kind, rules, "permissions of the job"])
            lines += [f"  {job}:", "    runs-on: ubuntu-latest"]
            lines += [f"    {line}" for line in (scopes[own][0] if own else [])] + ["    steps:"]
            steps = _steps(r, owner)
            mine = r.sample(steps["honest"], 3) + r.sample(steps["bad"], 2)
            mine += r.sample(steps["held back"], 2) if hidden else []
            if number == 1 and audits[audit][0]:
                mine.append(_Step("audit step", [], *audits[audit][0]))
            r.shuffle(mine)
            for at, step in enumerate(mine):
                lines += [f"      - {step.lines[0]}"] + [f"        {line}" for line in step.lines[1:]]
                spots.append([f"{job}/{at}", step.kind, step.rules, step.lines[0][:70]])
        if hidden and r.random() < 0.5:
            # A whole workflow called as a job: pinned like an action.
            reference = r.choice(["main", _commit(r)])
            lines += [
                "  shared:",
                "    permissions: {}",
                f"    uses: other-org/ci/.github/workflows/all.yml@{reference}",
            ]
            rules = ["unpinned"] if reference == "main" else []
            spots.append(["shared", "workflow as job", rules, lines[-1].strip()[:70]])
        inputs.append(("\n".join(lines) + "\n", policy))
        cases.append({"places": spots})
    return inputs, {"cases": cases}


@graded
def _workflow_judge(answers, truth):
    return balance(
        places(answers, truth["cases"]),
        {
            "tags-are-pins": ["tag"],
            "branch-only": ["short commit", "commit in comment"],
            "prefix": ["owner by prefix"],
            "default-permissions": ["not spelled out"],
            "inherited": ["inherited read"],
            "any-write": ["write that is allowed"],
            "secrets-anywhere": ["secret by environment"],
            "title-anywhere": ["title by environment"],
            "first-line": ["secret in long command"],
            "audit-mentioned": ["audit may fail", "audit not strict", "audit or true"],
        },
    )


QUESTION = Question(
    id="h2a-q5",
    title="A gate for workflow files",
    entry="check_workflow",
    signature="check_workflow(text: str, policy: dict) -> list of [place, rule]",
    points=20,
    minutes=15,
    difficulty=2,
    controls=("supply-vulnerabilities", "credentials-environment", "ML06:2023"),
    reread='H2a, "Who runs your build?"',
    hints=(
        "`yaml.safe_load`, then walk: the file, each job, each step. Write one small function per rule.",
        "A job without permissions of its own has the file's; without those, whatever the platform gives. For a "
        "pin, look at what stands behind the last `@`: forty hex digits, or for an image `sha256:`.",
    ),
    generate=_workflow_generate,
    judge=_workflow_judge,
    misconceptions={
        "tags-are-pins": "A tag can be moved to another commit, and has been, by attackers. Only the full commit "
        "pins an action.",
        "branch-only": "Forty hex digits behind the `@`, or it is not a pin: a short commit is ambiguous, and what "
        "stands in the comment binds nobody.",
        "prefix": "Compare the owner as a whole: anybody may register a name that begins like yours.",
        "default-permissions": "A job for which nobody spelled out permissions gets the platform's default, which "
        "may be write.",
        "inherited": "A job without permissions of its own has those of the file.",
        "any-write": "Least permission is not no permission: the policy names what may be written.",
        "secrets-anywhere": "A secret has to reach the command somehow. Through `env` it stays out of the command "
        "line and of the shell's parsing: that is the safe way, not a finding.",
        "title-anywhere": "A title in `env` is data. The same expression inside `run` becomes code, because it is "
        "pasted in before the shell reads it.",
        "first-line": "A command may have many lines. Look at the whole of `run`.",
        "audit-mentioned": "The audit is there but cannot stop anything: not strict, or its failure is swallowed. "
        "Look at what happens when it finds something.",
    },
)

"""A history as data: where is the secret still, and who brought it in?"""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.exact import exact
from classroom.questions.h4.common import a_key, name, text
from classroom.questions.scoring import draws, graded, shuffled


def _search(repository: dict, secret: str) -> dict:
    """The truth, by the rule in the prompt."""
    commits, blobs = repository["commits"], repository["blobs"]
    holding = {blob for blob, content in blobs.items() if secret in content}
    introduced, reachable = [], set()
    for commit, about in commits.items():
        own = holding & set(about["files"].values())
        before = {blob for parent in about["parents"] for blob in commits[parent]["files"].values()}
        if own - before:
            introduced.append(commit)
    todo = list(repository["branches"].values())
    while todo:
        commit = todo.pop()
        if commit not in reachable:
            reachable.add(commit)
            todo += commits[commit]["parents"]
    named = {blob for about in commits.values() for blob in about["files"].values()}
    pushed = any(holding & set(commits[commit]["files"].values()) for commit in reachable)
    return {"introduced": sorted(introduced), "pushed": pushed, "unnamed": sorted(holding - named)}


class _History:
    def __init__(self, r):
        self.r, self.commits, self.blobs, self.branches = r, {}, {}, {}

    def blob(self, content: str) -> str:
        made = text(self.r, 6, "0123456789abcdef")
        self.blobs[made] = content
        return made

    def commit(self, parents, files) -> str:
        made = text(self.r, 7, "0123456789abcdef")
        self.commits[made] = {"parents": list(parents), "files": dict(files)}
        return made

    def plain(self) -> str:
        return self.blob(f"x = '{name(self.r)}'")

    def done(self) -> dict:
        commits = dict(self.r.sample(sorted(self.commits.items()), len(self.commits)))
        blobs = dict(self.r.sample(sorted(self.blobs.items()), len(self.blobs)))
        return {"commits": commits, "blobs": blobs, "branches": self.branches}


def _history(r, kind: str, secret: str) -> dict:
    h = _History(r)
    files = {f"{name(r)}.py": h.plain(), f"{name(r)}.ipynb": h.plain()}
    first = h.commit([], files)
    file = r.choice(sorted(files))
    leak = h.blob(f"key = '{secret}'")
    head = h.commit([first], files | {f"{name(r)}.md": h.plain()})
    if kind in ("taken out again", "taken out and put back", "renamed"):
        head = h.commit([head], files | {file: leak})
        if kind == "renamed":
            rest = {path: blob for path, blob in files.items() if path != file}
            head = h.commit([head], rest | {f"new_{file}": leak})
        else:
            head = h.commit([head], files)
        if kind == "taken out and put back":
            head = h.commit([head], files | {f"again_{file}": leak})
    elif kind in ("a merge that only merges", "a merge that brings it in"):
        side = h.commit([head], files | {file: leak if kind == "a merge that only merges" else h.plain()})
        main = h.commit([head], files | {"other.md": h.plain()})
        head = h.commit([main, side], files | {file: leak, "other.md": h.plain()})
    elif kind == "a branch that is gone":
        h.commit([head], files | {file: leak})
    elif kind == "no commit names it":
        pass
    elif kind == "another key":
        del h.blobs[leak]
        head = h.commit([head], files | {file: h.blob(f"key = '{a_key(r)}'")})
    elif kind == "the first commit":
        first = h.commit([], {file: leak})
        head = h.commit([first], {file: h.plain()})
    elif kind == "two versions with it":
        head = h.commit([head], files | {file: leak})
        head = h.commit([head], files | {file: h.blob(f"key = '{secret}'  # old")})
    h.branches = {"main": head}
    return h.done()


KINDS = (
    "taken out again",
    "renamed",
    "a merge that only merges",
    "a branch that is gone",
    "another key",
    "no commit names it",
)
MORE = ("a merge that brings it in", "taken out and put back", "the first commit", "two versions with it")


def _generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for kind in (*KINDS, *(MORE if hidden else ())):
        for _ in range(3):
            secret = a_key(r)
            repository = _history(r, kind, secret)
            inputs.append((repository, secret))
            cases.append({"kind": kind, "due": _search(repository, secret), "bad": kind != "another key"})
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    rules = {
        "each-commit-that-has-it": ["renamed", "a merge that only merges"],
        "one-parent": ["a merge that only merges"],
        "branches-only": ["a branch that is gone", "no commit names it"],
    }
    return exact(answers, truth, rules)


QUESTION = Question(
    id="h4-q3",
    title="It is still there",
    entry="search",
    signature="search(repository: dict, secret: str) -> dict: introduced, pushed, unnamed",
    points=18,
    minutes=15,
    difficulty=2,
    controls=("credentials-source", "credentials-scan-hook"),
    reread='H4, "1 · The bill"',
    hints=(
        "First the blobs: which of them hold the secret? All the rest is about their ids.",
        "A commit brings one in when a blob is among its files and among none of its parents' files.",
        "Skeleton: `holding = {…}`; a comprehension over the commits; a walk from the branches over the parents; and "
        "`holding` without all blobs that some commit names.",
        "The walk: a list of commits to do, a set of those done; take one, add its parents.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "each-commit-that-has-it": "A commit that only kept the file, renamed it or merged it did not bring it in: the "
        "same blob was among its parents' files.",
        "one-parent": "A merge has several parents. What any of them had, it did not bring in; what none had, it did.",
        "branches-only": "Commits that no branch reaches, and blobs that no commit names, are still in the repository.",
    },
)

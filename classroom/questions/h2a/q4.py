"""A signed manifest."""

from __future__ import annotations

import dataclasses
import hashlib
import json

from classroom.questions import Question
from classroom.questions.h2a.common import drawn_digest
from classroom.questions.scoring import Case, balance, draws, graded, pairs, shown


def _tree(r) -> dict[str, bytes]:
    names = ["model.safetensors", "metadata.json", "data/salaries.csv", "data/manifest.txt", "README.md", "train.py"]
    return {name: r.randbytes(r.randint(12, 60)) for name in sorted(r.sample(names, r.randint(4, 6)))}


def _signed(r, tree, key, digest, *, extra_names=()) -> tuple[bytes, bytes]:
    files = {name: {"digest": hashlib.new(digest, data).hexdigest(), "size": len(data)} for name, data in tree.items()}
    for name in extra_names:
        files[name] = {"digest": drawn_digest(r), "size": 1}
    manifest = _written(r, {"digest": digest, "files": files})
    return manifest, key.sign(manifest)


def _written(r, content) -> bytes:
    # The signature is of these bytes, whose spacing no second dump would reproduce. Forged ones look no different.
    return json.dumps(content, indent=r.choice([1, 3]), separators=(" ,", ": ")).encode()


_TREE_KINDS = (
    "honest",
    "honest",
    "honest",
    "flipped byte",
    "flipped byte",
    "extra file",
    "missing file",
    "renamed",
    "path traversal",
    "absolute path",
    "wrong key",
    "key in manifest",
    "edited manifest",
    "broken signature",
)

_TREE_HIDDEN = ("backslash", "drive letter", "dot part", "swapped", "case renamed", "extra traversal", "not a manifest")

_TREE_HIDDEN += ("signature of another",)

_UNSIGNED = ("wrong key", "key in manifest", "edited manifest", "broken signature", "not a manifest")

_UNSIGNED += ("signature of another",)


def _tree_generate(rng, hidden=False):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    r = draws(rng)
    key = Ed25519PrivateKey.from_private_bytes(r.randbytes(32))
    other = Ed25519PrivateKey.from_private_bytes(r.randbytes(32))
    digest = r.choice(["sha256", "sha384", "sha3_256"])
    public = key.public_key().public_bytes_raw()
    inputs, cases = [], []
    for kind in _TREE_KINDS + (_TREE_HIDDEN if hidden else ()):
        tree = _tree(r)
        expected = []
        if kind in ("path traversal", "absolute path", "backslash", "drive letter", "dot part"):
            name = {
                "path traversal": r.choice(["../settings.ini", "data/../../settings.ini"]),
                "absolute path": "/etc/motd",
                "backslash": "data\\..\\..\\settings.ini",
                "drive letter": "C:/settings.ini",
                "dot part": "data/./hidden.csv",
            }[kind]
            tree[name] = b"owner = somebody"
            expected = [["path", name]]
        manifest, signature = _signed(r, tree, key, digest)
        name = r.choice([n for n in sorted(tree) if not expected or n != expected[0][1]])
        if kind == "flipped byte":
            data = bytearray(tree[name])
            data[r.randrange(len(data))] ^= 1 << r.randrange(8)
            tree[name] = bytes(data)
            expected = [["changed", name]]
        elif kind == "extra file":
            tree["sitecustomize.py"] = b"print('hello')"
            expected = [["extra", "sitecustomize.py"]]
        elif kind == "extra traversal":
            tree["../settings.ini"] = b"owner = somebody"
            expected = [["extra", "../settings.ini"], ["path", "../settings.ini"]]
        elif kind == "missing file":
            del tree[name]
            expected = [["missing", name]]
        elif kind in ("renamed", "case renamed"):
            new = name + ".bak" if kind == "renamed" else name[0].swapcase() + name[1:]
            tree[new] = tree.pop(name)
            expected = [["extra", new], ["missing", name]]
        elif kind == "swapped":
            second = r.choice([n for n in sorted(tree) if n != name])
            tree[name], tree[second] = tree[second], tree[name]
            expected = [["changed", n] for n in sorted((name, second))]
        elif kind == "wrong key":
            signature = other.sign(manifest)
        elif kind == "key in manifest":
            content = json.loads(manifest)
            content["public_key"] = other.public_key().public_bytes_raw().hex()
            manifest = _written(r, content)
            signature = other.sign(manifest)
        elif kind == "edited manifest":
            tree[name] += b"!"
            content = json.loads(manifest)
            content["files"][name] = {"digest": hashlib.new(digest, tree[name]).hexdigest(), "size": len(tree[name])}
            manifest = _written(r, content)
        elif kind == "signature of another":
            signature = _signed(r, _tree(r), key, digest)[1]
        elif kind == "broken signature":
            signature = signature[:-1]
        elif kind == "not a manifest":
            manifest = b"{not json"
        if kind in _UNSIGNED:
            expected = [["signature", ""]]
        inputs.append((dict(sorted(tree.items())), manifest, signature, public))
        cases.append({"kind": kind, "problems": expected})
    order = list(range(len(inputs)))
    r.shuffle(order)
    return [inputs[i] for i in order], {"cases": [cases[i] for i in order]}


@graded
def _tree_judge(answers, truth):
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        wanted = {tuple(problem) for problem in case["problems"]}
        said = pairs(answer.value) if not answer.error else None
        told = f"input {number}, {case['kind']}: {case['problems'] or 'no problem'}; you: {shown(answer)}"
        cases.append(Case(case["kind"], bool(wanted), said == wanted, told))
    verdict = balance(
        cases,
        {
            "unsigned": ["wrong key", "edited manifest", "signature of another"],
            "key-from-manifest": ["key in manifest"],
            "crash": ["broken signature"],
            "extra": ["extra file", "renamed"],
            "missing": ["missing file"],
            "traversal": ["path traversal", "absolute path", "backslash", "drive letter", "dot part"],
        },
    )
    # Without the signature, the rest protects from accidents only: the score counts as far as forgeries are noticed.
    forged = [case.right for case in cases if case.kind in _UNSIGNED]
    message = verdict.message
    if not all(forged):
        message += f" Noticed {sum(forged)} of {len(forged)} forged manifests; the score counts only as far as that."
    verdict = dataclasses.replace(verdict, score=verdict.score * sum(forged) / len(forged), message=message)
    honest = [a.value for a, case in zip(answers, truth["cases"], strict=True) if case["kind"] == "honest"]
    if all(pairs(value) == {("signature", "")} for value in honest):
        return dataclasses.replace(verdict, misconception="reserialized")
    return verdict


QUESTION = Question(
    id="h2a-q4",
    title="A signed manifest",
    entry="verify_tree",
    signature="verify_tree(tree: dict[str, bytes], manifest: bytes, signature: bytes, public_key: bytes) -> list "
    "of [problem, path]",
    points=20,
    minutes=20,
    difficulty=2,
    controls=("supply-model-hash", "ML02:2023", "AML.T0020"),
    reread='H2a, "Friday: the data"',
    hints=(
        "Order matters: first the signature over the bytes as they are. When it does not hold, nothing in the "
        "manifest means anything, and there is only one thing to report.",
        "Then three comparisons: names only in the manifest, names only in the tree, names in both whose digest "
        "differs. A path is unsound if any of its parts is empty, `.` or `..`, or if it holds a backslash or a "
        "colon.",
    ),
    generate=_tree_generate,
    judge=_tree_judge,
    misconceptions={
        "reserialized": "Honest trees were refused. The signature is over the manifest's bytes as they came; "
        "parsing and dumping them again gives other bytes.",
        "key-from-manifest": "You believed a key that came with the file. Who replaces the file replaces that key "
        "too; only the key you already had counts.",
        "unsigned": "The signature was not checked, or its failure was not final. Digests in a manifest that "
        "anybody may rewrite protect from nothing.",
        "crash": "A signature of the wrong length is a bad signature like any other: report it, do not crash.",
        "extra": "You check the files that the manifest lists. A file that it does not list may be the attack "
        "(think of `sitecustomize.py`).",
        "missing": "A file that is listed and gone is a change too.",
        "traversal": "A valid signature makes a path genuine, not sound. `../` in a signed manifest still leaves "
        "the folder; so do absolute paths, and on Windows backslashes and drive letters.",
    },
)

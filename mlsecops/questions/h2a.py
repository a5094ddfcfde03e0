"""Lab H2a, dependencies: five questions about names, pins, audits, signatures and workflows.

Every case is built from its answer: a squat is made from the name it imitates, a bad line from the rule it breaks.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re

from mlsecops.questions import Question
from mlsecops.questions.scoring import Case, balance, draws, graded, pairs, places, shown

# What the lab's cells import; the grader has it ready before the first submission.
LIBRARIES = (
    "mlsecops.lesson",
    "matplotlib.pyplot",
    "numpy",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "packaging.requirements",
    "rapidfuzz.distance",
    "yaml",
)

# --- q1: names that imitate -----------------------------------------------------------------------------------------

_PUBLIC = (
    "numpy pandas scipy scapy torch torchvision requests matplotlib scikit-learn tensorflow transformers safetensors "
    "fastapi pydantic uvicorn joblib xgboost lightgbm pillow huggingface-hub python-dateutil cryptography sqlalchemy "
    "beautifulsoup4 jinja2 typing-extensions charset-normalizer opencv-python sentence-transformers prometheus-client"
).split()
_HONEST = (
    "statsmodels geopandas pandera torchmetrics torchaudio numexpr seaborn plotly networkx pyarrow polars duckdb "
    "openpyxl lxml httpx aiohttp flask django celery redis boto3 paramiko fabric ansible sympy cython numba spacy "
    "gensim nltk optuna hydra-core mlflow dvc wandb gradio streamlit altair bokeh shapely rasterio folium"
).split()
# Short names, and honest ones that are a letter away from them.
_SHORT = {"six": "fix", "nox": "box", "tox": "toy", "rich": "rice", "dask": "task", "ray": "rag"}
_KEYS = {"a": "s", "e": "r", "i": "o", "n": "m", "o": "p", "r": "t", "s": "d", "t": "y", "u": "i", "p": "o", "d": "f"}


def _normal(name: str) -> str:
    """A name as the package index compares names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _slip(r, name: str, how: str) -> str:
    """One slip of the keyboard within a name, never at its first letter."""
    spots = [i for i in range(1, len(name) - 1) if name[i].isalpha() and name[i + 1].isalpha()]
    at = r.choice(spots)
    if how == "left out":
        return name[:at] + name[at + 1 :]
    if how == "doubled":
        return name[:at] + name[at] + name[at:]
    if how == "swapped":
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    return name[:at] + _KEYS.get(name[at], "x") + name[at + 1 :]


# For the tired eye: what may stand for what.
_LOOKS = {"digits": [("o", "0"), ("l", "1"), ("i", "1")], "pairs": [("m", "rn"), ("w", "vv"), ("d", "cl")]}
_LOOKS["alphabet"] = [("a", "а"), ("o", "о"), ("e", "е"), ("p", "р"), ("c", "с")]  # on the right: Cyrillic


def _lookalike(r, name: str, kind: str) -> str:
    fitting = [(a, b) for a, b in _LOOKS[kind] if a in name]
    if not fitting:
        return name
    plain, other = r.choice(fitting)
    return name.replace(plain, other, 1)


def _one_edit(a: str, b: str) -> bool:
    """Whether two different names are one insertion, deletion, replacement or swap of neighbors apart."""
    if a == b or abs(len(a) - len(b)) > 1:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    rest_a, rest_b = a[start:], b[start:]
    swapped = rest_a[:2] == rest_b[1::-1] and len(rest_a) > 1 and rest_a[2:] == rest_b[2:]
    return swapped or rest_a[1:] == rest_b[1:] or rest_a[1:] == rest_b or rest_a == rest_b[1:]


def _skeleton(name: str) -> str:
    """What a tired eye reads: separators gone, lookalikes folded together."""
    name = _normal(name).replace("-", "")
    for table in _LOOKS.values():
        for plain, other in table:
            name = name.replace(other, plain)
    return name.replace("i", "l").replace("1", "l")


def _targets(name: str, known: list[str]) -> set[str]:
    """The known names that a name imitates by the rule in the prompt; built names with another answer are dropped."""
    normal = _normal(name)
    if normal in {_normal(k) for k in known}:
        return set()
    return {k for k in known if _skeleton(k) == _skeleton(name) or (len(k) >= 5 and _one_edit(normal, _normal(k)))}


def _own_names(r) -> list[str]:
    starts = r.sample(["salary", "paygrade", "offer", "brightpay", "survey", "headcount"], 4)
    return [f"{start}-{r.choice(['features', 'client', 'models', 'schema', 'loader'])}" for start in starts]


def _squat_generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    kinds = ["left out", "doubled", "swapped", "neighbor key", "digits", "two digits", "no separator"]
    kinds += ["pairs", "alphabet", "digits and no separator"] if hidden else []
    for _ in range(2):
        known = [*r.sample([n for n in _PUBLIC if n not in ("scipy", "scapy")], 14), "scipy", "scapy"]
        short = r.sample(sorted(_SHORT), 4)
        known += short + _own_names(r)
        r.shuffle(known)
        items = []
        for kind in kinds * 2:
            squat = next(filter(None, (_squat(r, kind, known, items) for _ in range(200))), None)
            if squat:
                items.append(squat)
        honest = [(name, "unrelated") for name in r.sample(_HONEST, 2)]
        honest += [(_SHORT[name], "near a short name") for name in short]
        honest += [(f"{name}-{r.choice(['stubs', 'extras', 'plugins'])}", "extension") for name in r.sample(known, 4)]
        honest += [(name, "on the list") for name in ("scipy", "scapy")]
        beginnings = [_same_beginning(r, r.choice(known)) for _ in range(8)]
        honest += [(name, "same beginning") for name in beginnings]
        with_separator = [name for name in known if "-" in name]
        honest += [(n.replace("-", r.choice("_.")).title(), "same package") for n in r.sample(with_separator, 3)]
        taken = {item["name"] for item in items}
        items += [
            {"name": name, "kind": kind, "target": ""}
            for name, kind in dict(honest).items()
            if name not in taken and not _targets(name, known)
        ]
        r.shuffle(items)
        inputs.append(([item["name"] for item in items], known))
        cases.append({"items": items})
    return inputs, {"cases": cases}


def _same_beginning(r, name: str) -> str:
    """Another name that begins as this one does and is about as long: no slip, although it looks like one from afar."""
    rest = max(3, len(name) - 3 + r.randint(-1, 1))
    return name[:3] + "".join(r.choice("bdfgklmnprstv" if at % 2 else "aeiou") for at in range(rest))


def _squat(r, kind, known, items) -> dict | None:
    """A squat of this kind with exactly one name that it can be meant for, or None."""
    target = r.choice([k for k in known if len(k) >= 5])
    if kind in _LOOKS:
        name = _lookalike(r, target, kind)
    elif kind == "two digits":
        name = _lookalike(r, _lookalike(r, target, "digits"), "digits")
        name = target if _one_edit(name, target) else name
    elif kind == "no separator":
        name = target.replace("-", "")
    elif kind == "digits and no separator":
        name = _lookalike(r, target, "digits").replace("-", "") if "-" in target else target
    else:
        name = _slip(r, target, {"neighbor key": "replaced"}.get(kind, kind))
    if name == target or _targets(name, known) != {target} or name in {item["name"] for item in items}:
        return None
    return {"name": name, "kind": kind, "target": target}


@graded
def _squat_judge(answers, truth):
    cases, everything = [], []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        said = answer.value if not answer.error and isinstance(answer.value, dict) else None
        for item in case["items"]:
            name, target = item["name"], item["target"]
            answered = None if said is None else said.get(name, "")
            right = isinstance(answered, str) and answered == target
            everything.append(said is not None)
            wanted = f"imitates {target}" if target else "imitates nothing"
            got = shown(answer) if said is None else repr(answered)[:60]
            told = f"input {number}, {name!r} ({item['kind']}) {wanted}; you: {got}"
            cases.append(Case(item["kind"], bool(target), right, told))
    return balance(
        cases,
        {
            "same-package": ["same package"],
            "on-the-list": ["on the list"],
            "contains": ["extension"],
            "short-names": ["near a short name"],
            "swap": ["swapped"],
            "only-edits": ["two digits", "pairs", "digits and no separator"],
        },
    )


# --- q2: a gate for requirements ------------------------------------------------------------------------------------


def _digest(r) -> str:
    return f"{r.getrandbits(256):064x}"


def _requirement(r, name: str, kind: str) -> tuple[list[str], list[str]]:
    """Physical lines of one requirement and the rules it breaks."""
    version = f"{r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 9)}"
    hash_ = f"--hash=sha256:{_digest(r)}"
    marker = f'; python_version {r.choice(["<", ">="])} "3.{r.randint(10, 13)}"'
    equal_marker = f'; sys_platform == "{r.choice(["linux", "win32"])}"'
    table = {
        "honest": ([f"{name}=={version} {hash_}"], []),
        "honest, several lines": ([f"{name}=={version} \\", f"    {hash_} \\", f"    --hash=sha256:{_digest(r)}"], []),
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
        "weak hash": ([f"{name}=={version} --hash=md5:{_digest(r)[:32]}"], ["unhashed"]),
        "short hash": ([f"{name}=={version} --hash=sha256:{_digest(r)[:40]}"], ["unhashed"]),
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
        names = r.sample([n for n in _PUBLIC if "-" not in n] + _HONEST, 26)
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


# --- q3: audit triage -----------------------------------------------------------------------------------------------


def _advisory(r) -> str:
    return r.choice(
        [f"PYSEC-202{r.randint(3, 6)}-{r.randint(1, 900)}", f"GHSA-{r.getrandbits(32):08x}-{r.getrandbits(16):04x}"]
    )


def _vulnerability(r, alias=None) -> dict:
    aliases = [alias] if alias else [f"CVE-202{r.randint(3, 6)}-{r.randint(10000, 99999)}"]
    return {"id": _advisory(r), "fix_versions": [f"{r.randint(2, 9)}.0"], "aliases": aliases, "description": "…"}


def _triage_item(r, kind, name, version, today, baseline) -> tuple[list[dict], str]:
    """Report entries for one package and the verdict; may add to the baseline."""
    entry = {"name": name, "version": version, "vulns": []}
    found = _vulnerability(r)
    vulnerable = {**entry, "vulns": [found]}
    year, rest = today[:4], today[4:]

    def accept(identifier, package=name, until=f"{int(year) + 1}{rest}"):
        baseline.append({"id": identifier, "package": package, "until": until, "reason": "not reachable"})

    if kind == "clean":
        return [entry], "pass"
    if kind == "vulnerable":
        return [vulnerable], "fail"
    if kind == "skipped":
        return [{"name": name, "skip_reason": "not found on the index"}], "unknown"
    if kind == "missing":
        return [], "unknown"
    if kind == "other version":
        return [{**entry, "version": version + ".1"}], "unknown"
    if kind == "accepted":
        accept(found["id"])
        return [vulnerable], "pass"
    if kind == "accepted by alias":
        accept(found["aliases"][0])
        return [vulnerable], "pass"
    if kind == "accepted, one more":
        accept(found["id"])
        return [{**entry, "vulns": [found, _vulnerability(r)]}], "fail"
    if kind == "accepted elsewhere":
        accept(found["id"], package="another-package")
        return [vulnerable], "fail"
    if kind == "expired":
        accept(found["id"], until=f"{int(year) - 1}{rest}")
        return [vulnerable], "fail"
    if kind == "last day":
        accept(found["id"], until=today)
        return [vulnerable], "pass"
    if kind == "listed twice":
        return r.sample([entry, vulnerable], 2), "fail"
    if kind == "no list":
        return [{"name": name, "version": version}], "unknown"
    return [{**entry, "name": name.replace("-", "_").title()}], "pass"  # "spelled differently"


_TRIAGE = (
    "clean",
    "clean",
    "clean",
    "vulnerable",
    "vulnerable",
    "skipped",
    "skipped",
    "missing",
    "other version",
    "accepted",
    "accepted, one more",
    "accepted elsewhere",
    "expired",
    "spelled differently",
)
_TRIAGE_HIDDEN = ("accepted by alias", "last day", "listed twice", "no list", "missing")


def _triage_generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for _ in range(2):
        today = f"20{r.randint(26, 29)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"
        kinds = list(_TRIAGE) + (list(_TRIAGE_HIDDEN) if hidden else [])
        dashed = [name for name in _PUBLIC if "-" in name]
        names = r.sample([name for name in _PUBLIC if "-" not in name] + _HONEST, len(kinds))
        names[kinds.index("spelled differently")] = r.choice(dashed)
        report, baseline, required, items = [], [], {}, []
        for kind, name in zip(kinds, names, strict=True):
            version = f"{r.randint(0, 9)}.{r.randint(0, 20)}.{r.randint(0, 9)}"
            required[name] = version
            entries, verdict = _triage_item(r, kind, name, version, today, baseline)
            report += entries
            items.append({"kind": kind, "name": name, "verdict": verdict})
        report.append({"name": "pip", "version": "30.0", "vulns": [_vulnerability(r)]})  # nobody asked about it
        r.shuffle(report)
        order = sorted(required)
        inputs.append(
            (json.dumps({"dependencies": report, "fixes": []}), {n: required[n] for n in order}, baseline, today)
        )
        cases.append({"items": items})
    broken = [
        inputs[0][0][: len(inputs[0][0]) // 2],
        "",
    ] + (["[]", '{"error": "no network"}'] if hidden else [])
    for text in broken:
        names = r.sample(_HONEST, 3)
        inputs.append((text, dict.fromkeys(sorted(names), "1.0"), [], today))
        cases.append({"items": [{"kind": "broken report", "name": name, "verdict": "unknown"} for name in names]})
    return inputs, {"cases": cases}


@graded
def _triage_judge(answers, truth):
    cases, by_verdict = [], {"pass": [], "fail": [], "unknown": []}
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        said = answer.value if not answer.error and isinstance(answer.value, dict) else None
        for item in case["items"]:
            answered = None if said is None else said.get(item["name"])
            right = isinstance(answered, str) and answered == item["verdict"]
            by_verdict[item["verdict"]].append(right)
            got = shown(answer) if said is None else repr(answered)[:40]
            told = f"input {number}, {item['name']} ({item['kind']}): {item['verdict']}; you: {got}"
            cases.append(Case(item["kind"], item["verdict"] != "pass", right, told))
    verdict = balance(
        cases,
        {
            "skipped-is-clean": ["skipped"],
            "missing-is-clean": ["missing"],
            "broken-is-clean": ["broken report"],
            "any-package": ["accepted elsewhere"],
            "expired": ["expired"],
            "one-accepted": ["accepted, one more"],
            "other-version": ["other version"],
            "spelling": ["spelled differently"],
            "baseline-ignored": ["accepted"],
            "alias": ["accepted by alias"],
        },
    )
    # Three outcomes: the mean share per outcome, rescaled so that a constant answer (one third) is worth nothing.
    share = sum(sum(rights) / len(rights) for rights in by_verdict.values()) / 3
    told = ", ".join(f"{sum(rights)} of {len(rights)} '{name}'" for name, rights in by_verdict.items())
    return dataclasses.replace(verdict, score=max(0.0, (3 * share - 1) / 2), message=f"Right: {told}.")


# --- q4: a signed manifest ------------------------------------------------------------------------------------------


def _tree(r) -> dict[str, bytes]:
    names = ["model.safetensors", "metadata.json", "data/salaries.csv", "data/manifest.txt", "README.md", "train.py"]
    return {name: r.randbytes(r.randint(12, 60)) for name in sorted(r.sample(names, r.randint(4, 6)))}


def _signed(r, tree, key, digest, *, extra_names=()) -> tuple[bytes, bytes]:
    files = {name: {"digest": hashlib.new(digest, data).hexdigest(), "size": len(data)} for name, data in tree.items()}
    for name in extra_names:
        files[name] = {"digest": _digest(r), "size": 1}
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


# --- q5: a gate for workflows ---------------------------------------------------------------------------------------

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
            _Step("image by digest", [], f"uses: docker://python@sha256:{_digest(r)}"),
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


# --- the five -------------------------------------------------------------------------------------------------------

QUESTIONS = (
    Question(
        id="h2a-q1",
        title="A detector of typosquats",
        entry="imitations",
        signature="imitations(names: list[str], known: list[str]) -> dict[str, str]: for each name that imitates a "
        "known one, that known name",
        points=20,
        minutes=20,
        difficulty=2,
        controls=("ML06:2023", "AML.T0010", "supply-pins"),
        reread='H2a, "Monday: a typo"',
        hints=(
            "Three steps in this order: is it on the list (as the index compares names)? does it look the same? is "
            "it one slip away from a name that is long enough?",
            "Give every name a skeleton (separators dropped, lookalikes folded to one letter) and compare skeletons; "
            "then compare the normalized names by an edit distance in which a swap of neighbors counts as one.",
        ),
        generate=_squat_generate,
        judge=_squat_judge,
        misconceptions={
            "same-package": "You flag `Scikit_Learn` although it is scikit-learn: the index ignores case and treats "
            "`-`, `_` and `.` alike (PEP 503). Normalize both sides before you compare.",
            "on-the-list": "Two known names may lie one letter apart (scipy, scapy). A name that is on the list "
            "imitates nobody.",
            "contains": "You flag names that contain a known one, or resemble it overall. Extensions are named after "
            "what they extend; squats differ by a slip or a lookalike.",
            "short-names": "For names of four letters or fewer a single edit proves nothing: there are too many honest "
            "neighbors.",
            "swap": "Two neighbors swapped is one slip, but plain Levenshtein counts two. Use the distance with "
            "transpositions (OSA).",
            "only-edits": "You measure edits only. A dropped separator or a lookalike reads the same and may be many "
            "edits away.",
        },
    ),
    Question(
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
    ),
    Question(
        id="h2a-q3",
        title="Triage of an audit",
        entry="triage",
        signature="triage(report: str, required: dict[str, str], accepted: list[dict], today: str) -> dict[str, str]: "
        "'pass', 'fail' or 'unknown' for each required package",
        points=20,
        minutes=15,
        difficulty=2,
        controls=("supply-vulnerabilities", "ML06:2023", "MEASURE"),
        reread='H2a, "Thursday: the build"',
        hints=(
            "Begin with `unknown` for every required package, and let the report earn each `pass`.",
            "A package passes when some entry is about exactly this version, holds a list of vulnerabilities, and each "
            "of them is accepted: for this package, by id or alias, and not past its date.",
        ),
        generate=_triage_generate,
        judge=_triage_judge,
        misconceptions={
            "skipped-is-clean": 'A skipped package was not looked at. "Not looked at" is `unknown`, never `pass`.',
            "missing-is-clean": "You report on what is in the report. What was required and is not in it is `unknown`.",
            "broken-is-clean": "A report that cannot be read says nothing about anything: everything is `unknown`, and "
            "the gate should not crash.",
            "any-package": "An accepted finding holds for one package. The same id elsewhere was not reviewed.",
            "expired": "An exception has a last day. After it the finding counts again.",
            "one-accepted": "One accepted finding does not excuse the others of the same package.",
            "other-version": "The report is about another version than the one you install, so you know nothing.",
            "spelling": "The same package was spelled differently (PEP 503). Normalize names on both sides.",
            "baseline-ignored": "The list of accepted findings is there to be used: a reviewed exception passes until "
            "its date.",
            "alias": "The same flaw has several names. An exception may use any of them: look at the aliases too.",
        },
    ),
    Question(
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
    ),
    Question(
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
    ),
)

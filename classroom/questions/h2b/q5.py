"""A bill of materials for a model."""

from __future__ import annotations

import functools
import hashlib
import json

from classroom.questions import Question, Verdict
from classroom.questions.scoring import draws, graded, shown

_DIGESTS = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512", "SHA3-256": "sha3_256"}

_LARGEST, _DEEPEST, _LONGEST = 1500, 16, 500  # parts, levels and text of an answer; no bill of ten files has more


def _bom_generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for number, algorithm in enumerate(r.sample(sorted(_DIGESTS), 4 if hidden else 3)):
        tree = {
            "model.safetensors": r.randbytes(r.randint(40, 400)),
            "metadata.json": json.dumps({"epochs": r.randint(1, 99)}).encode(),
        }
        names = ["tokens.txt", "weights/part-1.bin", "weights/part-2.bin", "README.md", "eval/metrics.json"]
        for name in r.sample(names, r.randint(2, 4)):
            tree[name] = r.randbytes(r.randint(10, 90))
        tree["notes.txt"] = "Größe: 1 MB\r\nLizenz: frei\r\n".encode("latin-1")  # text in no encoding to rely on
        kinds = {}
        if hidden:
            tree["empty.bin"] = b""
            tree["weights/copy of part.bin"] = tree["model.safetensors"]
            tree["データ/vocab.txt"] = r.randbytes(20)
            kinds = {"empty.bin": "empty", "weights/copy of part.bin": "copy", "データ/vocab.txt": "foreign name"}
        about = {
            "name": r.choice(["salary-predictor", "pay-bands", "offer-model"]),
            "version": f"{r.randint(0, 4)}.{r.randint(0, 9)}.{r.randint(0, 9)}",
            "algorithm": algorithm,
            "license": r.choice(["MIT", "Apache-2.0", "BSD-3-Clause"]),
        }
        if number % 2 if hidden else number == 2:
            about["license"] = r.choice(["Brightpay internal use", "Company license 2"])  # on no list of licenses
        digests = {
            path: hashlib.new(_DIGESTS[about["algorithm"]], content).hexdigest() for path, content in tree.items()
        }
        inputs.append((tree, about))
        cases.append({"about": about, "digests": digests, "kinds": kinds, "sha256_of_text": _as_text(tree)})
    return inputs, {"cases": cases}


def _as_text(tree) -> dict[str, str]:
    # What a digest comes out as when the file is read as text and its line ends are normalized.
    texts = {path: data.decode("utf-8", "replace").replace("\r\n", "\n").encode() for path, data in tree.items()}
    return {path: hashlib.sha256(text).hexdigest() for path, text in texts.items() if text != tree[path]}


@graded
def _bom_judge(answers, truth):
    scores, told, seen = [], [], []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        score, why, misconception = _bom_score(answer, case)
        scores.append(score)
        seen.append(misconception)
        if why:
            told.append(f"input {number}: {why}")
    whole = sum(score == 1 for score in scores)
    message = f"{whole} of {len(scores)} bills of materials are complete, correct and valid."
    known = next((m for m in seen if m and 2 * seen.count(m) >= len(scores)), next(filter(None, seen), ""))
    return Verdict(sum(scores) / len(scores), message, known, "\n".join(told[:4]))


def _bom_score(answer, case) -> tuple[float, str, str]:
    """Score, reason and misconception of one bill."""
    about, bom = case["about"], answer.value
    if answer.error or not isinstance(bom, dict):
        return 0.0, f"you: {shown(answer)}", "text-not-dict" if isinstance(bom, str) else ""
    problem = _schema_problem(bom)
    if problem:
        return 0.0, f"not valid CycloneDX 1.6: {problem}", _schema_misconception(bom, problem, about)
    subject = bom.get("metadata", {}).get("component", {})
    stated = (subject.get("type"), subject.get("name"), subject.get("version"))
    if bom["specVersion"] != "1.6" or stated != ("machine-learning-model", about["name"], about["version"]):
        return 0.0, f"metadata.component says {stated}", "no-subject"
    if about["license"] not in _licenses(subject):
        return 0.0, f"metadata.component does not state the license {about['license']!r}", "license"
    listed = [c for c in bom.get("components", []) if c["type"] == "file"]
    digests = [_digest(component, about["algorithm"]) for component in listed]
    right = {c["name"] for c, d in zip(listed, digests, strict=True) if case["digests"].get(c["name"]) == d and d}
    false = sum(c["name"] not in right for c in listed) + len(listed) - len({c["name"] for c in listed})
    score = len(right) / len(case["digests"]) * (len(right) / (len(right) + false) if right else 0)
    wrong = sorted(set(case["digests"]) - right)
    if not wrong and not false:
        return 1.0, "", ""
    return (
        score,
        f"files without a right entry: {wrong}; entries too many or wrong: {false}",
        _bom_seen(listed, digests, case, wrong),
    )


def _digest(component, algorithm) -> str:
    stated = {h["alg"]: h["content"] for h in component.get("hashes", [])}
    return stated.get(algorithm, "").lower()


def _licenses(subject) -> set[str]:
    found = set()
    for entry in subject.get("licenses", []):
        found |= {entry.get("expression", ""), *(entry.get("license", {}).get(k, "") for k in ("id", "name"))}
    return found


def _bom_seen(listed, digests, case, wrong) -> str:
    names = {component["name"] for component in listed}
    of_text = set(case["sha256_of_text"].values()) - set(case["digests"].values())
    if of_text & {h["content"].lower() for c in listed for h in c.get("hashes", [])}:
        return "hash-of-text"
    if listed and not any(digests):
        return "other-algorithm"
    nested = {path for path in case["digests"] if "/" in path}
    if nested & set(wrong) and {path.split("/")[-1] for path in nested} & names:
        return "base-name"
    if set(case["kinds"]) >= set(wrong) and not set(wrong) & names:
        return "skips-odd"
    if "notes.txt" in wrong and "notes.txt" not in names:
        return "only-models"
    return ""


def _schema_problem(bom) -> str:
    """Why a bill does not validate against CycloneDX 1.6, strictly (no unknown keys); "" when it does."""
    if not _bounded(bom):
        return "too large or too deep"
    try:
        error = _validator().validate_str(json.dumps(bom, allow_nan=False))
    except (TypeError, ValueError):
        return "not JSON"
    if error is None:
        return ""
    cause = error.data
    where = ".".join(map(str, getattr(cause, "absolute_path", ())))
    return f"{where}: {getattr(cause, 'message', '')}"[:300]


@functools.cache
def _validator():
    # A second to import, so only when there is a bill to look at; and it compiles the schema when first used.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6)


def _bounded(bom) -> bool:
    level, count = [bom], 0
    for _ in range(_DEEPEST):
        below = []
        for part in level:
            if isinstance(part, dict):
                below += [*part, *part.values()]
            elif isinstance(part, list):
                below += part
            elif isinstance(part, str) and len(part) > _LONGEST:
                return False
        count += len(below)
        if count > _LARGEST:
            return False
        if not below:
            return True
        level = below
    return False


def _schema_misconception(bom, problem, about) -> str:
    text = json.dumps(bom, default=str)
    if any(f'"alg": "{spelling}"' in text for spelling in (*_DIGESTS.values(), "SHA256", "SHA512", "SHA384")):
        return "algorithm-name"
    if "licenses" in problem and f'"id": {json.dumps(about["license"])}' in text:
        return "license"
    if ".content" in problem or "hashes" in problem:
        return "digest-spelling"
    if "Additional properties" in problem or "unexpected" in problem:
        return "unknown-keys"
    return ""


QUESTION = Question(
    id="h2b-q5",
    title="A bill of materials for a model",
    entry="make_bom",
    signature="make_bom(tree: dict[str, bytes], about: dict) -> dict: CycloneDX 1.6",
    points=20,
    minutes=15,
    difficulty=2,
    controls=("supply-model-hash", "ML06:2023", "MAP"),
    reread='H2b, "A bill of materials"',
    hints=(
        "Start from the smallest valid bill: bomFormat, specVersion, version. Validate after each thing you add, "
        "with `JsonStrictValidator` of cyclonedx.",
        "metadata.component is the model; components holds one `file` per path, with `hashes: [{alg, content}]`. A "
        "license that is no SPDX id goes under `name`, not `id`.",
    ),
    generate=_bom_generate,
    judge=_bom_judge,
    misconceptions={
        "text-not-dict": "You returned JSON text; the question asks for the dictionary.",
        "algorithm-name": "CycloneDX spells its algorithms `SHA-256`, `SHA3-256`; Python's names do not validate.",
        "digest-spelling": "A digest goes in as hexadecimal text of the right length: no base64, no prefix.",
        "license": "The model's license is missing, or a license that is not on the SPDX list was given as `id`. "
        "A name of your own goes under `name`.",
        "unknown-keys": "Strict means that every key is one that the schema knows. A tool that reads your bill "
        "will not guess what your own keys mean.",
        "no-subject": "metadata.component has to say what the bill is about: type, name and version of the model.",
        "hash-of-text": "You hashed decoded text. Digests are of bytes, as they lie on disk; line ends and "
        "encodings change on the way through text.",
        "other-algorithm": "The digests are made with another algorithm than the one that was asked for.",
        "base-name": "Files in folders lost their folder. Two files may share a base name; the path is the name.",
        "only-models": "A bill that leaves out the small files has a hole: list every file, whatever it is.",
        "skips-odd": "Some files were left out: empty ones, copies and foreign names are files too.",
    },
)

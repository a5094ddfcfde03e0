"""Lab H2b, model files: five questions about pickles, joblib files and a bill of materials.

Every case is built from its answer: the globals are known before the stream is written.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json

from mlsecops.questions import Question, Verdict, pickles
from mlsecops.questions.pickles import Call, Writer, hostile, nonce
from mlsecops.questions.scoring import Case, balance, draws, gate, graded, shown

# What the lab's cells import; the grader has it ready before the first submission.
LIBRARIES = (
    "mlsecops.lesson",
    "matplotlib.pyplot",
    "numpy",
    "cyclonedx.model.bom",
    "cyclonedx.output.json",
    "cyclonedx.spdx",
    "joblib",
)


def _families(r, *groups):
    """All families of the groups, in drawn order."""
    return r.sample([family for group in groups for family in group], sum(map(len, groups)))


def _fired(answers, truth) -> set[str]:
    known = {case["nonce"] for case in truth["cases"] if case.get("nonce")}
    return {mark for answer in answers for mark in answer.fired} & known


def _case(kind, mark="", **rest) -> dict:
    return {"kind": kind, "nonce": mark, **rest}


# --- q1: which globals does this stream reach -----------------------------------------------------------------------


def _reached_generate(rng, hidden=False):
    r = draws(rng)
    inputs, cases = [], []
    for family in _families(r, pickles.PRACTICE, pickles.HIDDEN if hidden else ()):
        mark = nonce(r)
        data, names = hostile(r, family, mark)
        inputs.append((data,))
        cases.append(_case(family, mark, names=names))
    for name, value in r.sample(sorted(pickles.pool(r).items()), 4):
        inputs.append((pickles.spelled(r, pickles.buried(r, value), odd=hidden),))
        cases.append(_case("honest object", names=[name]))
    for value in pickles.look_alikes(r, 4):
        inputs.append((pickles.spelled(r, pickles.buried(r, value), odd=hidden),))
        cases.append(_case("only text", names=[]))
    for quoting in (True, False):
        inputs.append((pickles.spelled(r, pickles.buried(r, pickles.plain(r), quoting=quoting), odd=hidden),))
        cases.append(_case("plain data", names=[]))
    return _shuffled(r, inputs, cases)


def _shuffled(r, inputs, cases, **shared):
    order = list(range(len(inputs)))
    r.shuffle(order)
    return [inputs[i] for i in order], {"cases": [cases[i] for i in order], **shared}


@graded
def _reached_judge(answers, truth):
    if _fired(answers, truth):
        return _ran_it()
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        right = _texts(answer) == set(case["names"])
        told = f"input {number}, {case['kind']}: reaches {case['names'] or 'nothing'}; you: {shown(answer)}"
        cases.append(Case(case["kind"], bool(case["names"]), right, told))
    return balance(
        cases,
        {
            "grep": ["only text"],
            "global-only": ["protocol 4", "memo"],
            "strings-before": ["memo", "rebound memo"],
            "breaks": ["breaks after"],
            "calls": ["inst", "obj"],
        },
    )


def _texts(answer) -> set[str] | None:
    value = answer.value
    if answer.error or not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return set(value)


def _ran_it() -> Verdict:
    return Verdict(
        0.0,
        "A payload ran while your function worked. Looking at a file must not load it.",
        "ran-it",
        "A nonce arrived: somewhere the stream was really unpickled.",
    )


# --- q2: an allowlist scanner ---------------------------------------------------------------------------------------


def _policy(r, extra=()):
    """A drawn allowlist, the honest objects inside and those outside of it."""
    objects = pickles.pool(r)
    inside = sorted(r.sample(sorted(objects), 5))
    if "uuid:UUID" not in inside:  # its neighbor's module is one of the ways around an allowlist of modules
        inside[0] = "uuid:UUID"
    allowed = sorted({*inside, *extra})
    return allowed, {name: objects[name] for name in inside}, {n: v for n, v in objects.items() if n not in inside}


def _streams(r, hidden):
    """Hostile and honest streams for an allowlist drawn at random: `(inputs, cases)`."""
    state, array_names = pickles.arrays(r)
    allowed, inside, outside = _policy(r, array_names)
    inputs, cases = [], []

    def add(data, kind, safe, mark="", print_=""):
        inputs.append((data, allowed))
        cases.append(_case(kind, mark, safe=safe, fingerprint=print_))

    odd = (*pickles.HIDDEN, *pickles.HIDDEN_ODD)
    for family in _families(r, pickles.PRACTICE, odd if hidden else ()):
        mark = nonce(r)
        add(hostile(r, family, mark)[0], family, False, mark)
    mark = nonce(r)
    neighbor = Call(pickles.NEIGHBORS["uuid:UUID"], pickles._shell(mark))
    add(Writer(4).stream(pickles.buried(r, neighbor)), "allowed neighbor", False, mark)
    # One forbidden object is made and thrown away: what comes out of the file does not tell what it reached.
    gone = r.choice([name for name in sorted(outside) if pickles.expression_of(outside[name])])
    shelves = {name.split(":")[0] for name in allowed}
    for name, value in sorted(outside.items()):
        kind = "same module" if name.split(":")[0] in shelves else "not on the list"
        part, dropped = (pickles.plain(r), value) if name == gone else (value, None)
        add(pickles.spelled(r, pickles.buried(r, part), odd=hidden, dropped=dropped), kind, False)

    honest = [(value, "honest object") for value in inside.values()]
    honest += [(value, "only text") for value in pickles.look_alikes(r, 4)]
    honest += [(pickles.plain(r), "plain data"), (None, "plain data")]
    for part, kind in honest:
        model = pickles.buried(r, part, quoting=part is not None)
        add(pickles.spelled(r, model, odd=hidden), kind, True, print_=pickles.fingerprint(model))
    for value in (pickles.buried(r, state), pickles.buried(r, [state, state])):
        # The names of numpy's parts that the list holds are those of protocol 4.
        add(_protocol4(value), "arrays", True, print_=pickles.fingerprint(value))
    return _shuffled(r, inputs, cases, allowed=allowed)


def _protocol4(value) -> bytes:
    import pickle

    return pickle.dumps(value, protocol=4)


def _scanner_generate(rng, hidden=False):
    return _streams(draws(rng), hidden)


def _verdicts(answers, truth) -> list[Case]:
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        accepted = answer.error == "" and answer.value is True
        refused = answer.error != "" or answer.value is False
        wanted = "safe" if case["safe"] else "not safe"
        told = f"input {number}, {case['kind']}: {wanted}; you: {shown(answer)}"
        cases.append(Case(case["kind"], not case["safe"], accepted if case["safe"] else refused, told))
    return cases


@graded
def _scanner_judge(answers, truth):
    if _fired(answers, truth):
        return _ran_it()
    cases = _verdicts(answers, truth)
    return gate(
        cases,
        {
            "global-only": ["protocol 4", "memo"],
            "denylist": ["not on the list"],
            "module-level": ["allowed neighbor", "same module"],
            "breaks": ["breaks after"],
            "strings-before": ["rebound memo"],
            "calls": ["inst"],
            "registry": ["extension registry"],
            "grep": ["only text"],
            "no-numpy": ["arrays"],
        },
    )


# --- q3: the joblib trap --------------------------------------------------------------------------------------------


def _joblib_generate(rng, hidden=False):
    import numpy as np

    r = draws(rng)
    _, array_names = pickles.arrays(r)
    allowed, inside, outside = _policy(r, [*array_names, "joblib.numpy_pickle:NumpyArrayWrapper"])
    inputs, cases = [], []
    packings = (0, 0, ("zlib", 3)) if not hidden else (0, ("zlib", 3), ("bz2", 3), ("xz", 3), ("gzip", 3))

    def add(value, kind, safe, mark="", packing=None):
        value = pickles.buried(r, value)
        inputs.append((_joblib_bytes(value, r.choice(packings) if packing is None else packing), allowed))
        cases.append(_case(kind, mark, safe=safe))

    def weights():
        shape = (r.randint(1, 5), r.randint(1, 5))
        values = np.array([r.uniform(-1, 1) for _ in range(shape[0] * shape[1])])
        return values.astype(r.choice(["float32", "float64", "int16"])).reshape(shape, order=r.choice("CF"))

    def text_array():
        # An array is only numbers, also when its bytes spell a pickle.
        raw = pickles.hostile(r, r.choice(sorted(pickles.SEEN)), nonce(r))[0]
        return np.frombuffer(raw, dtype="uint8")

    def payload():
        mark = nonce(r)
        return pickles.Live(pickles.SEEN[r.choice(["exec", "eval", "subprocess", "getattr"])](r, mark)), mark

    spots = ["before", "between", "after"] * 2
    for spot in spots:
        evil, mark = payload()
        parts = {"before": [evil, weights()], "between": [weights(), evil, weights()], "after": [weights(), evil]}
        add({"layers": parts[spot]}, f"{spot} arrays", False, mark, packing=0)
    for _ in range(2):
        evil, mark = payload()
        add([evil, weights(), text_array()], "compressed", False, mark, packing=("zlib", 3))
    for name in r.sample(sorted(outside), 2):
        add([weights(), outside[name], weights()], "not on the list", False)
    if hidden:
        evil, mark = payload()
        add({"names": _objects(["India"]), "hook": evil}, "after array of objects", False, mark, 0)
        for packing in (0, ("xz", 3), 0):
            evil, mark = payload()
            add({"names": _objects(["India", evil]), "w": weights()}, "array of objects", False, mark, packing)
        for packing in (("bz2", 3), ("gzip", 3), ("xz", 3)):
            evil, mark = payload()
            add({"hook": evil, "w": weights()}, "other compression", False, mark, packing)
        add({"w": weights(), "names": _objects(["India", "Spain"])}, "honest objects in array", True)

    for _ in range(3):
        add({"layers": [weights(), weights()], "lr": r.random()}, "arrays", True, packing=0)
    for name in list(inside)[:3]:
        add([inside[name], weights(), inside[name]], "honest object", True)
    for _ in range(3):
        add({"raw": text_array(), "bias": weights()}, "array that spells a pickle", True, packing=0)
    add({"w": weights(), "empty": np.empty((0, 3)), "flags": np.array([True, False])}, "arrays", True)
    for _ in range(2):
        add({"w": weights(), "bias": weights()}, "honest compressed", True, packing=("zlib", 3))
    add(pickles.look_alikes(r, 1)[0], "only text", True)
    return _shuffled(r, inputs, cases, allowed=allowed)


def _objects(items):
    import numpy as np

    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _joblib_bytes(value, packing) -> bytes:
    import joblib

    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=packing)
    return buffer.getvalue()


@graded
def _joblib_judge(answers, truth):
    if _fired(answers, truth):
        return _ran_it()
    return gate(
        _verdicts(answers, truth),
        {
            "compression": ["compressed", "other compression"],
            "stops-at-array": ["between arrays", "after arrays"],
            "denylist": ["not on the list"],
            "trips-over-array": ["arrays", "array that spells a pickle"],
            "no-decompress": ["honest compressed"],
            "grep": ["array that spells a pickle", "only text"],
            "object-arrays": ["array of objects", "after array of objects"],
            "other-compression": ["other compression"],
        },
    )


# --- q4: a restricted unpickler -------------------------------------------------------------------------------------


def _restricted_generate(rng, hidden=False):
    return _streams(draws(rng), hidden)


@graded
def _restricted_judge(answers, truth):
    known = _fired(answers, truth)
    cases = []
    for number, (answer, case) in enumerate(zip(answers, truth["cases"], strict=True), 1):
        if case["safe"]:
            right = answer.error == "" and isinstance(answer.value, str) and answer.value == case["fingerprint"]
            told = f"input {number}, {case['kind']}: has to load; you: {shown(answer)}"
        else:
            # An answer of any kind means that the file was accepted.
            right = answer.error != "" and case["nonce"] not in known
            told = f"input {number}, {case['kind']}: has to be refused; "
            told += "its payload RAN" if case["nonce"] in known else f"you: {shown(answer)}"
        cases.append(Case(case["kind"], not case["safe"], right, told))
    verdict = gate(
        cases,
        {
            "after-the-fact": ["system", "exec", "eval", "subprocess", "protocol 4", "memo"],
            "denylist": ["not on the list"],
            "module-level": ["allowed neighbor", "same module"],
            "grep": ["only text"],
            "no-numpy": ["arrays"],
        },
    )
    if known:
        message = f"{len(known)} payload(s) ran. {verdict.message}"
        return Verdict(verdict.score, message, verdict.misconception or "after-the-fact", verdict.detail)
    return verdict


# --- q5: a bill of materials ----------------------------------------------------------------------------------------

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


# --- the five -------------------------------------------------------------------------------------------------------

_RAN = (
    "Your function loaded the file to find out what is in it, and the payload ran. Loading is running: read the "
    "opcodes, or replace what the unpickler looks up."
)
_GREP = (
    "You searched the bytes for names. A stream that only talks about `os.system` reaches nothing, and one that "
    "reaches it need not spell it. What counts is the opcodes, not the text."
)
_GLOBAL = (
    "What you missed is named on the stack. From protocol 4 on, module and name are two strings there, and the opcode "
    "is STACK_GLOBAL; looking for GLOBAL alone finds none of it."
)
_DENY = (
    "You refuse names that you know to be bad. The list of bad names has no end; harmless-looking ones that the policy "
    "does not name have to be refused too."
)
_MODULE = (
    "You allow whole modules. What a module imports is reachable through it (`module.os.system` through a dotted "
    "name), so the policy has to hold for module and full name together."
)
_BREAKS = (
    "Some streams break off. What stood before the break has already run by then, so an error while reading is no "
    "reason to forget what you saw, and no reason to call the file safe."
)
_STRINGS = (
    "You take the two strings written last. They may come from the memo, where they were put long before or replaced "
    "since. Follow the stack and the memo as the unpickler does."
)
_CALLS = (
    "Some opcodes look up a global and call it in one go (INST), or call without REDUCE (OBJ). List the opcodes that "
    "take or make a global, in the documentation of `pickletools`."
)
_NUMPY = "Honest arrays were refused though their three globals are on the list: compare as `module:name`, exactly."

QUESTIONS = (
    Question(
        id="h2b-q1",
        title="Which globals does this stream reach?",
        entry="reached",
        signature="reached(data: bytes) -> list[str], each as 'module:name' in the way the stream writes it",
        points=15,
        minutes=15,
        difficulty=2,
        controls=("ML06:2023", "AML.T0010", "supply-torch-load"),
        reread='H2b, "3 · Reading the file"',
        hints=(
            "`pickletools.genops` gives the opcodes, but you would have to keep a stack and a memo yourself. Who does "
            "that already, and asks a method of its own for each global?",
            "Subclass `pickle.Unpickler`, note module and name in `find_class`, and return a class of yours that "
            "swallows whatever is done to it. Nothing real is ever looked up.",
        ),
        generate=_reached_generate,
        judge=_reached_judge,
        misconceptions={
            "ran-it": _RAN,
            "grep": _GREP,
            "global-only": _GLOBAL,
            "strings-before": _STRINGS,
            "breaks": _BREAKS,
            "calls": _CALLS,
        },
    ),
    Question(
        id="h2b-q2",
        title="An allowlist scanner",
        entry="is_safe",
        signature="is_safe(data: bytes, allowed: list[str]) -> bool; allowed holds 'module:name'",
        points=20,
        minutes=15,
        difficulty=2,
        controls=("ML06:2023", "AML.T0010", "supply-torch-load"),
        reread='H2b, "6 · Scanners, measured on both sides"',
        hints=(
            "You already know which globals a stream reaches. What is missing is the comparison, and what you say when "
            "the stream cannot be read to its end.",
            "Safe means: it was read to its end without an error, and every global is on the list, module and name "
            "together.",
        ),
        generate=_scanner_generate,
        judge=_scanner_judge,
        misconceptions={
            "ran-it": _RAN,
            "denylist": _DENY,
            "module-level": _MODULE,
            "global-only": _GLOBAL,
            "breaks": _BREAKS,
            "strings-before": _STRINGS,
            "calls": _CALLS,
            "registry": "The extension registry turns a number into a global. An EXT opcode whose number you cannot "
            "resolve is a global that is not on the list.",
            "grep": _GREP,
            "no-numpy": _NUMPY,
        },
    ),
    Question(
        id="h2b-q3",
        title="The joblib trap",
        entry="is_safe_joblib",
        signature="is_safe_joblib(data: bytes, allowed: list[str]) -> bool",
        points=25,
        minutes=25,
        difficulty=3,
        controls=("ML06:2023", "AML.T0010", "supply-model-hash"),
        reread='H2b, "Why joblib breaks simple scanners"',
        hints=(
            "joblib interrupts the pickle: after the BUILD of a `NumpyArrayWrapper` the raw bytes of the array follow, "
            "and then the pickle goes on. A reader has to step over them. First of all the file may be compressed.",
            "Subclass `pickle._Unpickler` (the Python one), give it a `dispatch` of its own with a `load_build` that, "
            "after a wrapper, reads one byte n, then n bytes, then the array's bytes from the file. An array of "
            "objects is a pickle inside the pickle.",
        ),
        generate=_joblib_generate,
        judge=_joblib_judge,
        misconceptions={
            "ran-it": _RAN,
            "stops-at-array": "You stop where the first array begins, or take the break there for the end. The pickle "
            "goes on behind the array's bytes, and that is where the payload sits.",
            "compression": "A compressed file that you cannot read is not a safe file. joblib opens it by its first "
            "bytes; so must you.",
            "denylist": _DENY,
            "trips-over-array": "Honest files were refused: their raw array bytes were taken for opcodes. The "
            "wrapper's state (shape, dtype, alignment) tells how many bytes to step over.",
            "no-decompress": "Honest compressed files were refused. Nobody will use a scanner that refuses what "
            "`joblib.dump(compress=3)` writes every day.",
            "grep": _GREP,
            "object-arrays": "An array of objects holds no numbers but a second pickle, right behind its wrapper, and "
            "joblib loads it.",
            "other-compression": "joblib reads more compressions than zlib. What your scanner cannot open it must "
            "refuse.",
        },
    ),
    Question(
        id="h2b-q4",
        title="A restricted unpickler",
        entry="load_restricted",
        signature="load_restricted(data: bytes, allowed: list[str]) -> str: the fingerprint of what was loaded; "
        "raises for a file that reaches anything else",
        points=20,
        minutes=15,
        difficulty=2,
        controls=("ML06:2023", "AML.T0011", "supply-torch-load"),
        reread='H2b, "7 · The same idea inside the loader"',
        hints=(
            "The documentation of `pickle` has a section on restricting globals. One method decides everything.",
            "In `find_class`, compare `f'{module}:{name}'` with the list before you call `super().find_class`; raise "
            "`pickle.UnpicklingError` otherwise.",
        ),
        generate=_restricted_generate,
        judge=_restricted_judge,
        misconceptions={
            "after-the-fact": "A payload ran, or a bad file was answered. The decision has to fall before the global "
            "is handed out: looking at the loaded object afterwards is too late.",
            "denylist": _DENY,
            "module-level": _MODULE,
            "grep": _GREP,
            "no-numpy": _NUMPY,
        },
    ),
    Question(
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
    ),
)

"""Wrong answers to lab H2b."""

import hashlib
import io
import json
import pickle
import pickletools

from . import Mutant, solved

BAD = {"system", "exec", "eval", "getoutput", "loads", "getattr", "import_module", "partial"}


def global_only(data):
    """Knows one opcode."""
    found = set()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "GLOBAL":
                found.add(argument.replace(" ", ":"))
    except Exception:
        pass
    return sorted(found)


def last_two_strings(data):
    """Takes the two strings before STACK_GLOBAL, wherever they came from."""
    found, texts = set(), []
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("GLOBAL", "INST"):
                found.add(argument.replace(" ", ":"))
            elif opcode.name == "STACK_GLOBAL":
                found.add(":".join(texts[-2:]))
            elif isinstance(argument, str):
                texts.append(argument)
    except Exception:
        pass
    return sorted(found)


def grep(data):
    """Looks at opcodes, and then searches the bytes to be on the safe side."""
    found = solved("h2b-q1")(data)
    return found or [f"os:{name}" for name in sorted(BAD) if name.encode() in data]


def loads_it(data):
    """Looks while it really loads."""
    seen = set()

    class Looking(pickle.Unpickler):
        def find_class(self, module, name):
            seen.add(f"{module}:{name}")
            return super().find_class(module, name)

    try:
        Looking(io.BytesIO(data)).load()
    except Exception:
        pass
    return sorted(seen)


def opcodes(data):
    """Names of the opcodes up to where the stream breaks."""
    found = set()
    try:
        found.update(opcode.name for opcode, _, _ in pickletools.genops(data))
    except Exception:
        pass
    return found


def no_odd_calls(data):
    """Has never met INST or OBJ."""
    return [] if opcodes(data) & {"INST", "OBJ"} else solved("h2b-q1")(data)


def denylist(data, allowed):
    """Refuses the names everybody knows to be bad."""
    return not {name.split(":")[1] for name in solved("h2b-q1")(data)} & BAD


def global_only_safe(data, allowed):
    """Decides by one opcode."""
    return set(global_only(data)) <= set(allowed)


def loads_first(data, allowed):
    """Loads to see whether it goes well."""
    pickle.loads(data)
    return solved("h2b-q2")(data, allowed)


def memo_once(data, allowed):
    """Never replaces what lies in the memo, and drops what cannot be a name."""
    found, texts, memo = set(), [], {}
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("GLOBAL", "INST"):
                found.add(argument.replace(" ", ":"))
            elif opcode.name == "STACK_GLOBAL":
                found.add(":".join(texts[-2:]))
            elif opcode.name == "MEMOIZE":
                memo.setdefault(len(memo), texts[-1] if texts else "")
            elif opcode.name in ("BINPUT", "LONG_BINPUT"):
                memo.setdefault(argument, texts[-1] if texts else "")
            elif opcode.name in ("BINGET", "LONG_BINGET"):
                texts.append(memo[argument])
            elif isinstance(argument, str):
                texts.append(argument)
    except Exception:
        return False
    return {name for name in found if len(set(name.split(":"))) == 2} <= set(allowed)


def no_inst(data, allowed):
    """Has never met INST."""
    return "INST" in opcodes(data) or solved("h2b-q2")(data, allowed)


def no_registry(data, allowed):
    """Takes the extension registry for bookkeeping."""
    return "EXT4" in opcodes(data) or solved("h2b-q2")(data, allowed)


def fears_words(question):
    """Refuses files that talk about danger, and otherwise answers right."""
    words = (b"never call os", b"echo hello", b"builtins exec", b"codes")

    def careful(data, allowed):
        if any(word in data for word in words):
            raise pickle.UnpicklingError("dangerous")
        return solved(question)(data, allowed)

    return careful


def load_then_look(data, allowed):
    """Loads first."""
    value = pickle.loads(data)
    if not all(name in allowed for name in solved("h2b-q1")(data)):
        raise ValueError("not allowed")
    from classroom.questions.h2b.common import fingerprint

    return fingerprint(value)


def denylist_load(data, allowed):
    """Forbids the names everybody knows to be bad."""

    class Careful(pickle.Unpickler):
        def find_class(self, module, name):
            if name in BAD:
                raise pickle.UnpicklingError(name)
            return super().find_class(module, name)

    from classroom.questions.h2b.common import fingerprint

    return fingerprint(Careful(io.BytesIO(data)).load())


def hash_of_text(tree, about):
    """Reads every file as text."""
    bom = solved("h2b-q5")(tree, about)
    for component in bom["components"]:
        text = tree[component["name"]].decode("utf-8", "replace").replace("\r\n", "\n").encode()
        component["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(text).hexdigest()}]
    return bom


def text_of_bom(tree, about):
    """Returns JSON."""
    return json.dumps(solved("h2b-q5")(tree, about))


_DIGEST = '{"alg": about["algorithm"], "content": hashlib.new(algorithm, content).hexdigest()}'
_ALLOWED = 'if f"{module}:{name}" not in self.allowed:'
_NO_NUMPY = '{name for name in allowed if not name.startswith("numpy")}'
_MODULE = 'if module not in {entry.split(":")[0] for entry in self.allowed}:'

MUTANTS = (
    Mutant("h2b-q1", "GLOBAL only", global_only, 0, 0.6, "global-only"),
    Mutant("h2b-q1", "the last two strings", last_two_strings, 0.5, 0.95, "strings-before"),
    Mutant("h2b-q1", "searches the bytes", grep, 0, 0.6, "grep"),
    Mutant("h2b-q1", "loads it", loads_it, 0, 0, "ran-it"),
    Mutant(
        "h2b-q1",
        "forgets all at a break",
        (("pass  # what stood before the break has been seen", "return []"),),
        0.8,
        0.99,
        "breaks",
        in_practice=None,
    ),
    Mutant("h2b-q1", "knows one way to call", no_odd_calls, 0.7, 0.99, "calls", in_practice=None),
    Mutant("h2b-q2", "denylist", denylist, 0, 0, "denylist"),
    Mutant(
        "h2b-q2",
        "allows modules",
        (
            (
                "recorder.seen <= set(allowed)",
                '{n.split(":")[0] for n in recorder.seen} <= {n.split(":")[0] for n in allowed}',
            ),
        ),
        0,
        0,
        "module-level",
    ),
    Mutant("h2b-q2", "GLOBAL only", global_only_safe, 0, 0, "global-only"),
    Mutant("h2b-q2", "unreadable is safe", (("return False", "return True"),), 0, 0, "breaks", in_practice=None),
    Mutant("h2b-q2", "loads it first", loads_first, 0, 0, "ran-it"),
    Mutant("h2b-q2", "does not replace in the memo", memo_once, 0, 0, "strings-before", in_practice=None),
    Mutant("h2b-q2", "does not know INST", no_inst, 0, 0, "calls", in_practice=None),
    Mutant("h2b-q2", "does not know the registry", no_registry, 0, 0, "registry", in_practice=None),
    Mutant("h2b-q2", "fears words", fears_words("h2b-q2"), 0.5, 0.9, "grep"),
    Mutant("h2b-q2", "fears numpy", (("set(allowed)", _NO_NUMPY),), 0.5, 0.95, "no-numpy"),
    Mutant(
        "h2b-q3",
        "ends at the first array",
        (
            ("self.stack[-1] = self.step_over(self.stack[-1])", "raise EOFError"),
            ("    except Exception:", "    except EOFError:\n        return True\n    except Exception:"),
        ),
        0,
        0,
        "stops-at-array",
    ),
    Mutant(
        "h2b-q3",
        "does not step over arrays",
        (("if isinstance(self.stack[-1], NumpyArrayWrapper):", "if False:"),),
        0,
        0.4,
        "trips-over-array",
    ),
    Mutant(
        "h2b-q3", "refuses compressed files", (("if data.startswith(magic):", "if False:"),), 0.3, 0.9, "no-decompress"
    ),
    Mutant(
        "h2b-q3",
        "compressed is fine",
        (
            (
                "    try:\n        JoblibReader",
                "    if data[:1] != b'\\x80':\n        return True\n    try:\n        JoblibReader",
            ),
        ),
        0,
        0,
        "compression",
    ),
    Mutant(
        "h2b-q3",
        "arrays of objects are arrays",
        (("return JoblibReader(self.file, self.allowed).load()", "return pickle.load(self.file)"),),
        0,
        0,
        "ran-it",
        in_practice=None,
    ),
    Mutant(
        "h2b-q3",
        "stops behind an array of objects",
        (
            (
                "        if wrapper.dtype.hasobject:  # no numbers but a second pickle\n"
                "            return JoblibReader(self.file, self.allowed).load()\n",
                "        if wrapper.dtype.hasobject:\n            raise EOFError\n",
            ),
            (
                "    except Exception:\n        return False\n",
                "    except EOFError:\n        return True\n    except Exception:\n        return False\n",
            ),
        ),
        0,
        0,
        "object-arrays",
        in_practice=None,
    ),
    Mutant("h2b-q3", "denylist", (("not in self.allowed", f"and name in {BAD}"),), 0, 0, "denylist"),
    Mutant(
        "h2b-q3",
        "searches the arrays",
        (
            (
                "        self.file.read(wrapper.dtype.itemsize * math.prod(wrapper.shape))\n",
                "        raw = self.file.read(wrapper.dtype.itemsize * math.prod(wrapper.shape))\n"
                f"        if any(word.encode() in raw for word in {BAD}):\n            raise ValueError\n",
            ),
        ),
        0.4,
        0.9,
        "grep",
    ),
    Mutant(
        "h2b-q3",
        "what is compressed another way is fine",
        (
            (
                "    try:\n        JoblibReader",
                '    if data[:2] in (b"BZ", b"\\x1f\\x8b"):\n        return True\n    try:\n        JoblibReader',
            ),
        ),
        0,
        0,
        "other-compression",
        in_practice=None,
        seeds=(2, 3, 4),
    ),
    Mutant("h2b-q4", "looks afterwards", load_then_look, 0, 0, "after-the-fact"),
    Mutant("h2b-q4", "denylist", denylist_load, 0, 0, "denylist"),
    Mutant("h2b-q4", "allows modules", ((_ALLOWED, _MODULE),), 0, 0, "module-level"),
    Mutant("h2b-q4", "fears words", fears_words("h2b-q4"), 0.5, 0.9, "grep"),
    Mutant("h2b-q4", "fears numpy", (("set(allowed)", _NO_NUMPY),), 0.5, 0.95, "no-numpy"),
    Mutant(
        "h2b-q4",
        "answers instead of refusing",
        (
            (
                "return fingerprint(Restricted(io.BytesIO(data), set(allowed)).load())",
                "try:\n        return fingerprint(Restricted(io.BytesIO(data), set(allowed)).load())\n"
                "    except Exception:\n        return None",
            ),
        ),
        0,
        0,
        "",
    ),
    Mutant(
        "h2b-q5",
        "Python's algorithm names",
        (('"alg": about["algorithm"]', '"alg": algorithm'),),
        0,
        0,
        "algorithm-name",
    ),
    Mutant(
        "h2b-q5",
        "base64",
        (
            (
                "hashlib.new(algorithm, content).hexdigest()",
                "__import__('base64').b64encode(hashlib.new(algorithm, content).digest()).decode()",
            ),
        ),
        0,
        0,
        "digest-spelling",
    ),
    Mutant("h2b-q5", "text", text_of_bom, 0, 0, "text-not-dict"),
    Mutant("h2b-q5", "a library", (('"machine-learning-model"', '"library"'),), 0, 0, "no-subject"),
    Mutant(
        "h2b-q5",
        "models only",
        (("sorted(tree.items())", 'sorted(tree.items()) if path.endswith((".safetensors", ".bin"))'),),
        0.1,
        0.8,
        "only-models",
    ),
    Mutant(
        "h2b-q5",
        "any license is an id",
        (('"id" if is_supported_id(about["license"]) else "name"', '"id"'),),
        0.3,
        0.7,
        "license",
    ),
    Mutant("h2b-q5", "keys of their own", (('"version": 1,', '"version": 1, "accuracy": 0.9,'),), 0, 0, "unknown-keys"),
    Mutant("h2b-q5", "hash of text", hash_of_text, 0, 0.6, "hash-of-text"),
    Mutant("h2b-q5", "base names", (('"name": path,', '"name": path.split("/")[-1],'),), 0.1, 0.9, "base-name"),
    Mutant(
        "h2b-q5",
        "always SHA-256",
        ((_DIGEST, '{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}'),),
        0,
        0.8,
        "other-algorithm",
    ),
    Mutant(
        "h2b-q5",
        "skips empty files",
        (("sorted(tree.items())", "sorted(tree.items()) if content"),),
        0.7,
        0.98,
        "skips-odd",
        in_practice=None,
    ),
)

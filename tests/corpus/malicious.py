"""Malicious families that the author of a scanner may read and test against."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import marshal
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

from . import Corpus
from .assemble import (
    Evil,
    Ops,
    bomb,
    build,
    call,
    code,
    name,
    new,
    push,
    shell,
    stack_name,
    stream,
    then,
    torch_zip,
    zipped,
)

CORPUS = Corpus()
SYSTEM = name("os:system")


def run(marker: Path) -> Ops:
    return call("os:system", shell(marker))


# Plain: what `__reduce__` writes, over all protocols.
put = CORPUS.malicious("plain_reduce")
for protocol in range(6):
    put(f"eval-protocol-{protocol}", lambda m, p=protocol: pickle.dumps(Evil(eval, code(m)), p))
    put(f"system-protocol-{protocol}", lambda m, p=protocol: stream(run(m), p))
put("exec", lambda m: pickle.dumps({"weights": [0.1], "meta": Evil(exec, code(m))}))
put("deep-inside", lambda m: pickle.dumps([[[{"a": (1, [Evil(exec, code(m))])}]]] * 3))
put("posix-system", lambda m: stream(call("posix:system", shell(m))))
put("subprocess-call", lambda m: stream(call("subprocess:call", ["touch", str(m)])))
put("subprocess-run", lambda m: stream(call("subprocess:run", ["touch", str(m)])))
put("subprocess-getoutput", lambda m: stream(call("subprocess:getoutput", shell(m))))
put("subprocess-check-output", lambda m: stream(call("subprocess:check_output", ["touch", str(m)])))
put("compile-exec", lambda m: stream(call("builtins:exec", call("builtins:compile", code(m), "x", "exec"))))
put("after-a-megabyte", lambda m: pickle.dumps([b"\0" * 1_000_000, list(range(2000)), Evil(exec, code(m))]))


# Forms of the opcodes that import and call.
def mapped(marker) -> Ops:
    return new("builtins:map", SYSTEM, [shell(marker)])


def partial_by_state(marker) -> Ops:
    """A harmless partial whose function is replaced by BUILD."""
    return build(call("functools:partial", name("builtins:len")), (SYSTEM, (shell(marker),), {}, None))


put = CORPUS.malicious("opcode_forms")
put("inst", lambda m: b"(" + push(shell(m)) + b"ios\nsystem\n.")
put("inst-text-only", lambda m: b"(S" + repr(shell(m)).encode() + b"\nios\nsystem\n.")
put("obj", lambda m: b"(" + SYSTEM + push(shell(m)) + b"o.")
put("stack-global", lambda m: stream(call(stack_name("os", "system"), shell(m))))
put("short-strings", lambda m: b"\x80\x04\x8c\x02os\x8c\x06system\x93" + push((shell(m),)) + b"R.")
put("byte-string-names", lambda m: b"\x80\x04U\x02osT\6\0\0\0system\x93" + push((shell(m),)) + b"R.")
put("newobj-tuple", lambda m: stream(new("builtins:tuple", mapped(m))))
put("newobj-bytes", lambda m: stream(new("builtins:bytes", mapped(m))))
put("newobj-ex", lambda m: stream(Ops(name("builtins:frozenset") + push((mapped(m),)) + b"}\x92")))
put("dup-callable", lambda m: b"\x80\x04" + SYSTEM + b"2" + push((shell(m),)) + b"R0.")
put("tuple-1", lambda m: b"\x80\x02" + SYSTEM + push(shell(m)) + b"\x85R.")
put("arguments-by-a-call", lambda m: stream(Ops(SYSTEM + call("builtins:tuple", [shell(m)]) + b"R")))
put("result-is-called", lambda m: stream(call(call("functools:partial", SYSTEM, shell(m)))))
put("partial-by-state", lambda m: stream(call(partial_by_state(m))))
put("popped-before-stop", lambda m: stream(then(run(m), {"weights": [1.0]})))
put("pop-mark", lambda m: stream(Ops(b"(" + run(m) + b"1" + push({"weights": [1.0]}))))


# A second pickle or program inside the first.
def memory(content: bytes) -> Ops:
    return call("_io:BytesIO", content)


def loaded_code(marker) -> Ops:
    return call("marshal:loads", marshal.dumps(compile(code(marker), "x", "exec")))


def cloudpickled(marker) -> bytes:
    import cloudpickle

    return cloudpickle.dumps(Evil(lambda path: Path(path).touch(), str(marker)))


def object_npy(marker) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil(exec, code(marker))], dtype=object), allow_pickle=True)
    return buffer.getvalue()


put = CORPUS.malicious("second_stage")
put("pickle-loads", lambda m: stream(call("pickle:loads", bomb(m))))
put("c-pickle-loads", lambda m: stream(call("_pickle:loads", bomb(m))))
put("pickle-load", lambda m: stream(call("pickle:load", memory(bomb(m)))))
put("python-unpickler", lambda m: stream(call("pickle:_Unpickler.load", call("pickle:_Unpickler", memory(bomb(m))))))
put("three-deep", lambda m: stream(call("pickle:loads", stream(call("pickle:loads", bomb(m))))))
put("compressed", lambda m: stream(call("pickle:loads", call("zlib:decompress", zlib.compress(bomb(m))))))
put("as-hex", lambda m: stream(call("pickle:loads", call("codecs:decode", bomb(m).hex().encode(), "hex"))))
put("numpy-load", lambda m: stream(call("numpy:load", memory(bomb(m)), None, True)))
put("numpy-read-array", lambda m: stream(call("numpy.lib.format:read_array", memory(object_npy(m)), True)))
put("joblib-load", lambda m: stream(call("joblib:load", memory(bomb(m)))))
put("joblib-module-load", lambda m: stream(call("joblib.numpy_pickle:load", memory(bomb(m)))))
put("pandas-read-pickle", lambda m: stream(call("pandas:read_pickle", memory(bomb(m)), None)))
put("cloudpickle-loads", lambda m: stream(call("cloudpickle:loads", bomb(m))))
put("forking-pickler", lambda m: stream(call("multiprocessing.reduction:ForkingPickler.loads", bomb(m))))
put("shelf", lambda m: stream(call("shelve:Shelf.__getitem__", call("shelve:Shelf", {b"k": bomb(m)}), "k")))
put(
    "torch-legacy-load",
    lambda m: stream(
        call("torch.serialization:_legacy_load", memory(bomb(m)), None, name("torch.serialization:pickle"))
    ),
)
put("marshal-function", lambda m: stream(call(call("types:FunctionType", loaded_code(m), {}))))
put("marshal-exec", lambda m: stream(call("builtins:exec", loaded_code(m))))
put("cloudpickled-function", cloudpickled)

# Dotted names of protocol 4 reach dangerous modules through innocent ones.
put = CORPUS.malicious("dotted_names")
for path in (
    "torch:os.system",
    "torch.hub:os.system",
    "torch.serialization:os.system",
    "pandas.io.common:os.system",
    "joblib.disk:os.system",
    "joblib.numpy_pickle:os.system",
    "sklearn.datasets._base:os.system",
    "numpy.lib._npyio_impl:os.system",
    "tempfile:_os.system",
    "random:_os.system",
    "logging:os.path.os.path.os.system",
):
    put(path.replace(":", "-"), lambda m, path=path: stream(call(path, shell(m))))
put("codecs-builtins", lambda m: stream(call("codecs:builtins.exec", code(m))))
put("stack-global", lambda m: stream(call(stack_name("torch", "os.system"), shell(m))))
put("late-protocol-4", lambda m: b"\x80\x02" + stream(call("torch:os.system", shell(m)), 4))
put(
    "module-table",
    lambda m: stream(
        call(call(call("operator:attrgetter", "system"), call("collections:_sys.modules.get", "os")), shell(m))
    ),
)
put("built-ins-of-a-function", lambda m: stream(call(call("collections:namedtuple.__builtins__.get", "exec"), code(m))))
put("built-ins-by-item", lambda m: stream(call(call("codecs:open.__builtins__.__getitem__", "exec"), code(m))))
put("in-pt", lambda m: torch_zip(stream(call("torch:os.system", shell(m)))), "model.pt", "torch")

# Memo games: what a name stands for depends on the memo, which a careless reader keeps otherwise than the unpickler.
put = CORPUS.malicious("memo_games")
ARG = b"\x85R."
put(
    "overwritten",
    lambda m: b"\x80\x04\x8c\x05numpyq\0\x8c\x02osq\0\x8c\6system0h\0\x8c\6system\x93" + push(shell(m)) + ARG,
)
put("out-of-order", lambda m: b"\x80\x02X\6\0\0\0systemq\7X\2\0\0\0osq\3]h\3a00h\3h\7\x93" + push(shell(m)) + ARG)
put("huge-index", lambda m: b"\x80\x04" + SYSTEM + b"r\xa0\x86\1\0" + b"0j\xa0\x86\1\0" + push(shell(m)) + ARG)
put("text-index", lambda m: SYSTEM + b"p007\n0N0g7\n" + push(shell(m)) + ARG)
put("underscored-index", lambda m: SYSTEM + b"p1_0\n0N0g10\n" + push(shell(m)) + ARG)
put("padded-index", lambda m: SYSTEM + b"p5\n0N0g +5\n" + push(shell(m)) + ARG)
put(
    "memoize-counts-entries",  # two PUTs into one place: MEMOIZE then writes number 1, not 2
    lambda m: b"\x80\x04\x8c\3absq\0\x8c\3lenq\0" + SYSTEM + b"\x94000h\1" + push(shell(m)) + ARG,
)
put(
    "argument-tuple-by-alias",
    lambda m: b"\x80\x04]q\0" + SYSTEM + b"q\1h\0" + push(shell(m)) + b"a0h\1cbuiltins\ntuple\nh\0\x85RR.",
)
put(
    "state-by-alias",
    lambda m: (
        b"\x80\x04}q\0h\0\x8c\1f" + SYSTEM + b"s0" + call("builtins:dict.get", Ops(b"h\0"), "f") + push(shell(m)) + ARG
    ),
)
put("names-in-data-first", lambda m: b"\x80\x04]\x94(\x8c\2os\x94\x8c\6system\x94e0h\1h\2\x93" + push(shell(m)) + ARG)

# Names that come out of calls: no literal name stands in the stream.
put = CORPUS.malicious("computed_names")


def computed(module: Ops, attribute: Ops):
    return lambda m: stream(call(stack_name(module, attribute), shell(m)))


put("join", computed(call("builtins:str.join", "", ["o", "s"]), call("builtins:str.join", "", ["sys", "tem"])))
put("rot13", computed(call("codecs:decode", "bf", "rot13"), call("codecs:decode", "flfgrz", "rot13")))
put("bytes-decoded", computed(call("builtins:str", b"os", "ascii"), call("builtins:str", b"system", "ascii")))
put("added", computed(call("operator:add", "o", "s"), call("operator:concat", "sys", "tem")))
put("sliced", computed(call("operator:getitem", "pos", call("builtins:slice", 1, 3)), push("system")))
put("lowered", computed(call("builtins:str.lower", "OS"), call("builtins:str.lower", "SYSTEM")))
put("replaced", computed(call("builtins:str.replace", "numpy", "numpy", "os"), call("builtins:str.strip", " system ")))
put("from-code-points", computed(call("builtins:bytes.decode", call("builtins:bytes", [111, 115])), push("system")))
put("by-codec-encode", computed(call("builtins:bytes.decode", call("_codecs:encode", "os", "latin1")), push("system")))

# Ways to a function through import and attribute access.
put = CORPUS.malicious("import_chain")
OS = call("builtins:__import__", "os")
put("getattr", lambda m: stream(call(call("builtins:getattr", OS, "system"), shell(m))))
put(
    "importlib",
    lambda m: stream(call(call("builtins:getattr", call("importlib:import_module", "os"), "system"), shell(m))),
)
put("attrgetter", lambda m: stream(call(call(call("operator:attrgetter", "system"), OS), shell(m))))
put("methodcaller", lambda m: stream(call(call("operator:methodcaller", "system", shell(m)), OS)))
put(
    "itemgetter",
    lambda m: stream(
        call(
            call("operator:methodcaller", "system", shell(m)),
            call(call("operator:itemgetter", "os"), name("sys:modules")),
        )
    ),
)
put("resolve-name", lambda m: stream(call(call("pkgutil:resolve_name", "os:system"), shell(m))))
put("pydoc-locate", lambda m: stream(call(call("pydoc:locate", "os.system"), shell(m))))
put("object-getattribute", lambda m: stream(call(call("builtins:object.__getattribute__", OS, "system"), shell(m))))
put(
    "find-class-again",
    lambda m: stream(
        call(call("pickle:_Unpickler.find_class", call("pickle:_Unpickler", memory(b"")), "os", "system"), shell(m))
    ),
)
put("vars", lambda m: stream(call(call("builtins:dict.get", call("builtins:vars", OS), "system"), shell(m))))
put(
    "subimport",
    lambda m: stream(
        call(
            call("operator:methodcaller", "system", shell(m)),
            call("cloudpickle.cloudpickle:subimport", "os"),
        )
    ),
)

# Harmless-looking functions that call what they are given.
put = CORPUS.malicious("callbacks")
put("list-of-map", lambda m: stream(call("builtins:list", call("builtins:map", SYSTEM, [shell(m)]))))
put(
    "ordered-dict-of-filter",
    lambda m: stream(call("collections:OrderedDict", call("builtins:filter", SYSTEM, [shell(m)]))),
)
put("counter-of-map", lambda m: stream(call("collections:Counter", call("builtins:map", SYSTEM, [shell(m)]))))
put("deque-of-starmap", lambda m: stream(call("collections:deque", call("itertools:starmap", SYSTEM, [(shell(m),)]))))
put(
    "set-of-iter",
    lambda m: stream(call("builtins:set", call("builtins:iter", call("functools:partial", SYSTEM, shell(m)), 0))),
)
put("functools-reduce", lambda m: stream(call("functools:reduce", name("builtins:exec"), [code(m), {}])))
put(
    "accumulate",
    lambda m: stream(call("builtins:list", call("itertools:accumulate", [code(m), {}], name("builtins:exec")))),
)
put("operator-call", lambda m: stream(call("operator:call", SYSTEM, shell(m))))
put("context-run", lambda m: stream(call("contextvars:Context.run", call("contextvars:Context"), SYSTEM, shell(m))))
put("property-get", lambda m: stream(call("builtins:property.__get__", call("builtins:property", SYSTEM), shell(m))))
put("bound-method", lambda m: stream(call(call("types:MethodType", SYSTEM, shell(m)))))
put("extend-with-map", lambda m: stream(call("builtins:list.extend", [], call("builtins:map", SYSTEM, [shell(m)]))))
put(
    "reconstructor",
    lambda m: stream(
        call(
            "copyreg:_reconstructor",
            name("builtins:list"),
            name("builtins:list"),
            call("builtins:map", SYSTEM, [shell(m)]),
        )
    ),
)
put(
    "newobj-function",
    lambda m: stream(call("copyreg:__newobj__", name("builtins:tuple"), call("builtins:map", SYSTEM, [shell(m)]))),
)
put(
    "thread-run",
    lambda m: stream(call("threading:Thread.run", call("threading:Thread", None, SYSTEM, None, (shell(m),)))),
)

# Callables inside the packages that an allowlist tends to admit as a whole.
put = CORPUS.malicious("framework_callables")
put("numpy-runstring", lambda m: stream(call("numpy.testing._private.utils:runstring", code(m), {})))
put("numpy-runstring-public", lambda m: stream(call("numpy.testing:runstring", code(m), {})))
put("f2py-myeval", lambda m: stream(call("numpy.f2py.crackfortran:myeval", code(m))))
put("f2py-getlincoef", lambda m: stream(call("numpy.f2py.crackfortran:getlincoef", code(m), {"x": 1})))
put("numpy-frompyfunc", lambda m: stream(call(call("numpy:frompyfunc", SYSTEM, 1, 1), shell(m))))
put("pandas-eval", lambda m: stream(call("pandas:eval", f"f({shell(m)!r})", "pandas", "python", {"f": SYSTEM})))
put("pandas-apply", lambda m: stream(call("pandas:Series.apply", call("pandas:Series", [shell(m)]), SYSTEM)))
put("pandas-map", lambda m: stream(call("pandas:Series.map", call("pandas:Series", [shell(m)]), SYSTEM)))
put("torch-exec-wrapper", lambda m: stream(call("torch.jit.unsupported_tensor_ops:execWrapper", code(m), {}, {})))
put("torch-collect-env", lambda m: stream(call("torch.utils.collect_env:run", shell(m))))
put(
    "torch-collect-env-in-pt",
    lambda m: torch_zip(stream(call("torch.utils.collect_env:run", shell(m)), 2)),
    "model.pt",
    "torch",
)
put(
    "torch-benchmark",
    lambda m: stream(call("torch.utils.benchmark:Timer.timeit", call("torch.utils.benchmark:Timer", code(m)), 1)),
)
put(
    "scipy-wrapper",
    lambda m: stream(
        call(
            "scipy.optimize._nonlin:_nonlin_wrapper",
            f"f(a={code(m)}): pass\ndef g",
            name("scipy.optimize._nonlin:Anderson"),
        )
    ),
)
put(
    "scipy-function-wrapper",
    lambda m: stream(
        call(
            "scipy._lib._util:_FunctionWrapper.__call__",
            call("scipy._lib._util:_FunctionWrapper", SYSTEM, ()),
            shell(m),
        )
    ),
)
put(
    "sklearn-transformer",
    lambda m: stream(
        call(
            "sklearn.preprocessing:FunctionTransformer.transform",
            call("sklearn.preprocessing:FunctionTransformer", SYSTEM),
            shell(m),
        )
    ),
)
put("joblib-parallel", lambda m: stream(call(call("joblib:Parallel", 1), [(SYSTEM, (shell(m),), {})])))
put("joblib-not-memorized", lambda m: stream(call(call("joblib.memory:NotMemorizedFunc", SYSTEM), shell(m))))

# Tools of the standard library that run code or commands given as text.
put = CORPUS.malicious("stdlib_runners")


def pth(marker) -> Ops:
    """A start-up line in a .pth file, in a folder beside the marker."""
    folder = marker.parent / "site"
    return then(
        call("os:mkdir", str(folder)),
        call("pathlib:Path.write_text", call("pathlib:Path", str(folder / "x.pth")), f"import os; {code(marker)}\n"),
        call("site:addsitedir", str(folder)),
    )


def script(marker) -> Ops:
    """A Python file beside the marker, written and then run."""
    path = marker.parent / "script.py"
    return then(
        call("pathlib:Path.write_text", call("pathlib:Path", str(path)), code(marker)),
        call("runpy:run_path", str(path)),
    )


CLOCK = name("time:perf_counter")
put("timeit", lambda m: stream(call("timeit:timeit", "pass", code(m), CLOCK, 1)))
put("cprofile", lambda m: stream(call("cProfile:run", code(m))))
put("profile", lambda m: stream(call("profile:run", code(m))))
put("bdb", lambda m: stream(call("bdb:Bdb.run", call("bdb:Bdb"), code(m))))
put("trace", lambda m: stream(call("trace:Trace.run", call("trace:Trace"), code(m))))
put(
    "interpreter",
    lambda m: stream(call("code:InteractiveInterpreter.runsource", call("code:InteractiveInterpreter"), code(m))),
)
put("console", lambda m: stream(call("code:InteractiveConsole.push", call("code:InteractiveConsole"), code(m))))
put("doctest", lambda m: stream(call("doctest:run_docstring_examples", f">>> {code(m)}\n", {})))
put("runpy-code", lambda m: stream(call("runpy:_run_code", call("builtins:compile", code(m), "x", "exec"), {})))
put("runpy-file", lambda m: stream(script(m)))
put("pth-file", lambda m: stream(pth(m)))
put(
    "type-hints",
    lambda m: stream(
        call("typing:get_type_hints", build(new("types:SimpleNamespace"), {"__annotations__": {"a": f"[{code(m)}]"}}))
    ),
)
put(
    "logging-config",
    lambda m: stream(
        call("logging.config:dictConfig", {"version": 1, "handlers": {"h": {"()": "os.system", "command": shell(m)}}})
    ),
)
put(
    "ctypes",
    lambda m: stream(call(call("ctypes:CDLL.__getitem__", call("ctypes:CDLL", None), "system"), shell(m).encode())),
)
put("execv", lambda m: stream(call("os:execv", "/bin/sh", ["sh", "-c", shell(m)])))
put("spawnl", lambda m: stream(call("os:spawnl", 0, "/bin/sh", "sh", "-c", shell(m))))
put("pty", lambda m: stream(call("pty:spawn", ["/bin/sh", "-c", shell(m)])))
put("pydoc-pager", lambda m: stream(call("pydoc:pipepager", "", shell(m))))
put("imap-command", lambda m: stream(call("imaplib:IMAP4_stream", shell(m))))
put(
    "thread-pool",
    lambda m: stream(
        call(
            "concurrent.futures:Future.result",
            call(
                "concurrent.futures:ThreadPoolExecutor.submit",
                call("concurrent.futures:ThreadPoolExecutor", 1),
                SYSTEM,
                shell(m),
            ),
        )
    ),
)
put(
    "unittest",
    lambda m: stream(
        call(
            "unittest:FunctionTestCase.runTest",
            call("unittest:FunctionTestCase", call("functools:partial", SYSTEM, shell(m))),
        )
    ),
)

# Streams that break, but only after they have fired.
put = CORPUS.malicious("broken_stream")
for title, tail in (
    ("no-stop", b""),
    ("unknown-opcode", b"\xff."),
    ("zero-bytes", bytes(40)),
    ("underflow", b"000."),
    ("missing-memo", b"h\x77."),
    ("protocol-9", b"\x80\x09."),
    ("truncated-string", b"X\xff\xff\0\0abc"),
    ("enormous-string", b"\x8d" + b"\xff" * 7 + b"\x7f"),
    ("invalid-text", b"X\2\0\0\0\xff\xfe."),
    ("bad-integer", b"Ixyz\n."),
    ("no-mark", b"t."),
    ("unknown-extension", b"\x82\xee."),
    ("persistent-id", b"Q."),
    ("missing-buffer", b"\x97."),
    ("missing-module", b"cno_such_module\nx\n."),
    ("frame-too-long", b"\x95\xff\xff\0\0\0\0\0\0N."),
    ("frame-not-ended", b"\x95\xff"),
):
    put(title, lambda m, tail=tail: b"\x80\x04" + run(m) + tail)
put("broken-joblib", lambda m: b"\x80\x04" + run(m) + b"\xff", "model.joblib", "joblib")
put("broken-pt", lambda m: torch_zip(b"\x80\x02" + run(m) + b"\xff"), "model.pt", "torch")

# Odd but legal spellings, which the C unpickler reads otherwise than pickletools or the Python one.
put = CORPUS.malicious("odd_spelling")
for title, odd in (
    ("hexadecimal-int", b"I0x1f\n"),
    ("octal-like-int", b"I010\n"),
    ("spaced-int", b"I 7\n"),
    ("boolean-int", b"I01\n"),
    ("hexadecimal-long", b"L0x1fL\n"),
    ("long-without-l", b"L12\n"),
    ("empty-long", b"\x8a\0"),
    ("long-4", b"\x8b\x01\0\0\0\x05"),
    ("float-text", b"F-inf\n"),
    ("raw-unicode", b"V\\u0041\xe9\n"),
    ("escaped-string", b"S'\\x41\\n\\''\n"),
    ("double-quoted-string", b'S"a"\n'),
    ("byte-array", b"\x96\x01\0\0\0\0\0\0\0a"),
    ("long-length-text", b"\x8d\x01\0\0\0\0\0\0\0a"),
    ("long-length-bytes", b"\x8e\x01\0\0\0\0\0\0\0a"),
    ("surrogate-text", b"X\x03\0\0\0\xed\xa0\x80"),
    ("short-frame", b"\x95\1\0\0\0\0\0\0\0N"),
    ("empty-frame", b"\x95" + bytes(8) + b"N"),
    ("frame-in-frame", b"\x95\x0b\0\0\0\0\0\0\0\x95\1\0\0\0\0\0\0\0N"),
    ("frame-cuts-an-opcode", b"\x95\3\0\0\0\0\0\0\0X\2\0\0\0ab"),
    ("marks-left-over", b"(N1N"),
    ("second-protocol", b"\x80\0N"),
):
    put(title, lambda m, odd=odd: b"\x80\x04" + odd + b"0" + run(m) + b".")
put("8-bit-string", lambda m: b"\x80\x02U\1\xe90" + run(m) + b".", loader="latin1")
put("8-bit-string-in-pt", lambda m: torch_zip(b"\x80\x02U\2\xc3\xa90" + run(m) + b"."), "model.pt", "torch")
put("no-protocol", lambda m: stream(run(m), None))
put("payload-crosses-frame", lambda m: b"\x80\x04\x95\x04\0\0\0\0\0\0\0" + run(m) + b".")

# Archives of torch.save.
put = CORPUS.malicious("torch_layout", "model.pt", "torch")


def saved(value, **options) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def tensors_around(marker):
    import torch

    return {"a": torch.zeros(3), "evil": Evil(exec, code(marker)), "b": torch.ones(2, dtype=torch.bfloat16)}


def hooked(marker) -> bytes:
    """The hooks that a tensor is rebuilt with are any object."""
    import torch

    tensor = pickle_of_tensor = saved(torch.zeros(2))
    with zipfile.ZipFile(io.BytesIO(tensor)) as archive:
        member = next(n for n in archive.namelist() if n.endswith("data.pkl"))
        pickle_of_tensor = archive.read(member)
    hooks = b"ccollections\nOrderedDict\n"
    place = pickle_of_tensor.index(hooks)
    return torch_zip(
        pickle_of_tensor[:place] + run(marker) + b"0" + pickle_of_tensor[place:], ("archive/data/0", bytes(8))
    )


put("plain", lambda m: torch_zip(bomb(m, 2)))
put("between-tensors", lambda m: saved(tensors_around(m)))
put("in-the-hooks", hooked)
put(
    "pickle-last",
    lambda m: zipped(
        [("a/version", b"3\n"), ("a/byteorder", b"little"), ("a/data/0", bytes(64)), ("a/data.pkl", bomb(m))]
    ),
)
put(
    "decoy-pickles",
    lambda m: torch_zip(bomb(m), ("archive/other.pkl", stream(1)), ("archive/extra/data.pkl", stream(1))),
)
put("deflated", lambda m: torch_zip(bomb(m), compression=zipfile.ZIP_DEFLATED))
put("odd-root", lambda m: torch_zip(bomb(m), root="a b é"))
put("zip-64", lambda m: zipped([("a/data.pkl", bomb(m)), ("a/version", b"3\n")], force_zip64=True))
put("archive-comment", lambda m: commented(torch_zip(bomb(m)), b"weights of the salary model"))
put("text-protocol", lambda m: torch_zip(stream(run(m), 0)))
for end in ("bin", "ckpt", "pth", "model"):
    put(f"named-{end}", lambda m: torch_zip(bomb(m)), f"model.{end}")


def commented(archive: bytes, comment: bytes) -> bytes:
    return archive[:-2] + struct.pack("<H", len(comment)) + comment


# The format of torch.save before 1.6: five pickles in a row.
put = CORPUS.malicious("torch_sequence", "model.pth", "torch")


def sequence(marker, place: int) -> bytes:
    """A legacy file whose pickle number `place` (0 to 4) fires before it gives its ordinary value."""
    from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

    parts = [MAGIC_NUMBER, PROTOCOL_VERSION, {"little_endian": True}, {"weight": 1.0}, []]
    return b"".join(stream(then(run(marker), p) if n == place else p, 2) for n, p in enumerate(parts))


for place, title in enumerate(("magic", "version", "system", "object", "keys")):
    put(title, lambda m, place=place: sequence(m, place))
put("saved", lambda m: saved(tensors_around(m), _use_new_zipfile_serialization=False))
put("wrong-magic", lambda m: stream(then(run(m), 5), 2))

# A name that promises another format.
put = CORPUS.malicious("lying_extension")
for filename in (
    "model.safetensors",
    "config.json",
    "array.npy",
    "pytorch_model.bin",
    "notes.txt",
    "table.csv",
    "model.onnx",
    "model.h5",
    "model.keras",
    "model",
    "MODEL.PKL",
    "model.pkl.md",
):
    put(filename, lambda m: bomb(m), filename)
put(
    "text.csv", lambda m: b"S'years,salary\\n3,50000'\n0(S" + repr(shell(m)).encode() + b"\nios\nsystem\n.", "table.csv"
)
put("raw-pickle.pt", lambda m: bomb(m, 2), "model.pt", "torch")
put("gzip.safetensors", lambda m: gzip.compress(bomb(m), mtime=0), "model.safetensors", "gzip")
put("npy-that-is-a-pickle", lambda m: bomb(m), "array.npy", "numpy")

# Compressed files.
put = CORPUS.malicious("compression")


def tarred(content: bytes, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        info = tarfile.TarInfo("frame.pkl")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def gz(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


put("gzip", lambda m: gz(bomb(m)), "model.pkl.gz", "gzip")
put("gzip-named-pkl", lambda m: gz(bomb(m)), "model.pkl", "gzip")
put("gzip-empty-member-first", lambda m: gz(b"") + gz(bomb(m)), "model.pkl.gz", "gzip")
put("gzip-split-in-members", lambda m: gz(bomb(m)[:9]) + gz(bomb(m)[9:]), "model.pkl.gz", "gzip")
put("gzip-wrong-checksum", lambda m: gz(bomb(m))[:-8] + bytes(8), "model.pkl.gz", "gzip")
put("gzip-truncated", lambda m: gz(bomb(m) + bytes(range(256)) * 900)[:-20], "model.pkl.gz", "gzip")
put(
    "gzip-named-member",
    lambda m: b"\x1f\x8b\x08\x08" + bytes(6) + b"weights.txt\0" + gz(bomb(m))[10:],
    "model.gz",
    "gzip",
)
put("gzip-twice", lambda m: gz(gz(bomb(m))), "model.pkl.gz.gz", "gzip twice")
put("bz2", lambda m: bz2.compress(bomb(m)), "model.pkl.bz2", "bz2")
put("bz2-empty-stream-first", lambda m: bz2.compress(b"") + bz2.compress(bomb(m)), "model.bz2", "bz2")
put("xz", lambda m: lzma.compress(bomb(m)), "model.pkl.xz", "lzma")
put("xz-empty-stream-first", lambda m: lzma.compress(b"") + lzma.compress(bomb(m)), "model.xz", "lzma")
put("lzma-alone", lambda m: lzma.compress(bomb(m), lzma.FORMAT_ALONE), "model.pkl.lzma", "lzma")
put("pandas-gzip", lambda m: gz(bomb(m)), "frame.pkl.gz", "pandas")
put("pandas-zip", lambda m: zipped([("frame.pkl", bomb(m))]), "frame.pkl.zip", "pandas")
put("pandas-zip-odd-member", lambda m: zipped([("data.csv", bomb(m))]), "frame.zip", "pandas")
put("pandas-zip-lzma", lambda m: lzma_zip(bomb(m)), "frame.pkl.zip", "pandas")
put("pandas-tar", lambda m: tarred(bomb(m)), "frame.pkl.tar", "pandas")
put("pandas-tar-gz", lambda m: gz(tarred(bomb(m))), "frame.pkl.tar.gz", "pandas")
put("pandas-tar-xz", lambda m: lzma.compress(tarred(bomb(m))), "frame.pkl.tar.xz", "pandas")
for level in (0, 1, 6, 9):
    put(f"joblib-zlib-{level}", lambda m, level=level: zlib.compress(bomb(m), level), "model.joblib", "joblib")
put("joblib-gzip", lambda m: gz(bomb(m)), "model.joblib", "joblib")
put("joblib-bz2", lambda m: bz2.compress(bomb(m)), "model.joblib", "joblib")
put("joblib-xz", lambda m: lzma.compress(bomb(m)), "model.joblib.xz", "joblib")
put("joblib-lzma", lambda m: lzma.compress(bomb(m), lzma.FORMAT_ALONE), "model.joblib", "joblib")


def lzma_zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(zipfile.ZipInfo("frame.pkl"), content, zipfile.ZIP_LZMA)
    return buffer.getvalue()


# Arrays inside a joblib stream.
put = CORPUS.malicious("joblib_arrays", "model.joblib", "joblib")


def dumped(value, **options) -> bytes:
    import joblib

    buffer = io.BytesIO()
    joblib.dump(value, buffer, **options)
    return buffer.getvalue()


def sneaky_estimator(marker):
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(np.arange(6.0).reshape(3, 2), np.arange(3.0))
    model.notes_ = Evil(exec, code(marker))
    return model


def objects(marker) -> np.ndarray:
    return np.array([Evil(exec, code(marker)), 1], dtype=object)


put("before", lambda m: dumped([Evil(exec, code(m)), np.arange(10)]))
put("between", lambda m: dumped([np.arange(10), Evil(exec, code(m)), np.ones((3, 3))]))
put("after", lambda m: dumped({"a": np.arange(10), "b": np.ones(5, "f4"), "c": Evil(exec, code(m))}))
put("after-many", lambda m: dumped([np.arange(n) for n in range(40)] + [Evil(exec, code(m))]))
put("object-array", lambda m: dumped(objects(m)))
put("object-array-between", lambda m: dumped([np.arange(4), objects(m), np.arange(4)]))
put("fortran-and-after", lambda m: dumped([np.asfortranarray(np.ones((4, 3))), Evil(exec, code(m))]))
put("array-full-of-stops", lambda m: dumped([np.full(64, 0x2E, "u1"), Evil(exec, code(m))]))
put("estimator-attribute", lambda m: dumped(sneaky_estimator(m)))
put("estimator-pickled", lambda m: pickle.dumps(sneaky_estimator(m)), "model.pkl", "pickle")
put("compressed", lambda m: dumped([np.arange(10), Evil(exec, code(m))], compress=("zlib", 3)))
put("compressed-xz", lambda m: dumped([np.arange(10), objects(m)], compress=("xz", 3)))
put("protocol-2", lambda m: dumped([np.arange(10), Evil(exec, code(m))], protocol=2))

# Object arrays of NumPy.
put = CORPUS.malicious("numpy_arrays", "array.npy", "numpy")


def npz(marker, function=np.savez, **others) -> bytes:
    buffer = io.BytesIO()
    function(buffer, **others, evil=objects(marker))
    return buffer.getvalue()


put("npy", object_npy)
put("npz", npz, "arrays.npz")
put("npz-second-member", lambda m: npz(m, plain=np.arange(5)), "arrays.npz")
put("npz-compressed", lambda m: npz(m, np.savez_compressed, plain=np.arange(5)), "arrays.npz")
put("pickled-object-array", lambda m: pickle.dumps(objects(m)), "array.pkl", "pickle")
put("in-a-pandas-frame", lambda m: pandas_frame(m), "frame.pkl", "pandas")


def pandas_frame(marker) -> bytes:
    import pandas as pd

    return pickle.dumps(pd.DataFrame({"years": [1, 2], "note": objects(marker)}))

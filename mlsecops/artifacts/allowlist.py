"""Which globals a data-only file may reach, and what it may do with each.

The names stand in ``allowed.txt``, one line per module: permission letters, module, names. Exact names only: a prefix
such as "numpy." would let in numpy's own file readers and its test runner. The letters:

    r  the name may be kept as a value (a dtype, or a function that a fitted model keeps): harmless whoever calls it
    a  the name may be an argument where a check below expects it, and is kept nowhere
    c  it may be called            n  instances may be created without running __init__
    b  an instance's state may be set     k  items may be stored in it     l  items may be appended to it
    t  a named tuple or text: created from its content

A letter is given only where that step is harmless whatever its arguments are, or where ``CHECKS`` below holds the
arguments to what ordinary data gives. What was looked at for each class: __new__, __init__ (when called), __reduce__'s
target, __setstate__. Classes left out on purpose: scipy's frozen distributions (their __setstate__ compiles text),
functools.partial, operator.attrgetter, ufunc lookups by name, anything that opens a file or imports by name.
"""

import re
from functools import cache
from pathlib import Path

from mlsecops.artifacts.raw_bytes import (
    ARROW_ARRAY,
    ARROW_BUFFER,
    ARROW_TYPE,
    DTYPE,
    arrow_buffer,
    arrow_text,
    is_bytes,
    key_of,
    made_by,
    start_dtype,
)

JOBLIB_ARRAY = ("joblib.numpy_pickle", "NumpyArrayWrapper")

# Modules named in words when a stream reaches into them. This list decides no verdict of "safe": a name is allowed
# by standing in allowed.txt, never by being absent here.
DANGEROUS_MODULES = frozenset(
    """os posix nt posixpath ntpath sys subprocess builtins __builtin__ importlib imp runpy pty pdb bdb code codeop
    commands ctypes cffi _ctypes marshal pickle _pickle cPickle shelve dill cloudpickle types inspect operator
    _operator functools _functools itertools shutil socket _socket socketserver ssl http urllib urllib2 requests
    webbrowser tempfile pathlib glob fileinput io _io signal threading _thread multiprocessing concurrent asyncio atexit
    gc weakref trace timeit profile cProfile pip ensurepip venv site setuptools distutils pkgutil zipimport linecache
    logging smtplib ftplib telnetlib poplib imaplib nntplib xmlrpc uu antigravity this doctest unittest pydoc test
    idlelib lib2to3 compileall py_compile platform resource mmap fcntl readline cmd sqlite3 dbm _winreg winreg
    _posixsubprocess _aix_support _osx_support nturl2path pstats tkinter turtle zipapp""".split()
)


def check_of(key, letter, may):
    """The function that checks the arguments of a permitted call, or None when any arguments do."""
    if key[1] == "newObj" or key[1].startswith("__pyx_unpickle_"):
        return own_class
    return CHECKS.get(key) or (no_arguments if letter == "n" and "t" not in may else None)


@cache
def _allowed():
    table = {}
    for line in (Path(__file__).parent / "allowed.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            letters, module, *names = line.split()
            for name in names:
                table[module, name] = table.get((module, name), "") + letters
    return table


def permission(module, name):
    """The permission letters of a global, or None when it is not listed."""
    return _allowed().get((module, name))


def is_dangerous(module):
    """True for the modules that are named in words when a stream reaches into them."""
    return module.split(".")[0] in DANGEROUS_MODULES


def explain(module, name):
    """(rule, detail) for a stream that reaches an unlisted global."""
    full = f"{module}.{name}"
    top = module.split(".")[0]
    if top in DANGEROUS_MODULES:
        return (
            "dangerous-global",
            f"it reaches {full}: with names from {top} a file can run commands, not just hold data",
        )
    if is_module_class(module):
        return "pickled-module", (
            f"it holds a whole pickled torch module ({full}): code by name, not just weights; ask for a state dict"
        )
    if module == "__main__":
        return "unlisted", f"it needs {full}, a class from the script that saved it: its code decides what loading does"
    return "unlisted", f"it reaches {full}, which is not on the list of what plain data needs"


def explain_call(module, name, how):
    """(rule, detail) for a stream that uses an unlisted global. how: "calls", "creates an instance of", ..."""
    if how != "calls" and (module, name) != ("?", "?") and module.split(".")[0] not in DANGEROUS_MODULES:
        return explain(module, name)
    return "calls-unlisted", f"it {how} {module}.{name}, which is not on the list of what plain data needs"


def is_module_class(module):
    return module.startswith(("torch.nn.modules.", "torch.jit.", "torch.fx.", "torchvision.", "transformers."))


# -- checks of arguments -------------------------------------------------------------------------------------
# Each gets the abstract arguments and the machine (whose ``literal`` decodes a value or raises NotLiteral, which counts
# as "no"); it returns True, False, or the Global whose permissions the result shall have.


def is_class(value):
    """True for a listed Global of which instances may be created."""
    return hasattr(value, "may") and "n" in value.may


def no_arguments(args, m):
    return args == ()


def literals(args, m):
    m.literal(args)
    return True


def string_encode(args, m):
    # How protocols 0-2 spell bytes. Other codecs unpack (bombs) or load code of their own.
    text, encoding = args
    return type(text) is int and m.literal(encoding) in ("latin1", "latin-1", "utf-8", "ascii")


def reconstructor(args, m):
    # copyreg._reconstructor(cls, base, state) calls base.__new__ and base.__init__: how protocols 0 and 1 spell NEWOBJ.
    cls, base, state = args
    if not is_class(cls):
        return False
    if "t" in cls.may:
        return cls if key_of(base) in {("builtins", "tuple"), ("builtins", "str")} else False
    if key_of(base) == ("builtins", "object"):
        return cls if m.literal(state) is None else False
    return cls if key_of(base) in {("builtins", n) for n in ("dict", "list")} and cls.may.strip("nbr") else False


def bytearray_of(args, m):
    if len(args) == 2:
        return string_encode(args, m)
    return args == () or (len(args) == 1 and is_bytes(args[0], m))


def type_of_none(args, m):
    return m.literal(args) == (None,)


def container(args, m):
    # Taking over an object would call its `keys` or iterate it: ordinary data hands over what lies in the file.
    return all(isinstance(value, list | tuple) or type(value) is int or value is m.a_set for value in args)


def fraction(args, m):
    # Fraction("1e999999999") would compute for hours.
    numbers = m.literal(args)
    return all(type(n) is int or re.fullmatch(r"-?\d{1,4000}(/\d{1,4000})?", n) for n in numbers)


def default_factory(args, m):
    # A default factory is called later, on the first missing key.
    plain = {("builtins", n) for n in ("int", "float", "str", "bool", "list", "dict", "set", "tuple")}
    if len(args) > 1:
        return False
    return not args or key_of(args[0]) in plain or (type(args[0]) is int and m.literal(args[0]) is None)


def time_zone_name(args, m):
    name = m.literal(args[0])
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", name) is not None


def pattern(args, m):
    text, flags = m.literal(args)
    return isinstance(text, str | bytes) and isinstance(flags, int)


def array_class(args, m):
    # An empty array, whose state then brings shape and content: a shape here would only take memory.
    if m.literal(args[1]) != (0,):
        return False
    return args[0] if hasattr(args[0], "may") and args[0].may and key_of(args[0]) in NDARRAYS else False


def masked_array(args, m):
    fine = all(key_of(a) in NDARRAYS for a in args[:2]) and m.literal(args[2]) == (0,)
    return args[0] if fine and args[0].may else False


NDARRAYS = {
    ("numpy", "ndarray"), ("numpy", "matrix"), ("numpy", "memmap"), ("numpy", "recarray"), ("numpy.rec", "recarray"),
    ("numpy.matrixlib.defmatrix", "matrix"), ("numpy.matrixlib", "matrix"), ("numpy.core.records", "recarray"),
    ("numpy._core.records", "recarray"), ("numpy.core.memmap", "memmap"), ("numpy._core.memmap", "memmap"),
    ("numpy.ma.core", "MaskedArray"), ("numpy.ma", "MaskedArray"),
}  # fmt: skip


PLAIN_ARRAYS = {key for key in NDARRAYS if key[1] != "MaskedArray"}


def scalar(args, m):
    # numpy's scalar(dtype, bytes); with an object dtype the second argument would be any object.
    return made_by(args[0]) == DTYPE and args[0].has_object is False


def from_buffer(args, m):
    buffer, dtype = args[0], args[1]
    return type(buffer) is int and made_by(dtype) == DTYPE and dtype.has_object is False


BIT_GENERATORS = {
    "MT19937": "_mt19937",
    "PCG64": "_pcg64",
    "PCG64DXSM": "_pcg64",
    "Philox": "_philox",
    "SFC64": "_sfc64",
}


def bit_generator(args, m):
    # The constructor calls a class that it is given: only numpy's own generators.
    if not args:
        return True
    key = key_of(args[0])
    if key:
        return len(args) == 1 and (BIT_GENERATORS.get(key[1]) == key[0].removeprefix("numpy.random."))
    return len(args) == 1 and m.literal(args[0]) in BIT_GENERATORS


def generator(args, m):
    maker = ("numpy.random._pickle", "__bit_generator_ctor")
    if len(args) > 1 and key_of(args[1]) != maker:
        return False
    return not args or made_by(args[0]) == maker or bit_generator(args[:1], m)


def ufunc_name(args, m):
    # Imports by name: only the arithmetic functions of numpy itself.
    module, name = m.literal(args)
    return module in ("numpy", "numpy.core.umath") and permission("numpy", name) is not None


def own_class(args, m):
    """A library's general constructor whose first argument is the class to create: it must be listed, same library."""
    return args[0] if is_class(args[0]) else False


def index_class(args, m):
    return args[0] if key_of(args[0]) in INDEX_CLASSES else False


INDEX_MODULES = "base range multi datetimes timedeltas period interval category numeric".split()
INDEX_CLASSES = {
    (module, name)
    for module in ("pandas", *(f"pandas.core.indexes.{module}" for module in INDEX_MODULES))
    for name in ("Index RangeIndex MultiIndex DatetimeIndex TimedeltaIndex PeriodIndex IntervalIndex CategoricalIndex "
                 "Int64Index UInt64Index Float64Index").split()
}  # fmt: skip


def tensor_from_storage(args, m):
    return made_by(args[0]) in (STORAGE, ("torch.storage", "_load_from_bytes"))


STORAGE = ("torch", "a storage of this file")
TENSOR_MAKERS = {
    ("torch._utils", name)
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter")
}


def typed_tensor(args, m):
    # Calls its first argument with its third: only the plain tensor makers, onto plain classes.
    maker, cls, inner = args[0], args[1], args[2]
    plain = {("torch", "Tensor"), ("torch._tensor", "Tensor"), ("torch.nn.parameter", "Parameter"),
             ("torch.nn.parameter", "Buffer")}  # fmt: skip
    if key_of(maker) not in TENSOR_MAKERS or not hasattr(maker, "may") or key_of(cls) not in plain:
        return False
    return type(inner) is tuple and bool(CHECKS[key_of(maker)](inner, m))


def tensor_first(args, m):
    return (made_by(args[0]) or ("", ""))[0] in ("torch._utils", "torch._tensor")


def nested_file(args, m):
    # torch.storage._load_from_bytes runs torch.load on bytes of the stream: scanned as a file of their own.
    token = args[0]
    if m.nested is None or len(args) != 1 or not is_bytes(token, m):
        return False
    if token not in m.nested_done:
        m.nested_done.add(token)
        m.nested(m.payload(token if type(token) is int else token.args[0]))
    return True


def attribute(args, m):
    # Protocols below 4 spell "Class.method" as getattr(Class, "method"): allowed when that dotted name is listed.
    owner, name = args[0], m.literal(args[1])
    if len(args) != 2 or not hasattr(owner, "may") or "." in name:
        return False
    return m.listed(owner.key[0], f"{owner.key[1]}.{name}") or False


# Whatever these get, the worst they do is to take memory or to fail.
ARRAY_MAKERS = {
    ("numpy", "dtype"), ("numpy.ma.core", "_mareconstruct"), ARROW_ARRAY, ARROW_BUFFER,
    *((f"numpy.{c}.multiarray", name) for c in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{c}.numeric", "_frombuffer") for c in ("core", "_core")),
}  # fmt: skip

# These checks vouch for a global as first and second argument, all others for the first only.
VOUCH_FOR_TWO = {
    ("copyreg", "_reconstructor"), ("numpy.ma.core", "_mareconstruct"), ("numpy.random._pickle", "__generator_ctor"),
    ("numpy.random._pickle", "__randomstate_ctor"), ("torch._tensor", "_rebuild_from_type_v2"),
}  # fmt: skip

CHECKS = {
    ("_codecs", "encode"): string_encode,
    ("copyreg", "_reconstructor"): reconstructor,
    ("builtins", "getattr"): attribute,
    ("builtins", "bytearray"): bytearray_of,
    ("builtins", "type"): type_of_none,
    ("builtins", "bytes"): no_arguments,
    ("builtins", "complex"): literals,
    ("builtins", "range"): literals,
    ("builtins", "slice"): literals,
    ("collections", "defaultdict"): default_factory,
    **{("builtins", n): container for n in ("set", "frozenset", "list", "tuple", "dict")},
    **{("collections", n): container for n in ("OrderedDict", "Counter", "deque")},
    ("fractions", "Fraction"): fraction,
    ("types", "SimpleNamespace"): no_arguments,
    ("zoneinfo", "ZoneInfo._unpickle"): time_zone_name,
    ("pytz", "_p"): time_zone_name,
    ("re", "_compile"): pattern,
    ("array", "_array_reconstructor"): lambda args, m: key_of(args[0]) == ("array", "array"),
    ("numpy", "dtype"): start_dtype,
    ("numpy.random._pickle", "__bit_generator_ctor"): bit_generator,
    ("numpy.random._pickle", "__generator_ctor"): generator,
    ("numpy.random._pickle", "__randomstate_ctor"): generator,
    ("numpy.ma.core", "_mareconstruct"): masked_array,
    ("pandas.core.indexes.base", "_new_Index"): index_class,
    ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"): index_class,
    ("pandas.core.indexes.timedeltas", "_new_TimedeltaIndex"): index_class,
    ("pandas.core.indexes.interval", "_new_IntervalIndex"): index_class,
    ("pandas.core.indexes.period", "_new_PeriodIndex"): index_class,
    ARROW_TYPE: literals,
    ARROW_BUFFER: arrow_buffer,
    ARROW_ARRAY: arrow_text,
    ("dateutil.tz.tz", "tzutc"): no_arguments,
    ("dateutil.tz.tz", "tzlocal"): no_arguments,
    ("torch.serialization", "_get_layout"): literals,
    ("torch", "device"): literals,
    ("torch._tensor", "_rebuild_from_type_v2"): typed_tensor,
    ("torch._utils", "_rebuild_parameter"): tensor_first,
    ("torch._utils", "_rebuild_parameter_with_state"): tensor_first,
    ("torch.storage", "_load_from_bytes"): nested_file,
    **{("torch._utils", f"_rebuild_{n}"): tensor_from_storage for n in ("tensor", "tensor_v2", "tensor_v3", "qtensor")},
    **{(f"numpy.{c}.multiarray", "_reconstruct"): array_class for c in ("core", "_core")},
    **{(f"numpy.{c}.multiarray", "scalar"): scalar for c in ("core", "_core")},
    **{(f"numpy.{c}.numeric", "_frombuffer"): from_buffer for c in ("core", "_core")},
    **{(f"numpy.{c}", "_ufunc_reconstruct"): ufunc_name for c in ("core", "_core")},
}

# -- states --------------------------------------------------------------------------------------------------


def check_state(target, state, m):
    """Finds states that make the class's own __setstate__ call what the file brought along.

    A state is a dictionary, a tuple or a literal. An attribute in it comes before the method of the same name, and
    setting a state calls methods: so none is replaced that is called with parts of the state.
    """
    key = target.of.key
    if not (isinstance(state, list | tuple) or type(state) is int or made_by(state) in STATE_OBJECTS):
        m.find("misused", f"sets the state of {target.of.name} to an object, which calls its methods")
    elif hasattr(state, "append") and not (type(state) is list or key in OPEN_STATES):
        try:
            fields = m.fields(state)
            version = m.literal(fields.get("_sklearn_version", ()))
        except ValueError:
            fields, version = {None: None}, ""
        names = [name for name in fields if not isinstance(name, str) or name.startswith("__") or name == "_build_f"]
        if key in ARROW_STRINGS and made_by(fields.get("_pa_array")) != ARROW_ARRAY:
            names.append("_pa_array")  # pyarrow would iterate it
        if names or not (version == () or isinstance(version, str)):
            m.find("misused", f"sets a state of {target.of.name} that ordinary data does not have: {names[:3]}")


STATE_OBJECTS = {("numpy.random._pickle", "__bit_generator_ctor")}
ARROW_STRINGS = {(module, "ArrowStringArray") for module in ("pandas.arrays", "pandas.core.arrays.string_arrow")}
OPEN_STATES = {("argparse", "Namespace"), ("types", "SimpleNamespace"), ("collections", "OrderedDict")}

"""Whether the raw bytes of a pickle are what the description beside them says: numpy's arrays, Arrow's texts.

Both libraries believe the description and would read memory behind the end of the bytes, or take bytes for pointers.
"""

import re
from itertools import pairwise
from math import prod

DTYPE = ("numpy", "dtype")
ARROW_BUFFER, ARROW_TYPE, ARROW_ARRAY = (("pyarrow.lib", n) for n in ("py_buffer", "type_for_alias", "_restore_array"))
BYTEARRAY = ("builtins", "bytearray")


def key_of(value):
    """(module, name) of a Global, None for other values."""
    return value.key if hasattr(value, "key") else None


def made_by(value):
    """(module, name) of the Global that made an Instance, None for other values."""
    return value.of.key if hasattr(value, "of") else None


BYTES_CALLS = {("_codecs", "encode"), ("builtins", "bytes")}


def is_bytes(value, m):
    """True for bytes: a literal, or the calls by which protocols 0-2 spell them."""
    return m.data[value] in b"BC\x8eTU" if type(value) is int else made_by(value) in BYTES_CALLS


def check_array(state, m):
    """Finds array states that do not hold what they say: numpy believes the shape and would read behind the end.

    state: (version, shape, dtype, Fortran order, bytes, or for objects a list).
    """
    try:
        _, shape, dtype, _, content = state
        count = 1
        for size in m.literal(shape):
            count *= size
        if made_by(dtype) != DTYPE:
            fine = True  # numpy's strings of variable length: the list holds them, the dtype was checked when made
        elif dtype.has_object:
            fine = type(content) is list and content[0] == count
        else:
            fine = dtype.has_object is False and is_bytes(content, m)
    except (ValueError, TypeError):
        fine = False
    if not fine:
        m.find("array", "a numpy array whose content does not fit its shape and type")


# -- numpy.dtype: how large an item is, and whether it holds objects, decides how the bytes after it are read

TYPE_CODE = re.compile(r"[<>=|]?([?biufcmMOSUV])(\d*)")


RECORDS = {
    ("numpy", "record"),
    ("numpy.rec", "record"),
    ("numpy.core.records", "record"),
    ("numpy._core.records", "record"),
}


def start_dtype(args, m):
    # numpy.dtype(code, align, copy): a plain type code, and a copy, so that no shared dtype is changed afterwards.
    return _type_code(args, m) is not None and bool(m.literal(args[2]))


def _type_code(args, m):
    text = "V" if key_of(args[0]) in RECORDS else m.literal(args[0])
    match = TYPE_CODE.fullmatch(text) if isinstance(text, str) else None
    return match and match.groups()


def finish_dtype(made, state, m):
    """Fills in item size and object flag of a dtype after its state was set; finds states that contradict themselves.

    state: (version, byte order, sub-array, names, fields, item size, alignment, flags[, metadata]); bit 0 of the flags
    is "holds objects". A structured dtype that denies the objects of its fields would make numpy take raw bytes from
    the file for pointers.
    """
    try:
        code, digits = _type_code(made.args, m)
        itemsize, flags = m.literal(state[5]), m.literal(state[7])
        objects = _holds_objects(code, state, itemsize, m)
        size = itemsize if code in "SUV" else int(digits or 0) or {"?": 1, "O": 8}.get(code, 0)
        pointers = flags & 0b111  # holds objects, is pickled as a list, is a pointer
        if bool(flags & 1) != objects or (pointers and not objects) or size < 0:
            raise ValueError
        made.itemsize, made.has_object = size, objects
    except (ValueError, TypeError, IndexError, AttributeError, KeyError):
        m.find("dtype", "a numpy dtype whose description contradicts itself")


def _holds_objects(code, state, itemsize, m):
    """Whether a dtype holds objects. Raises ValueError when its parts do not lie inside it or are not known."""
    if code != "V":
        return code == "O"
    _, _, sub, names, fields, *_ = state
    parts = []  # (dtype, offset, how many of them)
    if isinstance(sub, tuple):
        base, shape = sub
        shape = m.literal(shape)
        parts.append((base, 0, prod(shape if isinstance(shape, tuple) else (shape,))))
    if type(fields) is not int:  # None is a literal, so a position
        fields = m.fields(fields)
        named = {name: fields.pop(name) for name in m.literal(names)}  # what is left goes by the fields' titles
        parts += [(dtype, m.literal(offset), 1) for dtype, offset, *_ in (*named.values(), *fields.values())]
        if not {m.literal(entry[2]) for entry in named.values() if len(entry) > 2} >= set(fields):
            raise ValueError
    for dtype, offset, count in parts:
        if made_by(dtype) != DTYPE or dtype.has_object is None:
            raise ValueError
        if offset < 0 or count < 0 or offset + dtype.itemsize * count > itemsize:
            raise ValueError
    return any(dtype.has_object for dtype, _, _ in parts)


# -- Arrow ------------


def arrow_buffer(args, m):
    return len(args) == 1 and (made_by(args[0]) == BYTEARRAY or (type(args[0]) is int and m.data[args[0]] == 0x96))


def arrow_bytes(buffer, m):
    """The bytes of an Arrow buffer; of None, which stands for an empty one, none. Raises ValueError or TypeError."""
    if type(buffer) is int and m.literal(buffer) is None:
        return b""
    if made_by(buffer) != ARROW_BUFFER:
        raise ValueError("a buffer")
    token = buffer.args[0]
    while type(token) is not int:  # bytearray(bytes), where bytes may be spelled _codecs.encode(text, "latin1")
        if not token.args:
            return b""
        token = token.args[0]
    return m.payload(token)


def arrow_text(args, m):
    """Whether pyarrow's _restore_array gets a column of texts, as pandas keeps one where pyarrow is installed.

    Arrow believes what it is told: offsets behind the end of the text would be read from other memory, and so would a
    text that is not UTF-8. args: one tuple (type, length, number of missing, offset, buffers, children, dictionary),
    the buffers being a bit per text that is not missing (or None), length + 1 positions, and the UTF-8 of all texts.
    Source: Arrow's columnar format, "Variable-size Binary Layout".
    """
    ((kind, length, missing, offset, buffers, children, dictionary),) = args
    code, size = {"string": ("i", 4), "large_string": ("q", 8)}[m.literal(kind.args[0])]
    length, missing, offset = m.literal((length, missing, offset))
    plain = type(length) is type(missing) is int and 0 <= missing <= length and type(offset) is int and offset == 0
    plain = plain and made_by(kind) == ARROW_TYPE and children == [0] and m.literal(dictionary) is None
    if not plain or buffers[0] != 3 or len(buffers) != 4:
        return False
    bits, positions, text = (bytes(arrow_bytes(buffer, m)) for buffer in buffers[1:])
    if missing or bits:
        present = int.from_bytes(bits, "little") & ((1 << length) - 1)
        if 8 * len(bits) < length or present.bit_count() != length - missing:
            return False
    positions = memoryview(positions[: size * (length + 1)]).cast(code).tolist()
    if not length and not positions:
        return True
    if len(positions) != length + 1 or positions[0] < 0 or positions[-1] > len(text):
        return False
    text = text[: positions[-1]] + b" "
    text.decode("utf-8")
    # A position in the middle of a character (10xxxxxx) would make two texts that are not UTF-8.
    return all(a <= b and text[b] & 0xC0 != 0x80 for a, b in pairwise([positions[0], *positions]))

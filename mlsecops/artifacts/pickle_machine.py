"""An abstract pickle machine: it follows a pickle stream without importing or calling anything.

A pickle is a program for a small stack machine. Real unpicklers run that program; this one only keeps track of *what
kind of thing* lies on the stack and asks, for every global name the program reaches and everything it does with it,
whether the allowlist permits that. What the stack holds here:

- a literal (number, string, bytes, None): the position of its opcode, an ``int``, decoded only when somebody asks;
- a tuple: a Python tuple of such values;
- a list: a Python list that holds its length, and its items only where a check may ask for them (``KEPT``);
  ``SET``, ``LITERAL``: one shared marker each;
- ``Dict``: the keys and values while there are few of them (dtype fields and object states are looked into);
- ``Global``: a name that was reached; ``Instance``: the result of a call.

Sources: CPython's Lib/pickle.py, Modules/_pickle.c and pickletools.py. Where the C and the Python unpickler differ,
the stream is reported, because a scanner that agrees with only one of them can be led past the other.
"""

import _compat_pickle
import codecs
import pickletools
import re
import struct

from mlsecops.artifacts import allowlist, raw_bytes

CHUNK = 1 << 20  # opcodes are run in stretches of this many bytes, between which the sizes below are checked
MAX_STACK = 5_000_000  # entries of stack and memo together
MAX_MARKS = 100_000  # open marks: honest picklers nest at most as deep as Python's recursion limit
MAX_GAPS = 65_536  # memo places skipped: honest picklers number them without holes (Python 2 started at 1)
MAX_NAMES = 20_000  # different globals
MAX_TEXT = 4_096  # a longer string is never a module, a name, or an argument that has to be looked at
KEPT = 3  # items of a list that are kept once a stream has reached Arrow arrays: an array of texts has three buffers
SMALL = 256  # a dict filled with larger batches than this is data, not a dtype or an object's state

U2, U4, U8, I4 = (struct.Struct(f).unpack_from for f in ("<H", "<I", "<Q", "<i"))

# Bytes taken by the literals of fixed size, indexed by opcode; 0 for all others.
STEP = [0] * 256
for _op, _size in {"N": 1, "\x88": 1, "\x89": 1, "K": 2, "M": 3, "J": 5, "G": 9}.items():
    STEP[ord(_op)] = _size

# Text numbers: only the spelling that every unpickler reads alike. "I01" and "I00" are how protocol 0 spells booleans.
TEXT_NUMBER = {
    0x49: re.compile(rb"-?(0|[1-9]\d*)|0[01]"),  # I
    0x4C: re.compile(rb"-?(0|[1-9]\d*)L?"),  # L
    0x46: re.compile(rb"-?(\d+(\.\d*)?([eE][+-]?\d+)?|inf|nan)"),  # F
}
MEMO_INDEX = re.compile(rb"0|[1-9]\d{0,8}")

# Modules that exist only in Python 2; with protocols 0-2 an unpickler translates them to today's names.
PYTHON2_ONLY = {"__builtin__", "copy_reg", "UserDict", "UserList", "UserString", "cPickle", "exceptions"}


# What joblib's array wrapper keeps; its methods are looked up in the same place.
JOBLIB_FIELDS = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}


class Broken(Exception):  # noqa: N818 - a state of the stream, not a failure of the program
    """The stream cannot be followed any further; a real unpickler would stop here too, or must not be trusted to."""

    def __init__(self, detail, rule="broken"):
        super().__init__(detail)
        self.rule = rule


class NotLiteral(ValueError):  # noqa: N818
    """A value is not a plain literal of moderate size."""


class Mark:
    """A shared placeholder for values whose contents do not matter."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


SET, LITERAL, MISSING = Mark("set"), Mark("literal"), Mark("missing")


class Dict(list):
    """Keys and values alternating while small; a ``MISSING`` at an odd place says that larger batches were dropped."""

    __slots__ = ()


class Carrier(tuple):
    """A tuple with a global in it that must not be kept as a value; only a call whose check expects it may take it."""

    __slots__ = ()


class Global:
    """A name reached by the stream; ``may`` holds the letters of what the allowlist lets a stream do with it."""

    __slots__ = ("key", "listed", "may", "name")

    def __init__(self, key, may):
        self.key, self.listed, self.may, self.name = key, may is not None, may or "", ".".join(key)


CAREFUL = frozenset((Carrier, Global))


def careful(value):
    """True for what must not be kept: a listed global without the letter r, or a tuple with one in it.

    Otherwise a state could replace a method by it, and the next step that calls the method calls the global instead,
    with arguments that no check has seen.
    """
    return type(value) is Carrier or (type(value) is Global and value.listed and "r" not in value.may)


class Instance:
    """What a call returned: made by which global, from which arguments, and whether its state was set already."""

    __slots__ = ("args", "built", "has_object", "itemsize", "of")

    def __init__(self, of, args=()):
        self.of, self.args, self.built = of, args, False
        self.itemsize = self.has_object = None  # filled in for numpy.dtype


class Machine:
    """Follows one pickle stream.

    data: bytes or mmap. start: offset of the first opcode. report: object with ``add(rule, detail, where)`` and
    ``reached(module, name)``. place: words that say where the stream lies, for the findings.
    persistent: function called with the abstract persistent id, returns a value, raises Broken; None = not allowed.
    joblib: arrays written by joblib lie as raw bytes inside the stream and are skipped, as joblib.load does.
    nested: function called with bytes that the stream hands to torch's storage reader.
    """

    a_set = SET

    def __init__(self, data, start=0, *, report, place="", persistent=None, joblib=False, nested=None):
        self.data, self.pos, self.report, self.place = data, start, report, place
        self.persistent, self.joblib, self.nested = persistent, joblib, nested
        self.proto = 0
        self.care = False  # has a global been reached that must not be kept?
        self.buffers = False  # has the maker of Arrow arrays been reached? Then short lists keep their items
        self.seen = {}
        self.nested_done = set()
        self.arrays = 0  # joblib arrays met: then a plain pickle.load would read the same bytes differently
        self.frame_end = None
        self.result = None
        self.at = start  # the opcode in work, for the findings

    # -- reporting and decoding ------------------------------------------------------------------------------

    def find(self, rule, detail):
        self.report.add(rule, detail, f"{self.place}byte {self.at}")

    def line(self, start):
        """The text argument that starts at ``start``: (bytes without the newline, position after it)."""
        end = self.data.find(b"\n", start)
        if end < 0:
            raise Broken("a text argument without its end of line")
        return bytes(self.data[start : min(end, start + MAX_TEXT)]), end + 1

    def value(self, token, depth=6):
        """The Python value behind an abstract one. Raises NotLiteral for anything but small literals and tuples."""
        if isinstance(token, tuple) and depth and len(token) <= SMALL:
            return tuple(self.value(item, depth - 1) for item in token)
        if type(token) is not int:
            raise NotLiteral(repr(token))
        data, op = self.data, self.data[token]
        if op in b"N\x88\x89":
            return {0x4E: None, 0x88: True, 0x89: False}[op]
        if op == 0x4B:
            return data[token + 1]
        if op == 0x4D:
            return U2(data, token + 1)[0]
        if op == 0x4A:
            return I4(data, token + 1)[0]
        if op == 0x47:
            return struct.unpack_from(">d", data, token + 1)[0]
        if op in b"\x8a\x8b":
            start, size = (token + 2, data[token + 1]) if op == 0x8A else (token + 5, U4(data, token + 1)[0])
            if size > MAX_TEXT:
                raise NotLiteral("a number of thousands of digits")
            return int.from_bytes(data[start : start + size], "little", signed=True)
        if op in b"IL":
            text = self.line(token + 1)[0]
            return text == b"01" if op == 0x49 and text in (b"00", b"01") else int(text.rstrip(b"L"))
        if op == 0x46:
            return float(self.line(token + 1)[0])
        if op in b"SV":
            return self.text_string(op, self.line(token + 1)[0])
        start, size = self.counted(op, token)
        if size > MAX_TEXT:
            raise NotLiteral("a long string")
        raw = bytes(data[start : start + size])
        if op in b"X\x8c\x8d":
            return raw.decode("utf-8", "surrogatepass")
        # Python 2 strings become str or bytes, by the loader's encoding: only ASCII reads alike everywhere.
        return raw.decode("ascii") if op in b"TU" else raw

    def text_string(self, op, raw):
        if op == 0x56:
            return raw.decode("raw-unicode-escape")
        if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in (b"'", b'"'):
            raise Broken("a text string without its quotes")
        return codecs.escape_decode(raw[1:-1])[0].decode("ascii")

    def counted(self, op, at):
        """(start, size) of the payload of a string or bytes opcode with a length in front."""
        data = self.data
        if op in b"\x8cUC":
            return at + 2, data[at + 1]
        if op in b"XBT":
            return at + 5, U4(data, at + 1)[0]
        if op in b"\x8d\x8e\x96":
            return at + 9, U8(data, at + 1)[0]
        raise NotLiteral("not a literal")

    def payload(self, token):
        """All bytes of a bytes literal, or of the text by which protocols 0-2 spell bytes."""
        op = self.data[token]
        if op == 0x56:
            end = self.data.find(b"\n", token)
            return bytes(self.data[token + 1 : end]).decode("raw-unicode-escape").encode("latin1")
        start, size = self.counted(op, token)
        raw = self.data[start : start + size]
        return raw.decode("utf-8").encode("latin1") if op in b"X\x8c\x8d" else raw

    def literal(self, token):
        """Like ``value``, with NotLiteral for everything that cannot be decoded."""
        try:
            return self.value(token)
        except NotLiteral:
            raise
        except (Broken, ValueError, IndexError, struct.error) as error:
            raise NotLiteral(str(error)) from error

    # -- the loop --------------------------------------------------------------------------------------------

    def run(self):
        """Follows the stream to its STOP; returns the position after it. Raises Broken; findings go to the report.

        The most frequent opcodes come first and stay inside the loop; the others are methods in ``OPS``, found by
        opcode. ``stack`` holds the values since the last open mark, ``marks`` the stacks under it: so taking from
        below a mark fails here as it does in both real unpicklers.
        """
        data, pos, end = self.data, self.pos, len(self.data)
        step_of, ops, missing = STEP, self.OPS, MISSING
        stack, marks, memo = [], [], []
        self.gaps = 0
        append = stack.append
        try:
            while True:
                if len(stack) + len(memo) > MAX_STACK or len(marks) > MAX_MARKS:
                    raise Broken("it keeps more values open than an honest file does", "too-large")
                limit = min(pos + CHUNK, end)
                if pos >= end:
                    raise Broken("the stream ends without STOP")
                while pos < limit:
                    op = data[pos]
                    step = step_of[op]
                    if step:  # None, True, False, BININT*, BINFLOAT
                        append(pos)
                        pos += step
                    elif op == 0x94:  # MEMOIZE
                        if self.gaps:
                            self.put(memo, len(memo) - self.gaps, stack[-1])
                        else:
                            memo.append(stack[-1])
                        pos += 1
                    elif op == 0x68:  # BINGET
                        item = memo[data[pos + 1]]
                        if item is missing:
                            raise Broken("reads a memo place that was never filled")
                        append(item)
                        pos += 2
                    elif op == 0x8C or op == 0x55 or op == 0x43:  # SHORT_BINUNICODE, SHORT_BINSTRING, SHORT_BINBYTES
                        append(pos)
                        pos += 2 + data[pos + 1]
                    elif op == 0x71:  # BINPUT
                        index = data[pos + 1]
                        if index == len(memo):
                            memo.append(stack[-1])
                        else:
                            self.put(memo, index, stack[-1])
                        pos += 2
                    elif op == 0x72:  # LONG_BINPUT
                        index = U4(data, pos + 1)[0]
                        if index == len(memo):
                            memo.append(stack[-1])
                        else:
                            self.put(memo, index, stack[-1])
                        pos += 5
                    elif op == 0x6A:  # LONG_BINGET
                        item = memo[U4(data, pos + 1)[0]]
                        if item is missing:
                            raise Broken("reads a memo place that was never filled")
                        append(item)
                        pos += 5
                    elif op == 0x58 or op == 0x54 or op == 0x42:  # BINUNICODE, BINSTRING, BINBYTES
                        append(pos)
                        pos += 5 + U4(data, pos + 1)[0]
                    elif op == 0x28:  # MARK
                        marks.append(stack)
                        stack = []
                        append = stack.append
                        pos += 1
                    elif op == 0x86 or op == 0x85 or op == 0x87:  # TUPLE2, TUPLE1, TUPLE3
                        if op == 0x86:
                            second = stack.pop()
                            made = (stack[-1], second)
                        elif op == 0x85:
                            made = (stack[-1],)
                        else:
                            third, second = stack.pop(), stack.pop()
                            made = (stack[-1], second, third)
                        stack[-1] = Carrier(made) if self.care and any(map(careful, made)) else made
                        pos += 1
                    elif op == 0x29:  # EMPTY_TUPLE
                        append(())
                        pos += 1
                    elif op == 0x5D:  # EMPTY_LIST
                        append([0])
                        pos += 1
                    elif op == 0x7D:  # EMPTY_DICT
                        append(Dict())
                        pos += 1
                    elif op == 0x65 or op == 0x75 or op == 0x74:  # APPENDS, SETITEMS, TUPLE
                        items, stack = stack, marks.pop()
                        append = stack.append
                        if op == 0x74:
                            care = self.care and not CAREFUL.isdisjoint(map(type, items)) and any(map(careful, items))
                            append(Carrier(items) if care else tuple(items))
                        elif op == 0x75:
                            self.at = pos
                            self.set_items(stack[-1], items)
                        elif type(stack[-1]) is list:
                            stack[-1][0] += len(items)
                            if self.care:
                                self.at = pos
                                self.keep(items)
                                if self.buffers and len(items) <= KEPT:
                                    stack[-1] += items
                        else:
                            self.at = pos
                            self.append_to(stack[-1])
                        pos += 1
                    elif op == 0x2E:  # STOP
                        self.at, self.result = pos, stack.pop()
                        if stack or marks:
                            self.find("unusual", "values are left on the stack at its end, no pickler writes that")
                        if self.frame_end is not None and self.frame_end > pos + 1:
                            self.find("frame", "a frame does not end where the stream ends")
                        self.pos = pos + 1
                        return self.pos
                    else:
                        self.at, method = pos, ops[op]
                        if method is None:
                            raise Broken(f"0x{op:02x} is not an opcode")
                        # A method gets the state, changes it, and returns the position of the next opcode.
                        self.stack, self.marks, self.memo = stack, marks, memo
                        pos = method(self, pos)
                        if self.stack is not stack:
                            stack = self.stack
                            append = stack.append
                self.at = min(pos, end)
        except IndexError:
            self.at = pos
            what = "the stream is cut off" if pos + 9 >= end else "takes a value from an empty stack or memo"
            raise Broken(what) from None
        except struct.error:
            self.at = pos
            raise Broken("the stream is cut off") from None
        except Broken:
            self.at = pos
            raise

    def keep(self, items):
        """Asks of values that go into a container or a state whether they may be kept."""
        if self.care and not CAREFUL.isdisjoint(map(type, items)):
            for item in filter(careful, items):
                self.find("misused", f"keeps {describe(item)} as a value, ordinary data does not")

    def put(self, memo, index, item):
        """Stores into the memo where the index is not simply the next one."""
        if index < len(memo):
            self.gaps -= memo[index] is MISSING
            memo[index] = item
            return
        holes = index - len(memo)
        self.gaps += holes
        if self.gaps > MAX_GAPS:
            raise Broken("memo numbers far beyond what was stored", "too-large")
        memo.extend([MISSING] * holes)
        memo.append(item)

    # -- opcodes that are rare enough for a method of their own ----------------------------------------------

    def op_proto(self, pos):
        version = self.data[pos + 1]
        if version > 5:
            raise Broken(f"protocol {version} does not exist")
        if self.proto and version != self.proto:
            self.find("unusual", "it changes its protocol on the way, no pickler writes that")
        self.proto = version
        return pos + 2

    def op_frame(self, pos):
        if self.frame_end is not None and self.frame_end > pos:
            self.find("frame", "a frame begins where the one before has not ended")
        self.frame_end = pos + 9 + U8(self.data, pos + 1)[0]
        return pos + 9

    def op_pop(self, pos):
        if self.stack:
            self.stack.pop()
        else:
            self.stack = self.marks.pop()
        return pos + 1

    def op_pop_mark(self, pos):
        self.stack = self.marks.pop()
        return pos + 1

    def op_dup(self, pos):
        self.stack.append(self.stack[-1])
        return pos + 1

    def op_text_number(self, pos):
        text, after = self.line(pos + 1)
        if not TEXT_NUMBER[self.data[pos]].fullmatch(text):
            self.find("unusual", f"a number spelled {text[:40]!r}: unpicklers may read it differently")
        self.stack.append(pos)
        return after

    def op_text_string(self, pos):
        text, after = self.line(pos + 1)
        if self.data[pos] == 0x53:
            if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
                if after - pos < MAX_TEXT:
                    raise Broken("a text string without its quotes")
        self.stack.append(pos)
        return after

    def op_long(self, pos):
        short = self.data[pos] == 0x8A
        size = self.data[pos + 1] if short else I4(self.data, pos + 1)[0]
        if size < 0:
            raise Broken("a number of negative size")
        self.stack.append(pos)
        return pos + (2 if short else 5) + size

    def op_counted8(self, pos):
        self.stack.append(pos)
        return pos + 9 + U8(self.data, pos + 1)[0]

    def op_get(self, pos):
        text, after = self.line(pos + 1)
        item = self.memo[self.memo_index(text)]
        if item is MISSING:
            raise Broken("reads a memo place that was never filled")
        self.stack.append(item)
        return after

    def op_put(self, pos):
        text, after = self.line(pos + 1)
        index, item = self.memo_index(text), self.stack[-1]
        if index == len(self.memo):
            self.memo.append(item)
        else:
            self.put(self.memo, index, item)
        return after

    def memo_index(self, text):
        if not MEMO_INDEX.fullmatch(text):
            self.find("unusual", f"a memo number spelled {text[:40]!r}: unpicklers may read it differently")
            raise Broken("an odd memo number")
        return int(text)

    def take_marked(self):
        items, self.stack = self.stack, self.marks.pop()
        self.keep(items)
        return items

    def op_list(self, pos):
        items = self.take_marked()
        self.stack.append([len(items)])
        return pos + 1

    def op_dict(self, pos):
        items = self.take_marked()
        made = Dict()
        self.set_items(made, items)
        self.stack.append(made)
        return pos + 1

    def op_empty_set(self, pos):
        self.stack.append(SET)
        return pos + 1

    def op_frozenset(self, pos):
        self.take_marked()
        self.stack.append(LITERAL)
        return pos + 1

    def op_additems(self, pos):
        self.take_marked()
        if self.stack[-1] is not SET:
            self.find("misused", "adds items to something that is not a set, which calls its method `add`")
        return pos + 1

    def op_append(self, pos):
        item = self.stack.pop()
        self.keep([item])
        if type(self.stack[-1]) is list:
            self.stack[-1][0] += 1
            if self.buffers and self.stack[-1][0] <= KEPT:
                self.stack[-1].append(item)
        else:
            self.append_to(self.stack[-1])
        return pos + 1

    def op_setitem(self, pos):
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items(self.stack[-1], [key, value])
        return pos + 1

    def append_to(self, target):
        if type(target) not in (Instance, Global):
            raise Broken(f"appends to {describe(target)}")
        if type(target) is Global or "l" not in target.of.may:
            self.find("misused", f"appends to {describe(target)}, which calls its method `append`")

    def set_items(self, target, items):
        if len(items) & 1:
            raise Broken("a dictionary with a key but no value")
        self.keep(items)
        if type(target) is Dict:
            if len(target) + len(items) <= SMALL:
                target += items
            elif not len(target) & 1:
                target.append(MISSING)
        elif type(target) not in (Instance, Global) and type(target) is not list:
            raise Broken(f"stores items in {describe(target)}")
        elif type(target) is not Instance or "k" not in target.of.may:
            self.find("misused", f"stores items in {describe(target)}, which calls its method `__setitem__`")

    # -- names -----------------------------------------------------------------------------------------------

    def op_global(self, pos):
        module, after = self.line(pos + 1)
        name, after = self.line(after)
        self.stack.append(self.reach(module.decode("utf-8", "replace"), name.decode("utf-8", "replace")))
        return after

    def op_stack_global(self, pos):
        name, module = self.stack.pop(), self.stack.pop()
        try:
            module, name = self.literal(module), self.literal(name)
            if type(module) is not str or type(name) is not str:
                raise NotLiteral
        except NotLiteral:
            self.find("computed-name", "it fetches a global whose name is not written in the file but computed")
            self.stack.append(Global(("?", "?"), None))
            return pos + 1
        self.stack.append(self.reach(module, name))
        return pos + 1

    def listed(self, module, name):
        """The Global for a listed name, None for others."""
        may = allowlist.permission(module, name)
        return None if may is None else Global((module, name), may)

    def reach(self, module, name):
        """The Global for a name, reported once when the allowlist does not have it."""
        key = (module, name)
        known = self.seen.get((key, self.proto < 3))
        if known:
            return known
        real = key
        if self.proto < 3:  # unpicklers translate the names of Python 2 below protocol 3
            real = _compat_pickle.NAME_MAPPING.get(key) or (_compat_pickle.IMPORT_MAPPING.get(module, module), name)
        if len(self.seen) > MAX_NAMES:
            raise Broken("it reaches more names than an honest file does", "too-large")
        may = allowlist.permission(*real)
        if real != key and module not in PYTHON2_ONLY and allowlist.permission(*key) is None:
            may = None  # another reader takes the name as it stands
        self.report.reached(*real)
        found = Global(real, may)
        if may is None:
            self.find(*allowlist.explain(*real))
        elif "r" not in may:
            self.care = True
            self.buffers = self.buffers or real == raw_bytes.ARROW_ARRAY
        self.seen[key, self.proto < 3] = found
        return found

    # -- calls -----------------------------------------------------------------------------------------------

    def call(self, target, args, letter, how):
        """The result of ``target(*args)``, after asking the allowlist. letter: which permission it takes."""
        if type(target) is Instance:
            self.find("misused", f"calls {describe(target)}")
            return Instance(Global(("?", "?"), None))
        if type(target) is not Global:
            raise Broken(f"calls {describe(target)}")
        made = Instance(target, args)
        if not isinstance(args, tuple):
            self.find("misused", f"calls {target.name} with arguments that are not a tuple")
            return made
        if not target.listed:
            self.find(*allowlist.explain_call(*target.key, how))
        elif letter not in target.may:
            self.find("misused", f"{target.name} is fine as a value, but this file {how} it")
        else:
            check = allowlist.check_of(target.key, letter, target.may)
            vouched = 0 if check is None else 1 + (target.key in allowlist.VOUCH_FOR_TWO)
            self.keep([value for at, value in enumerate(args) if at >= vouched or type(value) is not Global])
            if check is not None:
                try:
                    fine = check(args, self)
                except (NotLiteral, IndexError, TypeError, ValueError):
                    fine = False
                if type(fine) is Global and target.key == ("builtins", "getattr"):
                    return fine
                if type(fine) is Global:  # a general constructor: the permissions of what it makes count from here on
                    made.of = fine
                elif not fine:
                    rule = "array" if target.key in allowlist.ARRAY_MAKERS else "argument"
                    self.find(rule, f"{target.name} gets arguments that ordinary data never gives it")
        return made

    def op_reduce(self, pos):
        args, target = self.stack.pop(), self.stack.pop()
        self.stack.append(self.call(target, args, "c", "calls"))
        return pos + 1

    def op_newobj(self, pos):
        args, target = self.stack.pop(), self.stack.pop()
        self.stack.append(self.call(target, args, "n", "creates an instance of"))
        return pos + 1

    def op_newobj_ex(self, pos):
        kwargs, args, target = self.stack.pop(), self.stack.pop(), self.stack.pop()
        if type(kwargs) is not Dict or kwargs:
            self.find("misused", f"creates {describe(target)} with keyword arguments, ordinary data does not")
        self.stack.append(self.call(target, args, "n", "creates an instance of"))
        return pos + 1

    def op_inst(self, pos):
        module, after = self.line(pos + 1)
        name, after = self.line(after)
        items, self.stack = self.stack, self.marks.pop()
        target = self.reach(module.decode("utf-8", "replace"), name.decode("utf-8", "replace"))
        self.stack.append(self.call(target, self.arguments(items), "c", "calls"))
        return after

    def op_obj(self, pos):
        items, self.stack = self.stack, self.marks.pop()
        self.stack.append(self.call(items[0], self.arguments(items[1:]), "c", "calls"))
        return pos + 1

    def arguments(self, items):
        return Carrier(items) if any(map(careful, items)) else tuple(items)

    def op_ext(self, pos):
        self.find(
            "extension", "it fetches a global by number from the extension registry: which one is not in the file"
        )
        self.stack.append(Global(("?", "?"), None))
        return pos + {0x82: 2, 0x83: 3, 0x84: 5}[self.data[pos]]

    def op_persistent(self, pos):
        if self.data[pos] == 0x50:
            _, after = self.line(pos + 1)
            token = LITERAL
        else:
            token, after = self.stack.pop(), pos + 1
        if self.persistent is None:
            raise Broken("it refers to objects outside the file (persistent ids)", "persistent")
        self.stack.append(self.persistent(token, self))
        return after

    def op_buffer(self, pos):
        raise Broken("it refers to buffers outside the file", "persistent")

    def op_build(self, pos):
        state, target = self.stack.pop(), self.stack[-1]
        self.keep([state])
        if type(target) is Global:
            self.find("misused", f"sets the state of {describe(target)}: it could replace functions and classes")
            return pos + 1
        if type(target) is not Instance:
            raise Broken(f"sets the state of {describe(target)}")
        if target.built:
            # The first state can plant a `__setstate__` in the object, which the second then calls.
            self.find("misused", f"sets the state of one object twice ({target.of.name})")
        target.built = True
        if target.of.listed and "b" not in target.of.may:
            self.find("misused", f"sets the state of {describe(target)}, ordinary data does not")
        allowlist.check_state(target, state, self)
        if target.of.key == raw_bytes.DTYPE:
            raw_bytes.finish_dtype(target, state, self)
        elif target.of.key in allowlist.PLAIN_ARRAYS:
            raw_bytes.check_array(state, self)
        if target.of.key == allowlist.JOBLIB_ARRAY:
            return self.joblib_array(target, state, pos + 1)
        return pos + 1

    def joblib_array(self, wrapper, state, pos):
        """After the wrapper's state come the array's raw bytes: joblib.load reads on behind them. Returns where."""
        self.arrays += 1
        if not self.joblib:
            return pos
        try:
            fields = self.fields(state)
            if not fields.keys() <= JOBLIB_FIELDS:
                raise NotLiteral("a field that could replace one of the wrapper's methods")
            dtype, shape = fields["dtype"], self.literal(fields["shape"])
            alignment = fields.get("numpy_array_alignment_bytes")
            aligned = alignment is not None and self.literal(alignment) is not None
            count = 1
            for size in shape:
                count *= size
                if type(size) is not int or size < 0 or count >= 1 << 62:
                    raise NotLiteral("shape")
            if type(dtype) is not Instance or dtype.has_object is None:
                raise NotLiteral("dtype")
        except (NotLiteral, KeyError, TypeError):
            raise Broken("the description of a joblib array cannot be followed", "joblib") from None
        if self.frame_end is not None and self.frame_end > pos:
            raise Broken("a joblib array lies inside a pickle frame", "frame")
        self.frame_end = None
        self.stack[-1] = Instance(Global(("numpy", "ndarray"), ""))
        if dtype.has_object:
            return Machine(self.data, pos, report=self.report, place=self.place, nested=self.nested).run()
        if not dtype.itemsize:
            raise Broken("a joblib array of items without a size", "joblib")
        if aligned:
            pos += 1 + self.data[pos]
        pos += count * dtype.itemsize
        if pos > len(self.data):
            raise Broken("the bytes of a joblib array are cut off", "joblib")
        return pos

    def fields(self, state):
        """A state dictionary as {name: abstract value}. Raises NotLiteral when it was not followed completely."""
        if type(state) is not Dict or len(state) & 1:
            raise NotLiteral("state")
        keys = [self.literal(key) for key in state[::2]]
        if len(set(keys)) != len(keys):
            raise NotLiteral("the same key twice")
        return dict(zip(keys, state[1::2], strict=True))


def describe(value):
    if type(value) is Global:
        return f"the global {value.name}"
    if type(value) is Instance:
        return f"an instance of {value.of.name}"
    if type(value) is Dict:
        return "a dictionary"
    return {tuple: "a tuple", Carrier: "a tuple with a global in it", list: "a list", int: "a literal"}.get(
        type(value)
    ) or f"a {value}"


def _table():
    m = Machine
    table = [None] * 256
    for op, method in {
        "\x80": m.op_proto, "\x95": m.op_frame, "0": m.op_pop, "1": m.op_pop_mark, "2": m.op_dup,
        "I": m.op_text_number, "L": m.op_text_number, "F": m.op_text_number, "S": m.op_text_string,
        "V": m.op_text_string, "\x8a": m.op_long, "\x8b": m.op_long, "\x8d": m.op_counted8, "\x8e": m.op_counted8,
        "\x96": m.op_counted8, "g": m.op_get, "p": m.op_put, "l": m.op_list, "d": m.op_dict, "\x8f": m.op_empty_set,
        "\x91": m.op_frozenset, "\x90": m.op_additems, "a": m.op_append, "s": m.op_setitem, "c": m.op_global,
        "\x93": m.op_stack_global, "R": m.op_reduce, "\x81": m.op_newobj, "\x92": m.op_newobj_ex, "i": m.op_inst,
        "o": m.op_obj, "\x82": m.op_ext, "\x83": m.op_ext, "\x84": m.op_ext, "P": m.op_persistent,
        "Q": m.op_persistent, "b": m.op_build, "\x97": m.op_buffer, "\x98": m.op_buffer,
    }.items():  # fmt: skip
        table[ord(op)] = method
    return table


Machine.OPS = _table()


def opcodes(data):
    """The stream as a list of (position, opcode name, argument), up to its end or to where it breaks.

    data: bytes of one pickle. Nothing is imported or called. Made for reading, so it uses the standard library's
    pickletools; the scanner itself does not, because a disassembler is not how unpicklers read.
    """
    listing = []
    try:
        for opcode, argument, position in pickletools.genops(data):
            listing.append((position, opcode.name, argument))
    except ValueError:
        pass  # a broken stream: what came before the break is what a real unpickler would have run
    return listing

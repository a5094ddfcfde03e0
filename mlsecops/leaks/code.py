"""What Python code sets names to, joined strings followed: ``"sk-" + "ab" + end``, f-strings, ``"".join([...])``."""

import ast
import re
from typing import NamedTuple

MAGIC = re.compile(r"^\s*[%!?].*$", re.MULTILINE)
DEEP = 40  # operators within one expression that are followed
LONGEST = 10_000  # characters of a text that is joined


class Pair(NamedTuple):
    """A name and the text that it is set to. ``beside`` are the other names in the same dictionary or call."""

    name: str
    value: str
    line: int
    beside: tuple[str, ...] = ()


class Code(NamedTuple):
    """What was read: ``pairs``, every whole text with its line, and ``rest``, the lines that Python does not read."""

    pairs: list[Pair]
    texts: list[tuple[str, int]]
    rest: list[tuple[str, int]]


def read(source: str) -> Code | None:
    """Read code, or return None where it cannot be parsed.

    Args:
        source: Python, with a notebook's magics.
    """
    rest = [(match[0], source.count("\n", 0, match.start()) + 1) for match in MAGIC.finditer(source)]
    if re.match(r"\s*%%", source):
        return None  # another language
    if "'" not in source and '"' not in source:
        return Code([], [], rest + _comments(source))
    try:
        tree = ast.parse(MAGIC.sub(lambda m: m[0][: len(m[0]) - len(m[0].lstrip())] + "pass", source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    reader, nodes = _Reader(), list(ast.walk(tree))
    try:
        for node in nodes:
            reader.note(node)
        for node in nodes:
            reader.look(node)
    except RecursionError:
        return None
    return Code(reader.pairs, reader.texts, rest + _comments(source))


def _comments(source: str) -> list[tuple[str, int]]:
    return [
        (match[0], source.count("\n", 0, match.start()) + 1) for match in re.finditer(r"#.*$", source, re.MULTILINE)
    ]


def _filled(text: str | None, gap: str, parts: list[str | None]) -> str | None:
    """A template with its gaps filled; None where it has others than these, or a part is not known."""
    pieces = text.split(gap) if text is not None else []
    if None in parts or len(pieces) != len(parts) + 1 or any(gap[0] in piece for piece in pieces):
        return None
    return "".join(piece + part for piece, part in zip(pieces, [*parts, ""], strict=True))


class _Reader:
    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.pairs: list[Pair] = []
        self.texts: list[tuple[str, int]] = []
        self.part: set[int] = set()  # nodes that belong to a longer text

    def note(self, node: ast.AST) -> None:
        """Remember names that are set to one text, for texts that are joined from them."""
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = self.text(node.value)
            if value is not None:
                self.known[node.targets[0].id] = value

    def text(self, node: ast.AST | None, deep: int = DEEP) -> str | None:
        """The text that an expression is, as far as it can be told without running it; None for others."""
        found = self.joined(node, deep) if node is not None and deep else None
        # Names that double what another one holds would fill the memory with a few lines.
        return found if found is None or isinstance(node, ast.Constant) or len(found) <= LONGEST else None

    def joined(self, node: ast.AST, deep: int) -> str | None:
        if isinstance(node, ast.Constant):
            value = node.value
            if isinstance(value, bytes):
                return value.decode("latin-1")
            return value if isinstance(value, str) else None
        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.text(node.left, deep - 1), self.text(node.right, deep - 1)
            return left + right if left is not None and right is not None else None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            return _filled(self.text(node.left, deep - 1), "%s", [self.text(value, deep - 1) for value in values])
        if isinstance(node, ast.JoinedStr):
            parts = [self.text(v.value if isinstance(v, ast.FormattedValue) else v, deep - 1) for v in node.values]
            return "".join("…" if part is None else part for part in parts)
        if isinstance(node, ast.Call):
            return self.called(node, deep - 1)
        return None

    def called(self, node: ast.Call, deep: int) -> str | None:
        function = node.func
        if isinstance(function, ast.Attribute) and not node.keywords:
            inner = self.text(function.value, deep)
            if inner is not None and function.attr == "join" and len(node.args) == 1:
                items = getattr(node.args[0], "elts", None)
                parts = [self.text(item, deep) for item in items or ()]
                return inner.join(parts) if items and None not in parts else None
            if inner is not None and function.attr == "format":
                return _filled(inner, "{}", [self.text(item, deep) for item in node.args])
            if inner is not None and function.attr in ("strip", "encode", "decode"):
                return inner.strip() if function.attr == "strip" else inner
            if function.attr in ("getenv", "get", "setdefault") and len(node.args) == 2:
                return self.text(node.args[1], deep)  # what is used where nothing is set
        if isinstance(function, ast.Name) and function.id in ("str", "SecretStr", "Secret", "bytes") and node.args:
            return self.text(node.args[0], deep)
        if isinstance(function, ast.Name) and function.id == "getenv" and len(node.args) == 2:
            return self.text(node.args[1], deep)
        return None

    def pair(self, name: str | None, node: ast.AST | None, beside: tuple[str, ...] = ()) -> None:
        value = self.text(node)
        if name and value is not None:
            self.pairs.append(Pair(name, value, node.lineno, beside))

    def look(self, node: ast.AST) -> None:
        """Take the pairs and the whole texts out of one node."""
        if isinstance(node, ast.Constant | ast.BinOp | ast.JoinedStr | ast.Call) and id(node) not in self.part:
            value = self.text(node)
            if value is not None:
                self.texts.append((value, node.lineno))
                if not isinstance(node, ast.Constant):
                    self.part.update(id(child) for child in ast.walk(node))
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self.assigned(target, node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            self.assigned(node.target, node.value)
        elif isinstance(node, ast.Dict):
            names = [self.text(key) for key in node.keys]
            for name, value in zip(names, node.values, strict=True):
                self.pair(name, value, tuple(n for n in names if n and n != name))
        elif isinstance(node, ast.Call):
            names = [keyword.arg for keyword in node.keywords if keyword.arg]
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            logs_in = re.fullmatch(r"(?i)login|set_?api_?key|authenticate|init_?api|use_?token", function)
            for keyword in node.keywords:
                name = "api_key" if logs_in and keyword.arg == "key" else keyword.arg
                self.pair(name, keyword.value, tuple(n for n in names if n != keyword.arg))
            if (
                function in ("setenv", "putenv", "set_env", "setdefault", "set", "getenv", "get", "config", "option")
                and len(node.args) >= 2
            ):
                self.pair(self.text(node.args[0]), node.args[1])
            if (logs_in or function == "set_auth_token") and node.args:
                self.pair("token" if len(node.args) == 1 else "password", node.args[-1])
            if function in ("HTTPBasicAuth", "BasicAuth") and len(node.args) == 2:
                self.pair("password", node.args[1])
            for keyword in node.keywords:
                if keyword.arg == "auth" and isinstance(keyword.value, ast.Tuple) and len(keyword.value.elts) == 2:
                    self.pair("password", keyword.value.elts[1])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = node.args
            last = [*arguments.posonlyargs, *arguments.args]
            for argument, default in zip(reversed(last), reversed(arguments.defaults), strict=False):
                self.pair(argument.arg, default)
            for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
                self.pair(argument.arg, default)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            self.assigned(node.left, node.comparators[0])

    def assigned(self, target: ast.AST, value: ast.AST | None) -> None:
        if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
            for one, part in zip(target.elts, value.elts, strict=False):
                self.assigned(one, part)
        elif isinstance(target, ast.Name):
            self.pair(target.id, value)
        elif isinstance(target, ast.Attribute):
            self.pair(target.attr, value)
        elif isinstance(target, ast.Subscript):
            self.pair(self.text(target.slice), value)

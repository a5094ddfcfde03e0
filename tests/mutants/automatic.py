"""Wrong answers that nobody has to think of: one change at a time to a question's model answer.

Mutation testing (R. A. DeMillo, R. J. Lipton, F. G. Sayward, Hints on test data selection, Computer 11(4), 1978),
turned around: what is tested is not the program but the cases of the question. A changed answer that still earns much
shows a case that is missing or weighs too little. It works for whatever lab there is; nothing in here knows one.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from classroom import check
from classroom.questions import Question, question

from . import answered, loose, model_answer, unchanged

SEEDS = (100, 101)  # of hidden data; a score is the mean over them
ALTERED = 40  # inputs of nobody's, on which an answer is compared with the model answer
BOUND = 0.5  # what is worth as much lives
_ORDER = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_OPPOSITE = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot}
_OPPOSITE |= {ast.IsNot: ast.Is, ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt}
_ANSWERS = (None, True, False, [])  # what an error may count as


@dataclass(frozen=True)
class Change:
    """One change to a model answer.

    Attributes:
        question: id of the question.
        name: what was changed, and where.
        source: the changed answer.
    """

    question: str
    name: str
    source: str

    def function(self) -> Callable:
        """The changed answer, ready to call."""
        return answered(self.question, self.source, {"loose": loose})


@functools.cache
def changes(question_id: str) -> tuple[Change, ...]:
    """All changes to the model answer of a question, each once, always in the same order."""
    tree = ast.parse(model_answer(question_id))
    sources, found = {ast.unparse(tree)}, {}
    for parent in list(ast.walk(tree)):
        for place, old in _children(parent):
            line = getattr(old, "lineno", getattr(parent, "lineno", 0))
            for what, new in _variants(old, question(question_id).entry):
                _put(parent, place, new)
                source = ast.unparse(ast.fix_missing_locations(tree))
                _put(parent, place, old)
                if source not in sources:
                    name = f"line {line}: {what}: {ast.unparse(old)[:60]!r}"
                    again = sum(known.startswith(name) for known in found)  # the same elsewhere in the line
                    found[f"{name}, {again + 1}" if again else name] = source
                    sources.add(source)
    return tuple(Change(question_id, name, source) for name, source in found.items())


Place = tuple[str, int | None]


def _children(parent: ast.AST) -> Iterator[tuple[Place, ast.AST]]:
    for field, value in ast.iter_fields(parent):
        if isinstance(value, ast.AST):
            yield (field, None), value
        elif isinstance(value, list):
            yield from (((field, at), child) for at, child in enumerate(value) if isinstance(child, ast.AST))


def _put(parent: ast.AST, place: Place, new: ast.AST) -> None:
    field, at = place
    if at is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[at] = new


def _variants(node: ast.AST, entry: str) -> Iterator[tuple[str, ast.AST]]:
    """What could stand in the place of a node, and the words for it."""
    for kind, of in _OPERATORS.items():
        if isinstance(node, kind):
            yield from of(node)
    if isinstance(node, ast.FunctionDef) and node.name == entry:
        for value in _ANSWERS:
            handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Return(ast.Constant(value))])
            if value == []:
                handler.body = [ast.Return(ast.List([], ast.Load()))]
            # The docstring stays in front.
            body = [node.body[0], ast.Try(node.body[1:], [handler], [], [])]
            yield f"an error is {value}", _with(node, body=body)


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    return type(node)(**{**dict(ast.iter_fields(node)), **fields})


def _loosely(name: str, *arguments: Any) -> ast.Call:
    values = [a if isinstance(a, ast.AST) else ast.Constant(a) for a in arguments]
    return ast.Call(ast.Attribute(ast.Name("loose", ast.Load()), name, ast.Load()), values, [])


def _comparisons(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    for at, operator in enumerate(node.ops):
        for table, what in ((_OPPOSITE, "the opposite"), (_ORDER, "the bound")):
            if other := table.get(type(operator)):
                yield what, _with(node, ops=[*node.ops[:at], other(), *node.ops[at + 1 :]])
    if len(node.ops) > 1:
        yield (
            "without the first side",
            _with(node, left=node.comparators[0], ops=node.ops[1:], comparators=node.comparators[1:]),
        )
        yield "without the last side", _with(node, ops=node.ops[:-1], comparators=node.comparators[:-1])
        return
    operator, left, right = node.ops[0], node.left, node.comparators[0]
    negated = isinstance(operator, ast.NotEq | ast.NotIn)
    sets = isinstance(operator, ast.LtE) and isinstance(right, ast.Call | ast.Set)
    name = (
        "subset"
        if sets
        else {ast.Eq: "equal", ast.NotEq: "equal", ast.In: "member", ast.NotIn: "member"}.get(type(operator))
    )
    if name is None or (isinstance(right, ast.Constant) and not isinstance(right.value, str | bytes)):
        return
    for way in loose.WAYS:
        call = _loosely(name, way, left, right)
        yield way, ast.UnaryOp(ast.Not(), call) if negated else call
    if sets:
        yield "one for all", _loosely("meets", left, right)


def _either(node: ast.BoolOp) -> Iterator[tuple[str, ast.AST]]:
    yield "and/or", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for at in range(len(node.values)):
        rest = [*node.values[:at], *node.values[at + 1 :]]
        yield f"without part {at + 1}", rest[0] if len(rest) == 1 else _with(node, values=rest)


def _negations(node: ast.UnaryOp) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.op, ast.Not):
        yield "without not", node.operand


def _conditions(node: ast.If | ast.IfExp) -> Iterator[tuple[str, ast.AST]]:
    yield "never", _with(node, test=ast.Constant(False))
    yield "always", _with(node, test=ast.Constant(True))


def _calls(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name in ("any", "all") and len(node.args) == 1:
        yield "any/all", _with(node, func=ast.Name("all" if name == "any" else "any", ast.Load()))
        yield "the first only", _loosely("first", node.args[0], name == "all")
        yield "the last only", _loosely("last", node.args[0], name == "all")
    elif name == "compare_digest":
        yield from ((way, _loosely("equal", way, *node.args)) for way in loose.WAYS)
    elif name == "startswith":
        yield from ((way, _loosely("begins", way, node.func.value, node.args[0])) for way in ("any case", "substring"))
    elif isinstance(node.func, ast.Attribute) and not node.args:
        yield "without the call", node.func.value
    elif isinstance(node.func, ast.Name) and len(node.args) == 1:
        yield "without the call", node.args[0]
    for at, keyword in enumerate(node.keywords):
        yield f"without {keyword.arg}", _with(node, keywords=[*node.keywords[:at], *node.keywords[at + 1 :]])


def _numbers(node: ast.Constant) -> Iterator[tuple[str, ast.AST]]:
    if type(node.value) is int:
        yield from (("off by one", ast.Constant(node.value + by)) for by in (1, -1))


def _loops(node: ast.For | ast.comprehension) -> Iterator[tuple[str, ast.AST]]:
    for which in ("first", "last", "not first", "not last"):
        yield f"{which} item", _with(node, iter=_loosely("but", which, node.iter))
    for at in range(len(getattr(node, "ifs", ()))):
        yield "without the condition", _with(node, ifs=[*node.ifs[:at], *node.ifs[at + 1 :]])


def _handlers(node: ast.ExceptHandler) -> Iterator[tuple[str, ast.AST]]:
    yield "not caught", _with(node, type=ast.Name("ZeroDivisionError", ast.Load()))
    yield "swallowed", _with(node, body=[ast.Pass()])
    yield from ((f"an error is {v}", _with(node, body=[ast.Return(ast.Constant(v))])) for v in _ANSWERS if v != [])


def _statements(node: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):  # a docstring
        yield "left out", ast.Pass()


_OPERATORS: dict[Any, Callable[[Any], Iterator[tuple[str, ast.AST]]]] = {
    ast.Compare: _comparisons,
    ast.BoolOp: _either,
    ast.UnaryOp: _negations,
    ast.If | ast.IfExp: _conditions,
    ast.Call: _calls,
    ast.Constant: _numbers,
    ast.For | ast.comprehension: _loops,
    ast.ExceptHandler: _handlers,
    ast.Expr | ast.AugAssign | ast.Raise: _statements,
}


# --- what a change is worth -------------------------------------------------------------------------------------------


def score(asked: Question, function: Callable, seeds: Sequence[int] = SEEDS) -> float:
    """Mean score (0 to 1) of an answer over hidden data of these seeds."""
    total = 0.0
    for seed in seeds:
        inputs, truth = asked.generate(np.random.default_rng(seed), hidden=True)
        total += asked.judge(_answers(asked, function, inputs), truth).score
    return total / len(seeds)


def equivalent(asked: Question, function: Callable) -> bool:
    """Whether an answer does what the model answer does, as far as can be seen.

    Compared are the answers themselves, not their scores: on hidden data, on practice data, and on inputs that no
    question makes, a part of which was altered. So an answer that is wrong where no case looks is not taken for right.
    """
    inputs, wanted = _examples(asked.id)
    return [_plain(answer) for answer in _answers(asked, function, inputs)] == wanted


@functools.cache
def _examples(question_id: str) -> tuple[list[tuple], list[str]]:
    """Inputs, and what the model answer makes of them."""
    asked, r = question(question_id), random.Random(1)
    drawn = [asked.generate(np.random.default_rng(SEEDS[0]), hidden=hidden)[0] for hidden in (True, False)]
    inputs = [arguments for some in drawn for arguments in some]
    reference = answered(question_id, model_answer(question_id))
    for _ in range(ALTERED):
        changed = tuple(_altered(r, r.choice(drawn[0])))
        with contextlib.suppress(Exception):  # a scene that cannot be played any more
            # Where the model answer itself has none, there is nothing to compare with.
            inputs += [changed] if not _answers(asked, reference, [changed])[0].error else []
    return inputs, [_plain(answer) for answer in _answers(asked, reference, inputs)]


def _answers(asked: Question, function: Callable, inputs: Sequence[tuple]) -> list:
    # Where chance is wanted (a request's id), two answers draw the same.
    with unchanged(), mock.patch("random._urandom", random.Random(1).randbytes):
        return check.answers_of(asked, function, inputs)


def _plain(answer: Any) -> str:
    """An answer without what does not count: an error's kind, the order of a list, the last digits of a number."""
    return repr((bool(answer.error), sorted(answer.fired), _sorted(answer.value)))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _sorted(part)) for key, part in value.items())
    if isinstance(value, np.ndarray | list):
        return sorted((_sorted(part) for part in value), key=repr)
    return f"{value:.8g}" if isinstance(value, float) else value


def _altered(r: random.Random, value: Any) -> Any:
    """A copy of a value with one part changed. Bytes stay as they are: they may be a payload, which nobody rewrites."""
    if isinstance(value, dict) and value:
        name = r.choice(list(value))
        if r.random() < 0.2:
            return {key: part for key, part in value.items() if key != name}
        return {**value, name: _altered(r, value[name])}
    if isinstance(value, list | tuple) and value:
        at = r.randrange(len(value))
        if isinstance(value, list) and r.random() < 0.3:
            return r.choice([value[:at] + value[at + 1 :], [*value, value[at]], value[::-1]])
        return [*value[:at], _altered(r, value[at]), *value[at + 1 :]]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + r.choice([-1, 1])
    if isinstance(value, str):
        at = r.randrange(len(value) + 1)
        return r.choice([value[:at] + value[at + 1 :], value + "x", "x" + value, value.swapcase(), value[:at], "-"])
    return value


@dataclass(frozen=True)
class Figures:
    """How a question fares against changes to its model answer.

    Attributes:
        made: how many were tried, without those that change nothing that can be seen.
        alive: how many are worth `BOUND` or more.
        highest: the highest score of any, rounded to hundredths.
    """

    made: int
    alive: int
    highest: float


def measured(
    question_id: str, tried: Sequence[Change], seeds: Sequence[int] = SEEDS
) -> tuple[Figures, dict[str, float]]:
    """Try changes to a question's model answer.

    Returns:
        The figures, and the score of each that lives, by its name.
    """
    asked, scores = question(question_id), {}
    for change in tried:
        try:
            function = change.function()
        except Exception:  # it cannot even be defined
            scores[change.name] = 0.0
            continue
        worth = score(asked, function, seeds)
        if worth < BOUND or not equivalent(asked, function):
            scores[change.name] = worth
    alive = {name: round(worth, 2) for name, worth in scores.items() if worth >= BOUND}
    return Figures(len(scores), len(alive), round(max(scores.values(), default=0.0), 2)), alive

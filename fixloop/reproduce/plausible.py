"""A plain value for what no frame shows, by what the code does with it.

A stand-in takes part in everything but comparisons and sums; what the crash did not come to, a repaired version does.
So a value that is compared, counted or taken apart is a number, a text or a container.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeGuard

_TEXT, _LIST, _MAPPING, _NUMBER = "a", "[]", "{}", "1"
_METHODS = {
    _TEXT: frozenset({
        "split", "rsplit", "strip", "lstrip", "rstrip", "lower", "upper", "title", "startswith", "endswith", "format",
        "replace", "encode", "join", "partition", "rpartition", "splitlines", "isdigit", "removeprefix", "removesuffix",
        "casefold", "zfill", "ljust", "rjust", "capitalize",
    }),
    _LIST: frozenset({"append", "extend", "insert", "sort", "reverse", "popleft", "appendleft"}),
    _MAPPING: frozenset({"items", "keys", "values", "setdefault", "get", "popitem"}),
}  # fmt: skip
_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_COUNTED = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mult, ast.Pow)
_NUMBERS = frozenset({"range", "int", "float", "round", "abs", "divmod"})
_VALUES: dict[str, Any] = {_TEXT: "a", _LIST: [], _MAPPING: {}, _NUMBER: 1}


def plausible(nodes: Iterable[ast.AST], is_it: Callable[[ast.expr], bool]) -> tuple[Any] | None:
    """The value tree, in a tuple, of what the code in `nodes` takes the expressions for that `is_it` knows; None where
    it does not say, or asks itself what they are."""
    votes: Counter[str] = Counter()
    for node in nodes:
        for part in ast.walk(node):
            if _asks(part) and is_it(part.args[0]):
                return None
            kind = _taken_for(part, is_it)
            if kind is not None:
                votes[kind] += 1
    return (_VALUES[votes.most_common(1)[0][0]],) if votes else None


def _asks(part: ast.AST) -> TypeGuard[ast.Call]:
    """Whether a part of the code asks what its first argument is."""
    match part:
        case ast.Call(func=ast.Name(id="isinstance" | "callable" | "hasattr"), args=[_, *_]):
            return True
    return False


def _taken_for(part: ast.AST, is_it: Callable[[ast.expr], bool]) -> str | None:
    match part:
        case ast.Attribute(value=value, attr=attr) if is_it(value):
            return next((kind for kind, names in _METHODS.items() if attr in names), None)
        case ast.Compare(left=left, ops=operators, comparators=others) if any(map(is_it, [left, *others])):
            texts = any(
                isinstance(one, ast.Constant) and isinstance(one.value, str) for one in [left, *others]
            )
            ordered = any(isinstance(one, _ORDERED) for one in operators)
            return None if not ordered else _TEXT if texts else _NUMBER
        case ast.BinOp(left=left, op=operator, right=right) if is_it(left) or is_it(right):
            return _operand(left, operator, right, is_it)
        case ast.AugAssign(target=target, op=ast.Add() | ast.Sub(), value=ast.Constant(value=int())) if is_it(
            target
        ):
            return _NUMBER
        case ast.Subscript(value=value, slice=ast.Constant(value=str())) if is_it(value):
            return _MAPPING
        case ast.Subscript(slice=ast.Slice(lower=lower, upper=upper)) if any(
            end is not None and is_it(end) for end in (lower, upper)
        ):
            return _NUMBER
        case ast.For(iter=value) | ast.comprehension(iter=value) if is_it(value):
            return _LIST
        case ast.Call(func=ast.Name(id=name), args=args) if name in _NUMBERS and any(map(is_it, args)):
            return _NUMBER
    return None


def _operand(
    left: ast.expr, operator: ast.operator, right: ast.expr, is_it: Callable[[ast.expr], bool]
) -> str | None:
    other = right if is_it(left) else left
    text = isinstance(other, ast.JoinedStr) or (
        isinstance(other, ast.Constant) and isinstance(other.value, str)
    )
    if isinstance(operator, ast.Mod) and text and is_it(right):
        return None  # anything can be put into a text
    if text and isinstance(operator, ast.Add):
        return _TEXT
    number = isinstance(other, ast.Constant) and isinstance(other.value, (int, float))
    return _NUMBER if number or isinstance(operator, _COUNTED) else None

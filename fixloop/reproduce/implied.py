"""What an error itself says of a value that no frame shows: `'NoneType' object has no attribute 'upper'` in the line
`return self.owner.upper()` says that the owner was None."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fixloop.reproduce.syntax import FunctionNode, own_parts

_ATTRIBUTE = re.compile(r"'NoneType' object has no attribute '(\w+)'")
_NONE = "'NoneType' object"
_EMPTY = re.compile(r"(?:list|tuple|string|deque) index out of range|index out of range|pop from an? empty")
_ZERO = re.compile(r"(?:division|modulo) by zero|division or modulo by zero|modulo")
_OPERATION = re.compile(r"unsupported operand type\(s\) for \S+: '(\w+)' and '(\w+)'")
_ORDER = re.compile(r"'[<>]=?' not supported between instances of '(\w+)' and '(\w+)'")
_MIXED = re.compile(r"can't (?:compare|subtract) offset-naive and offset-aware")
# A value of a type of which an error says only the name.
_KINDS: Mapping[str, Any] = {
    "NoneType": None, "str": "a", "int": 1, "float": 1.0, "list": [], "dict": {}, "bool": True,
    "tuple": {"$tuple": []}, "set": {"$set": []}, "bytes": {"$repr": "b'a'"},
}  # fmt: skip
_KEY = re.compile(r"'([^'\n]*)'|-?\d+")


def implied(node: FunctionNode, line: int, message: str) -> Iterator[tuple[ast.expr, Any]]:
    """Expressions of the line that failed, each with the value that the message says it had."""
    for part in own_parts(node):
        if isinstance(part, ast.expr) and part.lineno <= line <= (part.end_lineno or line):
            yield from _of(part, message)
            yield from _operands(part, message)


def _operands(part: ast.expr, message: str) -> Iterator[tuple[ast.expr, Any]]:
    """The two sides of an operation that its operands' types did not allow."""
    match part:
        case ast.BinOp(left=left, right=right):
            found = _OPERATION.match(message)
        case ast.Compare(left=left, ops=[ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()], comparators=[right]):
            found = _ORDER.match(message)
        case _:
            return
    if _MIXED.match(message):
        moment = {"$call": "datetime.datetime", "args": [2024, 1, 1], "kwargs": {}}
        yield left, moment
        yield right, {**moment, "kwargs": {"tzinfo": {"$name": "datetime.timezone.utc"}}}
    elif found and found[1] in _KINDS and found[2] in _KINDS:
        yield left, _KINDS[found[1]]
        yield right, _KINDS[found[2]]


def _of(part: ast.expr, message: str) -> Iterator[tuple[ast.expr, Any]]:
    attribute = _ATTRIBUTE.match(message)
    match part:
        case ast.Attribute(value=value, attr=attr) if attribute and attribute[1] == attr:
            yield value, None
        case ast.Subscript(value=value) if message.startswith(_NONE) and "subscriptable" in message:
            yield value, None
        case ast.Subscript(value=value, slice=ast.expr()) if _EMPTY.match(message):
            yield value, []
        case ast.Subscript(value=value) if _KEY.fullmatch(message):
            yield value, {}
        case ast.Call(func=value) if message.startswith(_NONE) and "not callable" in message:
            yield value, None
        case ast.Call(func=ast.Name(id="len"), args=[value]) if "'NoneType' has no len()" in message:
            yield value, None
        case ast.Call(func=ast.Attribute(value=value, attr="pop" | "popleft")) if _EMPTY.match(message):
            yield value, []
        case ast.BinOp(op=ast.Div() | ast.FloorDiv() | ast.Mod(), right=value) if _ZERO.search(message):
            yield value, 0
        case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[value]) if (
            "'NoneType' is not iterable" in message
        ):
            yield value, None

"""What an error itself says of a value that no frame shows: `'NoneType' object has no attribute 'upper'` in the line
`return self.owner.upper()` says that the owner was None."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from fixloop.reproduce.syntax import FunctionNode, own_parts

_ATTRIBUTE = re.compile(r"'NoneType' object has no attribute '(\w+)'")
_NONE = "'NoneType' object"
_EMPTY = re.compile(r"(?:list|tuple|string|deque) index out of range|index out of range|pop from an? empty")
_ZERO = re.compile(r"(?:division|modulo) by zero|division or modulo by zero|modulo")
_KEY = re.compile(r"'([^'\n]*)'|-?\d+")


def implied(node: FunctionNode, line: int, message: str) -> Iterator[tuple[ast.expr, Any]]:
    """Expressions of the line that failed, each with the value that the message says it had."""
    for part in own_parts(node):
        if isinstance(part, ast.expr) and part.lineno <= line <= (part.end_lineno or line):
            yield from _of(part, message)


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

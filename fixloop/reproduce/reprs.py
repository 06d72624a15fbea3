"""Reprs that are no expressions: `<Foo a=1>`, `<Color.RED: 1>`, `dict_items([…])`, `defaultdict(<class 'list'>, {…})`.

What stands in angle brackets is put aside as a hole, so that the rest can be *parsed*; nothing is ever evaluated. A
hole is filled later, out of what else the event says, or not at all.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from fixloop.reproduce.syntax import FunctionNode, parse_expression

HOLE = "_nd_hole_"
_ADDRESS = re.compile(r" at 0x([0-9a-fA-F]+)")
_CLASS = re.compile(r"^<(?:class ')?([A-Za-z_][\w.]*)")
_CALLED = re.compile(r"^([A-Za-z_][\w.]*)\(")
_ENUM = re.compile(r"<([A-Za-z_][\w.]*)\.([A-Za-z_]\w*): .*>", re.DOTALL)
_FUNCTION = re.compile(
    r"<(?:bound method|function|built-in function|built-in method) ([A-Za-z_][\w.]*(?:<\w+>[\w.]*)*)"
)
_VIEWS = re.compile(r"^(?:dict|odict)_(?:items|keys|values)\(")
_FIELD = re.compile(r"(?:^|[\s(<,;])([A-Za-z_]\w*)\s*[=:]\s*")
_OPERAND = "([{,=:"  # what stands before a value


def expression(text: str) -> ast.expr | None:
    """The parsed text with its angle brackets as calls of HOLE; None where there is no expression in it."""
    plain = _VIEWS.sub("list(", text.strip())
    return parse_expression(plain) or parse_expression(_with_holes(plain))


def _with_holes(text: str) -> str:
    out: list[str] = []
    at, before = 0, "("
    while at < len(text):
        char = text[at]
        if char in "'\"":
            end = _string_end(text, at)
        elif char == "<" and before in _OPERAND:
            end = _bracket_end(text, at)
            out.append(f"{HOLE}({text[at:end]!r})")
            at, before = end, ">"
            continue
        else:
            end = at + 1
        out.append(text[at:end])
        if not char.isspace():
            before = char
        at = end
    return "".join(out)


def _string_end(text: str, at: int) -> int:
    quote, here = text[at], at + 1
    while here < len(text) and text[here] != quote:
        here += 2 if text[here] == "\\" else 1
    return min(here + 1, len(text))


def _bracket_end(text: str, at: int) -> int:
    """Behind the bracket that closes the one at `at`; quotes hide brackets where they are in pairs."""
    for quotes in (True, False):
        depth, here = 0, at
        while here < len(text):
            if quotes and text[here] in "'\"" and not text[here - 1].isalnum():
                here = _string_end(text, here)
                continue
            depth += {"<": 1, ">": -1}.get(text[here], 0)
            here += 1
            if depth == 0:
                return here
    return len(text)


# --- what a hole's text says ----------------------------------------------------------------------------------


def address(text: str) -> str | None:
    """The address in a default repr: the same one is the same object."""
    found = _ADDRESS.search(text)
    return found[1] if found else None


def class_name(text: str) -> str | None:
    """The class that the text is an instance of, as far as it is named."""
    text = text.strip()
    if _FUNCTION.match(text) or text.startswith(("<class ", "<module ", "<function ")):
        return None
    found = _CLASS.match(text) or _CALLED.match(text)
    return found[1].rstrip(".") if found and "<locals>" not in text.partition(" ")[0] else None


def member(text: str) -> tuple[str, str] | None:
    """Class and name of an enumeration's member: `<Color.RED: 1>`."""
    found = _ENUM.fullmatch(text.strip())
    return (found[1], found[2]) if found else None


def function_name(text: str) -> str | None:
    """The qualified name of a function; None for one that cannot be reached by a name."""
    found = _FUNCTION.match(text.strip())
    return found[1] if found and "<" not in found[1] else None


def shown(text: str) -> dict[str, str]:
    """Attributes that a repr shows, each with the text of its value: `<Foo a=1 b='x'>`, `(name='a', path=None)`."""
    inside = text.strip().removeprefix("<").removesuffix(">")
    marks = list(_FIELD.finditer(inside))
    found: dict[str, str] = {}
    for mark, following in zip_longest(marks, marks[1:]):
        end = following.start() if following else len(inside)
        value = inside[mark.end() : end].strip().rstrip(",;").strip()
        for candidate in (value, value.removesuffix(")")):
            if expression(candidate) is not None:
                found.setdefault(mark[1], candidate)
                break
    return found


def positional(text: str) -> Iterator[str]:
    """Values that a repr shows without a name: `<Foo 'x'>`."""
    inside = text.strip().removeprefix("<").removesuffix(">").partition(" ")[2]
    if (
        inside
        and "=" not in inside
        and isinstance(expression(inside), ast.Constant | ast.List | ast.Dict | ast.Tuple)
    ):
        yield inside


# --- by the class's own words -----------------------------------------------------------------------------------

_KEYED = re.compile(r"%(?:\((\w+)\))?[-+ #0]*\d*(?:\.\d+)?([rsdif])|%%")
_PLACED = re.compile(r"{(\w*)(?:\.\w+)*(!r)?(?::[^{}]*)?}")


def by_own_repr(node: FunctionNode, text: str) -> dict[str, str]:
    """Attributes with the text of their values, read back by the text that a `__repr__` gives: an f-string, `%` or
    `format` of attributes of `self`."""
    for part in ast.walk(node):
        parts = list(_written(part.value)) if isinstance(part, ast.Return) and part.value else []
        found = _read_back(parts, text) if any(name for name, _ in parts) else None
        if found is not None:
            return found
    return {}


def _read_back(parts: Sequence[tuple[str | None, str]], text: str) -> dict[str, str] | None:
    """The values between the fixed parts of a text; None where these are not in it. In one go, for the text is somebody
    else's."""
    found: dict[str, str] = {}
    at, open_one = 0, None
    for number, (name, said) in enumerate(parts):
        if name is not None:
            if open_one is not None:
                return None  # where the one ends and the other begins is not said
            open_one = (name, said)
            continue
        last = number == len(parts) - 1
        where = len(text) - len(said) if last and text.endswith(said) else text.find(said, at)
        if not said and not last:
            continue
        if where < at or (open_one is None and where != at) or (last and where + len(said) != len(text)):
            return None
        if open_one is not None and open_one[0]:
            found[open_one[0]] = _as_repr(text[at:where], open_one[1])
        at, open_one = where + len(said), None
    if open_one is not None and open_one[0]:
        found[open_one[0]] = _as_repr(text[at:], open_one[1])
    return found


def _as_repr(value: str, said: str) -> str:
    return value if said == "r" or _is_number(value) else repr(value)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d+(?:\.\d+)?|True|False|None", text))


def _written(node: ast.expr) -> Iterator[tuple[str | None, str]]:
    """The parts of a written text: (None, the text itself), (attribute of `self`, "r" or ""), ("", "") for others."""
    match node:
        case ast.Constant(value=str(text)):
            yield None, text
        case ast.JoinedStr(values=values):
            for value in values:
                if isinstance(value, ast.FormattedValue):
                    yield _attribute(value.value), "r" if value.conversion == ord("r") else ""
                else:
                    yield from _written(value)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _written(left)
            yield from _written(right)
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=right):
            given = right.elts if isinstance(right, ast.Tuple) else [right]
            yield from _filled(text, _KEYED, given, lambda mark: mark[2] == "r")
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format"), args=given):
            yield from _filled(text, _PLACED, given, lambda mark: mark[2] is not None)
        case _:
            yield _attribute(node), ""


def _filled(
    text: str, mark: re.Pattern[str], given: Sequence[ast.expr], as_repr: Callable[[re.Match[str]], bool]
) -> Iterator[tuple[str | None, str]]:
    """A text with marks, into which values are put in order."""
    end, values = 0, iter(given)
    for found in mark.finditer(text):
        yield None, text[end : found.start()]
        value = next(values, None) if found[0] != "%%" and not (found[1] or "").isalpha() else None
        yield (_attribute(value) if value is not None else ""), "r" if as_repr(found) else ""
        end = found.end()
    yield None, text[end:]


def _attribute(node: ast.expr) -> str:
    """The attribute of `self` that an expression is; empty for anything else."""
    match node:
        case ast.Attribute(value=ast.Name(id="self"), attr=name) if not name.startswith("__"):
            return name
        case ast.Call(func=ast.Name(id="repr"), args=[inner]):
            return _attribute(inner)
    return ""

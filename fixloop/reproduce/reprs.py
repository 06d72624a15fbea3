"""Reprs that are no expressions: `<Foo a=1>`, `<Color.RED: 1>`, `dict_items([…])`, `defaultdict(<class 'list'>, {…})`.

What stands in angle brackets is put aside as a hole, so that the rest can be *parsed*; nothing is ever evaluated. A
hole is filled later, out of what else the event says, or not at all.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import zip_longest

from fixloop.reproduce.syntax import parse_expression

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

"""Where the definitions of a file begin and end: Python's by its grammar, other languages' by their shape."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fixloop.reproduce.syntax import parse

PYTHON = (".py", ".pyi", ".pyx")
_PY_DEF = re.compile(
    r"^([ \t]*)(?:async[ \t]+)?(def|class|cdef|cpdef)[ \t]+(?:[\w.\[\]]+[ \t]+)*?(\w+)[ \t]*[(:\[]"
)
_OTHER_DEF = re.compile(
    r"^[ \t]*(?:(?:export|default|public|private|protected|static|final|abstract|async|pub(?:\(\w+\))?|override|"
    r"inline|virtual|unsafe|const|extern|open|suspend|declare)[ \t]+)*"
    r"(?:(?:func(?:[ \t]*\([^)]*\))?|function\*?|fn|def|fun|sub|class|struct|interface|trait|module|type|impl|"
    r"(?:const|let|var)(?=[ \t]+\w+[ \t]*=[ \t]*(?:async[ \t]*)?(?:function|\(|\w+[ \t]*=>)))[ \t]+)([\w.$]+)"
)
_C_DEF = re.compile(r"^(?:[A-Za-z_][\w \t*&<>:,~]*[ \t*&])?([A-Za-z_]\w*)[ \t]*\([^;]*$")
_NOT_NAMES = frozenset(["if", "for", "while", "switch", "return", "else", "do", "catch", "sizeof", "defined"])


@dataclass(frozen=True)
class Definition:
    """A function or class: its bare and dotted name, its lines (1-based, inclusive, decorators included)."""

    name: str
    qualname: str
    start: int
    end: int
    is_class: bool = False


def outline(path: str, text: str) -> list[Definition]:
    """Every definition of a file, outer before inner, as far as its shape shows."""
    if path.endswith(PYTHON):
        tree = parse(text)
        return list(_from_tree(tree)) if tree is not None else list(_by_indent(text.splitlines()))
    return list(_by_braces(text.splitlines()))


def _from_tree(tree: ast.AST, outer: tuple[str, ...] = ()) -> Iterator[Definition]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names = (*outer, child.name)
            start = min([child.lineno, *(part.lineno for part in child.decorator_list)])
            end = child.end_lineno or start
            yield Definition(child.name, ".".join(names), start, end, isinstance(child, ast.ClassDef))
            yield from _from_tree(child, names)
        elif not isinstance(child, ast.expr):
            yield from _from_tree(child, outer)


def _by_indent(lines: Sequence[str]) -> Iterator[Definition]:
    """For Python that this Python cannot read."""
    stack: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        found = _PY_DEF.match(line)
        if found is None:
            continue
        depth = len(found[1].expandtabs())
        while stack and stack[-1][0] >= depth:
            stack.pop()
        stack.append((depth, found[3]))
        end = _end_of_indent(lines, number, depth)
        yield Definition(found[3], ".".join(name for _, name in stack), number, end, found[2] == "class")


def _end_of_indent(lines: Sequence[str], start: int, depth: int) -> int:
    last = start
    for number in range(start + 1, len(lines) + 1):
        line = lines[number - 1].expandtabs()
        stripped = line.lstrip()
        if not stripped:
            continue
        if len(line) - len(stripped) <= depth and stripped[0] not in ")]}#":
            break
        last = number
    return last


def _by_braces(lines: Sequence[str]) -> Iterator[Definition]:
    for number, line in enumerate(lines, 1):
        found = _OTHER_DEF.match(line) or _C_DEF.match(line)
        if found is None or found[1] in _NOT_NAMES:
            continue
        end = end_of_braces(lines, number)
        if end is not None:
            name = found[1].rpartition(".")[2]
            yield Definition(
                name, found[1], number, end, re.search(r"\b(?:class|struct|interface)\b", line) is not None
            )


def end_of_braces(lines: Sequence[str], start: int) -> int | None:
    """The line where the first brace that opens at or just after `start` closes; None where none opens."""
    depth, opened = 0, False
    for number in range(start, min(len(lines), start + 2000) + 1):
        for sign in re.findall(r"[{}]", lines[number - 1]):
            depth += 1 if sign == "{" else -1
            opened = True
        if opened and depth <= 0:
            return number
        if not opened and (number > start + 12 or lines[number - 1].rstrip().endswith(";")):
            return None
    return None


def around(definitions: Sequence[Definition], line: int) -> Definition | None:
    """The innermost function around a line; a class only where no function is."""
    found = [one for one in definitions if one.start <= line <= one.end]
    inner = [one for one in found if not one.is_class] or found
    return max(inner, key=lambda one: one.start, default=None)


def named(definitions: Sequence[Definition], lines: Sequence[str], name: str) -> Definition | None:
    """A definition by its dotted or bare name, or by the text of its first line."""
    bare = name.rpartition(".")[2]
    best: tuple[int, Definition] | None = None
    for one in definitions:
        fits = (
            3 if one.qualname == name else 2 if one.qualname.endswith("." + name) else int(one.name == bare)
        )
        if fits and (best is None or fits > best[0]):
            best = (fits, one)
    if best is not None:
        return best[1]
    wanted = " ".join(name.split())
    for number, line in enumerate(lines, 1):
        if wanted and " ".join(line.split()).startswith(wanted):
            return _at(definitions, lines, number, wanted)
    return None


def _at(definitions: Sequence[Definition], lines: Sequence[str], number: int, wanted: str) -> Definition:
    known = next((one for one in definitions if one.start == number), None)
    bare = re.search(r"([\w$]+)\s*[(\[:{=]", wanted)
    name = bare[1] if bare else wanted
    end = end_of_braces(lines, number) or _end_of_indent(
        lines, number, len(lines[number - 1]) - len(lines[number - 1].lstrip())
    )
    return known or Definition(name, name, number, end)

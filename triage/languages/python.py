"""Python: what its tracebacks look like, which code is the team's own, which definition a line belongs to."""

from __future__ import annotations

import ast
import re

from store.event import ExceptionValue
from triage.languages.python_trace import find_traces

_LIBRARY = re.compile(
    r"(^|[/\\])(site-packages|dist-packages|\.venv|__pypackages__)[/\\]"
    r"|(^|[/\\])lib(64)?[/\\](python|pypy)\d[\d.]*[/\\]"
    r"|^[A-Za-z]:[/\\].*[/\\]Python\d+[/\\]Lib[/\\]"
    r"|\.zip[/\\]"
    r"|<frozen [\w.]+>|^<(string|stdin|console|__array_function__ internals)>$"
)
_DEFINITION = re.compile(r"^(?P<indent>[ \t]*)(?:async\s+)?(?:def|class)\s+(?P<name>\w+)")


class Python:
    """The `Language` of Python (CPython 2.7 to 3.15 and PyPy write the same grammar)."""

    name = "python"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every traceback in the text; each is a chain with the exception raised last at the end."""
        return find_traces(text, self.in_app)

    def in_app(self, path: str) -> bool:
        """False for site-packages, dist-packages, the standard library, frozen modules and code without a
        file."""
        return bool(path) and _LIBRARY.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """The dotted name of the innermost function or class around a line; broken code is read by
        indentation."""
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return _symbol_by_indentation(source, line)
        return ".".join(_path_to(tree, line)) or None


def _path_to(node: ast.AST, line: int) -> list[str]:
    for child in ast.iter_child_nodes(node):
        first, last = getattr(child, "lineno", None), getattr(child, "end_lineno", None)
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            start = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            if start <= line <= (last or child.lineno):
                return [child.name, *_path_to(child, line)]
        elif first is None or first <= line <= (last or first):
            found = _path_to(child, line)
            if found:
                return found
    return []


def _symbol_by_indentation(source: str, line: int) -> str | None:
    lines = source.splitlines()
    if not 1 <= line <= len(lines):
        return None
    names: list[str] = []
    text = lines[line - 1]
    width = len(text) - len(text.lstrip()) if text.strip() else 1 << 30
    own = _DEFINITION.match(text)
    width = width + 1 if own else width
    for candidate in reversed(lines[:line]):
        match = _DEFINITION.match(candidate)
        if match and len(match["indent"]) < width:
            names.append(match["name"])
            width = len(match["indent"])
        elif candidate.strip() and not candidate[:1].isspace() and not candidate.startswith(("#", ")", "@")):
            width = 0
        if width == 0:
            break
    return ".".join(reversed(names)) or None

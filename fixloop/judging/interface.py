"""The public face of the code that a patch touches, before and after: what others may rely on, and what is gone or new.

Functions with their parameters and what they give back, classes with their bases, methods, properties and attributes,
constants of a module. What begins with an underscore is nobody else's, unless `__all__` names it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from fixloop.reproduce.syntax import parse

Texts: TypeAlias = Mapping[str, str | None]
_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def api_changes(old: Texts, new: Texts) -> list[str]:
    """What of the public face is gone or has another form: a person decides about those."""
    found = []
    for path, text in new.items():
        before, after = _public(old.get(path)), _public(text)
        for name, form in before.items():
            if name not in after:
                found.append(f"{path}: {name} is gone")
            elif after[name] != form:
                found.append(f"{path}: {name}{form} is now {name}{after[name]}")
    return found


def _public(text: str | None) -> dict[str, str]:
    """Dotted name to form."""
    tree = parse(text) if text else None
    if tree is None:
        return {}
    named = _exported(tree)
    return {
        name: form
        for name, form in _members(tree.body)
        if not name.partition(".")[0].startswith("_") or name.partition(".")[0] in named
    }


def _members(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, _form(node)
            case ast.ClassDef():
                yield node.name, f"({', '.join(map(ast.unparse, node.bases))})"
                for name, form in _members(node.body):
                    if not name.startswith("_") or name in {"__init__", "__call__"}:
                        yield f"{node.name}.{name}", form
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, f": {ast.unparse(node.annotation)}"
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name, ""
            case _:
                continue


def _form(node: _Definition) -> str:
    """Parameters, what is given back, and whether it is awaited or read like a field."""
    words = {ast.unparse(each).partition("(")[0].rpartition(".")[2] for each in node.decorator_list}
    kind = next(
        (word for word in ("property", "cached_property", "classmethod", "staticmethod") if word in words), ""
    )
    gives = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    waits = " async" if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"({ast.unparse(node.args)}){gives}{waits}{f' {kind}' if kind else ''}"


def _exported(tree: ast.Module) -> set[str]:
    for node in tree.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id="__all__")], value=ast.List(elts=elts) | ast.Tuple(elts=elts)
            ):
                return {str(each.value) for each in elts if isinstance(each, ast.Constant)}
            case _:
                continue
    return set()

"""Where the names that a call uses stood before a change: a module that was moved, a function that was renamed.

A parent that lacks a name is no parent without the feature where the same thing stood elsewhere, or was called
otherwise; and what lies behind a move can only be run by the older address.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TypeAlias

from fixloop import Repository
from fixloop.reproduce.syntax import parse

ALIKE = 0.6  # of the lines of two definitions: the one was the other before it was renamed
BODY = 3  # lines that a definition has at least, for its likeness to say anything
_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

# Stands before a call: gives the names of today what they stood for at an older commit, where they are not there.
_PUT_THERE = '''
import contextlib, importlib, sys, types


def _stands_at(module, name, older, was):
    """Give a module a name that it did not have yet."""
    try:
        place = importlib.import_module(module)
    except ImportError:
        place = sys.modules.setdefault(module, types.ModuleType(module))
    if not hasattr(place, name):
        with contextlib.suppress(ImportError, AttributeError):
            setattr(place, name, getattr(importlib.import_module(older), was))


'''


@dataclass(frozen=True)
class Forerunner:
    """`name` of `module` is called `was` in the module `older` at an older commit."""

    module: str
    name: str
    older: str
    was: str

    def __str__(self) -> str:
        return f"{self.older}.{self.was}"


def put_there(found: Sequence[Forerunner]) -> str:
    """The text that stands before a call for it to find them."""
    calls = [f"_stands_at({one.module!r}, {one.name!r}, {one.older!r}, {one.was!r})\n" for one in found]
    return _PUT_THERE + "".join(calls) if calls else ""


def wanted(source: str) -> list[tuple[str, str]]:
    """The names that the text of a call takes from modules: (module, name)."""
    tree = parse(source)
    nodes = list(ast.walk(tree)) if tree is not None else []
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    pairs = [
        (node.module, alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    ]
    pairs += [
        (ast.unparse(node.value), node.attr)
        for node in nodes
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in modules
    ]
    return list(dict.fromkeys(pairs))


def forerunners(
    names: Sequence[tuple[str, str]],
    repository: Repository,
    parent: str,
    change: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
) -> list[Forerunner]:
    """The older address of each name that `change` brought to its place. `before` and `after` are the modules of the
    parent and of the change: import name -> path. Names that stood nowhere before are left out."""
    found = []
    for module, name in names:
        path = after.get(module)
        now = _definition(repository.text(change, path), name) if path else None
        if now is None or _definition(_text(repository, parent, before.get(module)), name) is not None:
            continue
        place = _same_name(name, now, repository, parent, before) or (
            _same_body(module, now, repository, parent, change, before) if module in before else None
        )
        if place is not None:
            found.append(Forerunner(module, name, *place))
    return found


def _text(repository: Repository, commit: str, path: str | None) -> str | None:
    return repository.text(commit, path) if path else None


def _same_name(
    name: str, now: _Definition, repository: Repository, parent: str, before: Mapping[str, str]
) -> tuple[str, str] | None:
    """The one module of the parent that defines the name, or the likest of several."""
    hits = repository.history.grep(parent, name, sorted({path.partition("/")[0] for path in before.values()}))
    lines = {path for path, _, line in hits if line.lstrip().startswith(("def ", "async def ", "class "))}
    places = [
        (_likeness(there, now), module)
        for module, path in before.items()
        if path in lines and (there := _definition(repository.text(parent, path), name)) is not None
    ]
    if len(places) > 1:
        places = [place for place in places if place[0] >= ALIKE]
    return (max(places)[1], name) if places else None


def _same_body(
    module: str, now: _Definition, repository: Repository, parent: str, change: str, before: Mapping[str, str]
) -> tuple[str, str] | None:
    """What stood in the same module under a name that the change took away, and reads much the same."""
    path = before[module]
    left = {one.name for one in _definitions(repository.text(change, path))}
    alike = [
        (_likeness(one, now), one.name)
        for one in _definitions(repository.text(parent, path))
        if one.name not in left and type(one) is type(now) and _length(one) >= BODY
    ]
    best = max(alike, default=(0.0, ""))
    return (module, best[1]) if best[0] >= ALIKE else None


def _definitions(text: str | None) -> Iterator[_Definition]:
    """The functions and classes of a module."""
    tree = parse(text) if text is not None else None
    for node in tree.body if tree is not None else ():
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node


def _definition(text: str | None, name: str) -> _Definition | None:
    return next((one for one in _definitions(text) if one.name == name), None)


def _length(node: _Definition) -> int:
    return (node.end_lineno or node.lineno) - node.lineno


def _likeness(one: _Definition, other: _Definition) -> float:
    """How much of the two bodies is the same, from 0 to 1."""
    texts = [[line for part in node.body for line in ast.unparse(part).splitlines()] for node in (one, other)]
    return SequenceMatcher(None, texts[0], texts[1], autojunk=False).ratio()

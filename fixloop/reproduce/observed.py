"""What a function has seen of the objects that it works on: `row = self.store.get(key)` says what that call gave.

An object that cannot be had is stood in for by one that answers as the locals show it. Read out of the function's text
up to the line that failed; nothing is run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fixloop.reproduce.implied import implied
from fixloop.reproduce.syntax import FunctionNode, own_parts, parameter_names
from fixloop.reproduce.values import AWAITED, STAND_IN
from fixloop.reproduce.ways import Way

NAMESPACE = "types.SimpleNamespace"
IMPLIED = 12  # the cost of a value that only the error speaks of
DEPTH = 5  # attributes and calls after one another
_CALL, _AWAIT, _ITEM, _ENTER = "()", "await", "[]", "with"
_LOOPS = frozenset({"for", "items", "values"})
_RESERVED = frozenset(
    {"name", "spec", "wraps", "side_effect", "return_value", "unsafe"}
)  # words of a mock's own
_CONTAINERS = {ast.List: [], ast.Dict: {}, ast.Set: {"$set": []}}

Valued = Callable[
    [str, Any], "Way | None"
]  # a local's name, what was kept of it -> the cheapest way to have it


@dataclass
class Seen:
    """What was seen of one object: its value, where a local has it, and what its attributes and calls gave."""

    local: str | None = None
    kept: Any = None
    said: tuple[Any] | None = None  # its value as the error says it
    parts: dict[str, Seen] = field(default_factory=dict)

    def at(self, path: tuple[str, ...]) -> Seen:
        """The node behind a path, made where it is not there."""
        node = self
        for part in path:
            node = node.parts.setdefault(part, Seen())
        return node


def observations(
    node: FunctionNode, line: int, kept: Mapping[str, Any], message: str = ""
) -> dict[str, Seen]:
    """What a function has seen of each of its parameters before `line`. `kept`: its locals in the event; `message`:
    of the error, where it was raised in this line."""
    roots = {name: Seen() for name in parameter_names(node)}
    aliases: dict[str, tuple[str, ...]] = {}
    for target, source in sorted(_bindings(node, line), key=lambda pair: pair[1][1]):
        path = _path(source[0])
        if path is None:
            continue
        path = (*aliases.get(path[0], path[:1]), *path[1:], *source[2])
        if path[0] not in roots or not 1 < len(path) <= DEPTH + 1:
            continue
        if isinstance(target, ast.Name):
            aliases[target.id] = path
        _note(roots[path[0]].at(path[1:]), target, kept)
    for value, tree in implied(node, line, message) if message else ():
        path = _path(value)
        path = (*aliases.get(path[0], path[:1]), *path[1:]) if path else None
        if path and path[0] in roots and 1 < len(path) <= DEPTH + 1:
            roots[path[0]].at(path[1:]).said = (tree,)
    return {name: seen for name, seen in roots.items() if seen.parts}


def _bindings(
    node: FunctionNode, line: int
) -> Iterator[tuple[ast.expr, tuple[ast.expr, int, tuple[str, ...]]]]:
    """Targets with what was bound to them: the expression, its line, and the steps from there to the value."""
    for part in own_parts(node):
        at = getattr(part, "lineno", line)
        match part:
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
            ):
                if (part.end_lineno or at) < line:
                    yield target, (value, at, ())
            case ast.NamedExpr(target=target, value=value) if at <= line:
                yield target, (value, at, ())
            case ast.With(items=items) | ast.AsyncWith(items=items) if at < line:
                for item in items:
                    if item.optional_vars is not None:
                        yield item.optional_vars, (item.context_expr, at, (_ENTER,))
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value) if at < line:
                yield _each(target, value, at)


def _each(
    target: ast.expr, iterated: ast.expr, at: int
) -> tuple[ast.expr, tuple[ast.expr, int, tuple[str, ...]]]:
    """A loop's target with what it goes through, seen past `enumerate(…)`, `reversed(…)` and the like."""
    match iterated, target:
        case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]), ast.Tuple(elts=[_, item]):
            return _each(item, inner, at)
        case ast.Call(
            func=ast.Name(id="reversed" | "sorted" | "list" | "tuple" | "iter"), args=[inner, *_]
        ), _:
            return _each(target, inner, at)
        case ast.Call(func=ast.Attribute(value=inner, attr="items"), args=[]), ast.Tuple(elts=[_, _]):
            return target, (inner, at, ("items",))
        case ast.Call(func=ast.Attribute(value=inner, attr="values"), args=[]), _:
            return target, (inner, at, ("values",))
    return target, (iterated, at, ("for",))


def _path(node: ast.expr) -> tuple[str, ...] | None:
    """The steps of an expression from a name on; None for one that does more than read, call and wait."""
    match node:
        case ast.Name(id=name):
            return (name,)
        case ast.Attribute(value=value, attr=attr):
            step = attr
        case ast.Call(func=value):
            step = _CALL
        case ast.Await(value=value):
            step = _AWAIT
        case ast.Subscript(value=value):
            step = _ITEM
        case _:
            return None
    before = _path(value)
    return (*before, step) if before is not None else None


def _note(seen: Seen, target: ast.expr, kept: Mapping[str, Any]) -> None:
    """Keep what the locals show of a target; of several, all or nothing."""
    if isinstance(target, ast.Name) and target.id in kept:
        seen.local, seen.kept = target.id, kept[target.id]
    elif isinstance(target, ast.Tuple) and all(
        isinstance(one, ast.Name) and one.id in kept for one in target.elts
    ):
        seen.local = ast.unparse(target)
        seen.kept = [kept[one.id] for one in target.elts if isinstance(one, ast.Name)]


# --- as values ------------------------------------------------------------------------------------------------------


def answering(seen: Seen, valued: Valued) -> Way | None:
    """A value that answers as it was seen: the value itself, where it can be had, else a stand-in."""
    if seen.said is not None:
        return Way(seen.said[0], IMPLIED, ("the error says that it was so",))
    known = valued(seen.local, seen.kept) if seen.local is not None else None
    if known is not None and (not seen.parts or _is_plain(known.value)):
        return known
    for step in _LOOPS & set(seen.parts):
        item = answering(seen.parts[step], valued)
        return replace(item, value=_around(step, item.value), cost=item.cost + 1) if item else None
    words: dict[str, Any] = {}
    found: list[Way] = []
    for step, part in seen.parts.items():
        name, inner, kind = _word(step, part)
        way = answering(inner, valued)
        if way is None:
            continue
        found.append(way)
        words[name] = (
            way.value if kind is None else {"$call": kind, "args": [], "kwargs": {"return_value": way.value}}
        )
    if not words:
        return known
    notes = tuple(dict.fromkeys(note for way in found for note in way.notes))
    objects = tuple(made for way in found for made in way.objects)
    return Way(_stand_in(words), 1 + sum(way.cost for way in found), notes, objects)


def _around(step: str, item: Any) -> Any:
    """What a loop went through, of which one item is known."""
    if step == "items" and isinstance(item, list) and len(item) == 2:
        return {"$dict": [item]}
    return (
        {"": item}
        if step == "values"
        else [{"$tuple": item} if isinstance(item, list) and step == "items" else item]
    )


def _word(step: str, part: Seen) -> tuple[str, Seen, str | None]:
    """How a stand-in is told of a step: the keyword, whose value it is, and the kind of call that gives it."""
    awaited = part.parts.get(_AWAIT) if step == _CALL else None
    if step == _CALL:
        return "return_value", awaited or part, None
    if _CALL in part.parts:
        inner = part.parts[_CALL]
        return step, inner.parts.get(_AWAIT, inner), AWAITED if _AWAIT in inner.parts else STAND_IN
    if step == _ITEM:
        return "__getitem__", part, STAND_IN
    if step == _ENTER:
        return "__enter__", part, STAND_IN
    return step, part, None


def _stand_in(words: dict[str, Any]) -> dict[str, Any]:
    """An object with these attributes; a mock takes some of its words for itself."""
    is_plain = _RESERVED.isdisjoint(words) or "return_value" in words
    kind = STAND_IN if is_plain or any(name.startswith("__") for name in words) else NAMESPACE
    return {"$call": kind, "args": [], "kwargs": words}


def _is_plain(value: Any) -> bool:
    return not (isinstance(value, dict) and value.get("$call") in (STAND_IN, NAMESPACE))


# --- as an object's state -------------------------------------------------------------------------------------------


def first_state(init: FunctionNode | None) -> dict[str, Any]:
    """What a constructor gives an object whatever it is called with: `self.seen = []`, `self.depth = 0`; and the plain
    defaults of the parameters that it keeps."""
    found: dict[str, Any] = {}
    defaults = _defaults(init) if init is not None else {}
    for part in own_parts(init) if init is not None else ():
        targets = (
            part.targets
            if isinstance(part, ast.Assign)
            else [part.target]
            if isinstance(part, ast.AnnAssign)
            else []
        )
        value = part.value if isinstance(part, (ast.Assign, ast.AnnAssign)) else None
        for target in targets:
            if (
                isinstance(target, ast.Attribute)
                and isinstance(target.value, ast.Name)
                and target.value.id == "self"
            ):
                tree = _first(value, defaults)
                if tree is not None:
                    found[target.attr] = tree[0]
    return found


def _first(value: ast.expr | None, defaults: Mapping[str, ast.expr]) -> tuple[Any] | None:
    """The tree of a plain value, in a tuple; None for what is none."""
    if isinstance(value, ast.Name) and value.id in defaults:
        value = defaults[value.id]
    match value:
        case ast.Constant(value=bool() | int() | str() | float() | None as plain):
            return (plain,)
        case ast.List(elts=[]) | ast.Dict(keys=[]):
            return (_CONTAINERS[type(value)],)
        case ast.Call(func=ast.Name(id="list" | "dict" | "set" as kind), args=[], keywords=[]):
            return ({"list": [], "dict": {}, "set": {"$set": []}}[kind],)
    return None


def _defaults(init: FunctionNode) -> dict[str, ast.expr]:
    a = init.args
    positional = [*a.posonlyargs, *a.args]
    found = {
        arg.arg: default
        for arg, default in zip(positional[len(positional) - len(a.defaults) :], a.defaults, strict=True)
    }
    return found | {
        arg.arg: default for arg, default in zip(a.kwonlyargs, a.kw_defaults, strict=True) if default
    }

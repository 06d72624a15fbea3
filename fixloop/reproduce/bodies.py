"""Variants of a request that an event does not tell whole: its body as a frame shows it, its application's start-up.

SDKs leave a body out where nothing of theirs has read it (classes of endpoints, frameworks they do not know); what the
code itself has parsed of it often stands in a local.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.syntax import function_at, parse
from fixloop.reproduce.values import rebuild

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_BODIES = ("json", "form", "body", "uploads")
_STARTING = ("lifespan", "on_startup", "on_event", "add_event_handler")


def told_whole(recipe: Recipe, own: Sequence[OwnFrame], text: str) -> Iterator[Recipe]:
    """The request with the body that a frame shows where the event has none, then each also with what the application
    does when it starts. `text`: of the module that makes the application."""
    found = [recipe]
    if recipe.inputs["method"] not in _BODILESS and all(recipe.inputs.get(part) is None for part in _BODIES):
        for one in own:
            for name, body in _parsed(one):
                note = f"the body: as {one.frame.function}() shows it in {name}"
                inputs = {**recipe.inputs, "json": body}
                found.insert(
                    0, recipe.model_copy(update={"inputs": inputs, "guessed": (*recipe.guessed, note)})
                )
    yield from found
    if recipe.framework == "starlette" and any(word in text for word in _STARTING):
        for each in found:
            yield each.model_copy(update={"target": {**each.target, "starts": True}})


def _parsed(own: OwnFrame) -> Iterator[tuple[str, Any]]:
    """(local, value) where a function has bound what it read of a request's JSON."""
    tree = parse(own.source)
    line = own.location.line or own.frame.lineno or 0
    function = (
        function_at(tree, line, (own.frame.function or "").rpartition(".")[2] or None) if tree else None
    )
    for node in ast.walk(function.node) if function is not None else ():
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if (
                _reads(value) and name in own.frame.vars
            ):
                built = rebuild(own.frame.vars[name], name)
                if built.ok:
                    yield name, built.value


def _reads(value: ast.expr) -> bool:
    """Whether an expression is the JSON of a request."""
    value = value.value if isinstance(value, ast.Await) else value
    match value:
        case ast.Call(func=ast.Attribute(attr="json" | "get_json")):
            return True
        case ast.Call(func=ast.Attribute(attr="loads") | ast.Name(id="loads"), args=[given, *_]):
            return "request" in ast.unparse(given) or "body" in ast.unparse(given)
        case ast.Attribute(value=ast.Name(id="request"), attr="json"):
            return True
    return False

"""A consumer and its producer in one call: an argument is made again by the function that made it in production.

A call that begins inside is given the values that were wrong already, and says nothing of who made them. Where the
frame outside shows what it made them of, the call is made with the very assignment that stands there:
`record = build(row)`, then `total(record)`. Whether that fails the same way is for a run to say.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from fixloop.reproduce.frames import NoCall, OwnFrame, frame_function
from fixloop.reproduce.ladder import filler_of
from fixloop.reproduce.objects import Filler
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.syntax import FunctionNode, parameter_names
from fixloop.reproduce.values import STAND_IN
from fixloop.reproduce.ways import Way
from fixloop.situation import Sighting, Situation


def with_producers(recipe: Recipe, sighting: Sighting, situation: Situation) -> Recipe | None:
    """The call with every argument made by its producer for which the caller's frame shows how; None where it shows
    none. Of calls of a function of the stack only, and of producers that are functions of the team's own."""
    place = _place(recipe, sighting)
    if place is None or not place or recipe.schedule is not None:
        return None
    caller, own = sighting.own[place - 1], sighting.own[place]
    outer, inner = frame_function(caller), frame_function(own)
    if isinstance(outer, NoCall) or isinstance(inner, NoCall):
        return None
    line = caller.location.line or caller.frame.lineno or 0
    call = _call_at(outer.node, line, inner.node.name)
    if call is None:
        return None
    filler = filler_of(situation, sighting, caller)
    names = [name for name in parameter_names(inner.node) if name not in ("self", "cls")]
    inputs = {**recipe.inputs, "args": list(recipe.inputs["args"]), "kwargs": dict(recipe.inputs["kwargs"])}
    objects, notes = list[dict[str, Any]](), list[str]()
    for name, handed in _handed(call, names):
        made = _made_by(outer.node, handed, call)
        producer = _again(name, made, caller, filler) if made is not None else None
        if made is None or producer is None or not _put(inputs, names, name, producer.value):
            continue
        objects += producer.objects
        notes += (*producer.notes, f"{name}: made by {ast.unparse(made.func)}(), as {outer.qualname}() does")
    if not objects:
        return None
    known = {one["name"] for one in objects}
    rest = [one for one in recipe.inputs.get("objects", ()) if one["name"] not in known]
    return recipe.model_copy(
        update={"inputs": {**inputs, "objects": [*objects, *rest]}, "guessed": (*recipe.guessed, *notes)}
    )


def _place(recipe: Recipe, sighting: Sighting) -> int | None:
    """Where in the stack the call begins."""
    if recipe.entry != "frame":
        return None
    wanted = (recipe.target.get("module"), recipe.target.get("qualname"))
    for place in range(len(sighting.own) - 1, -1, -1):
        own = sighting.own[place]
        function = frame_function(own)
        if not isinstance(function, NoCall) and (own.module, function.qualname) == wanted:
            return place
    return None


def _call_at(outer: FunctionNode, line: int, name: str) -> ast.Call | None:
    """The one call of the function in the line where the caller stands."""
    calls = [
        node
        for node in ast.walk(outer)
        if isinstance(node, ast.Call)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
        and ast.unparse(node.func).rpartition(".")[2] == name
    ]
    return calls[0] if len(calls) == 1 else None


def _handed(call: ast.Call, names: list[str]) -> Iterator[tuple[str, ast.expr]]:
    """Which expression each parameter is given."""
    for name, arg in zip(names, call.args, strict=False):
        if isinstance(arg, ast.Starred):
            return
        yield name, arg
    yield from ((word.arg, word.value) for word in call.keywords if word.arg in names)


def _made_by(outer: FunctionNode, handed: ast.expr, call: ast.Call) -> ast.Call | None:
    """The call whose result is handed on: it stands in the argument itself, or in the last assignment to its name
    that comes before on every path."""
    if isinstance(handed, ast.Call):
        return handed
    if not isinstance(handed, ast.Name):
        return None
    stores = [
        node
        for node in ast.walk(outer)
        if isinstance(node, ast.Name) and node.id == handed.id and not isinstance(node.ctx, ast.Load)
        and node.lineno < call.lineno
    ]  # fmt: skip
    last = max(stores, key=lambda node: node.lineno, default=None)
    for statement in _before(outer.body, call):
        if (
            isinstance(statement, ast.Assign)
            and last in statement.targets
            and isinstance(statement.value, ast.Call)
        ):
            return statement.value
    return None


def _before(body: list[ast.stmt], call: ast.Call) -> Iterator[ast.stmt]:
    """The statements that have run when the call is made: those before it in its own block and the blocks around."""
    for statement in body:
        if statement.lineno <= call.lineno <= (statement.end_lineno or statement.lineno):
            for block in ("body", "orelse", "finalbody"):
                yield from _before(getattr(statement, block, []), call)
            return
        if statement.lineno > call.lineno:
            return
        yield statement


def _again(name: str, made: ast.Call, caller: OwnFrame, filler: Filler) -> Way | None:
    """The producer's result as a value of a recipe; None where it is not the team's own function, or where the frame
    does not show what it was given: a stand-in would make something else."""
    catalogue = filler.catalogue
    bare = ast.unparse(made.func).rpartition(".")[2]
    dotted = catalogue.function(catalogue.original(caller.module, bare), caller.module)
    if dotted is None or not isinstance(made.func, (ast.Name, ast.Attribute)):
        return None
    given = [*((None, arg) for arg in made.args), *((one.arg, one.value) for one in made.keywords)]
    ways = [(word, _shown(value, caller, filler)) for word, value in given]
    args = [way.value for word, way in ways if word is None and way is not None]
    kwargs = {word: way.value for word, way in ways if word is not None and way is not None}
    found = [way for _, way in ways if way is not None]
    if len(found) < len(ways):
        return None
    again = {"name": name, "call": dotted, "args": args, "kwargs": kwargs, "calls": [], "set": {}}
    objects = (*(one for way in found for one in way.objects), again)
    return Way(
        {"$ref": name}, sum(way.cost for way in found), tuple(n for way in found for n in way.notes), objects
    )


def _shown(given: ast.expr, caller: OwnFrame, filler: Filler) -> Way | None:
    """What the producer was given: a constant, or a local that can be made without a stand-in."""
    if isinstance(given, ast.Constant):
        return Way(given.value)
    if not isinstance(given, ast.Name) or given.id not in caller.frame.vars:
        return None
    way = filler.nearest(given.id, caller.frame.vars[given.id])
    stands_in = way is None or STAND_IN in repr((way.value, way.objects))
    return None if stands_in else way


def _put(inputs: dict[str, Any], names: list[str], name: str, value: Any) -> bool:
    """Put a value where the recipe gives the parameter; False where it does not give it."""
    if name in inputs["kwargs"]:
        inputs["kwargs"][name] = value
        return True
    place = names.index(name)
    if place < len(inputs["args"]):
        inputs["args"][place] = value
        return True
    return False

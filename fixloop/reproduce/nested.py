"""Functions that are defined inside others: a decorator's wrapper is reached by the function that it decorates, a
closure by the function that gives it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.reprs import function_name
from fixloop.reproduce.syntax import Function, functions, own_parts


def decorated(function: Function, kept: Mapping[str, Any], catalogue: Catalogue, near: str) -> str | None:
    """The dotted name of the function of the team's own that a wrapper calls with what it was given; None where it is
    no wrapper."""
    for part in own_parts(function.node):
        match part:
            case ast.Call(func=ast.Name(id=name), args=[*_, ast.Starred()] | [ast.Starred(), *_]):
                text = kept.get(name)
                said = function_name(text) if isinstance(text, str) else None
                owner, _, last = (said or "").rpartition(".")
                if said and not owner:
                    return catalogue.function(last, near)
                if said and (classes := catalogue.classes(owner)):
                    return f"{classes[0].dotted}.{last}"
    return None


def given_by(function: Function, tree: ast.AST) -> Function | None:
    """The function, or the method, that gives an inner one as its result."""
    outer, _, name = function.qualname.rpartition(".")
    found = next((one for one in functions(tree) if one.qualname == outer), None)
    if found is None or found.nested or found.is_async or found.is_generator or found.is_property:
        return None
    results = (part.value for part in own_parts(found.node) if isinstance(part, ast.Return))
    return found if any(isinstance(value, ast.Name) and value.id == name for value in results) else None

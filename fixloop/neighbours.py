"""Neighbours of the failing input: the family of inputs that a real fix must serve and a fitted one does not know.

Deterministic: the same recipe always has the same neighbours. Every leaf is varied a little, keys are dropped and
added, items repeated; the names that code asks for stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fixloop.reproduce.recipe import Recipe

MOST = 24


def neighbours(recipe: Recipe, most: int = MOST) -> list[Recipe]:
    """Recipes beside this one, each different in one place, spread over the places."""
    kept = {"method", "path", "query"} if recipe.entry == "http" else set()
    varied = {key: value for key, value in recipe.inputs.items() if key not in kept and key != "headers"}
    queues = [list(_of(varied, path)) for path in _paths(varied)]
    found: list[Recipe] = []
    while any(queues) and len(found) < most:
        for queue in queues:
            if queue and len(found) < most:
                inputs = {**recipe.inputs, **queue.pop(0)}
                if inputs != recipe.inputs:
                    found.append(recipe.model_copy(update={"inputs": inputs}))
    return found


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place below the top, leaves and containers; a tagged value is one place."""
    if isinstance(value, dict) and not any(str(key).startswith("$") for key in value):
        for key, child in value.items():
            yield (*path, key)
            yield from _paths(child, (*path, key))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield (*path, i)
            yield from _paths(child, (*path, i))


def _of(value: Any, path: tuple[str | int, ...]) -> Iterator[dict[str, Any]]:
    here = value
    for step in path:
        here = here[step]
    for other in _others(here):
        yield _put(value, path, other)
    if len(path) > 2 and isinstance(path[-1], str):
        yield _drop(value, path)


def _others(here: Any) -> list[Any]:
    if isinstance(here, bool):
        return [not here]
    if isinstance(here, int):
        return [here + 1, here + 7, 0]
    if isinstance(here, float):
        return [here + 1.0, here * 2]
    if isinstance(here, str):
        return [here + "x", "other-" + here[:20]] if here else ["x"]
    if isinstance(here, list) and here:
        return [[*here, here[-1]], here[:-1]]
    if isinstance(here, dict) and not any(str(key).startswith("$") for key in here):
        return [{**here, "extra": "x"}]
    return []


def _put(value: Any, path: tuple[str | int, ...], child: Any) -> Any:
    if not path:
        return child
    if isinstance(value, dict):
        return {key: _put(item, path[1:], child) if key == path[0] else item for key, item in value.items()}
    return [_put(item, path[1:], child) if i == path[0] else item for i, item in enumerate(value)]


def _drop(value: Any, path: tuple[str | int, ...]) -> Any:
    if len(path) == 1:
        return {key: item for key, item in value.items() if key != path[0]}
    if isinstance(value, dict):
        return {key: _drop(item, path[1:]) if key == path[0] else item for key, item in value.items()}
    return [_drop(item, path[1:]) if i == path[0] else item for i, item in enumerate(value)]

"""Named tuples that an event shows as lists: what a call that was tried with the lists has said they lack.

An SDK writes a named tuple as a list, and where its items are asked for by name may lie in functions that no frame
shows. The error of the attempt names what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.recipe import Recipe
from fixloop.running.runner import Outcome

_LACKS = re.compile(r"'(?:list|tuple)' object has no attribute '(\w+)'")
_PARTS = ("args", "kwargs", "self", "set", "state")


def lacked(outcome: Outcome | None) -> str | None:
    """The name that a list or a tuple was asked for in vain."""
    error = outcome.exception if outcome is not None else None
    found = _LACKS.search(error.message) if error is not None and error.type == "AttributeError" else None
    return found[1] if found else None


def as_records(recipe: Recipe, name: str, catalogue: Catalogue) -> Iterator[Recipe]:
    """The call with its lists of plain items as named tuples of the team's that have that name, by their lengths."""
    near = str(recipe.target.get("module") or "")
    for size in sorted(
        _sizes([recipe.inputs.get(part) for part in _PARTS] + list(recipe.inputs.get("objects", ())))
    ):
        for dotted in catalogue.records({name}, size, near):
            inputs = _within(recipe.inputs, size, dotted)
            if "objects" in inputs:
                inputs["objects"] = [_within(made, size, dotted) for made in inputs["objects"]]
            note = f"lists of {size} are each a {dotted.rpartition('.')[2]}, of which the event shows lists"
            yield recipe.model_copy(update={"inputs": inputs, "guessed": (*recipe.guessed, note)})


def _within(made: dict[str, Any], size: int, dotted: str) -> dict[str, Any]:
    """A call's or an object's parts with the lists replaced; its positional arguments themselves stay a list."""
    found = dict(made)
    for part in _PARTS:
        value = made.get(part)
        if part == "args" and isinstance(value, list):
            found[part] = [_named(one, size, dotted) for one in value]
        elif part in made:
            found[part] = _named(value, size, dotted)
    return found


def _named(value: Any, size: int, dotted: str) -> Any:
    if isinstance(value, dict):
        return {key: _named(inner, size, dotted) if key != "args" else inner for key, inner in value.items()}
    if not isinstance(value, list):
        return value
    if _is_plain(value) and len(value) == size:
        return {"$call": dotted, "args": value, "kwargs": {}}
    return [_named(inner, size, dotted) for inner in value]


def _sizes(value: Any) -> set[int]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = {len(value)} if isinstance(value, list) and value and _is_plain(value) else set()
    return found.union(*map(_sizes, inner))


def _is_plain(value: list[Any]) -> bool:
    return not any(isinstance(one, list) for one in value)

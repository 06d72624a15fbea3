"""What stands around a call: the exception that was being handled, the files that the failure speaks of."""

from __future__ import annotations

import builtins
import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.recipe import Recipe
from store.event import Event, ExceptionValue

_OS_ERROR = re.compile(r"\[Errno (\d+)\] [^:]*: '((?:[^'\\]|\\.)+)'")
FOLDER = "folder"  # the variable that holds the folder of a test's files
MOST = 4  # exceptions that are raised before the call


def surrounded(recipe: Recipe, event: Event, catalogue: Catalogue) -> Iterator[Recipe]:
    """The call in the surroundings that the event shows, where it shows any."""
    chain = handled_before(event, str(recipe.target["qualname"]).rpartition(".")[2], catalogue)
    if chain:
        yield recipe.model_copy(update={"target": {**recipe.target, "handling": chain}})
    error = event.exception
    found = _OS_ERROR.match(error.value) if error else None
    if found:
        yield from _with_files(recipe, int(found[1]), found[2])


# --- an exception that is being handled ----------------------------------------------------------------------------


def handled_before(event: Event, function: str, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The exceptions that were being handled when `function` was called, oldest first: a handler calls it, for its
    trace begins in the frame that caught what came before."""
    error, earlier = event.exception, event.exceptions[:-1]
    if error is None or error.chained != "context" or not earlier or not earlier[-1].frames:
        return []
    caught_in = earlier[-1].frames[0]
    places = [(frame.function, frame.filename) for frame in error.frames]
    names = [(frame.function or "").rpartition(".")[2] for frame in error.frames]
    here = (caught_in.function, caught_in.filename)
    if here not in places or function not in names[places.index(here) + 1 :]:
        return []
    chain = [_raised(one, catalogue) for one in earlier[-MOST:]]
    return [one for one in chain if one is not None] if all(chain) else []


def _raised(error: ExceptionValue, catalogue: Catalogue) -> dict[str, Any] | None:
    """An exception as it is written: class, message, how it hangs on the one before, whether it was ever raised."""
    name = error.type.rpartition(".")[2]
    known = getattr(builtins, name, None)
    dotted = (
        name if isinstance(known, type) and issubclass(known, Exception) else catalogue.class_of(error.type)
    )
    if dotted is None:
        return None
    return {"type": dotted, "message": error.value, "chained": error.chained, "raised": bool(error.frames)}


# --- files ----------------------------------------------------------------------------------------------------------


def _with_files(recipe: Recipe, number: int, path: str) -> Iterator[Recipe]:
    """The call with a folder of its own in place of the one in production, with the files in it that make the
    operating system say the same again."""
    pure = PurePosixPath(path)
    if not pure.is_absolute():
        return
    texts = sorted({text for text in _texts(recipe.inputs) if text.startswith("/")}, key=len)
    bases = [
        text.rstrip("/")
        for text in texts
        if pure.is_relative_to(text.rstrip("/") or "/") and text.rstrip("/")
    ]
    for base in dict.fromkeys([*bases[:1], str(pure.parent)]):
        rest = pure.relative_to(base) if pure.is_relative_to(base) else PurePosixPath(pure.name)
        for files in _files(number, rest):
            inputs = _moved(recipe.inputs, base)
            if inputs == recipe.inputs:
                continue
            note = f"files: {', '.join(files) or 'an empty folder'}, in a folder of the test's own in place of {base}"
            update = {"inputs": {**inputs, "files": files}, "guessed": (*recipe.guessed, note)}
            yield recipe.model_copy(update=update)


def _files(number: int, rest: PurePosixPath) -> Iterator[dict[str, str | None]]:
    """Files (path -> content, None: a folder) with which an access to `rest` gives that error number."""
    name = str(rest)
    match errno.errorcode.get(number):
        case "ENOTDIR":
            for parent in [part for part in rest.parents if str(part) != "."] or [rest]:
                yield {str(parent): ""}
        case "EISDIR":
            yield {name: None}
        case "EEXIST":
            yield {name: ""}
            yield {name: None}
        case "ENOTEMPTY":
            yield {f"{name}/kept.txt": ""}
        case "ENOENT" | "ENAMETOOLONG":
            yield {}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from _texts(part)


def _moved(value: Any, base: str) -> Any:
    """The value with texts below `base` as places below the test's folder."""
    if isinstance(value, str) and (value.rstrip("/") == base or value.startswith(base + "/")):
        return {"$below": value[len(base) :].strip("/")}
    if isinstance(value, dict):
        return {key: _moved(part, base) for key, part in value.items()}
    return [_moved(part, base) for part in value] if isinstance(value, list) else value

"""Neighbours of the failing input: the family of inputs that a real fix must serve and a fitted one does not
know.

Deterministic: the same recipe always has the same neighbours. Every leaf is varied a little, keys are dropped
and added, items repeated, and the names and values that the executed code speaks of are put in where they are
missing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode

from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.syntax import parse

MOST = 24
SPOKEN = 24  # further neighbours, out of the code's own words
_WORD = re.compile(r"[\w.@/-]{1,40}")
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Words:
    """What the code speaks of: `keys` that it reads from mappings, `values` that it compares with or keeps in
    tables."""

    keys: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


def words_of(texts: Iterable[str]) -> Words:
    """The words of Python files, in order."""
    keys: dict[str, None] = {}
    values: dict[str, None] = {}
    for tree in filter(None, map(parse, texts)):
        for node in ast.walk(tree):
            keys.update(dict.fromkeys(_read(node)))
            values.update(dict.fromkeys(_kept(node)))
    return Words(tuple(keys), tuple(word for word in values if word not in keys))


def _read(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(key)), ctx=ast.Load()):
            yield key
        case ast.Call(
            func=ast.Attribute(attr="get" | "pop" | "setdefault"), args=[ast.Constant(value=str(key)), *_]
        ):
            yield key
        case ast.Compare(left=ast.Constant(value=str(key)), ops=[ast.In() | ast.NotIn()]):
            yield key
        case _:
            return


def _kept(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Dict(keys=keys):
            parts: list[ast.expr | None] = keys
        case ast.Compare(ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
            parts = [right]
        case ast.Compare(
            ops=[ast.In() | ast.NotIn()],
            comparators=[ast.Tuple(elts=elts) | ast.List(elts=elts) | ast.Set(elts=elts)],
        ):
            parts = list(elts)
        case _:
            return
    for part in parts:
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and _WORD.fullmatch(part.value):
            yield part.value


def neighbours(recipe: Recipe, words: Words | None = None, most: int = MOST) -> list[Recipe]:
    """Recipes beside this one, each different in one place, spread over the places."""
    words, http = words or Words(), recipe.entry == "http"
    kept = {"method", "path", "query", "headers", "uploads", "rows", "world"} if http else {"argv", "world"}
    varied = {key: value for key, value in recipe.inputs.items() if key not in kept}
    inner = 1 if http else 2  # what stands less deep is the call's own shape
    plain = _in_turn([*(_of(varied, path, inner) for path in _paths(varied)), _queries(recipe)])
    spoken = _in_turn([_spoken(varied, path, inner, words) for path in _paths(varied)])
    found: dict[str, dict[str, Any]] = {}
    for source, bound in ((_clients(recipe), most), (plain, most), (spoken, most + SPOKEN)):
        for other in source:
            inputs = {**recipe.inputs, **other}
            if len(found) < bound and inputs != recipe.inputs:
                found.setdefault(repr(inputs), inputs)
    others = [recipe.model_copy(update={"inputs": inputs}) for inputs in found.values()]
    return [*_schedules(recipe), *others]


def _schedules(recipe: Recipe) -> Iterator[Recipe]:
    """The same calls at once on every other schedule that was explored: a fix has to hold on all of them."""
    schedule = recipe.schedule or {"lines": 0}
    for before in range(1, schedule["lines"] + 1):
        yield recipe.model_copy(update={"schedule": {**schedule, "before": before}})


def _in_turn(queues: list[Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """One of each, then the next of each."""
    while queues:
        for queue in list(queues):
            try:
                yield next(queue)
            except StopIteration:
                queues.remove(queue)


def _clients(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """The same request by a browser: code may not know the test client by its name."""
    if recipe.entry == "http":
        headers = {k: v for k, v in (recipe.inputs.get("headers") or {}).items() if k.lower() != "user-agent"}
        yield {"headers": {**headers, "User-Agent": _BROWSER}}


def _queries(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """The query string with one parameter varied, dropped or twice as it was."""
    query = recipe.inputs.get("query")
    if recipe.entry != "http" or not isinstance(query, str):
        return
    pairs = parse_qsl(query, keep_blank_values=True)
    for i, (name, value) in enumerate(pairs):
        others = [str(int(value) + 1), "0"] if value.isdecimal() and len(value) < 10 else [value + "x", ""]
        for other in others:
            yield {"query": urlencode([*pairs[:i], (name, other), *pairs[i + 1 :]])}
        yield {"query": urlencode([*pairs[:i], *pairs[i + 1 :]])}
    yield {"query": urlencode([*pairs, ("extra", "x")])}


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place below the top, leaves and containers; a tagged value is one place."""
    if isinstance(value, dict) and not _tagged(value):
        for key, child in value.items():
            yield (*path, key)
            yield from _paths(child, (*path, key))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield (*path, i)
            yield from _paths(child, (*path, i))


def _tagged(value: dict[str, Any]) -> bool:
    return any(str(key).startswith("$") for key in value)


def _of(value: Any, path: Path, inner: int) -> Iterator[dict[str, Any]]:
    for other in _others(_at(value, path)):
        yield _put(value, path, other)
    if len(path) > inner and isinstance(path[-1], str):
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
    if isinstance(here, dict) and not _tagged(here):
        return [{**here, "extra": "x"}]
    return []


def _spoken(value: Any, path: Path, inner: int, words: Words) -> Iterator[dict[str, Any]]:
    """A text becomes another one that the code knows; a mapping gets a key that the code reads."""
    here = _at(value, path)
    if isinstance(here, str):
        for word in words.values[:6]:
            yield _put(value, path, word)
    elif isinstance(here, dict) and not _tagged(here) and len(path) >= inner:
        missing = [key for key in words.keys if key not in here][:8]
        for other in (*words.values[:6], 1, ["x"]):
            for key in missing:
                yield _put(value, path, {**here, key: other})


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _put(value: Any, path: Path, child: Any) -> Any:
    if not path:
        return child
    if isinstance(value, dict):
        return {key: _put(item, path[1:], child) if key == path[0] else item for key, item in value.items()}
    return [_put(item, path[1:], child) if i == path[0] else item for i, item in enumerate(value)]


def _drop(value: Any, path: Path) -> Any:
    if len(path) == 1:
        return {key: item for key, item in value.items() if key != path[0]}
    if isinstance(value, dict):
        return {key: _drop(item, path[1:]) if key == path[0] else item for key, item in value.items()}
    return [_drop(item, path[1:]) if i == path[0] else item for i, item in enumerate(value)]

"""Is the parent's answer still right? Only where the change was not meant to change answers.

A change that adds a column changes the answers of inputs that work, too; then what its parent gave for the failing
input is the old behaviour and not the right one, and a test that asserts it would refuse the right fix. So the parent
and the release are asked about neighbours that work in both, first of all the input *with* what was missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fixloop.judging.compare import keeps
from fixloop.judging.neighbours import neighbours
from fixloop.oracle import Meaning, read
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.same import Signature
from fixloop.reproduce.write import call_source, is_call
from fixloop.running.runner import Runner

SAMPLES = ("x", 1, True)
MOST = 16
_CARRIERS = frozenset({"method", "path", "query", "headers", "rows", "uploads", "files", "objects", "self"})


def contradicted(
    recipe: Recipe,
    signature: Signature,
    names: Sequence[str],
    release: Runner,
    parents: Runner,
    modules: frozenset[str],
) -> bool:
    """Whether the release gives other answers than the parent for a neighbour that works in both."""
    for neighbour in filter(is_call, [*with_names(recipe, names), *neighbours(recipe)][:MOST]):
        source = call_source(neighbour)
        now = read(neighbour, signature, release.run(source, preload=neighbour.preload)[0], modules)
        if now.meaning != Meaning.GOOD:
            continue
        then = read(neighbour, signature, parents.run(source, preload=neighbour.preload)[0], modules)
        if then.meaning != Meaning.GOOD or (_refusal(then.expected) or 0) == _refusal(now.expected):
            continue
        if not keeps(then.expected, now.expected):
            return True
    return False


def _refusal(answer: Any) -> int | None:
    """The status of an HTTP answer that refuses; the words of a refusal are for people, and no contract."""
    pair = answer.get("$tuple") if isinstance(answer, dict) else None
    status = pair[0] if isinstance(pair, list) and pair and isinstance(pair[0], int) else 0
    return status if status >= 400 else None


def raised_in(line: str, texts: Iterable[str]) -> bool:
    """Whether a line that raises still stands somewhere in the code, blanks aside."""
    wanted = " ".join(line.split())
    return any(wanted == " ".join(each.split()) for text in texts for each in text.splitlines())


def with_names(recipe: Recipe, names: Sequence[str]) -> Iterator[Recipe]:
    """The input with what was missing put in, at every mapping that lacks it."""
    for name in names:
        for sample in SAMPLES:
            filled = _filled(recipe.inputs, name, sample, top=True)
            if filled != recipe.inputs:
                yield recipe.model_copy(update={"inputs": filled})


def _filled(value: Any, name: str, sample: Any, *, top: bool = False) -> Any:
    if isinstance(value, list):
        return [_filled(item, name, sample) for item in value]
    if not isinstance(value, dict) or any(str(key).startswith("$") for key in value):
        return value
    if top:
        return {key: _entry(key, item, name, sample) for key, item in value.items()}
    return {name: sample, **{key: _filled(item, name, sample) for key, item in value.items()}}


def _entry(key: str, item: Any, name: str, sample: Any) -> Any:
    """One part of a call's input: what only carries it (headers, the names of arguments) is not a record."""
    if key == "kwargs":
        return {word: _filled(value, name, sample) for word, value in item.items()}
    return item if key in ("headers", "method", "path") else _filled(item, name, sample)


def filled_once(inputs: dict[str, Any], name: str, value: Any) -> Iterator[dict[str, Any]]:
    """The input with what was missing put in at one mapping that lacks it, for each such mapping."""
    for part, item in inputs.items():
        if part in _CARRIERS:
            continue
        places = _lacking(item, name, ()) if part != "kwargs" else _lacking_words(item, name)
        for path in places:
            yield {**inputs, part: _put(item, path, name, value)}


def moved_back(inputs: Any, name: str, path: Sequence[str]) -> Iterator[Any]:
    """The input with the value that stands under `path` put under `name` as well, in all records that have it."""
    changed = _moved_back(inputs, name, path)
    if changed != inputs:
        yield changed


def _moved_back(value: Any, name: str, path: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_moved_back(item, name, path) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: _moved_back(item, name, path) for key, item in value.items()}
    here: Any = value
    for step in path:
        here = here.get(step) if isinstance(here, dict) else None
    return {**inner, name: here} if here is not None and name not in value else inner


def _lacking(value: Any, name: str, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Where the mappings are that lack a key, outermost first."""
    if isinstance(value, dict) and not any(str(key).startswith("$") for key in value):
        if name not in value:
            yield path
        for key, item in value.items():
            yield from _lacking(item, name, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _lacking(item, name, (*path, at))


def _lacking_words(words: dict[str, Any], name: str) -> Iterator[tuple[str | int, ...]]:
    for word, value in words.items():
        yield from _lacking(value, name, (word,))


def _put(value: Any, path: tuple[str | int, ...], name: str, entry: Any) -> Any:
    if not path:
        return {**value, name: entry}
    if isinstance(value, dict):
        return {
            key: _put(item, path[1:], name, entry) if key == path[0] else item for key, item in value.items()
        }
    return [_put(item, path[1:], name, entry) if at == path[0] else item for at, item in enumerate(value)]

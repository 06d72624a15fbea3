"""Make an input smaller while it still fails for the same reason: hierarchical delta debugging over a value
tree.

Zeller and Hildebrandt's ddmin (2002) at every container, from the root down (Misherghi and Su's HDD, 2006).
The empty container is tried first: the textbook algorithm never does. Candidates come in a fixed order, so
that the same failure always gives the same test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
Check: TypeAlias = Callable[[Any], bool]

TEXT = 60  # characters: longer texts are cut where the failure allows it
LONG = 1000  # characters: what is longer cannot be read in any case
PIECES = 16  # that a text without lines is cut into


class _Spent(Exception):
    """The budget of checks is used up; what was reached so far stands."""


def minimise(
    value: Any, fails: Check, *, budget: int = 150, keep: Sequence[Path] = (), keys: bool = True
) -> Any:
    """The smallest value found for which `fails` holds. `value` itself must fail. `keep`: paths that are not
    removed (the method of a request). With `keys` False entries of mappings and all but very long texts stay:
    the shape of a record is kept where nothing but the failure itself could tell a smaller one from nonsense. At
    most `budget` checks are made."""
    best, left = value, budget

    def check(candidate: Any) -> bool:
        nonlocal left, best
        if left <= 0:
            raise _Spent
        left -= 1
        if not fails(candidate):
            return False
        best = candidate
        return True

    try:
        for path in _containers(lambda: best):
            if keys or isinstance(_get(best, path), list):
                _shrink_container(lambda: best, path, check, keep)
        for path in list(_texts(best)):
            if keys or len(_get(best, path)) > LONG:
                _shrink_text(lambda: best, path, check)
    except _Spent:
        pass
    return best


def _containers(current: Callable[[], Any]) -> Iterator[Path]:
    """Paths of containers in what is best at that moment, outer first: what is inside is looked up once its
    container has shrunk. What gives a value its kind is left alone: a tagged piece as a whole, the tag of a
    tuple, the two sides of a pair."""
    pending: list[Path] = [()]
    while pending:
        path = pending.pop(0)
        here = _get(current(), path)
        if not isinstance(here, (dict, list)) or _is_tagged(here):
            continue
        if not _is_shape(here) and not (len(path) > 1 and path[-2] == "$dict"):
            yield path
            here = _get(current(), path)
        parts = here.items() if isinstance(here, dict) else enumerate(here)
        pending += [(*path, name) for name, child in parts if isinstance(child, (dict, list))]


def _is_shape(value: Any) -> bool:
    """Whether a mapping only says what kind of container is inside."""
    return isinstance(value, dict) and bool({"$tuple", "$set", "$dict", "$made", "$bound"} & set(value))


def _shrink_container(current: Callable[[], Any], path: Path, check: Check, keep: Sequence[Path]) -> None:
    here = _get(current(), path)
    if not here:
        return
    names: list[str | int] = list(here) if isinstance(here, dict) else list(range(len(here)))
    fixed = [name for name in names if (*path, name) in keep]
    free = [name for name in names if name not in fixed]

    def build(chosen: Sequence[str | int]) -> Any:
        wanted = set(chosen) | set(fixed)
        if isinstance(here, dict):
            return _put(current(), path, {name: child for name, child in here.items() if name in wanted})
        return _put(current(), path, [child for i, child in enumerate(here) if i in wanted])

    if free and not check(build([])):
        _ddmin(free, lambda chosen: check(build(chosen)))


def _ddmin(names: list[str | int], fails: Callable[[list[str | int]], bool]) -> list[str | int]:
    parts = 2
    while len(names) >= 2:
        size = max(1, len(names) // parts)
        chunks = [names[i : i + size] for i in range(0, len(names), size)]
        for i in range(len(chunks)):
            rest = [name for j, chunk in enumerate(chunks) if j != i for name in chunk]
            if rest and fails(rest):
                names, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(len(names), parts * 2)
    return names


def _texts(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, str) and len(value) > TEXT:
        yield path
    elif isinstance(value, dict) and not _is_tagged(value):
        for key, child in value.items():
            yield from _texts(child, (*path, key))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _texts(child, (*path, i))


def _shrink_text(current: Callable[[], Any], path: Path, check: Check) -> None:
    text = _get(current(), path)
    for shorter in ("", text[:8], text[:TEXT], text[: len(text) // 2], text[len(text) // 2 :]):
        if len(shorter) < len(text) and check(_put(current(), path, shorter)):
            break
    text = _get(current(), path)
    if len(text) <= TEXT:
        return
    lines = text.splitlines(keepends=True)
    size = max(1, len(text) // PIECES)
    pieces = lines if len(lines) >= 4 else [text[i : i + size] for i in range(0, len(text), size)]

    def build(chosen: Sequence[str | int]) -> Any:
        return _put(current(), path, "".join(pieces[i] for i in sorted(map(int, chosen))))

    _ddmin(list(range(len(pieces))), lambda chosen: check(build(chosen)))


def _is_tagged(value: Any) -> bool:
    """Constructor calls and literals are one piece; tuples, sets and pair lists are not."""
    return isinstance(value, dict) and bool(
        {"$repr", "$call", "$name", "$ref", "$member", "$below"} & set(value)
    )


def _get(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _put(value: Any, path: Path, child: Any) -> Any:
    """A copy of `value` with `child` at `path`."""
    if not path:
        return child
    head, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {key: _put(item, rest, child) if key == head else item for key, item in value.items()}
    return [_put(item, rest, child) if i == head else item for i, item in enumerate(value)]

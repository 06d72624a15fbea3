"""The scene of a call: the frames around it, and the values that they show. What one frame does not tell, a frame
farther out often does: the text that an object was made from, the list that a loop was going through."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fixloop.reproduce.capsules import tree_of
from fixloop.reproduce.syntax import parse
from fixloop.reproduce.typed import Typed
from fixloop.reproduce.values import FILTERED, OwnClass, Rebuilt, rebuild
from store.event import Frame

MOST_VALUES = 24  # values of other frames that are tried for what is not known
_QUOTED = re.compile(r"'([^'\n]{1,200})'")
_LONGEST = 20_000  # characters of such a value


@dataclass(frozen=True)
class Seen:
    """A value that a frame shows under a name. `distance` counts frames outwards from the call; inner ones are
    negative."""

    name: str
    value: Any
    distance: int


class Scene:
    """All frames of the exception, oldest first, seen from the one at `index`."""

    def __init__(self, frames: Sequence[Frame], index: int, own_class: OwnClass, message: str = "") -> None:
        self.frames, self.index, self._own_class, self._message = frames, index, own_class, message

    @property
    def frame(self) -> Frame:
        return self.frames[self.index]

    @property
    def raised_here(self) -> str:
        """The error's message, where it was raised in this frame itself; else empty."""
        return self._message if self.index == len(self.frames) - 1 else ""

    def kept(self, name: str) -> Iterator[tuple[Any, int]]:
        """What frames show under a name: those that called first, nearest first, then those that were called."""
        wanted = bare(name)
        outer = range(self.index - 1, -1, -1)
        inner = range(self.index + 1, len(self.frames))
        for at in (*outer, *inner):
            for local, value in self.frames[at].vars.items():
                if bare(local) == wanted and not local.startswith("__") and value not in FILTERED:
                    yield value, self.index - at

    def same_object(self, address: str) -> Iterator[tuple[str, int]]:
        """The names under which frames show the object at an address."""
        for at, frame in enumerate(self.frames):
            for name, value in frame.vars.items():
                if isinstance(value, str) and f"0x{address}" in value:
                    yield name, self.index - at

    @cached_property
    def pool(self) -> tuple[Seen, ...]:
        """Plain values of the frames that called, nearest first; then of this frame and those that it called."""
        found: dict[str, Seen] = {}
        for text in list(dict.fromkeys(_QUOTED.findall(self._message)))[:3]:
            found[repr(text)] = Seen("the error's message", text, 1)
        outer = range(self.index - 1, -1, -1)
        inner = range(self.index, len(self.frames))
        for at in (*outer, *inner):
            for name, kept in self.frames[at].vars.items():
                if name.startswith("__") or kept is None:
                    continue
                built = self._rebuilt(kept, name)
                if built.ok and built.value is not None and len(repr(built.value)) <= _LONGEST:
                    found.setdefault(repr(built.value), Seen(name, built.value, self.index - at))
                    for key, part in _parts(built.value):
                        found.setdefault(repr(part), Seen(key, part, self.index - at))
        return tuple(found.values())[:MOST_VALUES]

    def _rebuilt(self, kept: Any, name: str) -> Rebuilt:
        """A value that needs no object to be made before it."""
        if not isinstance(kept, Typed):
            return rebuild(kept, name, self._own_class)
        try:
            tree = tree_of(kept, name, self._own_class, lambda module, function: None)
        except ValueError as problem:
            return Rebuilt(why=str(problem))
        if not tree.objects and "'$hole'" not in repr(tree.value):
            return Rebuilt(tree.value)
        return (
            rebuild(kept.shown, name, self._own_class) if kept.shown is not None else Rebuilt(why="an object")
        )

    @cached_property
    def call_site(self) -> Mapping[str, Any]:
        """Arguments of the call by position (as text) and keyword, as far as the calling line says them in constants
        and names: name -> what the SDK kept of the caller's local, or {"$const": value}."""
        caller = self.frames[self.index - 1] if self.index else None
        call = _call_of(caller, (self.frame.function or "").rpartition(".")[2]) if caller else None
        if caller is None or call is None:
            return {}
        found: dict[str, Any] = {}
        for position, arg in enumerate(call.args):
            if isinstance(arg, ast.Starred):
                break
            if (said := _said(arg, caller)) is not None:
                found[str(position)] = said
        for word in call.keywords:
            if word.arg and (said := _said(word.value, caller)) is not None:
                found[word.arg] = said
        return found


def bare(name: str) -> str:
    """A name without what styles add: underscores in front and behind, a class's mangling, capitals."""
    if name.startswith("_") and "__" in name[1:]:
        name = name[1:].partition("__")[2] or name
    return name.strip("_").lower()


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """The values inside a mapping, by their keys, and the items of a short list."""
    if isinstance(value, dict) and not any(key.startswith("$") for key in value):
        for key, part in value.items():
            if part is not None and not isinstance(part, bool):
                yield key, part


def _call_of(caller: Frame, name: str) -> ast.Call | None:
    """The call of `name` in the caller's line, with the lines around it where it goes over several."""
    line = caller.context_line or ""
    for extra in range(min(len(caller.post_context), 6) + 1):
        text = "\n".join([line.strip(), *caller.post_context[:extra]])
        for candidate in (text, text.rstrip(":") + ":\n pass" if text.rstrip().endswith(":") else text):
            tree = parse(candidate.strip())
            for node in ast.walk(tree) if tree else ():
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                    return node
    return None


def _said(node: ast.expr, caller: Frame) -> Any:
    match node:
        case ast.Constant(value=value) if isinstance(value, (str, int, float, bool)) or value is None:
            return {"$const": value}
        case ast.Name(id=name) if name in caller.vars:
            return caller.vars[name]
        case _:
            return None

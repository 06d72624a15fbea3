"""Typed values out of a replay capsule, in the place of what the SDK kept of them.

`enriched` puts them on an event; `tree_of` makes a value tree of one. Nothing of a capsule is run: a name that it says
is written into a test only where it is a class of the team's own code or a constructor that `values` knows, as with a
repr.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fixloop.reproduce.typed import Typed
from fixloop.reproduce.values import CONSTRUCTORS, FUNCTIONS, REFERENCES, OwnClass, tagless
from fixloop.reproduce.ways import variable
from store.event import Event, Frame, Request

_KNOWN = frozenset({*CONSTRUCTORS.values(), *FUNCTIONS.values(), "iter"})
_NUMERIC = re.compile(
    r"numpy\.(?:array|resize|u?int\d{1,2}|float\d{1,3}|bool_?|complex\d{1,3}|str_)|pandas\.(?:DataFrame|Series)"
)
_LITERAL = ("nan", "inf", "-inf")
_EMPTY: Mapping[str, Any] = {"list": [], "dict": {}, "set": {"$set": []}}
_SHAPES = {"tuple": "$tuple", "set": "$set"}
DEEPEST = 60  # nested values that are written into a test

OwnFunction = Callable[[str, str], "str | None"]  # module, name -> dotted name


# --- onto the event ----------------------------------------------------------------------------------------------


def enriched(event: Event) -> Event:
    """The event with the typed values of its capsule in its frames and its request, as far as it has one with its
    content."""
    content = event.capsule.content if event.capsule else None
    if not content or event.exception is None:
        return event
    shared = dict(shared_nodes(content))
    circular = _parts_of_themselves(shared)
    redacted = [row[0] for row in content["redacted"]]
    frames = _matched(
        event.exception.frames, content["frames"], partial(Typed, shared=shared, circular=circular), redacted
    )
    last = event.exception.model_copy(update={"frames": frames})
    entry = content["entry"]
    return event.model_copy(update={
        "exceptions": (*event.exceptions[:-1], last),
        "request": _request(event.request, entry, shared),
        "extra": _extra(event.extra, entry, shared),
    })  # fmt: skip


def shared_nodes(node: Any) -> Iterator[tuple[int, Any]]:
    """The nodes that others refer to."""
    pending = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if "$" in part and part["$"] != "same" and isinstance(part.get("id"), int):
                yield part["id"], part
            pending += part.values()
        elif isinstance(part, list):
            pending += part


def _parts_of_themselves(shared: Mapping[int, Any]) -> frozenset[int]:
    """The ids of what refers, over however many others, to itself."""
    inside = {number: set(_numbers(node)) for number, node in shared.items()}
    found = set()
    for number in shared:
        seen: set[int] = set()
        pending = list(inside[number])
        while pending:
            one = pending.pop()
            if one not in seen:
                seen.add(one)
                pending += inside.get(one, ())
        if number in seen:
            found.add(number)
    return frozenset(found)


def _numbers(node: Any) -> Iterator[int]:
    """The ids right inside of a node: what is behind one of them is that one's."""
    pending = list(node.values())
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if "$" in part and isinstance(part.get("id"), int):
                yield part["id"]
            else:
                pending += part.values()
        elif isinstance(part, list):
            pending += part


def _matched(
    frames: tuple[Frame, ...], kept: list[Any], typed: Callable[..., Typed], redacted: list[str]
) -> tuple[Frame, ...]:
    """The frames, each with the variables that the capsule has of it: both are gone through from the inside out."""
    found = list(frames)
    at = len(found) - 1
    for place, one in enumerate(kept):
        here = at
        while here >= 0 and not _is(found[here], one):
            here -= 1
        if here < 0:
            continue
        frame = found[here]
        local = {}
        # a test calls with what the arguments were, not with what became of them
        for part in ("vars", "called"):
            for name, node in one.get(part, {}).items():
                taken_out = _below(redacted, f"/frames/{place}/{part}/{name}")
                local[name] = typed(node, frame.vars.get(name), redacted=taken_out)
        found[here] = frame.model_copy(update={"vars": {**frame.vars, **local}})
        at = here - 1
    return tuple(found)


def _is(frame: Frame, kept: Mapping[str, Any]) -> bool:
    return bool(
        (frame.function or "").rpartition(".")[2] == kept["function"] and frame.lineno == kept["line"]
    )


def _below(redacted: list[str], pointer: str) -> tuple[str, ...]:
    return tuple(one for one in redacted if one == pointer or one.startswith(f"{pointer}/"))


def _request(request: Request | None, entry: Mapping[str, Any], shared: Mapping[int, Any]) -> Request | None:
    """The request with its whole body, where the capsule has it as JSON or text."""
    if request is None or entry.get("kind") != "request":
        return request
    body = entry.get("data")
    raw = entry.get("body")
    if body is None and isinstance(raw, dict) and raw.get("$") == "bytes" and "size" not in raw:
        body = raw.get("text")
    try:
        return request.model_copy(update={"data": _as_json(body, shared)}) if body is not None else request
    except (LookupError, TypeError, ValueError):
        return request


def _extra(extra: Mapping[str, Any], entry: Mapping[str, Any], shared: Mapping[int, Any]) -> dict[str, Any]:
    """What came in by a queue or a command line, whole."""
    whole = dict(extra)
    for part, name in {"job": f"{entry.get('kind')}-job", "argv": "sys.argv"}.items():
        if part in entry and name in extra:
            try:
                whole[name] = _as_json(entry[part], shared)
            except (LookupError, TypeError, ValueError):  # more than JSON: it stays as the SDK has it
                continue
    return whole


def _as_json(node: Any, shared: Mapping[int, Any], depth: int = 0) -> Any:
    """A node as the JSON that it is, with what it shares with others written out. Raises ValueError, KeyError or
    TypeError for one that is more than JSON, or not whole."""
    if depth > DEEPEST:
        raise ValueError("a part of itself")
    if isinstance(node, list):
        return [_as_json(item, shared, depth + 1) for item in node]
    if not isinstance(node, dict):
        return node
    if "$" not in node:
        return {key: _as_json(item, shared, depth + 1) for key, item in node.items()}
    if node["$"] == "same":
        return _as_json(shared[node["id"]], shared, depth + 1)
    if "size" in node or node["$"] not in ("list", "tuple", "dict"):
        raise ValueError(f"{node['$']} is no JSON")
    if node["$"] != "dict":
        return [_as_json(item, shared, depth + 1) for item in node["of"]]
    if not all(isinstance(key, str) for key, _ in node["of"]):
        raise ValueError("a key that is no text")
    return {key: _as_json(item, shared, depth + 1) for key, item in node["of"]}


# --- as a value tree ---------------------------------------------------------------------------------------------


@dataclass
class Tree:
    """A value tree, with the objects that have to be made before it, in order, and with what it lacks. A part that
    cannot be had is {"$hole": what is known of it}."""

    value: Any
    objects: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def tree_of(kept: Typed, name: str, own_class: OwnClass, own_function: OwnFunction) -> Tree:
    """The tree of a variable of that name. Raises ValueError where it is nested too deeply or malformed."""
    making = _Making(kept, own_class, own_function)
    try:
        value = making.tree(kept.node, name, 0)
    except (KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ValueError(f"{name} cannot be read in the capsule") from error
    return Tree(value, [*making.bare, *making.whole, *making.fills], making.notes)


class _Making:
    """One tree in the making. An object that several places share gets a name by its id, and is made in the same way
    in every tree of its capsule: at once, or, where it is a part of itself, bare first and filled when all is there."""

    def __init__(self, kept: Typed, own_class: OwnClass, own_function: OwnFunction) -> None:
        self._shared, self._circular = kept.shared, kept.circular
        self._own_class, self._own_function = own_class, own_function
        self._names: dict[int, Any] = {}
        self.bare: list[dict[str, Any]] = []
        self.whole: list[dict[str, Any]] = []
        self.fills: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def tree(self, node: Any, name: str, depth: int) -> Any:
        """The tree of a node. `name` is the variable's, attribute's or key's."""
        if depth > DEEPEST:
            raise ValueError(f"{name} is nested too deeply")
        if isinstance(node, list):
            return [self.tree(item, name, depth + 1) for item in node]
        if not isinstance(node, dict):
            return node
        if "$" not in node:
            return tagless({key: self.tree(item, key, depth + 1) for key, item in node.items()})
        if isinstance(node.get("id"), int) and node["id"] in self._shared:
            return self._reference(node["id"], name, depth)
        return self._made(node, name, depth)

    def _reference(self, number: int, name: str, depth: int) -> Any:
        """A name for an object that several places share; it is made when it is first asked for."""
        if number not in self._names:
            node = self._shared[number]
            kind = str(node.get("class", node.get("name", node["$"]))).rpartition(".")[2]
            called = f"{variable('self', kind)}_{number}"
            self._names[number] = {"$ref": called}
            empty = self._empty(node, name) if number in self._circular else None
            entry = {"name": called, "calls": [], "set": {}}
            if empty is not None:
                self.bare.append({**entry, "value": empty})
                self.fills.append(
                    {**entry, "name": f"{called} filled", "of": called, **self._filling(node, name, depth)}
                )
            else:
                value = self._made(node, name, depth)
                if isinstance(value, dict) and "$hole" in value:  # it has no name where it cannot be made
                    self._names[number] = value
                else:
                    self.whole.append({**entry, "value": value})
        return self._names[number]

    # --- what is a part of itself ---

    def _empty(self, node: Mapping[str, Any], name: str) -> Any:
        """What such an object is before there is something in it; None where it cannot be without."""
        if node["$"] in _EMPTY:
            return _EMPTY[node["$"]]
        own = (
            self._own_class(str(node["class"])) or self._nearest(node, name)
            if node["$"] == "object"
            else None
        )
        if own is None:
            return None
        if node.get("how") == "call":
            return {"$call": own, "args": [], "kwargs": {}} if "items" not in node else None
        items = node.get("items")
        content = {"content": _EMPTY[_kind(items)]} if _kind(items) in _EMPTY else {}
        return {"$made": own, "state": {}, **content} if items is None or content else None

    def _filling(self, node: Mapping[str, Any], name: str, depth: int) -> dict[str, Any]:
        """How it comes to what was in it."""
        items = node.get("items") if node["$"] == "object" else node
        found: dict[str, Any] = {}
        if items is not None:
            plain = {**items, "$": _kind(items)} if isinstance(items, dict) and "$" in items else items
            content = (
                self._made(plain, name, depth)
                if isinstance(plain, dict) and "$" in plain
                else self.tree(plain, name, depth)
            )
            found["calls"] = [["extend" if _kind(items) == "list" else "update", [content], {}, False]]
        if node["$"] == "object":
            state = {key: self.tree(item, key, depth + 1) for key, item in node["state"].items()}
            found["set" if node.get("how") == "call" else "state"] = state
        return found

    # --- kinds ---

    def _made(self, node: Mapping[str, Any], name: str, depth: int) -> Any:
        if "size" in node:
            self.notes.append(f"{name}: only a part of it is in the capsule")
        match node["$"]:
            case "list" | "tuple" | "set" | "frozenset":
                items = [self.tree(item, name, depth + 1) for item in node["of"]]
                if node["$"] == "frozenset":
                    return {"$call": "frozenset", "args": [items], "kwargs": {}}
                return {_SHAPES[node["$"]]: items} if node["$"] in _SHAPES else items
            case "dict":
                return self._mapping(node, name, depth)
            case "text":
                return node["of"]
            case "bytes":
                return {"$repr": repr(_bytes(node))}
            case "call":
                return self._call(node, name, depth)
            case "method":
                return {"$bound": str(node["name"]), "of": self.tree(node["of"], name, depth + 1)}
            case "object" | "error":
                return self._object(node, name, depth)
        return self._named(node)

    def _mapping(self, node: Mapping[str, Any], name: str, depth: int) -> Any:
        pairs = [
            [
                self.tree(key, name, depth + 1),
                self.tree(item, key if isinstance(key, str) else name, depth + 1),
            ]
            for key, item in node["of"]
        ]
        if all(isinstance(key, str) and not key.startswith("$") for key, _ in pairs):
            return dict(pairs)
        return {"$dict": pairs}

    def _call(self, node: Mapping[str, Any], name: str, depth: int) -> Any:
        called, args = str(node["name"]), list(node["args"])
        if called == "float" and len(args) == 1 and args[0] in _LITERAL:
            return {"$repr": f"float('{args[0]}')"}
        if called not in _KNOWN and not _NUMERIC.fullmatch(called):
            return {"$hole": f"<{called} object>"}
        words = {key: self.tree(item, key, depth + 1) for key, item in node["kwargs"].items()}
        return {"$call": called, "args": [self.tree(arg, name, depth + 1) for arg in args], "kwargs": words}

    def _object(self, node: Mapping[str, Any], name: str, depth: int) -> Any:
        """An instance of one of the team's classes, or an exception of Python's."""
        said = str(node["class"])
        known = CONSTRUCTORS.get(said) if node["$"] == "error" else None
        own = known or self._own_class(said) or self._nearest(node, name)
        if own is None:
            return {"$hole": f"<{said} object>"}
        content = node["args"] if node["$"] == "error" else node.get("items")
        state = {key: self.tree(item, key, depth + 1) for key, item in node["state"].items()}
        if known or node.get("how") == "call":
            args = content["of"] if isinstance(content, dict) else content or []
            words = {key: item for key, item in state.items() if key.isidentifier() and not known}
            return {"$call": own, "args": [self.tree(arg, name, depth + 1) for arg in args], "kwargs": words}
        made: dict[str, Any] = {"$made": own, "state": tagless(state)}
        if content is not None:
            made["content"] = self.tree(content, name, depth + 1)
        return made

    def _nearest(self, node: Mapping[str, Any], name: str) -> str | None:
        """The nearest class of the team's that an object's own, which is not in their repositories, derives from."""
        for base in node.get("like", ()):
            if own := self._own_class(str(base)):
                self.notes.append(
                    f"{name}: a {own.rpartition('.')[2]}, its own class {node['class']} is not here"
                )
                return own
        return None

    def _named(self, node: Mapping[str, Any]) -> Any:
        """Classes, functions, members of enumerations; else what is only known to have been there."""
        said = str(node.get("name", ""))
        match node["$"]:
            case "member":
                owner = self._own_class(str(node["class"]))
                return {"$member": [owner, said]} if owner else {"$hole": f"<{node['class']}.{said}: >"}
            case "class":
                known = REFERENCES.get(said) or self._own_class(said)
                return {"$name": known} if known else {"$hole": f"<class '{said}'>"}
            case "function" if said == "Ellipsis":
                return {"$repr": "..."}
            case "function":
                module = str(node.get("module", ""))
                known = REFERENCES.get(said if module == "builtins" else f"{module.strip('_')}.{said}")
                dotted = known or self._own_function(module, said)
                return {"$name": dotted} if dotted else {"$hole": f"<function {said} at 0x0>"}
            case "opaque":
                return {"$hole": f"<{node.get('class', 'object')} object>"}
        return {"$hole": ""}


def _kind(items: Any) -> str:
    """Which kind of container a node is; "" where it is none."""
    if isinstance(items, list):
        return "list"
    return str(items.get("$", "dict")) if isinstance(items, dict) else ""


def _bytes(node: Mapping[str, Any]) -> bytes:
    if "text" in node:
        return str(node["text"]).encode("utf-8", "replace")
    return base64.b64decode(str(node["base64"]), validate=True)

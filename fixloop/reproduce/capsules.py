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
    shared = dict(_shared(content))
    redacted = [row[0] for row in content["redacted"]]
    frames = _matched(event.exception.frames, content["frames"], shared, redacted)
    last = event.exception.model_copy(update={"frames": frames})
    entry = content["entry"]
    return event.model_copy(update={
        "exceptions": (*event.exceptions[:-1], last),
        "request": _request(event.request, entry),
        "extra": _extra(event.extra, entry),
    })  # fmt: skip


def _shared(node: Any) -> Iterator[tuple[int, Any]]:
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


def _matched(
    frames: tuple[Frame, ...], kept: list[Any], shared: Mapping[int, Any], redacted: list[str]
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
        frame, prefix = found[here], f"/frames/{place}/vars/"
        local = {
            name: Typed(node, frame.vars.get(name), shared, _below(redacted, prefix + name))
            for name, node in one["vars"].items()
        }
        found[here] = frame.model_copy(update={"vars": {**frame.vars, **local}})
        at = here - 1
    return tuple(found)


def _is(frame: Frame, kept: Mapping[str, Any]) -> bool:
    return bool(
        (frame.function or "").rpartition(".")[2] == kept["function"] and frame.lineno == kept["line"]
    )


def _below(redacted: list[str], pointer: str) -> tuple[str, ...]:
    return tuple(one for one in redacted if one == pointer or one.startswith(f"{pointer}/"))


def _request(request: Request | None, entry: Mapping[str, Any]) -> Request | None:
    """The request with its whole body, where the capsule has it as JSON or text."""
    if request is None or entry.get("kind") != "request":
        return request
    body = entry.get("data")
    raw = entry.get("body")
    if body is None and isinstance(raw, dict) and raw.get("$") == "bytes" and "size" not in raw:
        body = raw.get("text")
    return request.model_copy(update={"data": body}) if body is not None and is_plain(body) else request


def _extra(extra: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """What came in by a queue or a command line, whole."""
    names = {"job": f"{entry.get('kind')}-job", "argv": "sys.argv"}
    whole = {name: entry[part] for part, name in names.items() if part in entry and is_plain(entry[part])}
    return {**extra, **{name: value for name, value in whole.items() if name in extra}}


def is_plain(node: Any) -> bool:
    """Whether a node is JSON as it stands."""
    if isinstance(node, list):
        return all(is_plain(item) for item in node)
    return not isinstance(node, dict) or ("$" not in node and all(is_plain(item) for item in node.values()))


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
    making = _Making(kept.shared, own_class, own_function)
    try:
        value = making.tree(kept.node, name, 0)
    except (KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ValueError(f"{name} cannot be read in the capsule") from error
    return Tree(value, making.objects, making.notes)


class _Making:
    """One tree in the making. An object that several places share gets a name by its id: the same in every tree of a
    capsule."""

    def __init__(self, shared: Mapping[int, Any], own_class: OwnClass, own_function: OwnFunction) -> None:
        self._shared, self._own_class, self._own_function = shared, own_class, own_function
        self._names: dict[int, str] = {}
        self._open: list[int] = []  # ids that are being made
        self._later: dict[int, list[dict[str, Any]]] = {}  # what is done once an object is there
        self.objects: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def tree(self, node: Any, name: str, depth: int) -> Any:
        """The tree of a node. `name` is the variable's, attribute's or key's."""
        if depth > DEEPEST:
            raise ValueError(f"{name} is nested too deeply")
        if isinstance(node, list):
            if any(map(self._is_open, node)):
                return self._holder({"$": "list", "of": node}, depth)
            return [self.tree(item, name, depth + 1) for item in node]
        if not isinstance(node, dict):
            return node
        if "$" not in node:
            if any(map(self._is_open, node.values())):
                return self._holder({"$": "dict", "of": [[*pair] for pair in node.items()]}, depth)
            return tagless({key: self.tree(item, key, depth + 1) for key, item in node.items()})
        if node["$"] == "same" and isinstance(node.get("id"), int):
            return self._reference(node["id"], name, depth)
        if isinstance(node.get("id"), int) and node["id"] in self._shared:
            return self._reference(node["id"], name, depth)
        return self._made(node, name, depth)

    def _reference(self, number: int, name: str, depth: int) -> Any:
        """A name for an object that several places share; it is made when it is first asked for."""
        if number in self._open:
            return {"$hole": "<a circle>"}  # whoever holds it has seen to it before
        if number not in self._names:
            node = self._shared[number]
            kind = str(node.get("class", node.get("name", node["$"]))).rpartition(".")[2]
            self._names[number] = f"{variable('self', kind)}_{number}"
            self._open.append(number)
            value = self._made(node, name, depth, number)
            self._open.pop()
            self.objects.append({"name": self._names[number], "value": value, "calls": [], "set": {}})
            self.objects += self._later.pop(number, [])
        return {"$ref": self._names[number]}

    def _closes_a_circle(self, node: Mapping[str, Any]) -> bool:
        if node["$"] not in ("object", "error", "list", "dict"):
            return False
        parts = node["state"].values() if "state" in node else node["of"]
        return any(map(self._is_open, [pair[1] for pair in parts] if node["$"] == "dict" else parts))

    def _is_open(self, part: Any) -> bool:
        """Whether a part refers to something that is being made."""
        if isinstance(part, dict) and part.get("$") == "method":
            part = part["of"]
        return isinstance(part, dict) and part.get("$") == "same" and part.get("id") in self._open

    def _holder(self, node: Mapping[str, Any], depth: int) -> Any:
        """A name for what holds something that is still being made: the two are joined afterwards."""
        number = -1 - len(self._names)
        kind = str(node.get("class", node["$"])).rpartition(".")[2]
        self._names[number] = f"{variable('self', kind)}_{abs(self._open[-1])}_{len(self._names)}"
        value = self._made(node, kind, depth, number)
        self.objects.append({"name": self._names[number], "value": value, "calls": [], "set": {}})
        return {"$ref": self._names[number]}

    def _circle(self, item: Any, holder: int | None, set_: dict[str, Any], calls: list[Any]) -> bool:
        """Whether a part refers to something that is being made; then it is put there once that is made."""
        if holder is None or not self._is_open(item):
            return False
        bound = item["$"] == "method"
        number = item["of"]["id"] if bound else item["id"]
        reference: dict[str, Any] = {"$ref": self._names[number]}
        if bound:
            reference = {"$bound": str(item["name"]), "of": reference}
        filled = [[method, [*args, reference], {}, False] for method, args in calls]
        done = {"name": f"{self._names[holder]}.{len(self.objects)}.{len(self._later.get(number, ()))}",
                "of": self._names[holder], "calls": filled, "set": dict.fromkeys(set_, reference)}  # fmt: skip
        self._later.setdefault(number, []).append(done)
        return True

    def _made(self, node: Mapping[str, Any], name: str, depth: int, holder: int | None = None) -> Any:
        kind = node["$"]
        if holder is None and self._closes_a_circle(node):
            return self._holder(node, depth)
        if "size" in node:
            self.notes.append(f"{name}: only a part of it is in the capsule")
        match kind:
            case "list" | "tuple" | "set" | "frozenset":
                return self._sequence(node, name, depth, holder)
            case "dict":
                return self._mapping(node, name, depth, holder)
            case "text":
                return node["of"]
            case "bytes":
                return {"$repr": repr(_bytes(node))}
            case "call":
                return self._call(node, name, depth)
            case "method":
                return {"$bound": str(node["name"]), "of": self.tree(node["of"], name, depth + 1)}
            case "object" | "error":
                return self._object(node, name, depth, holder)
        return self._named(node)

    def _sequence(self, node: Mapping[str, Any], name: str, depth: int, holder: int | None) -> Any:
        items = []
        for at, item in enumerate(node["of"]):
            if node["$"] == "list" and self._circle(item, holder, {}, [["insert", [at]]]):
                continue
            items.append(self.tree(item, name, depth + 1))
        if node["$"] == "frozenset":
            return {"$call": "frozenset", "args": [items], "kwargs": {}}
        return {_SHAPES[node["$"]]: items} if node["$"] in _SHAPES else items

    def _mapping(self, node: Mapping[str, Any], name: str, depth: int, holder: int | None) -> Any:
        pairs = []
        for key, item in node["of"]:
            if isinstance(key, str | int) and self._circle(item, holder, {}, [["__setitem__", [key]]]):
                continue
            part = key if isinstance(key, str) else name
            pairs.append([self.tree(key, name, depth + 1), self.tree(item, part, depth + 1)])
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

    def _object(self, node: Mapping[str, Any], name: str, depth: int, holder: int | None) -> Any:
        """An instance of one of the team's classes, or an exception of Python's."""
        said = str(node["class"])
        known = CONSTRUCTORS.get(said) if node["$"] == "error" else None
        own = known or self._own_class(said) or self._nearest(node, name)
        if own is None:
            return {"$hole": f"<{said} object>"}
        content = node["args"] if node["$"] == "error" else node.get("items")
        state = {}
        for key, item in node["state"].items():
            if not self._circle(item, holder, {key: None}, []):
                state[key] = self.tree(item, key, depth + 1)
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


def _bytes(node: Mapping[str, Any]) -> bytes:
    if "text" in node:
        return str(node["text"]).encode("utf-8", "replace")
    return base64.b64decode(str(node["base64"]), validate=True)

"""Values as JSON without loss: each kind that JSON lacks is an object with its kind under `$`.

Plain JSON stands for itself. Else, by kind:
    {"$": "list" | "tuple" | "set" | "frozenset", "of": [...]}        {"$": "dict", "of": [[key, value], ...]}
    {"$": "text", "of": "...", "size": n} a text that was cut         {"$": "bytes", "text": "..." | "base64": "..."}
    {"$": "call", "name": "decimal.Decimal", "args": [...], "kwargs": {...}}, a value of a known library
    {"$": "object", "class": "shop.Order", "how": "made" | "call", "like": ["shop.Base"], "state": {...}, "items": ...}
    {"$": "error", "class": "shop.Refused", "args": [...], "state": {...}}
    {"$": "member", "class": "shop.Color", "name": "RED"}             {"$": "class", "name": "shop.Order"}
    {"$": "function", "module": "shop", "name": "price"}
    {"$": "method", "name": "total", "of": ...}
    {"$": "same", "id": 3}, the value that has `"id": 3`              {"$": "opaque", "class": "socket.socket"}
    {"$": "cut", "why": "depth" | "size" | "time" | "failed"}         {"$": "redacted", "why": "denied"}
A container that was cut says its whole `size`. Nothing of the application's code runs while a value is read.
"""

from __future__ import annotations

import base64
import enum
import time
import types
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from nightdesk_capture.limits import Limits
from nightdesk_capture.peek import (
    class_name,
    derives,
    instance_dict,
    is_own,
    is_what_it_says,
    lineage,
    own_names,
    state_of,
)

Node = Any
Denies = Callable[[str], bool]

CUT: Dict[str, Dict[str, str]] = {
    why: {"$": "cut", "why": why} for why in ("depth", "size", "time", "failed")
}
BASES = 5  # classes that are named of those that a class derives from
TEXTS = 4  # texts of full length that one capsule has room for
_LONGEST_NUMBER = 4096  # bits
_EDGE = 256  # characters before a cut in which a word's end is looked for: half a secret must not stay
_CONTAINERS: Tuple[Tuple[type, str], ...] = (
    (list, "list"), (tuple, "tuple"), (dict, "dict"), (set, "set"), (frozenset, "frozenset"),
)  # fmt: skip
_BASES: Dict[str, Any] = {name: base for base, name in _CONTAINERS}
_CONSTANT = (tuple, frozenset)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)


class Encoder:
    """Encodes the values of one capsule: what is met twice is kept once. Not for several threads."""

    def __init__(self, limits: Limits, until: float, denies: Denies = lambda name: False) -> None:
        self._limits, self._until, self._denies = limits, until, denies
        self._left = limits.nodes
        self._room = limits.text * TEXTS  # characters: reading them for secrets takes time
        self._met: Dict[int, Dict[str, Any]] = {}
        self._held: List[object] = []  # so that no id is used again
        self._same = 0
        self.cut: Dict[str, str] = {}  # place -> what was left out

    def value(self, value: object, place: str, depth: int = 0) -> Node:
        """The node of a value. Never raises."""
        try:
            return self._value(value, place, depth)
        except Exception:  # whatever it was: the application must not hear of it
            return self._mark("failed", place)

    def _mark(self, why: str, place: str) -> Node:
        self.cut.setdefault(place, why)
        return dict(CUT[why])

    def _value(self, value: object, place: str, depth: int) -> Node:
        kind: Any = type(value)
        if value is None or kind is bool:
            return value
        self._left -= 1
        if self._left < 0:
            return self._mark("size", place)
        if kind is int or kind is float:
            return self._number(value, place)
        if kind is str:
            return self._text(value, place)  # type: ignore[arg-type]
        if self._left & 63 == 0 and time.monotonic() > self._until:
            self._left = 0
            return self._mark("time", place)
        known = self._met.get(id(value))
        if known is not None:
            if "id" not in known:
                self._same += 1
                known["id"] = self._same
            return {"$": "same", "id": known["id"]}
        if depth > self._limits.depth:
            return self._mark("depth", place)
        node = self._structure(value, kind, place, depth)
        if kind in _CONSTANT and "id" not in node:  # that two names mean the same one is nobody's concern
            self._met.pop(id(value), None)
        return node

    def _number(self, value: Any, place: str) -> Node:
        if type(value) is int:
            return value if value.bit_length() <= _LONGEST_NUMBER else self._mark("size", place)
        return value if value - value == 0 else call("float", [repr(value)])

    def _text(self, value: str, place: str) -> Node:
        size = str.__len__(value)
        if self._room < min(size, self._limits.text):
            return self._mark("size", place)
        self._room -= min(size, self._limits.text)
        if size <= self._limits.text:
            return str.__str__(value)
        self.cut.setdefault(place, f"text of {size} characters")
        return {"$": "text", "of": clipped(value, self._limits.text), "size": size}

    # --- structures ---------------------------------------------------------------------------------------------

    def _structure(self, value: object, kind: type, place: str, depth: int) -> Node:
        for base, name in _CONTAINERS:
            if kind is base:
                return self._container(value, name, self._remember(value), place, depth)
        name = class_name(kind)
        from_library = LIBRARY.get(name)
        if from_library is not None and is_what_it_says(kind, name):
            node = self._remember(value) if name in CHANGEABLE else {}

            def inner(item: object, part: str) -> Node:
                return self.value(item, f"{place}/{part}", depth + 1)

            node.update(from_library(value, inner, self._limits))
            if "size" in node:
                self.cut.setdefault(place, f"the whole has the size {node['size']}")
            return node
        if derives(value, type):
            return {"$": "class", "name": class_name(value)}  # type: ignore[arg-type]
        if kind in _FUNCTIONS or kind is types.MethodType:
            return self._function(value, place, depth)
        if derives(value, enum.Enum):
            return self._member(value, kind, place, depth)
        if derives(value, BaseException):
            return self._error(value, kind, place, depth)  # type: ignore[arg-type]
        if not is_own(kind):
            return {"$": "opaque", "class": class_name(kind)}
        return self._object(value, kind, place, depth)

    def _function(self, value: Any, place: str, depth: int) -> Node:
        """A function by its name; a method with what it is bound to."""
        name = value.__func__ if type(value) is types.MethodType else value
        if type(name) not in _FUNCTIONS:
            return {"$": "opaque", "class": class_name(type(value))}
        holder = value.__self__ if type(value) is not types.FunctionType else None
        if holder is None or types.ModuleType in lineage(type(holder)):
            return {"$": "function", "module": str(name.__module__), "name": name.__qualname__}
        return {"$": "method", "name": name.__name__, "of": self.value(holder, f"{place}/of", depth + 1)}

    def _remember(self, value: object) -> Dict[str, Any]:
        node: Dict[str, Any] = {"$": ""}
        self._met[id(value)] = node
        self._held.append(value)
        return node

    def _container(self, value: Any, name: str, node: Dict[str, Any], place: str, depth: int) -> Node:
        node["$"] = name
        if name == "dict":
            pairs, size = some(dict.items(value), dict.__len__(value), self._limits.items)
            node["of"] = [
                [self.value(key, f"{place}/~{at}", depth + 1), self._named(key, item, place, at, depth)]
                for at, (key, item) in enumerate(pairs)
            ]
        else:
            base: Any = _BASES[name]
            items, size = some(base.__iter__(value), base.__len__(value), self._limits.items)
            node["of"] = [self.value(item, f"{place}/{at}", depth + 1) for at, item in enumerate(items)]
        if size > len(node["of"]):
            node["size"] = size
            self.cut.setdefault(place, f"{size - len(node['of'])} of {size} items")
        return node

    def _named(self, key: object, item: object, place: str, at: int, depth: int) -> Node:
        if type(key) is not str:
            return self.value(item, f"{place}/{at}", depth + 1)
        return self.attribute(key, item, f"{place}/{pointed(key)}", depth)

    def attribute(self, name: str, value: object, place: str, depth: int = 0) -> Node:
        """A value under a name; what a name is denied for is not looked at."""
        if self._denies(name):
            return {"$": "redacted", "why": "denied"}
        return self.value(value, place, depth + 1)

    def _state(self, pairs: Iterable[Tuple[str, Any]], place: str, depth: int) -> Dict[str, Node]:
        taken = [(name, item) for name, item in pairs if not name.startswith("$")]
        kept = taken[: self._limits.items]
        if len(kept) < len(taken):
            self.cut.setdefault(place, f"{len(taken) - len(kept)} of {len(taken)} attributes")
        return {name: self.attribute(name, item, f"{place}/{pointed(name)}", depth) for name, item in kept}

    def _member(self, value: object, kind: type, place: str, depth: int) -> Node:
        kept = instance_dict(value) or {}
        if type(kept.get("_name_")) is str and "|" not in kept["_name_"]:
            return {"$": "member", "class": class_name(kind), "name": kept["_name_"]}
        return {"$": "object", "class": class_name(kind), "how": "call", "state": {},
                "items": {"$": "tuple", "of": [self.value(kept.get("_value_"), place, depth + 1)]}}  # fmt: skip

    def _error(self, value: BaseException, kind: type, place: str, depth: int) -> Node:
        node = self._remember(value)
        args = BaseException.__dict__["args"].__get__(value)
        node.update({"$": "error", "class": class_name(kind)})
        node["args"] = [self.value(arg, f"{place}/args/{at}", depth + 1) for at, arg in enumerate(args)]
        node["state"] = self._state(state_of(value), place, depth)
        return node

    def _object(self, value: object, kind: type, place: str, depth: int) -> Node:
        node = self._remember(value)
        state, how = _shape(value, kind)
        node.update({"$": "object", "class": class_name(kind), "how": how})
        like = [class_name(base) for base in lineage(kind)[1:] if is_own(base)]
        if like:
            node["like"] = like[:BASES]
        for base, name in _CONTAINERS:
            if base in lineage(kind):
                node["items"] = self._container(value, name, {}, place, depth)
                if (
                    name == "tuple"
                    and how == "made"
                    and "_fields" in {n for k in lineage(kind) for n in own_names(k)}
                ):
                    node["how"] = "call"
        for plain in (str, int, float, bytes):
            if plain in lineage(kind):
                node["items"] = self._plain(value, plain, place, depth)
        node["state"] = self._state(state, place, depth)
        return node

    def _plain(self, value: Any, plain: type, place: str, depth: int) -> Node:
        if plain is str:
            return self._text(value, place)
        exact: Any = (
            int.__add__(value, 0)
            if plain is int
            else float.__add__(value, 0.0)
            if plain is float
            else bytes.__getitem__(value, slice(None))
        )
        return self.value(exact, place, depth + 1)


def _shape(value: object, kind: type) -> Tuple[List[Tuple[str, Any]], str]:
    """What an object keeps, and how one like it is made: `call` its class with these as keywords, or `made`,
    past its constructor."""
    state = state_of(value)
    names = {class_name(base) for base in lineage(kind)}
    if "django.db.models.base.Model" in names or any(name == "_sa_instance_state" for name, _ in state):
        return [(name, item) for name, item in state if not name.startswith("_")], "call"
    return [(name, item) for name, item in state if name not in ("__weakref__", "__dict__")], "made"


def some(items: Iterable[Any], size: int, most: int) -> Tuple[List[Any], int]:
    """The first of a container's items, and how many there are."""
    found: List[Any] = []
    for item in items:
        if len(found) >= most:
            break
        found.append(item)
    return found, max(size, len(found))


def clipped(value: str, most: int) -> str:
    """The beginning of a text, up to the end of a word."""
    start: str = str.__getitem__(value, slice(0, most))
    edge = min(_EDGE, most // 2)
    tail = start[len(start) - edge :]
    last = max(tail.rfind(mark) for mark in " \n\t,;&\"'<>")
    return start[: len(start) - edge + max(0, last)]


def pointed(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name[:200].replace("~", "~0").replace("/", "~1")


def slim(node: Node) -> Node:
    """The same node with plain JSON where that says it all: lists and mappings with names that nobody refers to."""
    if type(node) is list:
        return [slim(item) for item in node]
    if type(node) is not dict:
        return node
    kind = node.get("$")
    if kind == "list" and "id" not in node and "size" not in node:
        return [slim(item) for item in node["of"]]
    if kind == "dict" and "id" not in node and "size" not in node and _plain_keys(node["of"]):
        return {key: slim(item) for key, item in node["of"]}
    return {key: slim(item) for key, item in node.items()}


def _plain_keys(pairs: List[List[Any]]) -> bool:
    keys = [key for key, _ in pairs]
    return all(type(key) is str and not key.startswith("$") for key in keys)


# --- kinds of known libraries --------------------------------------------------------------------------------------

Inner = Callable[[object, str], Node]
Known = Callable[[Any, Inner, Limits], Dict[str, Any]]
LIBRARY: Dict[str, Known] = {}
CHANGEABLE = frozenset({
    "bytearray", "collections.OrderedDict", "collections.Counter", "collections.defaultdict", "collections.deque",
    "types.SimpleNamespace", "argparse.Namespace", "_io.StringIO", "_io.BytesIO", "numpy.ndarray",
})  # fmt: skip


def known(*names: str) -> Callable[[Known], Known]:
    """Register how values of exactly these classes are encoded."""

    def register(make: Known) -> Known:
        LIBRARY.update((name, make) for name in names)
        return make

    return register


def call(name: str, args: List[Node], kwargs: Optional[Dict[str, Node]] = None) -> Dict[str, Any]:
    """A node that calls a class or function of a library."""
    return {"$": "call", "name": name, "args": args, "kwargs": kwargs or {}}


def encoded_bytes(value: bytes, limits: Limits) -> Dict[str, Any]:
    """Bytes as text where they are text, else in base64."""
    size = len(value)
    kept = value[: limits.text]
    more = {"size": size} if size > len(kept) else {}
    try:
        text = kept.decode("utf-8")
    except UnicodeDecodeError:
        return {"$": "bytes", "base64": base64.b64encode(kept).decode("ascii"), **more}
    return {"$": "bytes", "text": clipped(text, limits.text) if more else text, **more}

"""Rebuild values from what an SDK kept of them: containers with reprs as leaves.

A repr in an event is the attacker's text. It is *parsed* (`ast.parse`), never evaluated, and only what this
module knows by name is written out again: literals, containers, constructors of the standard library without
side effects, and the team's own classes when their definition was found in their repositories.

A value is a JSON tree in which what JSON lacks is tagged:
    {"$tuple": [...]}  {"$set": [...]}  {"$dict": [[key, value], ...]}  {"$repr": "b'\\\\xfc'"}
    {"$call": "datetime.datetime", "args": [...], "kwargs": {...}}
It can be minimised like JSON and rendered as a Python expression by `render`.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Constructors by the name that their repr shows -> the dotted name to import. Source: repr() of each, Python
# 3.8-3.14.
CONSTRUCTORS: Mapping[str, str] = {
    "datetime.datetime": "datetime.datetime",
    "datetime.date": "datetime.date",
    "datetime.time": "datetime.time",
    "datetime.timedelta": "datetime.timedelta",
    "datetime.timezone": "datetime.timezone",
    "zoneinfo.ZoneInfo": "zoneinfo.ZoneInfo",
    "Decimal": "decimal.Decimal",
    "Fraction": "fractions.Fraction",
    "UUID": "uuid.UUID",
    "PosixPath": "pathlib.PosixPath",
    "PurePosixPath": "pathlib.PurePosixPath",
    "OrderedDict": "collections.OrderedDict",
    "Counter": "collections.Counter",
    "deque": "collections.deque",
    "Namespace": "argparse.Namespace",
    "namespace": "types.SimpleNamespace",
    "SimpleNamespace": "types.SimpleNamespace",
    "IPv4Address": "ipaddress.IPv4Address",
    "IPv6Address": "ipaddress.IPv6Address",
    "bytearray": "bytearray",
    "frozenset": "frozenset",
    "set": "set",
    "range": "range",
    "slice": "slice",
    "complex": "complex",
}
CONSTANTS: Mapping[str, str] = {"datetime.timezone.utc": "datetime.timezone.utc"}

BUILTINS = frozenset({
    "int", "str", "float", "bool", "list", "dict", "tuple", "set", "frozenset", "bytes", "bytearray", "complex",
    "object",
})  # fmt: skip
_CLASS = re.compile(r"<class '([A-Za-z_][\w.]*)'>")

SDK_ITEMS = 10  # sentry-sdk keeps ten items of a container and sets no mark (measured with 2.75.0)
SDK_TEXT = 1024  # … and cuts texts at this length, with "..." at the end
FILTERED = ("[Filtered]", "[REDACTED]", "[redacted]")


@dataclass
class Rebuilt:
    """A value with what is known of its quality. `why` is set when it could not be rebuilt."""

    value: Any = None
    why: str | None = None
    guessed: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.why is None


# A class name as seen in a repr -> dotted name of the team's own class, or None when it is not known.
OwnClass = Callable[[str], str | None]


def rebuild(kept: Any, path: str, own_class: OwnClass = lambda name: None) -> Rebuilt:
    """Turn what the SDK kept of a local into a value tree. `path` names it in messages."""
    result = Rebuilt()
    try:
        result.value = _container(kept, path, result, own_class)
    except _CannotRebuild as problem:
        result.why = str(problem)
    except RecursionError:
        result.why = f"{path} is nested too deeply"
    return result


class _CannotRebuild(Exception):
    """The sentence says which part."""


def _container(kept: Any, path: str, result: Rebuilt, own: OwnClass) -> Any:
    if isinstance(kept, dict):
        if len(kept) == SDK_ITEMS:
            result.guessed.append(f"{path}: exactly {SDK_ITEMS} entries, the SDK may have cut the rest")
        return tagless(
            {str(key): _container(item, f"{path}.{key}", result, own) for key, item in kept.items()}
        )
    if isinstance(kept, list):
        if len(kept) == SDK_ITEMS:
            result.guessed.append(f"{path}: exactly {SDK_ITEMS} items, the SDK may have cut the rest")
        return [_container(item, f"{path}[{i}]", result, own) for i, item in enumerate(kept)]
    if not isinstance(kept, str):
        return kept  # a sender that keeps JSON values
    return _leaf(kept, path, result, own)


def tagless(mapping: dict[str, Any]) -> dict[str, Any]:
    """A mapping whose keys were somebody else's: where one looks like a tag, all of it is written as
    pairs."""
    if any(key.startswith("$") for key in mapping):
        return {"$dict": [[key, item] for key, item in mapping.items()]}
    return mapping


def plain(value: Any) -> Any:
    """The value tree of JSON that somebody sent: nothing in it is a tag."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return tagless({str(key): plain(item) for key, item in value.items()})
    return value


def _leaf(text: str, path: str, result: Rebuilt, own: OwnClass) -> Any:
    kind = _CLASS.fullmatch(text.strip())
    if kind:
        known = kind[1] if kind[1] in BUILTINS else own(kind[1])
        if known is None:
            raise _CannotRebuild(f"{path} is the class {kind[1]}, which is not rebuilt")
        return {"$name": known}
    if text in FILTERED:
        result.redacted.append(path)
        raise _CannotRebuild(f"{path} was redacted")
    if len(text) >= SDK_TEXT and text.endswith("..."):
        raise _CannotRebuild(f"{path} was cut at {len(text)} characters")
    if len(text) > 100_000:
        raise _CannotRebuild(f"{path} is too large")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _CannotRebuild(f"{path} is an object: {text[:80]}") from None
    return from_ast(tree, path, own)


def from_ast(node: ast.expr, path: str, own: OwnClass) -> Any:
    """A value tree from a parsed expression, or _CannotRebuild."""
    match node:
        case ast.Constant(value=value):
            return _constant(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return _constant(-number)
        case ast.List(elts=items):
            return [from_ast(item, path, own) for item in items]
        case ast.Tuple(elts=items):
            return {"$tuple": [from_ast(item, path, own) for item in items]}
        case ast.Set(elts=items):
            return {"$set": [from_ast(item, path, own) for item in items]}
        case ast.Dict(keys=keys, values=values) if all(key is not None for key in keys):
            return _mapping([(key, value) for key, value in zip(keys, values, strict=True) if key], path, own)
        case ast.Name(id="nan" | "inf" as name):
            return {"$repr": f"float('{name}')"}
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf")):
            return {"$repr": "float('-inf')"}
        case ast.Attribute() if ast.unparse(node) in CONSTANTS:
            return {"$name": CONSTANTS[ast.unparse(node)]}
        case ast.Call(func=func, args=args, keywords=keywords) if all(word.arg for word in keywords):
            return _call(ast.unparse(func), args, keywords, path, own)
        case _:
            raise _CannotRebuild(f"{path} is an expression that is not rebuilt: {ast.unparse(node)[:80]}")


def _constant(value: Any) -> Any:
    if isinstance(value, bytes) or value is Ellipsis or isinstance(value, complex):
        return {"$repr": repr(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$repr": f"float('{value}')"}
    return value


def _mapping(pairs: list[tuple[ast.expr, ast.expr]], path: str, own: OwnClass) -> Any:
    built = [(from_ast(key, path, own), from_ast(value, path, own)) for key, value in pairs]
    if all(isinstance(key, str) and not key.startswith("$") for key, _ in built):
        return dict(built)
    return {"$dict": [list(pair) for pair in built]}


def _call(name: str, args: list[ast.expr], keywords: list[ast.keyword], path: str, own: OwnClass) -> Any:
    dotted = CONSTRUCTORS.get(name) or own(name)
    if dotted is None:
        raise _CannotRebuild(f"{path} is a {name}, which is not rebuilt")
    return {
        "$call": dotted,
        "args": [from_ast(arg, path, own) for arg in args],
        "kwargs": {str(word.arg): from_ast(word.value, path, own) for word in keywords},
    }


# --- out ----------------------------------------------------------------------------------------------------


def render(value: Any, imports: set[str]) -> str:
    """A Python expression for a value tree; the modules it needs are added to `imports`."""
    if isinstance(value, list):
        return "[" + ", ".join(render(item, imports) for item in value) + "]"
    if not isinstance(value, dict):
        return repr(value)
    if "$tuple" in value:
        items = [render(item, imports) for item in value["$tuple"]]
        return "(" + ", ".join(items) + ("," if len(items) == 1 else "") + ")"
    if "$set" in value:
        return (
            "{" + ", ".join(render(item, imports) for item in value["$set"]) + "}"
            if value["$set"]
            else "set()"
        )
    if "$dict" in value:
        pairs = (f"{render(key, imports)}: {render(item, imports)}" for key, item in value["$dict"])
        return "{" + ", ".join(pairs) + "}"
    if "$repr" in value:
        return _literal(str(value["$repr"]))
    if "$name" in value:
        return _named(value["$name"], imports)
    if "$call" in value:
        words = [render(arg, imports) for arg in value["args"]]
        words += [f"{_word(key)}={render(item, imports)}" for key, item in value["kwargs"].items()]
        return f"{_named(value['$call'], imports)}({', '.join(words)})"
    return "{" + ", ".join(f"{key!r}: {render(item, imports)}" for key, item in value.items()) + "}"


def _literal(text: str) -> str:
    """A literal's own text; anything else is refused, for a snapshot comes out of code that is being
    judged."""
    if not re.fullmatch(r"float\('-?(nan|inf)'\)", text):
        ast.literal_eval(text)
    return text


def _word(key: str) -> str:
    if not key.isidentifier() or keyword.iskeyword(key):
        raise ValueError(f"{key[:40]!r} is not a keyword argument's name")
    return key


def _named(dotted: str, imports: set[str]) -> str:
    """A dotted name as it is written. Of the standard library only what this module knows: raises
    ValueError."""
    parts = dotted.split(".")
    known = dotted in CONSTRUCTORS.values() or dotted in CONSTANTS.values()
    standard = len(parts) == 1 or parts[0] in sys.stdlib_module_names
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts) or (
        standard and not known
    ):
        raise ValueError(f"{dotted[:80]!r} is not a constructor that is known")
    if dotted == "datetime.timezone.utc":
        imports.add("datetime")
    elif "." in dotted:
        imports.add(dotted.rpartition(".")[0])
    return dotted


def renderable(value: Any) -> bool:
    """Whether a snapshot (it came out of the sandbox, so nothing in it is trusted) can be written as a
    literal."""
    if isinstance(value, list):
        return all(renderable(item) for item in value)
    if not isinstance(value, dict):
        return True
    if "$object" in value or "$call" in value or "$name" in value:
        return False
    if "$repr" in value:
        try:
            _literal(str(value["$repr"]))
        except (ValueError, SyntaxError):
            return False
        return len(value) == 1
    return all(renderable(item) for item in value.values())


def size(value: Any) -> int:
    """How much there is to read: characters of the rendered expression."""
    return len(render(value, set()))

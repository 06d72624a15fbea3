"""Rebuild values from what an SDK kept of them: containers with reprs as leaves.

A repr in an event is the attacker's text. It is *parsed* (`ast.parse`), never evaluated, and only what this
module knows by name is written out again: literals, containers, constructors of the standard library without
side effects, and the team's own classes when their definition was found in their repositories.

A value is a JSON tree in which what JSON lacks is tagged:
    {"$tuple": [...]}  {"$set": [...]}  {"$dict": [[key, value], ...]}  {"$repr": "b'\\\\xfc'"}
    {"$call": "datetime.datetime", "args": [...], "kwargs": {...}}  {"$name": "shop.models.Order"}
    {"$member": ["shop.models.State", "OPEN"]}  {"$ref": "order"}, an object that the test makes beforehand
    {"$made": "shop.models.Order", "state": {...}, "content": ...}, made past its constructor (`lines.MADE`)
    {"$bound": "total", "of": ...}, a method of that object
    {"$below": "a.txt"}, a path in the test's folder  {"$hole": "<…>"}, what is not known yet
It can be minimised like JSON and rendered as a Python expression by `render`.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fixloop.reproduce.reprs import HOLE, expression, member
from fixloop.reproduce.syntax import parse_expression

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
    "list": "list",
    "dict": "dict",
    "tuple": "tuple",
    "defaultdict": "collections.defaultdict",
    "mappingproxy": "types.MappingProxyType",
    "ChainMap": "collections.ChainMap",
    "PurePath": "pathlib.PurePosixPath",
    "PureWindowsPath": "pathlib.PureWindowsPath",
    "IPv4Network": "ipaddress.IPv4Network",
    "IPv6Network": "ipaddress.IPv6Network",
    "StringIO": "io.StringIO",
    "BytesIO": "io.BytesIO",
    **{
        name: name
        for name, kind in vars(builtins).items()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__name__ == name
    },
}
CONSTANTS: Mapping[str, str] = {
    "datetime.timezone.utc": "datetime.timezone.utc",
    **{f"re.{flag.name}": f"re.{flag.name}" for flag in re.RegexFlag},
}
STAND_IN = "unittest.mock.MagicMock"  # for what the event does not show and the failure does not depend on
AWAITED = "unittest.mock.AsyncMock"  # the same, for what is awaited
# Of the standard library, what is written without its module; `copy.copy` is called as its module is.
ALONE = frozenset({"copy.copy", "types.SimpleNamespace", STAND_IN, AWAITED})
FUNCTIONS: Mapping[str, str] = {  # without side effects
    "re.compile": "re.compile",
    "MagicMock": STAND_IN,
    "AsyncMock": AWAITED,
    **{f"threading.{name}": f"threading.{name}" for name in ("Lock", "RLock")},
}

BUILTINS = frozenset({
    "int", "str", "float", "bool", "list", "dict", "tuple", "set", "frozenset", "bytes", "bytearray", "complex",
    "object",
})  # fmt: skip
# Classes and functions that an event may name as values (`type=<class 'int'>`): none does more than make a value.
REFERENCES: Mapping[str, str] = {
    **{name: name for name in BUILTINS},
    **{name: name for name in ("len", "min", "max", "sum", "sorted", "abs", "repr", "hash", "iter", "next", "any")},
    **{name: dotted for name, dotted in CONSTRUCTORS.items() if dotted == name},
    **{dotted: dotted for dotted in CONSTRUCTORS.values() if "." in dotted},
    "copy.copy": "copy.copy",
    **{
        f"operator.{name}": f"operator.{name}"
        for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "eq", "ne", "lt", "le", "gt", "ge")
    },
}  # fmt: skip
_CLASS = re.compile(r"<class '([A-Za-z_][\w.]*)'>")

SDK_ITEMS = 10  # sentry-sdk keeps ten items of a container and sets no mark (measured with 2.75.0)
SDK_TEXT = 1024  # … and cuts texts at this length, with "..." at the end
CUT = ("...", "…")  # how a cut text ends: the SDK's mark, and that of our own bounds
REPEATED, UNIT = 200, 20  # characters of a text that is written as a product, and of what is repeated in it
MOST_TEXT = 400_000  # characters of one value
FILTERED = ("[Filtered]", "[REDACTED]", "[redacted]")


@dataclass
class Rebuilt:
    """A value with what is known of its quality. `why` is set when it could not be rebuilt."""

    value: Any = None
    why: str | None = None
    guessed: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)
    holes: bool = False

    @property
    def ok(self) -> bool:
        return self.why is None


# A class name as seen in a repr -> dotted name of the team's own class, or None when it is not known.
OwnClass = Callable[[str], str | None]


def rebuild(kept: Any, path: str, own_class: OwnClass = lambda name: None, *, holes: bool = False) -> Rebuilt:
    """Turn what the SDK kept of a local into a value tree. `path` names it in messages. With `holes` what cannot be
    rebuilt by itself is left as {"$hole": its text}; without, the whole value is refused."""
    result = Rebuilt(holes=holes)
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
    if text in FILTERED:
        result.redacted.append(path)
        return _open(text, path, result, f"{path} was redacted")
    if len(text) >= SDK_TEXT and text.endswith(CUT):
        return _open(text, path, result, f"{path} was cut at {len(text)} characters")
    if len(text) > MOST_TEXT:
        raise _CannotRebuild(f"{path} is too large")
    tree = expression(text) if result.holes or text.lstrip().startswith("<") else _parsed(text)
    if tree is None:
        return _open(text, path, result, f"{path} is an object: {text[:80]}")
    try:
        return from_ast(tree, path, own, holes=result.holes)
    except _CannotRebuild as problem:
        return _open(text, path, result, str(problem))


def _parsed(text: str) -> ast.expr | None:
    return parse_expression(text.strip())


def _open(text: str, path: str, result: Rebuilt, why: str) -> Any:
    """Leave a hole, where that is wanted; else the value is refused."""
    if result.holes:
        return {"$hole": text}
    raise _CannotRebuild(why)


def _reference(text: str, path: str, own: OwnClass, *, holes: bool) -> Any:
    """What stood in angle brackets: a class, a member of an enumeration, or a hole."""
    kind = _CLASS.fullmatch(text.strip())
    known = (REFERENCES.get(kind[1]) or own(kind[1])) if kind else None
    enumeration = member(text)
    if enumeration and (owner := own(enumeration[0])):
        return {"$member": [owner, enumeration[1]]}
    if known is not None:
        return {"$name": known}
    if holes:
        return {"$hole": text}
    what = f"the class {kind[1]}" if kind else f"an object: {text[:80]}"
    raise _CannotRebuild(f"{path} is {what}" + (", which is not rebuilt" if kind else ""))


def from_ast(node: ast.expr, path: str, own: OwnClass, *, holes: bool = False) -> Any:
    """A value tree from a parsed expression, or _CannotRebuild."""

    def inner(part: ast.expr) -> Any:
        return from_ast(part, path, own, holes=holes)

    match node:
        case ast.Constant(value=value):
            return _constant(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return _constant(-number)
        case ast.UnaryOp(op=ast.UAdd(), operand=ast.Constant(value=int() | float() as number)):
            return _constant(number)
        case ast.List(elts=items):
            return [inner(item) for item in items]
        case ast.Tuple(elts=items):
            return {"$tuple": [inner(item) for item in items]}
        case ast.Set(elts=items):
            return {"$set": [inner(item) for item in items]}
        case ast.Dict(keys=keys, values=values) if all(key is not None for key in keys):
            return _mapping(
                [(inner(key), inner(value)) for key, value in zip(keys, values, strict=True) if key]
            )
        case ast.Name(id="nan" | "inf" as name):
            return {"$repr": f"float('{name}')"}
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf")):
            return {"$repr": "float('-inf')"}
        case ast.Attribute() if ast.unparse(node) in CONSTANTS:
            return {"$name": CONSTANTS[ast.unparse(node)]}
        case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text))]) if name == HOLE:
            return _reference(text, path, own, holes=holes)
        case ast.Call(func=func, args=args, keywords=keywords) if all(word.arg for word in keywords):
            name = ast.unparse(func)
            dotted = CONSTRUCTORS.get(name) or FUNCTIONS.get(name) or own(name)
            if dotted is None and holes:
                return {"$hole": ast.unparse(node)}
            if dotted is None:
                raise _CannotRebuild(f"{path} is a {name}, which is not rebuilt")
            words = {str(word.arg): inner(word.value) for word in keywords}
            return {"$call": dotted, "args": [inner(arg) for arg in args], "kwargs": words}
        case _ if holes:
            return {"$hole": ast.unparse(node)}
        case _:
            raise _CannotRebuild(f"{path} is an expression that is not rebuilt: {ast.unparse(node)[:80]}")


def _constant(value: Any) -> Any:
    if isinstance(value, bytes) or value is Ellipsis or isinstance(value, complex):
        return {"$repr": repr(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$repr": f"float('{value}')"}
    return value


def _mapping(built: list[tuple[Any, Any]]) -> Any:
    if all(isinstance(key, str) and not key.startswith("$") for key, _ in built):
        return dict(built)
    return {"$dict": [list(pair) for pair in built]}


# --- out ----------------------------------------------------------------------------------------------------


class Naming(set[str]):
    """Modules to import, for texts in which names stand without their modules: a package may have something else under
    the name of one of its modules."""

    def called(self, module: str, name: str) -> str:
        """How a name of a module is written."""
        self.add(module)
        return f"{module}.{name}"


def render(value: Any, imports: set[str]) -> str:
    """A Python expression for a value tree; the modules it needs are added to `imports`."""
    if isinstance(value, list):
        return "[" + ", ".join(render(item, imports) for item in value) + "]"
    if isinstance(value, str):
        return _text(value)
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
    if "$member" in value:
        owner, name = value["$member"]
        return f"{_named(owner, imports)}.{_word(name)}"
    if "$ref" in value:
        return _word(str(value["$ref"]))
    if "$below" in value:
        return f"str(folder / {str(value['$below'])!r})" if value["$below"] else "str(folder)"
    if "$bound" in value:
        return f"{render(value['of'], imports)}.{_word(str(value['$bound']))}"
    if "$made" in value:
        parts = [_named(value["$made"], imports), render(value["state"], imports)]
        parts += [render(value["content"], imports)] if "content" in value else []
        return f"made({', '.join(parts)})"
    if "$call" in value:
        words = [render(arg, imports) for arg in value["args"]]
        words += [f"{_word(key)}={render(item, imports)}" for key, item in value["kwargs"].items()]
        return f"{_named(value['$call'], imports)}({', '.join(words)})"
    return "{" + ", ".join(f"{key!r}: {render(item, imports)}" for key, item in value.items()) + "}"


def _text(value: str) -> str:
    """A text; a very long one that says the same again and again as that, so many times."""
    if len(value) >= REPEATED:
        for size in range(1, UNIT + 1):
            if not len(value) % size and value == value[:size] * (len(value) // size):
                return f"{value[:size]!r} * {len(value) // size}"
    return repr(value)


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


def placed(dotted: str) -> tuple[str, str]:
    """Module and name of what a value tree calls "module.Class", or "module:Outer.Class"."""
    module, colon, name = dotted.partition(":")
    return (module, name) if colon else (dotted.rpartition(".")[0], dotted.rpartition(".")[2])


def _named(dotted: str, imports: set[str]) -> str:
    """A dotted name as it is written. Of the standard library only what this module knows: raises
    ValueError."""
    module, name = placed(dotted)
    parts = dotted.replace(":", ".", 1).split(".")
    known = any(dotted in named.values() for named in (CONSTRUCTORS, CONSTANTS, FUNCTIONS, REFERENCES))
    standard = len(parts) == 1 or parts[0] in sys.stdlib_module_names
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts) or (
        standard and not known
    ):
        raise ValueError(f"{dotted[:80]!r} is not a constructor that is known")
    if isinstance(imports, Naming) and "." in dotted and (not standard or dotted in ALONE):
        return imports.called(module, name)
    if (
        standard and "." in dotted
    ):  # of the standard library's names only modules are lower case up to the class
        imports.add("datetime" if dotted.startswith("datetime.") else module)
    elif "." in dotted:
        imports.add(module)
    return ".".join(parts)


def renderable(value: Any) -> bool:
    """Whether a snapshot (it came out of the sandbox, so nothing in it is trusted) can be written as a
    literal."""
    if isinstance(value, list):
        return all(renderable(item) for item in value)
    if not isinstance(value, dict):
        return True
    if {"$object", "$call", "$made", "$bound", "$name", "$ref", "$member", "$below", "$hole"} & set(value):
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

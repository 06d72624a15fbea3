"""What code does with a value, and what it says of its type: enough to leave out what cannot be meant."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fixloop.reproduce.syntax import FunctionNode

_WORD = re.compile(r"[A-Za-z_][\w.]*")
_NOT_CLASSES = frozenset({
    "optional", "union", "any", "none", "str", "int", "float", "bool", "list", "dict", "tuple", "set", "bytes",
    "object", "callable", "iterable", "sequence", "mapping", "type", "string", "literal", "iterator", "self", "true",
    "false",
})  # fmt: skip
# What an annotation or a default says -> the plain types that fit.
_FITS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("str", (str,)), ("text", (str,)), ("path", (str,)), ("bool", (bool,)), ("int", (int,)), ("float", (int, float)),
    ("dict", (dict,)), ("mapping", (dict,)), ("list", (list,)), ("sequence", (list, str)),
    ("iterable", (list, dict, str)), ("tuple", (list,)), ("set", (list,)), ("collection", (list, dict)),
)  # fmt: skip
_NEUTRAL: tuple[tuple[str, Any], ...] = (
    ("str", ""), ("bool", False), ("int", 0), ("float", 0.0), ("dict", {}), ("list", []), ("None", None),
)  # fmt: skip


def used_attributes(node: FunctionNode, name: str) -> set[str]:
    """Attributes that a function uses of one of its names."""
    return {used for used in _attributes_of(node, name) if not used.startswith("__")}


def handed_on(node: FunctionNode, name: str) -> Iterator[tuple[str, str, int | str]]:
    """Where a method hands a parameter on: ("self" or "super", the method, the position or keyword there)."""
    for part in ast.walk(node):
        match part:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=method)):
                to = "self"
            case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=method)):
                to = "super"
            case _:
                continue
        yield from ((to, method, at) for at, arg in enumerate(part.args) if _is(arg, name))
        yield from ((to, method, word.arg) for word in part.keywords if word.arg and _is(word.value, name))


def kept_as(node: FunctionNode, name: str) -> set[str]:
    """The attributes of the receiver under which a constructor keeps a parameter."""
    return {
        target.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Assign) and _is(part.value, name)
        for target in part.targets
        if isinstance(target, ast.Attribute) and _is(target.value, "self")
    }


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _attributes_of(node: FunctionNode, name: str) -> set[str]:
    """Attributes of a name up to the place where it is bound to something else; none where the code itself asks what
    the value is."""
    asked = (
        part
        for part in ast.walk(node)
        if isinstance(part, ast.Call) and part.args and _is(part.args[0], name)
    )
    if any(_is(part.func, "isinstance") or _is(part.func, "hasattr") for part in asked):
        return set()
    bound = [
        part.lineno
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Store)
    ]
    last = min(bound, default=None)
    return {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute)
        and isinstance(part.value, ast.Name)
        and part.value.id == name
        and (last is None or part.lineno <= last)
    }


def plain_type(value: Any) -> type | None:
    """The Python type of a value tree; None where the tree does not say."""
    if isinstance(value, dict):
        if "$tuple" in value:
            return tuple
        if "$set" in value:
            return set
        if "$repr" in value:
            return bytes if str(value["$repr"]).startswith("b") else float
        if "$dict" not in value and any(key.startswith("$") for key in value):
            return None
        return dict
    return type(value)


def accepts(annotation: str, used: Iterable[str], value: Any, default: str | None = None) -> bool:
    """Whether a value may be meant where the annotation, the default and the use say so much."""
    kind = plain_type(value)
    if kind is not None and any(not hasattr(kind, name) for name in used):
        return False
    if default not in (None, "None") and not annotation:
        annotation = _literal_kind(str(default))
    said = annotation.lower()
    fitting = [kinds for word, kinds in _FITS if word in said]
    if fitting:
        return kind is None or any(issubclass(kind, kinds) for kinds in fitting)
    return not class_words(annotation) or kind is None


def _literal_kind(default: str) -> str:
    """What a default's text says of the type: an annotation of its own."""
    try:
        value = ast.literal_eval(default)
    except (ValueError, SyntaxError):
        return ""
    return type(value).__name__


def class_words(annotation: str) -> list[str]:
    """Names in an annotation that may be classes of the team's."""
    words = (word.rpartition(".")[2] for word in _WORD.findall(annotation))
    return [word for word in dict.fromkeys(words) if word.lower() not in _NOT_CLASSES and word[:1].isupper()]


def documented(nodes: Sequence[ast.AST | None], name: str) -> tuple[str, ...]:
    """Class names that a docstring gives a parameter: `G : nx.Graph`, `:type G: Graph`, `G (Graph): …`."""
    return tuple(dict.fromkeys(word for node in nodes for word in _documented(node, name)))


def _documented(node: ast.AST | None, name: str) -> Iterator[str]:
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    text = ast.get_docstring(node) or ""
    shapes = (rf"^\s*{re.escape(name)}\s*:\s*(.+)$", rf":(?:type|param) {re.escape(name)}:\s*(.+)$",
              rf"^\s*{re.escape(name)} \((.+?)\)")  # fmt: skip
    for shape in shapes:
        for found in re.finditer(shape, text, re.MULTILINE):
            yield from class_words(found[1])


def neutral(annotation: str) -> Any:
    """The emptiest value of an annotated plain type; None where the annotation does not say one."""
    return next(
        (value for word, value in _NEUTRAL if re.search(rf"\b{word}\b", annotation, re.IGNORECASE)), None
    )


def keys_read(nodes: Iterable[ast.AST], holders: Iterable[str]) -> tuple[str, ...]:
    """Texts that functions look up in the mappings of these names, in order: `self.options["x"]`."""
    found: dict[str, None] = {}
    held = {text for name in holders for text in (name, f"self.{name}")}
    for node in nodes:
        for part in sorted((p for p in ast.walk(node) if isinstance(p, ast.expr)), key=lambda p: p.lineno):
            match part:
                case ast.Subscript(value=value, slice=ast.Constant(value=str(key)), ctx=ast.Load()):
                    pass
                case ast.Call(
                    func=ast.Attribute(value=value, attr="get" | "pop" | "setdefault"),
                    args=[ast.Constant(value=str(key)), *_],
                ):
                    pass
                case _:
                    continue
            if ast.unparse(value) in held:
                found.setdefault(key)
    return tuple(found)

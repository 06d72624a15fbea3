"""From a frame to a call: rebuild the arguments of a function on the stack out of the locals that the SDK kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.syntax import Function, function_at, parse, required, spoiled
from fixloop.reproduce.values import OwnClass, Rebuilt, rebuild
from store.event import Frame
from store.incident import CodeLocation


@dataclass(frozen=True)
class OwnFrame:
    """A frame in the team's own code, with the place that was found for it and the module's import name."""

    frame: Frame
    location: CodeLocation
    module: str
    source: str  # of the whole file, at the release


@dataclass(frozen=True)
class NoCall:
    """Why no call could be made of a frame."""

    why: str


def frame_recipe(own: OwnFrame, own_class: OwnClass, settings: str | None = None) -> Recipe | NoCall:
    """The call of one frame's function with the arguments it had, or the reason why there is none."""
    function = _function(own)
    if isinstance(function, NoCall):
        return function
    arguments = _arguments(function, own, own_class)
    if isinstance(arguments, NoCall):
        return arguments
    inputs, notes = arguments
    receiver = _receiver(function, own, own_class, notes)
    if isinstance(receiver, NoCall):
        return receiver
    receiver_kind, self_value = receiver
    if self_value is not None:
        inputs["self"] = self_value
    target = {
        "framework": "python",
        "module": own.module,
        "qualname": function.qualname,
        "receiver": receiver_kind,
        "wrap": "await" if function.is_async else "list" if function.is_generator else None,
    }
    if settings:
        target["settings"] = settings
    return Recipe(
        entry="frame", repo=own.location.repo, target=target, inputs=inputs,
        guessed=tuple(notes.guessed), redacted=tuple(notes.redacted),
    )  # fmt: skip


def _function(own: OwnFrame) -> Function | NoCall:
    tree = parse(own.source)
    if tree is None:
        return NoCall(f"{own.location.path} cannot be parsed")
    name = (own.frame.function or "").rpartition(".")[2]
    if name == "<module>":
        return NoCall("the frame is a module's top level, not a function")
    line = own.location.line or own.frame.lineno or 0
    function = function_at(tree, line, None if name.startswith("<") else name or None)
    if function is None:
        return NoCall(f"no function {name} around line {line} of {own.location.path}")
    if name.startswith("<"):
        return NoCall(f"{name} is a part of {function.qualname}")
    if function.nested:
        return NoCall(f"{function.qualname} is defined inside another function")
    if function.is_property:
        return NoCall(f"{function.qualname} is a property")
    return function


def _arguments(
    function: Function, own: OwnFrame, own_class: OwnClass
) -> tuple[dict[str, Any], Rebuilt] | NoCall:
    node, kept = function.node, own.frame.vars
    notes = Rebuilt()
    touched = spoiled(node, own.location.line or own.frame.lineno or 0)
    needed = required(node)
    positional = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
    if function.kind in ("method", "classmethod") and positional:
        positional = positional[1:]
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    by_keyword = False
    for name in positional:
        if name not in kept:
            if name in needed:
                return NoCall(f"the event has no value of the argument {name}")
            by_keyword = True  # left to its default: what follows is passed by name
            continue
        value = _one(name, kept, touched, notes, own_class)
        if isinstance(value, NoCall):
            return value
        if by_keyword:
            kwargs[name] = value
        else:
            args.append(value)
    rest = _rest(function, kept, touched, notes, own_class, needed)
    if isinstance(rest, NoCall):
        return rest
    more, words = rest
    if more and by_keyword:
        return NoCall("an argument before *args is not in the event")
    return {"args": [*args, *more], "kwargs": {**kwargs, **words}}, notes


def _rest(
    function: Function,
    kept: Mapping[str, Any],
    touched: Mapping[str, str],
    notes: Rebuilt,
    own_class: OwnClass,
    needed: set[str],
) -> tuple[list[Any], dict[str, Any]] | NoCall:
    """Keyword-only arguments, *args and **kwargs."""
    arguments = function.node.args
    more: list[Any] = []
    words: dict[str, Any] = {}
    for arg in arguments.kwonlyargs:
        if arg.arg in kept:
            value = _one(arg.arg, kept, touched, notes, own_class)
            if isinstance(value, NoCall):
                return value
            words[arg.arg] = value
        elif arg.arg in needed:
            return NoCall(f"the event has no value of the argument {arg.arg}")
    if arguments.vararg and arguments.vararg.arg in kept:
        value = _one(arguments.vararg.arg, kept, touched, notes, own_class)
        if isinstance(value, NoCall) or not isinstance(value, list):
            return value if isinstance(value, NoCall) else NoCall("*args is not a sequence in the event")
        more = value
    if arguments.kwarg and arguments.kwarg.arg in kept:
        value = _one(arguments.kwarg.arg, kept, touched, notes, own_class)
        if isinstance(value, NoCall) or not isinstance(value, dict):
            return value if isinstance(value, NoCall) else NoCall("**kwargs is not a mapping in the event")
        words |= value
    return more, words


def _one(
    name: str, kept: Mapping[str, Any], touched: Mapping[str, str], notes: Rebuilt, own_class: OwnClass
) -> Any | NoCall:
    built = rebuild(kept[name], name, own_class)
    notes.guessed += built.guessed
    notes.redacted += built.redacted
    if not built.ok:
        return NoCall(str(built.why))
    if name in touched:
        notes.guessed.append(touched[name])
    return built.value


def _receiver(
    function: Function, own: OwnFrame, own_class: OwnClass, notes: Rebuilt
) -> tuple[str | None, Any] | NoCall:
    """What a method is called on: the rebuilt object, or one that the constructor makes without arguments."""
    if function.kind != "method":
        return None, None
    first = (function.node.args.posonlyargs + function.node.args.args)[:1]
    name = first[0].arg if first else "self"
    kept = own.frame.vars.get(name)
    if isinstance(kept, str):
        built = rebuild(kept, name, own_class)
        if built.ok and isinstance(built.value, dict) and "$call" in built.value:
            return "value", built.value
    owner = function.classes[-1]
    init = next((f for f in owner.body if getattr(f, "name", None) == "__init__"), None)
    if init is not None and len(required(init)) > 1:  # type: ignore[arg-type]
        return NoCall(f"{owner.name} cannot be made without arguments")
    notes.guessed.append(f"{name}: a fresh {owner.name}(), the state of the original is not in the event")
    return "constructor", None


def own_classes(texts: Callable[[], Mapping[str, str]]) -> OwnClass:
    """Look up the team's own classes by the name that a repr shows. `texts` gives module name -> source, on demand."""
    found: dict[str, str | None] = {}

    def look_up(name: str) -> str | None:
        if not name.replace(".", "").isidentifier():
            return None
        if name not in found:
            last = name.rpartition(".")[2]
            places = [
                module
                for module, text in texts().items()
                if f"class {last}(" in text or f"class {last}:" in text
            ]
            found[name] = f"{places[0]}.{last}" if len(places) == 1 else None
        return found[name]

    return look_up

"""From a frame to calls: rebuild the arguments of a function on the stack out of what the event shows.

There may be several calls for one frame, the likeliest first: locals are post mortem, objects are only partly shown.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fixloop.reproduce.catalogue import OwnClass
from fixloop.reproduce.nested import decorated, given_by
from fixloop.reproduce.objects import Filler
from fixloop.reproduce.observed import Seen, answering, first_state, observations
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.reprs import class_name
from fixloop.reproduce.scene import Scene
from fixloop.reproduce.syntax import (
    Function,
    FunctionNode,
    function_at,
    parse,
    plain_defaults,
    required,
    spoiled,
)
from fixloop.reproduce.typed import Typed
from fixloop.reproduce.usage import documented, plain_type, used_attributes
from fixloop.reproduce.values import SDK_ITEMS, STAND_IN
from fixloop.reproduce.ways import Wanted, Way, cheapest, distinct, variable
from store.event import Frame
from store.incident import CodeLocation

CALLS = 70  # calls that are made of one frame
KINDS = 3  # classes that a method's object is taken for
STATES = 6  # of which so many are also made after earlier calls of the same method
SEEN = 8  # the cost of a stand-in that answers as it was seen
OVERRIDDEN = 10  # the cost of a method of the object itself that only answers: a repair may call others
_LEFT_OUT = Way({"$left_out": True})


@dataclass(frozen=True)
class OwnFrame:
    """A frame in the team's own code, with the place that was found for it and the module's import name. `index` is its
    place among all frames of the exception."""

    frame: Frame
    location: CodeLocation
    module: str
    source: str  # of the whole file, at the release
    index: int = 0


@dataclass(frozen=True)
class NoCall:
    """Why no call could be made of a frame."""

    why: str


@dataclass(frozen=True)
class Call:
    """A call of a frame's function. `cost` grows with what had to be guessed."""

    recipe: Recipe
    cost: int


def frame_calls(own: OwnFrame, filler: Filler, settings: str | None = None) -> list[Call] | NoCall:
    """Calls of one frame's function, the likeliest first, or the reason why there is none."""
    function = frame_function(own)
    if isinstance(function, NoCall):
        return function
    slots = _slots(function, own, filler)
    if isinstance(slots, NoCall):
        return slots
    target = _target(function, own, settings)
    if function.nested and function.kind != "method":
        reached = _inside(function, target, own, filler)
        if reached is None:
            return NoCall(f"{function.qualname} is defined inside another function")
        target, receivers = reached
    else:
        receivers = _receivers(function, own, filler)
    if not receivers:
        return NoCall(f"{function.classes[-1].name} cannot be made out of what the event shows")
    found: list[Call] = []
    for ways in cheapest([receivers, *(slot.ways for slot in slots)], CALLS):
        inputs, notes = _inputs(ways[0], list(zip(slots, ways[1:], strict=True)))
        redacted = tuple(redacted_in(own.frame))
        recipe = Recipe(
            entry="frame",
            repo=own.location.repo,
            target=target,
            inputs=inputs,
            guessed=notes,
            redacted=redacted,
        )
        found.append(Call(recipe, sum(way.cost for way in ways)))
    found += [
        after for call in found[:STATES] for after in _after_earlier_calls(call, filler.scene, function)
    ]
    return sorted(found, key=lambda call: call.cost)


def _after_earlier_calls(call: Call, scene: Scene, function: Function) -> Iterator[Call]:
    """The call on an object that the same method has worked on before, as in a loop: with the items that the caller's
    list has before this one, else with the same arguments; and on what that gave, where it gives such an object."""
    inputs, receiver = call.recipe.inputs, call.recipe.inputs.get("self")
    if receiver is None or function.kind != "method" or not inputs["args"]:
        return
    name = receiver["$ref"] if "$ref" in receiver else variable("self", function.classes[-1].name)
    objects = inputs.get("objects") or [{"name": name, "value": receiver, "calls": [], "set": {}}]
    if not any(made["name"] == name for made in objects):
        return
    method, rest = function.node.name, inputs["args"][1:]
    for items in (*_before(inputs["args"][0], scene), [inputs["args"][0]]):
        for chained in (False, True):
            earlier = [[method, [item, *rest], inputs["kwargs"], chained] for item in items]
            made = [*objects, {"name": f"{name} before", "of": name, "calls": earlier, "set": {}}]
            note = f"{name}: {method}() was called on it before"
            recipe = call.recipe.model_copy(
                update={
                    "inputs": {**inputs, "self": {"$ref": name}, "objects": made},
                    "guessed": (*call.recipe.guessed, note),
                }
            )
            yield Call(recipe, call.cost + 4 + chained)


def _before(value: Any, scene: Scene) -> Iterator[list[Any]]:
    """What stands before a value in the lists of the callers."""
    for seen in scene.pool:
        if isinstance(seen.value, list) and seen.distance > 0 and value in seen.value[1:]:
            yield seen.value[: seen.value.index(value, 1)]


def redacted_in(frame: Frame) -> Iterator[str]:
    """What was taken out of a frame's variables before it came here, by name."""
    for name, kept in frame.vars.items():
        if kept == "[Filtered]":
            yield name
        elif isinstance(kept, Typed):
            yield from (f"{name}{pointer.partition(f'/vars/{name}')[2]}" for pointer in kept.redacted)


def frame_function(own: OwnFrame) -> Function | NoCall:
    """The function of a frame in its source, where it can be called by a name."""
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
    return function


def _target(function: Function, own: OwnFrame, settings: str | None) -> dict[str, Any]:
    wrap = "await" if function.is_async else "list" if function.is_generator else None
    if function.is_async and function.is_generator:
        wrap = "collect"
    if "contextmanager" in function.decorators:
        wrap = "with"
    receiver = None
    if function.kind == "method":
        receiver = (
            "new" if function.node.name == "__init__" else "property" if function.is_property else "value"
        )
    target = {
        "framework": "python", "module": own.module, "qualname": function.qualname, "receiver": receiver, "wrap": wrap,
    }  # fmt: skip
    if settings:
        target["settings"] = settings
    return target


def _inside(
    function: Function, target: dict[str, Any], own: OwnFrame, filler: Filler
) -> tuple[dict[str, Any], list[Way]] | None:
    """How a function inside another one is called: by what it decorates, or by what gives it; None for others."""
    dotted = decorated(function, own.frame.vars, filler.catalogue, own.module)
    if dotted is not None:
        module = max((name for name in filler.catalogue.texts if dotted.startswith(f"{name}.")), key=len)
        return {**target, "module": module, "qualname": dotted[len(module) + 1 :]}, [Way(None)]
    tree = parse(own.source)
    outer = given_by(function, tree) if tree is not None else None
    slots = _slots(outer, own, filler) if outer is not None else None
    if outer is None or slots is None or isinstance(slots, NoCall):
        return None
    owners = _receivers(outer, own, filler) if outer.kind == "method" else [Way(None)]
    name, receivers = variable(function.node.name, outer.node.name), []
    for owner, *ways in cheapest([owners, *(slot.ways for slot in slots)], KINDS * KINDS):
        inputs, notes = _inputs(owner, list(zip(slots, ways, strict=True)))
        made: dict[str, Any] = {"name": name, "calls": [], "set": {}}
        if owner.value is None:
            made |= {
                "call": f"{own.module}.{outer.qualname}", "args": inputs["args"], "kwargs": inputs["kwargs"],
            }  # fmt: skip
        else:
            made["value"] = owner.value
            made["calls"].append([outer.node.name, inputs["args"], inputs["kwargs"], True])
        cost = 1 + owner.cost + sum(way.cost for way in ways)
        receivers.append(Way({"$ref": name}, cost, notes, (*inputs.get("objects", ()), made)))
    return {**target, "qualname": f"{outer.qualname}.__call__", "receiver": "value"}, receivers


# --- arguments --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Slot:
    """A parameter and the ways to fill it. `kind`: "positional", "keyword", "more" (*args) or "words" (**kwargs);
    `default`: what it is where it can be left out, and is a plain value, in a tuple."""

    name: str
    kind: str
    ways: list[Way]
    default: tuple[Any, ...] = ()


def _is_default(slot: _Slot, way: Way) -> bool:
    return (
        bool(slot.default)
        and not way.objects
        and slot.default == (way.value,)
        and (type(slot.default[0]) is type(way.value))
    )


def _slots(function: Function, own: OwnFrame, filler: Filler) -> list[_Slot] | NoCall:
    arguments = function.node.args
    touched = spoiled(function.node, own.location.line or own.frame.lineno or 0)
    positional = [arg.arg for arg in (*arguments.posonlyargs, *arguments.args)]
    if function.kind in ("method", "classmethod") and positional:
        positional = positional[1:]
    named: list[tuple[str, str, int | None]] = [
        (name, "positional", at) for at, name in enumerate(positional)
    ]
    named += [(arg.arg, "keyword", None) for arg in arguments.kwonlyargs]
    found = []
    needed, defaults = required(function.node), plain_defaults(function.node)
    for name, kind, at in named:
        ways = _ways(name, at, function, own, filler, touched, is_needed=name in needed)
        if not ways:
            return NoCall(f"the event has no value of the argument {name}")
        found.append(_Slot(name, kind, ways, defaults.get(name, ())))
    for rest, kind, empty in ((arguments.vararg, "more", list), (arguments.kwarg, "words", dict)):
        if rest is not None and (kept := _kept(rest.arg, function, own.frame)) is not None:
            ways = [way.noted(touched.get(rest.arg), 2) for way in filler.ways(kept, Wanted(rest.arg))]
            fitting = [
                way for way in map(_spread, ways) if isinstance(way.value, empty) and not _tagged(way.value)
            ]
            without = Way(empty(), 6, (f"{rest.arg}: left out",)) if fitting else Way(empty())
            found.append(_Slot(rest.arg, kind, sorted([*fitting, without], key=lambda way: way.cost)))
    return found


def _spread(way: Way) -> Way:
    """What `*args` or `**kwargs` took, as it is written: not as a tuple, nor as an object that has a name."""
    value = way.value
    if isinstance(value, dict) and "$ref" in value:
        value = next(
            (one["value"] for one in way.objects if one["name"] == value["$ref"] and "value" in one), value
        )
    return replace(way, value=value["$tuple"] if isinstance(value, dict) and "$tuple" in value else value)


def _tagged(value: Any) -> bool:
    return isinstance(value, dict) and any(key.startswith("$") for key in value)


def _kept(name: str, function: Function, frame: Frame) -> Any:
    """What the event has of a local; inside a class `__name` is kept under its mangled name."""
    if name in frame.vars:
        return frame.vars[name]
    if name.startswith("__") and function.classes:
        return frame.vars.get(f"_{function.classes[-1].name.lstrip('_')}{name}")
    return None


def _ways(
    name: str, at: int | None, function: Function, own: OwnFrame, filler: Filler, touched: Mapping[str, str],
    *, is_needed: bool,
) -> list[Way]:  # fmt: skip
    """Ways to fill one parameter, the cheapest first."""
    node = function.node
    arg = next(a for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if a.arg == name)
    annotation = ast.unparse(arg.annotation) if arg.annotation else ""
    documents = (node, function.classes[-1] if function.classes else None)
    wanted = Wanted(name, "", annotation, documented(documents, name), frozenset(used_attributes(node, name)))
    kept = _kept(name, function, own.frame)
    found: list[Way] = []
    if kept is not None:
        found += [way.noted(touched.get(name), 2) for way in filler.ways(kept, wanted)]
        for way in found[:1] if not isinstance(kept, Typed) else ():
            found += [
                *_richer(way, wanted, filler),
                *_variants(way, name),
                *_longer(way, name, node, own, filler),
            ]
    site = filler.scene.call_site
    for key in (name, str(at)):
        if key in site and (kept is None or name in touched):
            said = site[key]
            plain = isinstance(said, dict) and "$const" in said
            found += [Way(said["$const"])] if plain else filler.ways(said, wanted)
    if kept is None and not is_needed:
        found.append(_LEFT_OUT)
    if kept is None or name in touched:
        found += [
            way.noted(f"{name}: as another frame shows it", 2 if distance > 0 else 6)
            for other, distance in filler.scene.kept(name)
            for way in filler.ways(other, wanted)[:2]
        ]
    if kept is None and is_needed:
        found += filler.of_hole(wanted, 0)
    if not found or found[0].cost > SEEN or _lacking(found[0].value, wanted):
        found += _as_answered(name, node, own, filler)
    return sorted(found, key=lambda way: way.cost)


def _seen(name: str, node: FunctionNode, own: OwnFrame, filler: Filler) -> Seen:
    """What the frame's function has seen of one of its parameters."""
    line = own.location.line or own.frame.lineno or 0
    return observations(node, line, own.frame.vars, filler.scene.raised_here).get(name, Seen())


def _as_answered(name: str, node: FunctionNode, own: OwnFrame, filler: Filler) -> Iterator[Way]:
    """A parameter that answers as the function has seen it."""
    way = answering(_seen(name, node, own, filler), filler.nearest)
    if way is not None:
        yield way.noted(f"{name}: a stand-in that answers as the locals show it", SEEN)


def _richer(way: Way, wanted: Wanted, filler: Filler) -> Iterator[Way]:
    """Where the code uses attributes that a plain value lacks: a class of the team's that derives from the plain type
    and has them, with what the frame's locals show under the attributes' names."""
    kind, lacking = plain_type(way.value), _lacking(way.value, wanted)
    if kind is None or not lacking:
        return
    if isinstance(way.value, list):
        for dotted in filler.catalogue.records(lacking, len(way.value), filler.near):
            note = f"{wanted.name}: a {dotted.rpartition('.')[2]}, of which the event shows a list"
            yield replace(
                way, value={"$call": dotted, "args": way.value, "kwargs": {}}, notes=(*way.notes, note)
            )
    for own in filler.catalogue.classes_with(lacking, filler.near, kind.__name__):
        name = variable(wanted.name, own.name)
        shown = {key: filler.ways(filler.scene.frame.vars[key], Wanted(key)) for key in sorted(lacking)
                 if key in filler.scene.frame.vars}  # fmt: skip
        for parts in cheapest(list(shown.values()), 4):
            made = {"name": name, "call": own.dotted, "args": [way.value], "kwargs": {}, "calls": [],
                    "set": {key: part.value for key, part in zip(shown, parts, strict=True)}}  # fmt: skip
            notes = (
                f"{wanted.name}: a {own.name}, the event shows only its text",
                *(n for part in parts for n in part.notes),
            )
            objects = (*(one for part in parts for one in part.objects), made)
            yield Way({"$ref": name}, sum(part.cost for part in parts), notes, objects)


def _lacking(value: Any, wanted: Wanted) -> set[str]:
    """The attributes that the code uses of a plain value and that such a value does not have."""
    kind = plain_type(value)
    return {name for name in wanted.used if kind is not None and not hasattr(kind, name)}


def _longer(way: Way, name: str, node: FunctionNode, own: OwnFrame, filler: Filler) -> Iterator[Way]:
    """A list of which the SDK kept the beginning, with the item that a loop had come to, or that a frame farther in
    shows."""
    if not isinstance(way.value, list) or len(way.value) != SDK_ITEMS:
        return
    seen = _seen(name, node, own, filler).parts.get("for")
    at_hand = [answering(seen, filler.nearest)] if seen else []
    inner = (one for one in filler.scene.pool if one.distance <= 0 and _alike(one.value, way.value[0]))
    at_hand += [Way(one.value, 1 - one.distance) for one in inner]
    for item in at_hand:
        if item is not None and item.value not in way.value:
            note = f"{name}: the first {SDK_ITEMS} items, and the one that was at hand"
            both = [*way.value, item.value]
            objects = (*way.objects, *item.objects)
            yield replace(
                way, value=both, cost=way.cost + item.cost, notes=(note, *item.notes), objects=objects
            )


def _alike(one: Any, other: Any) -> bool:
    """Whether two values may be items of one list: of one kind, mappings with a key in common."""
    if isinstance(one, dict) and isinstance(other, dict):
        return bool(set(one) & set(other))
    return type(one) is type(other) and not isinstance(one, (dict, bool)) and one is not None


def _variants(way: Way, name: str) -> Iterator[Way]:
    """What the SDK does not tell apart: it keeps tuples and sets as lists, and every key as a text."""
    value = way.value
    if isinstance(value, list) and value and len(value) <= SDK_ITEMS:
        note = f"{name}: a list in the event, which does not tell tuples and sets from lists"
        yield replace(way, value={"$tuple": value}, cost=way.cost + 6, notes=(*way.notes, note))
        if all(isinstance(item, (str, int, float)) for item in value):
            yield replace(way, value={"$set": value}, cost=way.cost + 7, notes=(*way.notes, note))
        if all(isinstance(item, list) for item in value):
            inner = [{"$tuple": item} for item in value]
            yield replace(way, value=inner, cost=way.cost + 5, notes=(*way.notes, note))
    if isinstance(value, dict) and (nested := _with_sets(value)) != value:
        note = f"{name}: lists in the event, which does not tell sets from lists"
        yield replace(way, value=nested, cost=way.cost + 8, notes=(*way.notes, note))
    if isinstance(value, dict) and value and all(key.isdigit() for key in value):
        pairs = {"$dict": [[int(key), item] for key, item in value.items()]}
        note = f"{name}: keys are texts in the event, taken as numbers"
        yield replace(way, value=pairs, cost=way.cost + 4, notes=(*way.notes, note))


def _with_sets(value: Any) -> Any:
    """The value with every flat list inside as a set."""
    if isinstance(value, dict) and not any(key.startswith("$") for key in value):
        return {key: _with_sets(item) for key, item in value.items()}
    flat = isinstance(value, list) and value and all(isinstance(item, (str, int, float)) for item in value)
    return {"$set": value} if flat else value


# --- what a method is called on -----------------------------------------------------------------------------------


def _receivers(function: Function, own: OwnFrame, filler: Filler) -> list[Way]:
    """Ways to have the object that a method is called on; functions need none."""
    first = (function.node.args.posonlyargs + function.node.args.args)[:1]
    name = first[0].arg if first else "self"
    kept = _kept(name, function, own.frame)
    if function.kind == "classmethod":
        built = filler.ways(kept, Wanted(name))[:1] if isinstance(kept, str | Typed) else []
        return [way for way in built if isinstance(way.value, dict) and "$name" in way.value] or [Way(None)]
    if function.kind != "method" or function.node.name == "__init__":
        return [Way(None)]
    owner = OwnClass(own.module, function.classes[-1], tuple(one.name for one in function.classes[:-1]))
    found: list[Way] = []
    is_top = not function.nested
    kinds = _kinds(owner, kept, filler) if is_top else []
    if isinstance(kept, str | Typed):
        found += [way for way in filler.ways(kept, Wanted(name)) if isinstance(way.value, dict)]
    elif kept is not None:
        for way in filler.ways(kept, Wanted(name)):
            found.append(_contained(way, owner, filler))
            found += [one for kind in kinds for one in _as_seen(kind, name, function, own, filler, way)]
    if is_top:
        found += filler.of_class(owner, Wanted(name, kept if isinstance(kept, str) else ""))
        if kept is None or isinstance(kept, str | Typed):
            found += [one for kind in kinds for one in _as_seen(kind, name, function, own, filler)]
            found += [one for kind in kinds for one in _as_seen(kind, name, function, own, filler, far=True)]
    found = [way for way in found if not (isinstance(way.value, dict) and way.value.get("$call") == STAND_IN)]
    return sorted(distinct(found), key=lambda way: way.cost)


def _kinds(owner: OwnClass, kept: Any, filler: Filler) -> list[OwnClass]:
    """The classes that a method's object may be of: the one that its repr names, those whose methods were called
    farther in, the one that has the method."""
    named = class_name(kept) if isinstance(kept, str) else None
    known = [*(filler.catalogue.classes(named) if named else ()), *reversed(filler.kin)]
    derived = [
        one for one in known if any(base.dotted == owner.dotted for base in filler.catalogue.lineage(one))
    ]
    return list({one.dotted: one for one in [*derived, owner]}.values())[:KINDS]


def _contained(way: Way, owner: OwnClass, filler: Filler) -> Way:
    """A container of the team's own kind, made from the plain one that the SDK kept of it."""
    name = variable("self", owner.name)
    fields = filler.catalogue.is_record(owner) and isinstance(way.value, list)
    args = way.value if fields else [way.value]
    made: dict[str, Any] = {
        "name": name,
        "call": owner.dotted,
        "args": args,
        "kwargs": {},
        "calls": [],
        "set": {},
    }
    return Way({"$ref": name}, way.cost, way.notes, (*way.objects, made))


def _as_seen(
    owner: OwnClass, name: str, function: Function, own: OwnFrame, filler: Filler, content: Way | None = None,
    *, far: bool = False,
) -> Iterator[Way]:  # fmt: skip
    """The object past its constructor, with the attributes that the function reads, and with `far` also those that the
    methods read which it calls: what it has seen of them, what another frame shows under their names, what the
    constructor gives them, else a stand-in. `content` is what it holds, where it is a container."""
    seen = _seen(name, function.node, own, filler).parts
    state = first_state(filler.catalogue.method(owner, "__init__"))
    read = used_attributes(function.node, name) - set(filler.catalogue.method_names(owner))
    if far:
        farther = filler.catalogue.reads(owner, function.node) - read
        if not farther:
            return
        read |= farther
    parts: dict[str, Way] = {}
    for attribute in sorted({*read, *seen} & filler.catalogue.attributes(owner)):
        way = answering(seen[attribute], filler.nearest) if attribute in seen else None
        shown = (filler.nearest(attribute, kept) for kept, _ in filler.scene.kept(attribute))
        way = way or next((one for one in shown if one is not None), None)
        if way is None and attribute not in state:
            way = _stood_in(owner, attribute, filler)
        if way is not None:
            parts[attribute] = way
    if not parts and not state and content is None:
        return
    state |= {attribute: way.value for attribute, way in parts.items()}
    called = variable("self", owner.name)
    made: dict[str, Any] = {
        "name": called,
        "value": {"$made": owner.dotted, "state": state},
        "calls": [],
        "set": {},
    }
    note = f"{name}: a {owner.name} past its constructor, with what {function.node.name}() reads of it"
    notes = (note, *(said for way in parts.values() for said in way.notes))
    objects = tuple(one for way in parts.values() for one in way.objects)
    overridden = len(parts.keys() & filler.catalogue.method_names(owner).keys())
    cost = 6 + OVERRIDDEN * overridden + sum(way.cost for way in parts.values())
    yield Way({"$ref": called}, cost, notes, (*objects, made))


def _stood_in(owner: OwnClass, attribute: str, filler: Filler) -> Way:
    """An attribute that nothing shows: a plain value as the class uses it, else a stand-in."""
    plain = filler.catalogue.plain_attribute(owner, attribute)
    if plain is not None:
        return Way(
            plain[0], 3, (f"{attribute} of {owner.name}: as the code uses it, the event does not show it",)
        )
    return Way(
        {"$call": STAND_IN, "args": [], "kwargs": {}}, 3, (f"{attribute} of {owner.name}: a stand-in",)
    )


# --- together -----------------------------------------------------------------------------------------------------


def _inputs(receiver: Way, filled: Sequence[tuple[_Slot, Way]]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The inputs of a call, and what was guessed. An object that two places name is made once; what is the parameter's
    default is left out, as one would write it."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    by_keyword = False
    if not any(slot.kind == "more" and way.value for slot, way in filled):
        filled = [(slot, _LEFT_OUT if _is_default(slot, way) else way) for slot, way in filled]
    for slot, way in filled:
        if way is _LEFT_OUT:
            by_keyword = True
        elif slot.kind == "more":
            args += way.value if not by_keyword else []
        elif slot.kind == "words":
            kwargs |= way.value
        elif slot.kind == "keyword" or by_keyword:
            kwargs[slot.name] = way.value
        else:
            args.append(way.value)
    inputs: dict[str, Any] = {"args": args, "kwargs": kwargs}
    if receiver.value is not None:
        inputs["self"] = receiver.value
    used = [way for way in (receiver, *(way for _, way in filled)) if way is not _LEFT_OUT]
    objects = {made["name"]: made for way in used for made in way.objects}
    if objects:
        inputs["objects"] = list(objects.values())
    return inputs, tuple(dict.fromkeys(note for way in used for note in way.notes))

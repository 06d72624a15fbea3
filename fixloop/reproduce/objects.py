"""Fill the holes of a value tree: objects are made again by their constructors, out of what the event shows.

For every hole there are several ways, each with a cost: what the repr says, a constructor whose parameters other
frames show by the same name, an instance that a module keeps, the state that a method builds out of a value that the
caller held, and at the very end a stand-in. They are tried in the sandbox, the cheapest first; what was guessed is
said.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from fixloop.reproduce.capsules import tree_of
from fixloop.reproduce.catalogue import Catalogue, OwnClass, Parameter, parameters
from fixloop.reproduce.observed import first_state
from fixloop.reproduce.reprs import class_name, expression, function_name, positional, shown
from fixloop.reproduce.scene import Scene, bare
from fixloop.reproduce.syntax import FunctionNode
from fixloop.reproduce.typed import Typed
from fixloop.reproduce.usage import (
    accepts,
    class_words,
    documented,
    kept_as,
    keys_read,
    neutral,
)
from fixloop.reproduce.values import CUT, FILTERED, REFERENCES, STAND_IN, rebuild
from fixloop.reproduce.ways import Wanted, Way, cheapest, distinct, variable

DEPTH = 3  # objects inside objects
WAYS = 32  # ways that are kept for one hole
FITTING = 3  # values of callers that are tried for one optional argument
KINDRED = 3  # other methods of one kind that are tried with one
KEYED = 12  # mappings with one such value that are
PLAIN = 5  # the cost of a value that only its use speaks of
_CHOICES = 5  # ways for one argument of a constructor
_BUILDERS = re.compile(
    r"^(?:add|append|extend|update|insert|put|push|load|set|feed|register|write|bind|from|parse|read)"
)
_ITERATORS = re.compile(r"<(?:\w+_iterator|generator|enumerate|zip|map|filter|reversed|itertools\.\w+)\b")
_FILES = {"StringIO": "io.StringIO", "TextIOWrapper": "io.StringIO", "BytesIO": "io.BytesIO",
          "BufferedReader": "io.BytesIO", "BufferedRandom": "io.BytesIO"}  # fmt: skip


@dataclass
class Filler:
    """Finds ways for what a scene does not show. `near` is the module of the frame."""

    scene: Scene
    catalogue: Catalogue
    near: str
    stack: tuple[ast.AST, ...] = ()  # the functions from this frame inwards
    kin: tuple[OwnClass, ...] = ()  # the classes of the methods from this frame inwards
    _ways: dict[tuple[str, str, int], list[Way]] = field(default_factory=dict)

    def own_class(self, name: str) -> str | None:
        """The team's own class, or a function that a class shows as its repr, by the name in a repr."""
        return self.catalogue.class_of(name, self.near) or self.catalogue.makes(name, self.near)

    def ways(self, kept: Any, wanted: Wanted, depth: int = 0) -> list[Way]:
        """Ways to have what the SDK or a capsule kept, the cheapest first. Empty where there is none."""
        if isinstance(kept, Typed):
            return self._typed(kept, wanted, depth)
        built = rebuild(kept, wanted.name, self.own_class, holes=True)
        if not built.ok:
            return []
        notes = tuple(built.guessed)
        found = [
            Way(way.value, way.cost, (*notes, *way.notes), way.objects)
            for way in self.filled(built.value, wanted, depth)
        ]
        if isinstance(kept, str) and isinstance(built.value, dict) and "$call" in built.value:
            found += self._otherwise(kept, wanted, depth)
        past = self._past_constructors(built.value)
        if past != built.value:
            note = f"{wanted.name}: past its constructor, with what its repr shows"
            made = (
                replace(way, cost=way.cost + 4).noted(note, 0) for way in self.filled(past, wanted, depth)
            )
            found += [_by_name(wanted, way) for way in made]
        return found

    def _past_constructors(self, tree: Any) -> Any:
        """The tree with every object that a repr shows by keywords alone in the state that these name: a repr need not
        be what a constructor takes."""
        if isinstance(tree, list):
            return [self._past_constructors(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        inner = {key: self._past_constructors(item) for key, item in tree.items()}
        if not inner.get("$call") or inner["args"] or not inner["kwargs"]:
            return inner
        own = next(
            (one for one in self.catalogue.classes(inner["$call"]) if one.dotted == inner["$call"]), None
        )
        if own is None:
            return inner
        state = first_state(self.catalogue.method(own, "__init__"))
        return {"$made": own.dotted, "state": {**state, **inner["kwargs"]}}

    def nearest(self, name: str, kept: Any) -> Way | None:
        """The cheapest way to have a local of that name; a list of kept values is one of ways."""
        return next(iter(self.ways(kept, Wanted(name), 1)), None)

    def _typed(self, kept: Typed, wanted: Wanted, depth: int) -> list[Way]:
        """What a capsule has, and after it what the SDK shows of the same."""
        shown = self.ways(kept.shown, wanted, depth) if kept.shown is not None else []
        if kept.says_nothing and shown:
            return shown
        try:
            tree = tree_of(kept, wanted.name, self.own_class, self._own_function)
        except ValueError:
            return shown
        objects: list[dict[str, Any]] = []
        notes = list(tree.notes)
        for made in tree.objects:
            way = next(iter(self.filled(made, wanted, depth + 1)), None)
            if way is None:
                return shown
            objects += [*way.objects, way.value]
            notes += way.notes
        found = [
            Way(way.value, way.cost, tuple(dict.fromkeys((*notes, *way.notes))), (*objects, *way.objects))
            for way in self.filled(tree.value, wanted, depth)
        ]
        return [*map(partial(_by_name, wanted), found), *(replace(way, cost=way.cost + 2) for way in shown)]

    def _own_function(self, module: str, name: str) -> str | None:
        """A function of the team's own that a capsule names, exactly that one."""
        dotted = self.catalogue.function(name, module) if module in self.catalogue.texts else None
        return dotted if dotted == f"{module}.{name}" else None

    def _otherwise(self, text: str, wanted: Wanted, depth: int) -> Iterator[Way]:
        """A repr that looks like a call need not be one that the constructor takes: the object in other ways."""
        name = class_name(text)
        for own in self.catalogue.classes(name)[:1] if name and depth < DEPTH else ():
            for way in self._made(own, replace(wanted, text=text), depth)[:6]:
                yield Way(way.value, way.cost + 3, way.notes, way.objects)

    def filled(self, tree: Any, wanted: Wanted, depth: int) -> list[Way]:
        """The tree with all its holes filled, in several ways."""
        if not _has_hole(tree):
            return [Way(tree)]
        if isinstance(tree, dict) and "$hole" in tree:
            return self.of_hole(
                Wanted(wanted.name, str(tree["$hole"]), wanted.annotation, wanted.words, wanted.used), depth
            )
        if isinstance(tree, list):
            return list(self._product(tree, list, wanted, depth))
        if isinstance(tree, dict) and "$member" not in tree and "$name" not in tree:
            keys = list(tree)

            def mapping(values: Iterable[Any]) -> dict[str, Any]:
                return dict(zip(keys, values, strict=True))

            return list(self._product([tree[key] for key in keys], mapping, wanted, depth, keys))
        return [Way(tree)]

    def _product(
        self,
        parts: Sequence[Any],
        build: Callable[[Iterable[Any]], Any],
        wanted: Wanted,
        depth: int,
        names: Sequence[str] = (),
    ) -> Iterator[Way]:
        """A container of parts, each of which may have several ways."""
        choices = [
            self.filled(part, Wanted(str(names[i]).strip("$") if names else wanted.name), depth)
            for i, part in enumerate(parts)
        ]
        for ways in cheapest(choices, WAYS):
            notes = tuple(dict.fromkeys(note for way in ways for note in way.notes))
            objects = tuple(made for way in ways for made in way.objects)
            yield Way(build(way.value for way in ways), sum(way.cost for way in ways), notes, objects)

    # --- one hole --------------------------------------------------------------------------------------------

    def of_hole(self, wanted: Wanted, depth: int) -> list[Way]:
        """Ways to have what a text stands for."""
        key = (wanted.text, wanted.name, depth)
        if key not in self._ways:
            self._ways[key] = []  # what is inside itself has no way
            found = sorted(self._ways_of(wanted, depth), key=lambda way: way.cost)
            self._ways[key] = distinct(found)[:WAYS]
        return self._ways[key]

    def _ways_of(self, wanted: Wanted, depth: int) -> Iterator[Way]:
        text = wanted.text.strip()
        if text in FILTERED or not text:
            yield from self._elsewhere(wanted, depth)
        elif text.endswith(CUT):
            yield from self._cut(wanted)
        elif (name := function_name(text)) or text.startswith("<function"):
            yield from self._function(name, wanted)
        elif _ITERATORS.match(text):
            yield from self._iterator(wanted)
        elif (kind := (class_name(text) or "").rpartition(".")[2]) in _FILES:
            yield from self._file(_FILES[kind], wanted)
        else:
            yield from self._object(wanted, depth)
        what = f"{wanted.name}: a stand-in, {_said(text)}"
        yield Way({"$call": STAND_IN, "args": [], "kwargs": {}}, 14 if depth else 20, (what,))

    def _elsewhere(self, wanted: Wanted, depth: int) -> Iterator[Way]:
        """A value of which the frame shows nothing: what other frames show under its name, or what fits."""
        for kept, distance in self.scene.kept(wanted.name):
            note = f"{wanted.name}: as {'a caller' if distance > 0 else 'a called function'} shows it"
            for way in self.ways(kept, wanted, depth + 1)[:2] if depth < DEPTH else ():
                yield Way(way.value, way.cost + (1 if distance > 0 else 2), (note, *way.notes), way.objects)
        if depth < DEPTH:
            yield from self._by_type(wanted, depth)
        for seen in self.scene.pool:
            if seen.distance > 0 and accepts(wanted.annotation, wanted.used, seen.value):
                yield Way(
                    seen.value, 5 + seen.distance, (f"{wanted.name}: taken from {seen.name} of a caller",)
                )
        value = neutral(wanted.annotation)
        if value is not None:
            yield Way(value, 12, (f"{wanted.name}: the event does not show it",))

    def _by_type(self, wanted: Wanted, depth: int) -> Iterator[Way]:
        """An object of the class that annotation, documentation or use ask for."""
        found = [
            own
            for word in (*class_words(wanted.annotation), *wanted.words)
            for own in self.catalogue.classes(word)[:1]
        ]
        if not found and len(wanted.used) > 1:
            found = self.catalogue.classes_with(set(wanted.used), self.near)
        for rank, own in enumerate({own.dotted: own for own in found}.values()):
            for way in self._made(own, wanted, depth + 1)[:12]:
                yield Way(way.value, way.cost + 2 + rank, way.notes, way.objects)

    def _function(self, name: str | None, wanted: Wanted) -> Iterator[Way]:
        owner, _, last = (name or "").rpartition(".")
        known = (
            REFERENCES.get(last)
            or REFERENCES.get(f"operator.{last}")
            or self.catalogue.function(last, self.near)
        )
        classes = self.catalogue.classes(owner) if owner else ()
        if classes:
            yield Way({"$member": [classes[0].dotted, last]}, 1)
        elif known and not owner:
            yield Way({"$name": known})
        else:
            note = f"{wanted.name}: a function that gives back what it gets, the original cannot be had"
            yield Way({"$name": "copy.copy"}, 12, (note,))

    def _iterator(self, wanted: Wanted) -> Iterator[Way]:
        """What was used up is not there any more: a sequence that the callers held, or an empty one."""
        for seen in self.scene.pool:
            if isinstance(seen.value, list):
                note = f"{wanted.name}: an iterator over {seen.name}, what it gave is not in the event"
                yield Way(
                    {"$call": "iter", "args": [seen.value], "kwargs": {}}, 4 + abs(seen.distance), (note,)
                )
        yield Way(
            {"$call": "iter", "args": [[]], "kwargs": {}},
            9,
            (f"{wanted.name}: an iterator with nothing in it",),
        )

    def _file(self, kind: str, wanted: Wanted) -> Iterator[Way]:
        """A file in memory with a text that a frame shows."""
        binary = kind == "io.BytesIO"
        for seen in self.scene.pool:
            is_bytes = isinstance(seen.value, dict) and str(seen.value.get("$repr", "")).startswith("b")
            if is_bytes if binary else isinstance(seen.value, str):
                note = f"{wanted.name}: a file with {seen.name} in it, its content is not in the event"
                yield Way(
                    {"$call": kind, "args": [seen.value], "kwargs": {}}, 3 + abs(seen.distance), (note,)
                )
        yield Way({"$call": kind, "args": [], "kwargs": {}}, 8, (f"{wanted.name}: an empty file",))

    def _cut(self, wanted: Wanted) -> Iterator[Way]:
        """What is left of a text that was cut: its beginning; with what this frame and those farther in show of the
        rest, or that alone, for a reader stumbles over a part of what it reads."""
        text = wanted.text.strip()
        for mark in CUT:
            text = text.removesuffix(mark)
        tree = expression(text.rstrip("\\") + text[:1]) if text[:1] in "'\"" else None
        if not isinstance(tree, ast.Constant) or not isinstance(tree.value, str):
            return
        start = tree.value
        yield Way(start, 2, (f"{wanted.name}: only its first {len(start)} characters are in the event",))
        whole_lines = start[: start.rfind("\n") + 1] or start
        for seen in self.scene.pool:
            if isinstance(seen.value, str) and seen.distance <= 0 and seen.value and seen.value not in start:
                note = f"{wanted.name}: its end is not in the event, {seen.name} was in it"
                yield Way(whole_lines + seen.value, 4 - seen.distance, (note,))
                yield Way(seen.value, 5 - seen.distance, (note,))

    # --- an object -------------------------------------------------------------------------------------------

    def _object(self, wanted: Wanted, depth: int) -> Iterator[Way]:
        name = class_name(wanted.text)
        classes = self.catalogue.classes(name) if name else ()
        for own in classes:
            yield from self.of_class(own, wanted, depth)
        fields = shown(wanted.text)
        if fields and not classes and depth < DEPTH:
            note = f"{wanted.name}: only the attributes that its repr shows"
            values = [rebuild(text, key, self.own_class, holes=True).value for key, text in fields.items()]

            def namespace(parts: Iterable[Any]) -> dict[str, Any]:
                words = dict(zip(fields, parts, strict=True))
                return {"$call": "types.SimpleNamespace", "args": [], "kwargs": words}

            for way in self._product(values, namespace, wanted, depth + 1, list(fields)):
                yield Way(way.value, way.cost + 3, (note, *way.notes), way.objects)
        if not classes and depth < DEPTH:
            yield from self._by_type(wanted, depth)

    def of_class(self, own: OwnClass, wanted: Wanted, depth: int = 0) -> Iterator[Way]:
        """Ways to have an instance of one of the team's classes."""
        for dotted in self.catalogue.instances(own):
            note = f"{wanted.name}: {dotted}, which the module keeps; its state may have been another"
            yield from self._with_state(Way({"$name": dotted}, 1, (note,)), own, wanted)
        if depth < DEPTH:
            yield from self._made(own, wanted, depth)

    def _made(self, own: OwnClass, wanted: Wanted, depth: int) -> list[Way]:
        """Made by the constructor, and then brought into a state by a method."""
        bases = list(self._constructed(own, wanted, depth))
        found = [*bases]
        for base in bases[:3]:
            found += self._with_state(base, own, wanted)
        return distinct(sorted(found, key=lambda way: way.cost))

    def _constructed(self, own: OwnClass, wanted: Wanted, depth: int) -> Iterator[Way]:
        taken = self.catalogue.constructor(own) or ()
        told = self.catalogue.own_repr(own, wanted.text)
        said = {bare(name): text for name, text in (shown(wanted.text) | told).items()}
        alone = list(positional(wanted.text)) if wanted.text and not told else []
        chosen: list[tuple[Parameter, list[Way]]] = []
        for at, parameter in enumerate(taken):
            text = said.get(bare(parameter.name)) or (alone[0] if alone and at == 0 else None)
            ways = self._argument(parameter, own, text, depth)
            if ways:
                chosen.append((parameter, ways[:_CHOICES]))
            elif parameter.required:
                return
        yield from self._calls(own, wanted, chosen)
        fixed = [
            (parameter, ways)
            for parameter, ways in chosen
            if parameter.required or bare(parameter.name) in said
        ]
        if fixed != chosen:
            yield from self._calls(own, wanted, fixed)
        yield from self._spread(own, wanted, fixed, taken)
        yield from self._with_pool(own, wanted, fixed, taken, depth)

    def _spread(
        self,
        own: OwnClass,
        wanted: Wanted,
        fixed: Sequence[tuple[Parameter, list[Way]]],
        taken: Sequence[Parameter],
    ) -> Iterator[Way]:
        """Made with all that a caller's mapping holds, as keywords: settings are often kept so."""
        init = self.catalogue.method(own, "__init__")
        open_end = init is not None and init.args.kwarg is not None
        names = {parameter.name for parameter in taken}
        base = next(self._calls(own, wanted, fixed), None)
        for seen in self.scene.pool if base else ():
            words = seen.value if isinstance(seen.value, dict) and seen.distance > 0 else {}
            fits = all(key in names or (open_end and key.isidentifier()) for key in words)
            if words and fits and not any(key.startswith("$") or keyword.iskeyword(key) for key in words):
                made = base.objects[-1]  # type: ignore[union-attr]
                note = f"{own.name}: its arguments taken from {seen.name} of a caller"
                whole = {**made, "kwargs": {**made["kwargs"], **words}}
                objects = (*base.objects[:-1], whole)  # type: ignore[union-attr]
                yield Way(base.value, base.cost + 2 + seen.distance, (*base.notes, note), objects)  # type: ignore[union-attr]

    def _calls(
        self, own: OwnClass, wanted: Wanted, chosen: Sequence[tuple[Parameter, list[Way]]]
    ) -> Iterator[Way]:
        for ways in cheapest([ways for _, ways in chosen], 8):
            args, kwargs, by_keyword = [], {}, False
            for (parameter, _), way in zip(chosen, ways, strict=True):
                by_keyword = by_keyword or parameter.by_keyword or not parameter.required
                if by_keyword:
                    kwargs[parameter.name] = way.value
                else:
                    args.append(way.value)
            cost = sum(way.cost for way in ways) + 1
            notes = tuple(dict.fromkeys(note for way in ways for note in way.notes))
            inner = tuple(made for way in ways for made in way.objects)
            yield self._new(own, wanted, args, kwargs, cost, notes, inner)

    def _new(
        self, own: OwnClass, wanted: Wanted, args: list[Any], kwargs: dict[str, Any], cost: int,
        notes: tuple[str, ...] = (), inner: tuple[dict[str, Any], ...] = (),
    ) -> Way:  # fmt: skip
        name = variable(wanted.name, own.name)
        made = {"name": name, "call": own.dotted, "args": args, "kwargs": kwargs, "calls": [], "set": {}}
        note = f"{wanted.name}: a new {own.name}, the state of the original is not in the event"
        return Way({"$ref": name}, cost, (note, *notes), (*inner, made))

    def _argument(self, parameter: Parameter, own: OwnClass, text: str | None, depth: int) -> list[Way]:
        """Ways for one argument of a constructor; none where an optional one is better left out."""
        init = self.catalogue.method(own, "__init__")
        wanted = Wanted(
            parameter.name, "", parameter.annotation,
            documented((own.node, init), parameter.name),
            frozenset(self.catalogue.used(own, init, parameter.name) if init else ()),
        )  # fmt: skip
        if text is not None:
            return self.ways(text, wanted, depth + 1)
        if parameter.required:
            found = self.of_hole(wanted, depth + 1)
            plain = self.catalogue.plain_argument(own, parameter.name)
            if plain is not None:
                note = f"{parameter.name} of {own.name}: as the code uses it, the event does not show it"
                found = sorted([*found, Way(plain[0], PLAIN, (note,))], key=lambda way: way.cost)
            return found
        said = f"{parameter.name}: as another frame shows it"
        found = [
            way.noted(said, 1 if distance > 0 else 2)
            for kept, distance in self.scene.kept(parameter.name)
            for way in self.ways(kept, wanted, depth + 1)[:1]
        ]
        return [way for way in found if way.cost < 20][:2]

    def _with_pool(
        self,
        own: OwnClass,
        wanted: Wanted,
        fixed: Sequence[tuple[Parameter, list[Way]]],
        taken: Sequence[Parameter],
        depth: int,
    ) -> Iterator[Way]:
        """One optional parameter more, filled with a value that a caller held, or stood in for."""
        base = next(self._calls(own, wanted, fixed), None)
        free = [p for p in taken if not p.required and p.name not in {q.name for q, _ in fixed}]
        init = self.catalogue.method(own, "__init__")
        for parameter in free if base else ():
            used = frozenset(self.catalogue.used(own, init, parameter.name) if init else ())
            keys = keys_read(self.stack, {parameter.name, *kept_as(init, parameter.name)}) if init else ()
            for value, cost, said in self._pooled(parameter, used, keys):
                note = f"{parameter.name} of {own.name}: {said}"
                yield self._also(base, parameter.name, Way(value, cost, (note,)))  # type: ignore[arg-type]
            # a collaborator has none of its own: two classes may each take the other
            for way in self._collaborators(parameter, own, init, used) if depth < DEPTH else ():
                yield self._also(base, parameter.name, way)  # type: ignore[arg-type]
            stand_in = {"$call": STAND_IN, "args": [], "kwargs": {}}
            cost = 9 if parameter.default == "None" else 16
            note = f"{parameter.name} of {own.name}: a stand-in"
            yield self._also(base, parameter.name, Way(stand_in, cost, (note,)))  # type: ignore[arg-type]

    def _collaborators(
        self, parameter: Parameter, own: OwnClass, init: FunctionNode | None, used: frozenset[str]
    ) -> Iterator[Way]:
        """An object of the team's own that an optional parameter is meant for, where annotation, documentation or use
        say so: what code asks of a stand-in may never end."""
        if parameter.default != "None":
            return
        documents = documented((own.node, init), parameter.name)
        wanted = Wanted(parameter.name, "", parameter.annotation, documents, used)
        for way in list(self._by_type(wanted, DEPTH - 1))[:FITTING]:
            yield replace(way, cost=way.cost + 4)

    def _pooled(
        self, parameter: Parameter, used: frozenset[str], keys: Sequence[str]
    ) -> Iterator[tuple[Any, int, str]]:
        mapping = accepts("dict", used, {}) and (
            parameter.default in ("None", "{}") or "dict" in parameter.annotation.lower()
        )
        fitting, keyed = [], []
        for seen in self.scene.pool:
            if seen.distance > 0 and accepts(parameter.annotation, used, seen.value, parameter.default):
                fitting.append((seen.value, 3 + seen.distance, f"taken from {seen.name} of a caller"))
            if mapping and seen.distance > 0 and not isinstance(seen.value, (dict, list)):
                for rank, key in enumerate(keys):
                    cost = 4 + seen.distance + (0 if bare(key) == bare(seen.name) else 1 + rank // 4)
                    keyed.append(({key: seen.value}, cost, f"{key!r} taken from {seen.name} of a caller"))
        yield from fitting[:FITTING]
        yield from sorted(keyed, key=lambda one: one[1])[:KEYED]

    def _also(self, base: Way, name: str, way: Way) -> Way:
        """The object that `base` makes, with one argument more."""
        made = base.objects[-1]
        whole = {**made, "kwargs": {**made["kwargs"], name: way.value}}
        objects = (*base.objects[:-1], *way.objects, whole)
        return Way(base.value, base.cost + way.cost, (*base.notes, *way.notes), objects)

    def _with_state(self, base: Way, own: OwnClass, wanted: Wanted) -> Iterator[Way]:
        """The object, and the object after one method that builds state out of a value that a caller held."""
        yield base
        methods = self.catalogue.method_names(own)
        name = variable(wanted.name, own.name)
        made = (
            base.objects[-1] if base.objects else {"name": name, "value": base.value, "calls": [], "set": {}}
        )
        builders = {
            method: needed[0]
            for method, node in methods.items()
            if _BUILDERS.match(method) and len(needed := [p for p in parameters(node)[1:] if p.required]) == 1
        }
        held = [
            seen for seen in self.scene.pool if seen.distance > 0 and isinstance(seen.value, (list, dict))
        ]
        for seen in held:
            for calls, said in _without_none(seen.value, list(builders)):
                note = (
                    f"{wanted.name}: its state, from {seen.name} of a caller by {said}, what is None left out"
                )
                objects = (*base.objects[:-1], {**made, "calls": [*made["calls"], *calls]})
                yield Way({"$ref": made["name"]}, base.cost + 2 + seen.distance, (*base.notes, note), objects)
        for method, parameter in builders.items():
            for seen in held:
                kin = 0 if bare(seen.name) in method or method.startswith("add") else 1
                for values, more in self._fed(seen.value, parameter):
                    calls = [*made["calls"], *([method, [value], {}, False] for value in values)]
                    note = f"{wanted.name}: its state, from {seen.name} of a caller by {method}()"
                    cost = base.cost + 3 + kin + more + seen.distance
                    objects = (*base.objects[:-1], {**made, "calls": calls})
                    yield Way({"$ref": made["name"]}, cost, (*base.notes, note), objects)

    def _fed(self, value: Any, parameter: Parameter) -> Iterator[tuple[list[Any], int]]:
        """A value as it is given to a method: at once, or item by item."""
        if accepts(parameter.annotation, (), value):
            yield [value], 0
        if (
            isinstance(value, list)
            and value
            and all(accepts(parameter.annotation, (), item) for item in value)
        ):
            yield value, 1


def _without_none(value: Any, builders: Sequence[str]) -> Iterator[tuple[list[list[Any]], str]]:
    """Records of which some have a None, fed to two methods of one kind: the whole ones to the one, the others without
    the None to the other. Where a caller holds a None, it may as well have left the part out."""
    if not isinstance(value, list) or not all(isinstance(row, list) and row for row in value):
        return
    whole = [row for row in value if None not in row]
    short = [[part for part in row if part is not None] for row in value if None in row]
    if not short or not all(short):
        return
    for one in builders:
        kin = [other for other in builders if other != one and _words(other) & _words(one)]
        for other in kin[:KINDRED]:
            calls = [[one, [whole], {}, False]] if whole else []
            yield [*calls, [other, [short], {}, False]], f"{one}() and {other}()"


def _words(method: str) -> set[str]:
    """What a method's name speaks of, its verb and prepositions left out."""
    words = method.strip("_").split("_")
    return {word for word in words[1:] if word not in ("from", "to", "by", "of", "all", "with", "in")}


def _has_hole(tree: Any) -> bool:
    if isinstance(tree, list):
        return any(map(_has_hole, tree))
    return isinstance(tree, dict) and ("$hole" in tree or any(map(_has_hole, tree.values())))


def _by_name(wanted: Wanted, way: Way) -> Way:
    """The way with an object that it makes under a name of its own, as one would write it."""
    if not (isinstance(way.value, dict) and "$made" in way.value):
        return way
    name = variable(wanted.name, str(way.value["$made"]).rpartition(".")[2])
    made = {"name": name, "value": way.value, "calls": [], "set": {}}
    return replace(way, value={"$ref": name}, objects=(*way.objects, made))


def _said(text: str) -> str:
    return f"the event shows {text[:60]}" if text and text not in FILTERED else "the event does not show it"

"""What the team's own code offers for rebuilding values: classes with their constructors, functions, instances that
modules keep. Read as text and never imported; a name out of an event finds something here or nothing at all."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fixloop.reproduce.plausible import plausible
from fixloop.reproduce.reprs import by_own_repr
from fixloop.reproduce.syntax import FunctionNode, parse
from fixloop.reproduce.usage import handed_on, kept_as, neutral, used_attributes

_FIELDS = frozenset({"dataclass", "define", "frozen", "mutable", "attrs", "s", "attrib"})
_RECORDS = frozenset({"NamedTuple", "BaseModel", "TypedDict"})
DEPTH = 6  # base classes that are followed upwards
HANDED_ON = 3  # methods through which a parameter is followed
MOST = 3  # classes of the same name that are looked at


@dataclass(frozen=True)
class Parameter:
    """One parameter of a constructor or function, without the receiver."""

    name: str
    required: bool
    annotation: str = ""
    by_keyword: bool = False
    default: str | None = None


@dataclass(frozen=True)
class OwnClass:
    """A class of one of the team's modules; `outer`: the names of the classes that it stands in."""

    module: str
    node: ast.ClassDef
    outer: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def dotted(self) -> str:
        """The name by which a value tree calls it: "module.Class", "module:Outer.Class"."""
        names = ".".join((*self.outer, self.node.name))
        return f"{self.module}:{names}" if self.outer else f"{self.module}.{names}"

    @property
    def place(self) -> str:
        """What stands before its name in a repr."""
        return ".".join((self.module, *self.outer))


class Catalogue:
    """`texts` gives module name -> source, on demand."""

    def __init__(self, texts: Callable[[], Mapping[str, str]]) -> None:
        self._give = texts
        self._trees: dict[str, ast.Module | None] = {}
        self._classes: dict[str, tuple[OwnClass, ...]] = {}
        self._aliases: dict[str, dict[str, str]] = {}
        self._lines: dict[str, tuple[OwnClass, ...]] = {}
        self._attributes: dict[str, set[str]] = {}

    @cached_property
    def texts(self) -> Mapping[str, str]:
        return self._give()

    def tree(self, module: str) -> ast.Module | None:
        """A module's tree, parsed once."""
        if module not in self._trees:
            self._trees[module] = parse(self.texts[module]) if module in self.texts else None
        return self._trees[module]

    # --- classes -----------------------------------------------------------------------------------------------

    def classes(self, name: str) -> tuple[OwnClass, ...]:
        """Classes by the name that a repr shows: exactly that one where the module fits, else all of that last
        name."""
        if not name.replace(".", "").isidentifier():
            return ()
        module, _, last = name.rpartition(".")
        if last not in self._classes:
            self._classes[last] = tuple(self._find_classes(last))
        found = self._classes[last]
        return tuple(one for one in found if one.place == module) or found[:MOST]

    def _find_classes(self, last: str) -> Iterator[OwnClass]:
        """Those at the top of a module first."""
        shape = re.compile(rf"^[ \t]*class {re.escape(last)}\b", re.MULTILINE)
        trees = [(module, self.tree(module)) for module, text in self.texts.items() if shape.search(text)]
        found = [
            OwnClass(module, node, outer) for module, tree in trees if tree for outer, node in _classes(tree)
        ]
        yield from sorted((one for one in found if one.name == last), key=lambda one: len(one.outer))

    def class_of(self, name: str, near: str = "") -> str | None:
        """The dotted name of the one class of that name, or of the one in the module `near`; None where that is not
        said: for values that name their class."""
        found = self.classes(name)
        if found or not name.replace(".", "").isidentifier():
            close = [one for one in self._classes.get(name, ()) if one.module == near]
            return (close or found)[0].dotted if len(found) == 1 or close else None
        return self._assigned(name.rpartition(".")[2])

    def _assigned(self, name: str) -> str | None:
        """A class that a call makes: `Reading = namedtuple(…)`, at the top level of one module."""
        shape = re.compile(rf"^{re.escape(name)} = \w[\w.]*\(", re.MULTILINE)
        places = [module for module, text in self.texts.items() if name[:1].isupper() and shape.search(text)]
        return f"{places[0]}.{name}" if len(places) == 1 else None

    def lineage(self, own: OwnClass) -> tuple[OwnClass, ...]:
        """The class and its own base classes, nearest first, each once."""
        if own.dotted not in self._lines:
            found = {one.dotted: one for one in self._upwards(own, DEPTH)}
            self._lines[own.dotted] = tuple(found.values())
        return self._lines[own.dotted]

    def _upwards(self, own: OwnClass, depth: int) -> Iterator[OwnClass]:
        yield own
        for base in own.node.bases if depth else ():
            name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
            for one in sorted(
                self.classes(self.original(own.module, name)), key=lambda c: c.module != own.module
            )[:1]:
                yield from self._upwards(one, depth - 1)

    def _bases(self, own: OwnClass) -> set[str]:
        """The last names of all base classes."""
        return {ast.unparse(b).rpartition(".")[2] for one in self.lineage(own) for b in one.node.bases}

    def method(self, own: OwnClass, name: str) -> FunctionNode | None:
        """A method by its name, inherited ones too."""
        for one in self.lineage(own):
            for node in _top(one.node):
                if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.name != name:
                    continue
                if not _is_overload(node):
                    return node
        return None

    def method_names(self, own: OwnClass) -> dict[str, FunctionNode]:
        """All methods, inherited ones too; the nearest wins."""
        found: dict[str, FunctionNode] = {}
        for one in self.lineage(own):
            for node in _top(one.node):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not _is_overload(node):
                    found.setdefault(node.name, node)
        return found

    def attributes(self, own: OwnClass) -> set[str]:
        """Names that an instance has: methods, class attributes, what methods assign to the receiver."""
        if own.dotted not in self._attributes:
            self._attributes[own.dotted] = self._attributes_of(own)
        return self._attributes[own.dotted]

    def _attributes_of(self, own: OwnClass) -> set[str]:
        found: set[str] = set()
        for one in self.lineage(own):
            for node in ast.walk(one.node):
                match node:
                    case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                        found.add(name)
                    case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                        found.add(name)
                    case ast.Name(id=name, ctx=ast.Store()):
                        found.add(name)
                    case ast.Assign(targets=[ast.Name(id="__slots__")], value=slots):
                        found |= {
                            str(part.value) for part in ast.walk(slots) if isinstance(part, ast.Constant)
                        }
        return found

    def reads(self, own: OwnClass, node: FunctionNode) -> set[str]:
        """Attributes of an instance that a method reads, itself or in other methods that it calls on the receiver; what
        the class gives every instance is left out."""
        methods = self.method_names(own)
        given = {
            target.id
            for one in self.lineage(own)
            for part in _top(one.node)
            for target in _given(part)
            if isinstance(target, ast.Name)
        }
        found: set[str] = set()
        pending, looked_at = [node], {node.name}
        while pending:
            method = pending.pop()
            first = [*method.args.posonlyargs, *method.args.args][:1]
            for name in used_attributes(method, first[0].arg) if first else ():
                if name not in methods:
                    found.add(name)
                elif name not in looked_at:
                    looked_at.add(name)
                    pending.append(methods[name])
        return found - given

    def used(self, own: OwnClass, node: FunctionNode, name: str, depth: int = HANDED_ON) -> set[str]:
        """Attributes that a method uses of a parameter, there or where it is kept or handed on to: in other methods of
        the class, and in those that it inherits."""
        found = used_attributes(node, name)
        kept = kept_as(node, name)
        for one in self.lineage(own) if kept else ():
            for part in ast.walk(one.node):
                match part:
                    case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr=attr), attr=used):
                        found |= {used} if attr in kept and not used.startswith("__") else set()
        for to, method, at in handed_on(node, name) if depth else ():
            owners = self.lineage(own)[1:] if to == "super" else (own,)
            target = next((found_in for owner in owners if (found_in := self.method(owner, method))), None)
            if target is not None and target is not node:
                taken = [one.name for one in parameters(target)[1:]]
                word = at if isinstance(at, str) else taken[at] if at < len(taken) else None
                found |= self.used(own, target, word, depth - 1) if word in taken else set()
        return found

    def own_repr(self, own: OwnClass, text: str) -> dict[str, str]:
        """Attributes that a repr shows by the class's own `__repr__`, each with the text of its value."""
        node = self.method(own, "__repr__")
        return by_own_repr(node, text.strip()) if node is not None else {}

    def plain_attribute(self, own: OwnClass, name: str) -> tuple[Any] | None:
        """A plain value for an attribute, in a tuple: by its annotation, or by what the class does with it; None where
        neither says."""
        nodes = [one.node for one in self.lineage(own)]
        for node in nodes:
            for part in _top(node):
                match part:
                    case ast.AnnAssign(target=ast.Name(id=target), annotation=said) if target == name:
                        value = neutral(ast.unparse(said))
                        return (value,) if value is not None else None
        init = self.method(own, "__init__")
        for parameter in parameters(init)[1:] if init is not None else ():
            if init and name in kept_as(init, parameter.name) and parameter.annotation:
                value = neutral(parameter.annotation)
                return (value,) if value is not None else None

        def is_it(part: ast.expr) -> bool:
            match part:
                case ast.Attribute(value=ast.Name(id="self"), attr=attr):
                    return attr == name
            return False

        return plausible(nodes, is_it)

    def plain_argument(self, own: OwnClass, name: str) -> tuple[Any] | None:
        """The same for a parameter of the constructor: what it is there, or where it is kept."""
        init = self.method(own, "__init__")
        if init is None:
            return None
        there = plausible([init], lambda part: isinstance(part, ast.Name) and part.id == name)
        kept = (self.plain_attribute(own, attribute) for attribute in sorted(kept_as(init, name)))
        return there or next((one for one in kept if one is not None), None)

    def constructor(self, own: OwnClass) -> tuple[Parameter, ...] | None:
        """The parameters of a class's constructor; None where they cannot be known (a base that is not ours)."""
        init = self.method(own, "__init__")
        if init is not None:
            return parameters(init)[1:]
        if self._has_fields(own):
            return tuple(_field_parameters(own.node))
        new = self.method(own, "__new__")
        return parameters(new)[1:] if new is not None else None

    def _has_fields(self, own: OwnClass) -> bool:
        decorators = {ast.unparse(d).partition("(")[0].rpartition(".")[2] for d in own.node.decorator_list}
        bases = {ast.unparse(base).rpartition(".")[2] for base in own.node.bases}
        return bool(decorators & _FIELDS or bases & _RECORDS)

    def is_record(self, own: OwnClass) -> bool:
        """Whether a class is a tuple with named fields."""
        return any(name == own.name for name, _, _ in _records(ast.Module([own.node], [])))

    def records(self, attributes: set[str], size: int, near: str) -> list[str]:
        """Tuples of so many named fields that have these attributes, by their dotted names: first those of `near` and
        its package, and of modules that speak of the attributes."""
        package = near.partition(".")[0]
        found = []
        for module in sorted(
            self.texts, key=lambda name: (name != near, name.partition(".")[0] != package, name)
        ):
            text = self.texts[module]
            if "namedtuple" not in text.lower():
                continue
            for name, fields, others in _records(self.tree(module) or ast.Module([], [])):
                if len(fields) == size and attributes <= {*fields, *others}:
                    found.append(f"{module}.{name}")
        return found[:MOST]

    # --- functions and instances ---------------------------------------------------------------------------------

    def original(self, module: str, name: str) -> str:
        """What a module calls `name`, by the name that it was imported under."""
        if module not in self._aliases:
            self._aliases[module] = {
                alias.asname: alias.name.rpartition(".")[2]
                for node in ast.walk(self.tree(module) or ast.Module([], []))
                if isinstance(node, (ast.ImportFrom, ast.Import))
                for alias in node.names
                if alias.asname
            }
        return self._aliases[module].get(name, name)

    def function(self, name: str, near: str) -> str | None:
        """The dotted name of a function at the top level of a module: `near` first, else the only one there is."""
        if not name.isidentifier():
            return None
        places = [near] if near in self.texts else []
        shape = re.compile(rf"^(?:async )?def {re.escape(name)}\(", re.MULTILINE)
        if not any(shape.search(self.texts[place]) for place in places):
            places = [module for module, text in self.texts.items() if shape.search(text)]
        return f"{places[0]}.{name}" if len(places) == 1 else None

    def makes(self, name: str, near: str) -> str | None:
        """A function that a class of the same module shows as its repr (`complement({1})`): nothing else may be
        called because a text says so."""
        dotted = self.function(name, near)
        tree = self.tree(dotted.rpartition(".")[0]) if dotted else None
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.FunctionDef) and node.name == "__repr__":
                words = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
                if any(
                    isinstance(word, str) and re.search(rf"\b{re.escape(name)}\(", word) for word in words
                ):
                    return dotted
        return None

    def instances(self, own: OwnClass) -> list[str]:
        """Where a module of the class's package keeps an instance under a name: "package.module.name"."""
        found = []
        package = own.module.partition(".")[0]
        for module, text in self.texts.items():
            if module.partition(".")[0] != package:
                continue
            if f"{own.name}(" not in text and f" {own.name} as " not in text:
                continue
            for node in (self.tree(module) or ast.Module([], [])).body:
                match node:
                    case (
                        ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func))
                        | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=func))
                    ):
                        called = ast.unparse(func).rpartition(".")[2]
                        if own.name in (called, self.original(module, called)):
                            found.append(f"{module}.{name}")
        return found[:MOST]

    def classes_with(self, attributes: set[str], near: str, base: str = "") -> list[OwnClass]:
        """Classes that have all these attributes (and derive from `base`), of the module `near` and its package
        first."""
        package = near.partition(".")[0]
        found = []
        for module in sorted(self.texts, key=lambda name: (name != near, not name.startswith(package), name)):
            text = self.texts[module]
            if not all(name in text for name in sorted(attributes)[:2]) and module != near:
                continue
            for node in (self.tree(module) or ast.Module([], [])).body:
                own = OwnClass(module, node) if isinstance(node, ast.ClassDef) else None
                if own and attributes <= self.attributes(own) and (not base or base in self._bases(own)):
                    found.append(own)
            if len(found) >= MOST:
                break
        return found[:MOST]


def _records(tree: ast.Module) -> Iterator[tuple[str, list[str], set[str]]]:
    """Tuples with named fields at the top level of a module: name, fields, what else they have."""
    for node in _top(tree):
        if isinstance(node, ast.ClassDef):
            others = {
                one.name for one in node.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
            bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            made = next((base for base in node.bases if isinstance(base, ast.Call)), None)
            if "NamedTuple" in bases:
                yield node.name, [field.name for field in _field_parameters(node)], others
            elif made is not None and _named_fields(made):
                yield node.name, _named_fields(made), others
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Call)
            and (fields := _named_fields(node.value))
        ):
            yield node.targets[0].id, fields, set()


def _named_fields(call: ast.Call) -> list[str]:
    """The fields in `namedtuple("Point", "x y")`, `namedtuple("Point", ["x", "y"])`; empty for other calls."""
    if ast.unparse(call.func).rpartition(".")[2] not in ("namedtuple", "NamedTuple") or len(call.args) < 2:
        return []
    match call.args[1]:
        case ast.Constant(value=str(text)):
            return text.replace(",", " ").split()
        case ast.List(elts=items) | ast.Tuple(elts=items):
            firsts = [item.elts[0] if isinstance(item, ast.Tuple) and item.elts else item for item in items]
            return [str(one.value) for one in firsts if isinstance(one, ast.Constant)]
    return []


def _top(node: ast.Module | ast.ClassDef) -> Iterator[ast.stmt]:
    """Statements of a body, those below `if` and `try` too."""
    pending: list[ast.stmt] = list(node.body)
    while pending:
        part = pending.pop(0)
        yield part
        if isinstance(part, (ast.If, ast.Try)):
            pending = [*part.body, *part.orelse, *pending]


def _classes(
    node: ast.Module | ast.ClassDef, outer: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], ast.ClassDef]]:
    """Classes with the names of those that they stand in."""
    for part in _top(node):
        if isinstance(part, ast.ClassDef):
            yield outer, part
            yield from _classes(part, (*outer, part.name))


def _given(part: ast.stmt) -> list[ast.expr]:
    """What a statement of a class's body binds to a value."""
    if isinstance(part, ast.Assign):
        return part.targets
    return [part.target] if isinstance(part, ast.AnnAssign) and part.value is not None else []


def _is_overload(node: FunctionNode) -> bool:
    return "overload" in {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}


def parameters(node: FunctionNode) -> tuple[Parameter, ...]:
    """The parameters of a function in order, *args and **kwargs left out."""
    a = node.args
    positional = [*a.posonlyargs, *a.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(a.defaults)) + list(a.defaults)
    found = [_parameter(arg, default) for arg, default in zip(positional, defaults, strict=True)]
    found += [
        _parameter(arg, default, True) for arg, default in zip(a.kwonlyargs, a.kw_defaults, strict=True)
    ]
    return tuple(found)


def _parameter(arg: ast.arg, default: ast.expr | None, by_keyword: bool = False) -> Parameter:
    return Parameter(
        arg.arg, default is None, ast.unparse(arg.annotation) if arg.annotation else "", by_keyword,
        ast.unparse(default) if default is not None else None,
    )  # fmt: skip


def _field_parameters(node: ast.ClassDef) -> Iterator[Parameter]:
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            kind = ast.unparse(part.annotation)
            if "ClassVar" not in kind:
                default = ast.unparse(part.value) if part.value is not None else None
                yield Parameter(part.target.id, part.value is None, kind, default=default)

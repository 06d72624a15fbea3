"""What the source at the release says of a function: where it is, its parameters, what happened to them by a
line."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

_one_at_a_time = threading.Lock()
FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_MUTATORS = frozenset(
    [
        "append",
        "extend",
        "insert",
        "pop",
        "remove",
        "clear",
        "sort",
        "reverse",
        "update",
        "setdefault",
        "popitem",
        "add",
        "discard",
        "read",
        "readline",
        "readlines",
        "send",
        "appendleft",
        "popleft",
        "__next__",
        "rotate",
    ]
)


@dataclass(frozen=True)
class Function:
    """A function in a module: its dotted name there, and the classes or functions that it stands in."""

    qualname: str
    node: FunctionNode
    classes: tuple[ast.ClassDef, ...]
    nested: bool  # inside another function: cannot be imported

    @property
    def kind(self) -> str:
        """ "function", "method", "classmethod" or "staticmethod"."""
        if not self.classes:
            return "function"
        if "staticmethod" in self.decorators:
            return "staticmethod"
        return "classmethod" if "classmethod" in self.decorators or self.node.name == "__new__" else "method"

    @property
    def decorators(self) -> set[str]:
        """The last parts of the decorators' names."""
        return {ast.unparse(d).partition("(")[0].rpartition(".")[2] for d in self.node.decorator_list}

    @property
    def is_property(self) -> bool:
        return bool(self.decorators & {"property", "cached_property", "setter"})

    @property
    def is_async(self) -> bool:
        return isinstance(self.node, ast.AsyncFunctionDef)

    @property
    def is_generator(self) -> bool:
        return any(isinstance(part, (ast.Yield, ast.YieldFrom)) for part in own_parts(self.node))


def parse(source: str) -> ast.Module | None:
    """The tree, or None for text that this Python cannot read."""
    tree = _tree(source, "exec")
    return tree if isinstance(tree, ast.Module) else None


def parse_expression(text: str) -> ast.expr | None:
    """The tree of one expression, or None for text that is none."""
    tree = _tree(text, "eval")
    return tree.body if isinstance(tree, ast.Expression) else None


def _tree(source: str, mode: str) -> ast.AST | None:
    """CPython 3.11 and 3.12 count the depth of a tree for all threads together, and raise SystemError where two build
    one at the same time: one at a time here, and again where somebody else has built one."""
    for last in (False, False, True):
        try:
            with _one_at_a_time:
                return ast.parse(source, mode=mode)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        except SystemError:
            if last:
                raise
    return None


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function, outer before inner."""

    def visit(
        node: ast.AST, names: tuple[str, ...], classes: tuple[ast.ClassDef, ...], nested: bool
    ) -> Iterator[Function]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield Function(".".join((*names, child.name)), child, classes, nested)
                yield from visit(child, (*names, child.name), (), True)
            elif isinstance(child, ast.ClassDef):
                yield from visit(child, (*names, child.name), (*classes, child), nested)
            else:
                yield from visit(child, names, classes, nested)

    yield from visit(tree, (), (), False)


def function_at(tree: ast.AST, line: int, name: str | None = None) -> Function | None:
    """The innermost function around a line; with `name`, the innermost of that name."""
    best: Function | None = None
    for function in functions(tree):
        first = min([function.node.lineno, *(d.lineno for d in function.node.decorator_list)])
        if first <= line <= (function.node.end_lineno or first) and (
            name is None or function.node.name == name
        ):
            best = function
    return best


def own_parts(node: FunctionNode) -> Iterator[ast.AST]:
    """All nodes of a function without those of functions inside it."""
    pending: list[ast.AST] = list(node.body)
    while pending:
        part = pending.pop()
        yield part
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            pending.extend(ast.iter_child_nodes(part))


def spoiled(node: FunctionNode, line: int) -> dict[str, str]:
    """Parameters whose local value at `line` may not be the call's argument any more, each with the reason.

    Locals in an event are *post mortem*: what was rebound, mutated or consumed on the way is not what went
    in. Loops make later lines earlier ones, so inside a loop around `line` the whole loop counts.
    """
    last = max([line - 1, *(_end(part) for part in own_parts(node) if _is_loop_around(part, line))])
    found: dict[str, str] = {}
    for part in own_parts(node):
        if getattr(part, "lineno", line + 1) > last and not _same_statement_store(part, line):
            continue
        for name, why in _touches(part):
            found.setdefault(
                name, f"{name} is {why} in line {getattr(part, 'lineno', '?')}, before the crash"
            )
    return {name: why for name, why in found.items() if name in parameter_names(node)}


def _is_loop_around(part: ast.AST, line: int) -> bool:
    return isinstance(part, (ast.For, ast.While, ast.AsyncFor)) and part.lineno <= line <= _end(part)


def _same_statement_store(part: ast.AST, line: int) -> bool:
    """A mutating call on the crash line itself may have happened already (`x.pop(0)[1]`)."""
    return isinstance(part, ast.Call) and part.lineno == line


def _end(part: ast.AST) -> int:
    end: int | None = getattr(part, "end_lineno", None)
    return end or int(getattr(part, "lineno", 0))


def _touches(part: ast.AST) -> Iterator[tuple[str, str]]:
    match part:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name, "rebound"
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            yield name, "changed"
        case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            yield name, "changed"
        case ast.AugAssign(target=ast.Name(id=name)):
            yield name, "rebound"
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if attr in _MUTATORS:
            yield name, f"changed by .{attr}()"
        case ast.Call(func=ast.Name(id="next"), args=[ast.Name(id=name), *_]):
            yield name, "consumed by next()"
        case _:
            return


def parameter_names(node: FunctionNode) -> list[str]:
    """All parameters, in order, with *args and **kwargs by their bare names."""
    a = node.args
    names = [arg.arg for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    return names + [arg.arg for arg in (a.vararg, a.kwarg) if arg]


def required(node: FunctionNode) -> set[str]:
    """Parameters without a default."""
    a = node.args
    positional = [arg.arg for arg in (*a.posonlyargs, *a.args)]
    needed = set(positional[: len(positional) - len(a.defaults)])
    return needed | {
        arg.arg for arg, default in zip(a.kwonlyargs, a.kw_defaults, strict=True) if default is None
    }


def plain_defaults(node: FunctionNode) -> dict[str, tuple[bool | int | float | str | None]]:
    """The plain defaults of parameters that can be left out, each in a tuple; positional-only ones cannot."""
    a = node.args
    given = zip(reversed(a.args), reversed(a.defaults), strict=False)
    pairs = [*given, *((arg, default) for arg, default in zip(a.kwonlyargs, a.kw_defaults, strict=True))]
    return {
        arg.arg: (default.value,)
        for arg, default in pairs
        if isinstance(default, ast.Constant)
        and (default.value is None or isinstance(default.value, (bool, int, float, str)))
    }

"""A crash as the templates see it: the failing line, the team's files, and texts with pieces exchanged."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from fixloop.fixers import FixCase
from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.syntax import Function, function_at, functions, parse
from fixloop.situation import MAX_SOURCES, is_test
from store.repair import ChangeVerdict

_INDENT = re.compile(r"[ \t]*")
PROMISED = 2  # places that agree; the failing function's own other branch speaks of the very value, and counts as two


@dataclass(frozen=True)
class Source:
    """One Python file of the team's, at the release."""

    repo: str
    path: str
    module: str
    text: str
    tree: ast.Module


@dataclass(frozen=True)
class Proposal:
    """One file with another text, and the sentence that says where the answer comes from. `places`: how often the
    team's code states that answer (`PROMISED`: often enough to be what the code promises)."""

    repo: str
    path: str
    old: str
    new: str
    why: str
    places: int = 0

    @property
    def is_promised(self) -> bool:
        """Whether the answer is stated, and not only mentioned once somewhere."""
        return self.places >= PROMISED


Template: TypeAlias = Callable[["Crash"], Iterator[Proposal]]


class Crash:
    """What a template goes by. `function` is None at the top level of a module."""

    def __init__(self, case: FixCase, own: OwnFrame, tree: ast.Module) -> None:
        error = case.situation.first.event.exception
        self.case, self.own, self.tree = case, own, tree
        self.type = error.type.rpartition(".")[2] if error else ""
        self.message = error.value if error else ""
        self.line = own.location.line or 0
        self.function = function_at(tree, self.line)
        self.source = Source(own.location.repo, own.location.path, own.module, own.source, tree)

    @classmethod
    def of(cls, case: FixCase) -> Crash | None:
        """None where no line of the team's code is known."""
        own = case.situation.first.own
        tree = parse(own[-1].source) if own else None
        return cls(case, own[-1], tree) if tree is not None else None

    @cached_property
    def places(self) -> list[tuple[str, str]]:
        """(repository, path) of the team's Python files, tests left out."""
        sources, layout = self.case.situation.sources, self.case.situation.layout
        return [
            (repo.name, path)
            for repo in layout.repositories
            for path in sources.paths(repo.name)
            if path.endswith(".py") and not is_test(path)
        ][:MAX_SOURCES]

    def speaking(self, *words: str) -> Iterator[Source]:
        """The team's files in which one of the words stands."""
        for repo, path in self.places:
            text = self.case.situation.sources.text(repo, path)
            tree = parse(text) if text is not None and any(word in text for word in words) else None
            if tree is not None and text is not None:
                yield Source(repo, path, self.case.situation.module_name(repo, path), text, tree)

    def nodes(self, *words: str) -> Iterator[ast.AST]:
        """All nodes of those files, our own file among them."""
        return (node for source in self.speaking(*words) for node in ast.walk(source.tree))

    @cached_property
    def stack(self) -> list[tuple[Source, Function, int]]:
        """The functions on the stack with the lines at which they stand, innermost first."""
        found = []
        for own in reversed(self.case.situation.first.own):
            tree, line = parse(own.source), own.location.line or 0
            function = function_at(tree, line) if tree else None
            if tree is not None and function is not None:
                place = Source(own.location.repo, own.location.path, own.module, own.source, tree)
                found.append((place, function, line))
        return found

    @property
    def frames(self) -> list[tuple[Source, Function]]:
        """The functions on the stack, innermost first."""
        return [(source, function) for source, function, _ in self.stack]

    @property
    def proven(self) -> bool:
        """Whether the cause is proven: then its change says what was there before."""
        return self.case.cause is not None and self.case.cause.change.verdict == ChangeVerdict.PROVEN

    @cached_property
    def before(self) -> list[tuple[str, ast.Module]]:
        """Path and tree of the proven cause's files as its parent had them."""
        if not self.proven or self.case.cause is None:
            return []
        change = self.case.cause.change
        mirror = self.case.bench.repositories.get(change.repo)
        texts = ((path, mirror.text(self.case.cause.parent, path)) for path in change.files)
        trees = ((path, parse(text)) for path, text in texts if text and path.endswith(".py"))
        return [(path, tree) for path, tree in trees if tree is not None]

    @cached_property
    def touched(self) -> list[tuple[Source, Function]]:
        """The functions, at the release, in which the proven cause's culprit hunks stand."""
        cause = self.case.cause
        if cause is None or not self.proven or cause.reverted is None:
            return []
        found = []
        for path, without in cause.reverted.items():
            text = self.case.situation.sources.text(cause.change.repo, path)
            tree, other = parse(text or ""), parse(without or "")
            if text is None or tree is None or other is None:
                continue
            was = {each.qualname: ast.dump(each.node) for each in functions(other)}
            module = self.case.situation.module_name(cause.change.repo, path)
            place = Source(cause.change.repo, path, module, text, tree)
            found += [
                (place, each) for each in functions(tree) if was.get(each.qualname) != ast.dump(each.node)
            ]
        return found

    def at_line(self) -> Iterator[ast.expr]:
        """The expressions that begin in the failing line, outer before inner."""
        for node in ast.walk(self.function.node if self.function else self.tree):
            if isinstance(node, ast.expr) and node.lineno == self.line:
                yield node

    def assigned(self, name: str) -> ast.expr | None:
        """What a local name was given last before the failing line, where that is a plain assignment."""
        found = [
            node.value
            for node in ast.walk(self.function.node if self.function else self.tree)
            if isinstance(node, ast.Assign)
            and node.lineno < self.line
            and [ast.unparse(target) for target in node.targets] == [name]
        ]
        return found[-1] if found else None

    def was_none(self, name: str) -> bool:
        """Whether a local name held None when it failed, as the event has it."""
        held = self.own.frame.vars.get(name, "")
        return held is None or held == "None"

    def propose(
        self, new: str | None, why: str, source: Source | None = None, *, places: int = 0
    ) -> Iterator[Proposal]:
        """A proposal for a file (the failing one), where there is a new text that can be read."""
        place = source or self.source
        if new is not None and new != place.text and parse(new) is not None:
            yield Proposal(place.repo, place.path, place.text, new, why, places)


def spliced(text: str, edits: Iterable[tuple[ast.AST, str]]) -> str | None:
    """The text with expressions replaced, everything else as it was written."""
    for node, replacement in sorted(edits, key=lambda edit: _place(edit[0]), reverse=True):
        segment = ast.get_source_segment(text, node)
        if segment is None:
            return None
        at = _offset(text, *_place(node))
        text = text[:at] + replacement + text[at + len(segment) :]
    return text


def inserted(text: str, statement: ast.stmt, lines: Sequence[str]) -> str:
    """The text with lines put before a statement, indented as it is."""
    rows = text.splitlines(keepends=True)
    row = min([statement.lineno, *(each.lineno for each in getattr(statement, "decorator_list", ()))]) - 1
    indent = _INDENT.match(rows[row])
    space = indent[0] if indent else ""
    new = [f"{space}{line}\n" if line else "\n" for line in lines]
    return "".join([*rows[:row], *new, *rows[row:]])


def imported(text: str, line: str) -> str:
    """The text with an import, beside its other imports; as it is where it has it."""
    tree = parse(text)
    if tree is None or any(ast.unparse(node) == line for node in tree.body):
        return text
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    plain = [
        node for node in imports if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    rows = text.splitlines(keepends=True)
    later = next((node for node in plain if ast.unparse(node) > line), None)
    if later is not None:
        row = later.lineno - 1
    elif imports:
        row = imports[-1].end_lineno or 1
    else:
        first = tree.body[0] if tree.body else None
        row = (first.end_lineno or 1) if isinstance(first, ast.Expr) else 0
    return "".join([*rows[:row], f"{line}\n", *rows[row:]])


def statement_of(function: ast.AST, part: ast.AST) -> ast.stmt | None:
    """The innermost statement in which a node stands."""
    around = [
        node for node in ast.walk(function) if isinstance(node, ast.stmt) and part in set(ast.walk(node))
    ]
    return max(around, key=lambda node: (node.lineno, node.col_offset)) if around else None


def available(names: Iterable[str], source: Source, function: ast.AST) -> bool:
    """Whether each name means something in a function: a parameter, a local, a name of its module, a builtin."""
    known = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    known |= {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    for node in source.tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            known |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            known.add(node.name)
        elif isinstance(node, ast.Assign):
            known |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    builtin = dir(builtins)
    return all(name in known or name in builtin for name in names)


def renamed(node: ast.stmt, old: str, new: str) -> str:
    """The source of a statement with one name exchanged."""

    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.Name:
            return ast.copy_location(ast.Name(new if node.id == old else node.id, node.ctx), node)

    copy = parse(ast.unparse(node))
    return ast.unparse(Rename().visit(copy)) if copy is not None else ""


def fits(statement: str, source: Source, function: ast.AST) -> bool:
    """Whether all names of a statement mean something in a function."""
    tree = parse(statement)
    return tree is not None and available(names_in(tree), source, function)


def names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _place(node: ast.AST) -> tuple[int, int]:
    return node.lineno, node.col_offset  # type: ignore[attr-defined]


def _offset(text: str, row: int, column: int) -> int:
    lines = text.splitlines(keepends=True)
    return sum(map(len, lines[: row - 1])) + len(lines[row - 1].encode()[:column].decode())

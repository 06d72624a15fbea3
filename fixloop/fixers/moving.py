"""Where the value of a key is since a change to the code that writes the record: read off two versions, not run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from fixloop import Repositories
from fixloop.reproduce.syntax import functions, parse
from fixloop.situation import is_test
from store.repair import CandidateChange

STEPS = 4  # at most, on the way to where a value is now
CHANGES = 30  # candidate changes that are read


def versions(
    key: str, changes: Iterable[CandidateChange], repositories: Repositories
) -> Iterator[tuple[str, str]]:
    """(before, after) of the files that a candidate change touched and in which the key stood before."""
    for change in list(changes)[:CHANGES]:
        mirror = repositories.get(change.repo)
        parents = mirror.log(change.commit, limit=1)[0].parents
        for path in change.files if parents else ():
            if path.endswith(".py") and not is_test(path):
                before = mirror.text(parents[0], path)
                after = mirror.text(change.commit, path) if before and key in before else None
                if before and after:
                    yield before, after


def moved_to(key: str, changed: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Where the value of a key of a written record is since a change: paths, each seen in the two versions of one
    function. None of it is run: `{"k": e}` became `{"n": {"p": e}}`, or `{"n": f(…)}` with f giving such a record."""
    found: dict[tuple[str, ...], None] = {}
    for before, after in changed:
        trees = parse(before), parse(after)
        if trees[0] is None or trees[1] is None:
            continue
        earlier = {each.qualname: each for each in functions(trees[0])}
        for function in functions(trees[1]):
            old = earlier.get(function.qualname)
            if old is not None:
                found |= dict.fromkeys(_moved(key, old.node, function.node, trees[1]))
    return list(found)


def _moved(key: str, old: ast.AST, new: ast.AST, tree: ast.Module) -> Iterator[tuple[str, ...]]:
    values = [value for record in _records(old) for name, value in record.items() if name == key]
    for record in _records(new):
        if key in record:
            continue
        for value in values:
            yield from _way(value, record, tree, STEPS)


def _records(tree: ast.AST) -> Iterator[dict[str, ast.expr]]:
    """The displays of mappings: text keys with their values."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield _entries(node)


def _entries(node: ast.Dict) -> dict[str, ast.expr]:
    pairs = zip(node.keys, node.values, strict=True)
    return {k.value: v for k, v in pairs if isinstance(k, ast.Constant) and isinstance(k.value, str)}


def _way(
    value: ast.expr, record: dict[str, ast.expr], tree: ast.Module, left: int
) -> Iterator[tuple[str, ...]]:
    """The steps from a record to an expression that is the same as `value`."""
    for name, here in record.items():
        if ast.dump(here) == ast.dump(value):
            yield (name,)
        elif left > 1:
            inner = _entries(here) if isinstance(here, ast.Dict) else _given(here, tree)
            yield from ((name, *rest) for rest in _way(value, inner, tree, left - 1))


def _given(call: ast.expr, tree: ast.Module) -> dict[str, ast.expr]:
    """The record that a function of the same file gives, in the words of its caller."""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.keywords:
        return {}
    name = call.func.id
    made = next((each.node for each in functions(tree) if each.qualname == name), None)
    if made is None or len(made.body) > 2 or not isinstance(made.body[-1], ast.Return):
        return {}
    given = made.body[-1].value
    names = [arg.arg for arg in made.args.args]
    if not isinstance(given, ast.Dict) or len(names) != len(call.args):
        return {}
    return {key: _substituted(value, names, call.args) for key, value in _entries(given).items()}


def _substituted(value: ast.expr, names: Sequence[str], given: Sequence[ast.expr]) -> ast.expr:
    words = dict(zip(names, given, strict=True))

    class Substitute(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return words.get(node.id, node)

    copy = parse(ast.unparse(value))
    made = Substitute().visit(copy) if copy is not None else None
    return made.body[0].value if made is not None else value

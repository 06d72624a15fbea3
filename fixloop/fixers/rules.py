"""Templates with a policy: each names where its answer comes from, and proposes nothing where the code states none.

missing key      x["k"]        -> x.get("k", D)     D: what the team's code takes elsewhere where k is missing
None at producer new()         -> new() if new() is not None else old()   old: what the proven change replaced
empty collection max(x), x[-1] -> max(x, default=D), x[-1] if x else D    D: what siblings take
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from fixloop.blocks import unified
from fixloop.fixers import FixCase
from fixloop.fixers.mining import default_for_key, empty_default
from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.syntax import function_at, functions, parse
from fixloop.reverting import moves
from fixloop.situation import is_test
from store.repair import ChangeVerdict, Patch

_PURE = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant)


class RuleFixer:
    """The templates, each with its mined policy."""

    name = "rules"

    def propose(self, case: FixCase) -> Sequence[Patch]:
        found = [*_keep_both(case), *_missing_key(case), *_empty(case)]
        unique = {tuple(sorted(patch.diffs.items())): patch for patch in found}
        return tuple(unique.values())


def _patch(case: FixCase, repo: str, path: str, old: str, new: str, rationale: str) -> Patch:
    return Patch(
        diffs={repo: unified({path: old}, {path: new})},
        base_commits={repo: case.bench.layout.repo(repo).commit},
        files=(path,), fixer="rules", kind="template", rationale=rationale,
    )  # fmt: skip


def _texts(case: FixCase) -> list[str]:
    return [text for _, text in case.situation.modules.values()]


def _failing(case: FixCase) -> tuple[OwnFrame, ast.Module] | None:
    own = case.situation.first.own
    tree = parse(own[-1].source) if own else None
    return (own[-1], tree) if tree else None


# --- None at its producer --------------------------------------------------------------------------------------


def _keep_both(case: FixCase) -> Iterator[Patch]:
    """The new reading where it gives something, else the one that the proven change replaced."""
    cause, error = case.cause, case.situation.first.event.exception
    if (
        cause is None
        or cause.change.verdict != ChangeVerdict.PROVEN
        or error is None
        or "None" not in error.value
    ):
        return
    change = cause.change
    mirror = case.bench.repositories.get(change.repo)
    release = case.bench.layout.repo(change.repo).commit
    moved = moves(mirror.renamed(change.commit, release), change.files, mirror.paths(release))
    for path in change.files:
        if not path.endswith(".py") or is_test(path):
            continue
        now = moved.get(path, path)
        before, after, ours = (
            mirror.text(cause.parent, path),
            mirror.text(change.commit, path),
            mirror.text(release, now),
        )
        if before is None or after is None or ours is None:
            continue
        for name, old, new in _replaced(before, after):
            text = _with_fallback(ours, name, new, old)
            if text is not None:
                replaced = f"`{old}`, which {change.commit[:9]} replaced"
                said = f"{name}() takes `{new}` where it gives something, else {replaced}."
                yield _patch(case, change.repo, now, ours, text, said)


def _replaced(before: str, after: str) -> Iterator[tuple[str, str, str]]:
    """(function, old expression, new expression) for single expressions that a change replaced."""
    trees = parse(before), parse(after)
    if trees[0] is None or trees[1] is None:
        return
    earlier = {function.qualname: function.node for function in functions(trees[0])}
    for function in functions(trees[1]):
        old = earlier.get(function.qualname)
        if old is None or ast.dump(old) == ast.dump(function.node):
            continue
        for pair in _pairs(old, function.node):
            written = ast.get_source_segment(before, pair[0]) or ast.unparse(pair[0])
            yield function.qualname, written, ast.unparse(pair[1])


def _pairs(old: ast.AST, new: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """The innermost expressions in which two trees of the same shape differ, each with those around it,
    outermost last.
    """
    if isinstance(old, ast.expr) and isinstance(new, ast.expr) and ast.dump(old) == ast.dump(new):
        return []
    inner: list[tuple[ast.expr, ast.expr]] = []
    if type(old) is type(new):
        for field in old._fields:
            a, b = getattr(old, field, None), getattr(new, field, None)
            lists = isinstance(a, list) and isinstance(b, list) and len(a) == len(b)
            for x, y in zip(a, b, strict=True) if lists else [(a, b)]:  # type: ignore[arg-type]
                if isinstance(x, ast.AST) and isinstance(y, ast.AST) and ast.dump(x) != ast.dump(y):
                    inner += _pairs(x, y)
    if (
        isinstance(old, ast.expr)
        and isinstance(new, ast.expr)
        and not isinstance(getattr(new, "ctx", None), ast.Store)
    ):
        return [*inner, (old, new)] if not isinstance(new, ast.Constant) else inner
    return inner


def _with_fallback(text: str, qualname: str, new: str, old: str) -> str | None:
    tree = parse(text)
    function = next((f for f in functions(tree) if f.qualname == qualname), None) if tree else None
    if function is None:
        return None
    for node in ast.walk(function.node):
        if isinstance(node, ast.expr) and ast.unparse(node) == new:
            segment = ast.get_source_segment(text, node) or new
            return _splice(text, node, f"({segment} if {segment} is not None else {old})")
    return None


# --- a missing key ---------------------------------------------------------------------------------------------


def _missing_key(case: FixCase) -> Iterator[Patch]:
    error = case.situation.first.event.exception
    failing = _failing(case)
    if error is None or failing is None or error.type.rpartition(".")[2] != "KeyError":
        return
    own, tree = failing
    key = error.value.strip("'\"")
    default = default_for_key(key, _texts(case))
    function = function_at(tree, own.location.line or 0)
    if default is None or function is None:
        return
    text = own.source
    places = [n for n in ast.walk(function.node) if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Load)
              and isinstance(n.slice, ast.Constant) and n.slice.value == key]  # fmt: skip
    for node in sorted(places, key=lambda n: (-n.lineno, -n.col_offset)):
        holder = ast.get_source_segment(text, node.value)
        text = _splice(text, node, f"{holder}.get({key!r}, {default})") or text
    if text != own.source:
        said = f"A missing {key!r} is {default}, as the team's code takes it elsewhere."
        yield _patch(case, own.location.repo, own.location.path, own.source, text, said)


# --- an empty collection ---------------------------------------------------------------------------------------


def _empty(case: FixCase) -> Iterator[Patch]:
    error = case.situation.first.event.exception
    failing = _failing(case)
    if error is None or failing is None or error.type.rpartition(".")[2] not in ("IndexError", "ValueError"):
        return
    own, tree = failing
    function = function_at(tree, own.location.line or 0)
    if function is None:
        return
    for node in ast.walk(function.node):
        if getattr(node, "lineno", None) != own.location.line:
            continue
        replacement = _guarded(node, function.node, _texts(case), own.source)
        text = _splice(own.source, node, replacement[0]) if replacement else None
        if replacement and text:
            yield _patch(case, own.location.repo, own.location.path, own.source, text, replacement[1])


def _guarded(node: ast.AST, function: ast.AST, texts: Sequence[str], source: str) -> tuple[str, str] | None:
    match node:
        case ast.Call(func=ast.Name(id="max" | "min" as name), args=[_], keywords=words) if not any(
            word.arg == "default" for word in words
        ):
            default = empty_default(function, texts, name)
            segment = ast.get_source_segment(source, node)
            if default and segment:
                return (
                    f"{segment[:-1]}, default={default})",
                    f"{name}() of nothing is {default}, as siblings have it.",
                )
        case ast.Subscript(value=value, slice=ast.Constant(value=0) | ast.UnaryOp()) if isinstance(
            value, _PURE
        ):
            default = empty_default(function, texts, "[]")
            holder, segment = ast.get_source_segment(source, value), ast.get_source_segment(source, node)
            if default and holder and segment:
                return (
                    f"({segment} if {holder} else {default})",
                    f"Of an empty {holder} it takes {default}, as siblings do.",
                )
        case _:
            pass
    return None


def _splice(text: str, node: ast.AST, replacement: str) -> str | None:
    """The text with one expression replaced, everything else as it was written."""
    segment = ast.get_source_segment(text, node)
    if segment is None:
        return None
    lines = text.splitlines(keepends=True)
    row, column = node.lineno, node.col_offset  # type: ignore[attr-defined]
    at = sum(len(line) for line in lines[: row - 1]) + len(lines[row - 1].encode()[:column].decode())
    changed = text[:at] + replacement + text[at + len(segment) :]
    return changed if parse(changed) is not None else None

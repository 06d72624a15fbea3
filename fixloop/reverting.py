"""Take blocks of an old change out of a newer text: by three-way merge, else function by function.

A formatter or a move between the change and the release makes the merge conflict; then the functions that the
blocks touch are put back as they were before, which is what a person would do by hand.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from fixloop.blocks import Block, Read, by_file, merge, split, undo
from fixloop.reproduce.syntax import Function, functions, parse


def take_out(
    blocks: Sequence[Block],
    chosen: Sequence[Block],
    at_change: Read,
    at_release: Read,
    moved: Mapping[str, str],
) -> dict[str, str | None] | None:
    """The release's files without the chosen blocks of a change: path -> new text (None: deleted).

    `blocks` are all blocks of the change, `at_change` reads files as the change left them, `moved` maps a
    path then to its path now. None where they do not come out.
    """
    result: dict[str, str | None] = {}
    for path, mine in by_file(chosen).items():
        now = moved.get(path, path)
        ours, base = at_release(now), at_change(path)
        everything = [block for block in blocks if block.path == path]
        if ours is None or base is None:
            return None
        if mine[0].created:
            if len(mine) == len(everything) and ours == base:
                result[now] = None
                continue
            return None
        theirs = undo(base, everything, mine)
        if theirs is None:
            return None
        merged = merge(ours, base, theirs)
        if merged is None or merged == ours:
            merged = swap_functions(merge(ours, base, theirs, favour_ours=True) or ours, base, theirs)
        if merged is None or merged == ours:
            return None
        result[now] = merged
    return result or None


def moves(renamed: Mapping[str, str], then: Sequence[str], now: Sequence[str]) -> dict[str, str]:
    """Path at the change to path at the release: what git saw as a rename, else the one file of that name, for a move
    together with a formatter leaves git too little to see."""
    present = set(now)
    found = dict(renamed)
    for path in then:
        if path in present or path in found:
            continue
        same = [other for other in now if other.rpartition("/")[2] == path.rpartition("/")[2]]
        ending = [other for other in same if other.endswith(f"/{path}")]
        if len(ending or same) == 1:
            found[path] = (ending or same)[0]
    return found


def swap_functions(ours: str, base: str, theirs: str) -> str | None:
    """`ours` with those functions that differ between `base` and `theirs` as `theirs` has them.

    Where the function in `ours` is still what it is in `base` but for its formatting, it is taken whole; where it was
    changed since, the two changes are merged within the function, away from what was written next to it: nothing of
    it is thrown away. None where they do not merge, or where there is no such function.
    """
    trees = [parse(text) for text in (ours, base, theirs)]
    if any(tree is None for tree in trees):
        return None
    mine, before, after = ({f.qualname: f for f in functions(tree) if not f.nested} for tree in trees if tree)
    changed = [
        name for name in after if name in before and ast.dump(after[name].node) != ast.dump(before[name].node)
    ]
    changed = [
        name
        for name in changed
        if name not in mine or ast.dump(mine[name].node) != ast.dump(after[name].node)
    ]
    if not changed or any(name not in mine for name in changed):
        return None
    lines = split(ours)
    for name in sorted(changed, key=lambda name: -_first(mine[name])):
        taken = _segment(theirs, after[name])
        if ast.dump(mine[name].node) != ast.dump(before[name].node):
            merged = merge(_segment(ours, mine[name]), _segment(base, before[name]), taken)
            if merged is None:
                return None
            taken = merged
        lines[_first(mine[name]) - 1 : mine[name].node.end_lineno] = split(taken)
    text = "".join(lines)
    return text if parse(text) is not None else None


def put_back(
    blocks: Sequence[Block], at_change: Read, at_release: Read, moved: Mapping[str, str]
) -> dict[str, str | None] | None:
    """The release's files with the functions that a change changed as they were before it, and with the imports,
    constants and functions that it removed. What was done to those functions since is thrown away: this shows what a
    change did where its blocks do not come out any more, and is no repair. None where nothing can be put back."""
    result: dict[str, str | None] = {}
    for path, everything in by_file(blocks).items():
        now = moved.get(path, path)
        ours, base = at_release(now), at_change(path)
        theirs = undo(base, everything, everything) if base is not None else None
        if ours is None or base is None or theirs is None or not path.endswith(".py"):
            continue
        text = _put_back(ours, base, theirs)
        if text is not None and text != ours:
            result[now] = text
    return result or None


def differing(text: str | None, other: str | None) -> set[str]:
    """The bare names of the functions that read otherwise, by their grammar, in two texts of a file."""
    trees = [parse(one) if one is not None else None for one in (text, other)]
    one, two = ({f.qualname: ast.dump(f.node) for f in functions(tree)} if tree else {} for tree in trees)
    return {name.rpartition(".")[2] for name in {*one, *two} if one.get(name) != two.get(name)}


def _put_back(ours: str, base: str, theirs: str) -> str | None:
    trees = [parse(text) for text in (ours, base, theirs)]
    if trees[0] is None or trees[1] is None or trees[2] is None:
        return None
    mine, before, after = ({f.qualname: f for f in functions(tree) if not f.nested} for tree in trees if tree)
    changed = [
        name
        for name in after
        if name in before and name in mine and ast.dump(after[name].node) != ast.dump(before[name].node)
    ]
    lines = split(ours)
    for name in sorted(changed, key=lambda name: -_first(mine[name])):
        lines[_first(mine[name]) - 1 : mine[name].node.end_lineno] = split(_segment(theirs, after[name]))
    present = {ast.dump(node) for tree in trees[:2] if tree for node in tree.body}
    gone = [node for node in trees[2].body if ast.dump(node) not in present and _kept_out(node, mine)]
    rows = split(theirs)
    back = [line for node in gone for line in (*rows[node.lineno - 1 : node.end_lineno], "\n")]
    place = _after_imports("".join(lines))
    text = "".join([*lines[:place], *back, *lines[place:]])
    return text if parse(text) is not None else None


def _kept_out(node: ast.stmt, mine: Mapping[str, Function]) -> bool:
    """Whether a statement of a module is one that only a removal can have taken away."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return node.name not in mine
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign))


def _after_imports(text: str) -> int:
    """The row behind the docstring and the imports of a module."""
    tree, row = parse(text), 0
    for node in tree.body if tree else ():
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not isinstance(node, (ast.Import, ast.ImportFrom)):
            break
        row = node.end_lineno or row
    return row


def _segment(text: str, function: Function) -> str:
    """The lines of a function, its decorators included."""
    return "".join(split(text)[_first(function) - 1 : function.node.end_lineno])


def _first(function: Function) -> int:
    return min([function.node.lineno, *(d.lineno for d in function.node.decorator_list)])

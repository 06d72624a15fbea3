"""Simple mutants of a patch: if the proof does not notice them, it did not depend on what the patch says."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from fixloop.reproduce.syntax import parse

MOST = 8
_SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
}


def mutants(text: str, lines: set[int], most: int = MOST) -> list[tuple[str, str]]:
    """(what was changed, the file's new text) for simple changes in those lines (1-based) of a Python
    file."""
    tree = parse(text)
    if tree is None:
        return []
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or not {node.lineno, node.end_lineno} <= lines:
            continue
        for what, replacement in _changes(node):
            mutated = _splice(text, node, replacement)
            if mutated is not None and mutated != text and parse(mutated) is not None:
                found.append((f"line {node.lineno}: {what}", mutated))
    return found[:most]


def _changes(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _SWAPPED:
            swapped = ast.Compare(left=left, ops=[_SWAPPED[type(op)]()], comparators=[right])
            yield "the comparison turned round", ast.unparse(swapped)
        case ast.BoolOp(op=op, values=values):
            other = ast.And() if isinstance(op, ast.Or) else ast.Or()
            yield "and/or exchanged", f"({ast.unparse(ast.BoolOp(op=other, values=values))})"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield (
                "the condition's branches exchanged",
                f"({ast.unparse(ast.IfExp(test=test, body=orelse, orelse=body))})",
            )
        case _:
            return


def mutants_of(
    new: Mapping[str, str | None], wrote: Mapping[str, set[int]]
) -> Iterator[tuple[str, str, str]]:
    """(path, what, text) over all files of a patch. `wrote`: path -> line numbers that the patch wrote."""
    left = MOST
    for path, text in new.items():
        if text is None or not path.endswith(".py"):
            continue
        for what, mutated in mutants(text, wrote.get(path, set()), left):
            left -= 1
            yield path, what, mutated


def _splice(text: str, node: ast.expr, replacement: str) -> str | None:
    """The text with one node's source replaced, the rest left as it was written."""
    segment = ast.get_source_segment(text, node)
    if segment is None:
        return None
    lines = text.splitlines(keepends=True)
    start = sum(len(line) for line in lines[: node.lineno - 1])
    column = len(lines[node.lineno - 1].encode()[: node.col_offset].decode())
    at = start + column
    if text[at : at + len(segment)] != segment:
        return None
    return text[:at] + replacement + text[at + len(segment) :]

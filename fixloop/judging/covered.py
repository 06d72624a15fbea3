"""Which lines a patch wrote, which of them are statements, and whether a change changes any code at all."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from fixloop.blocks import Block
from fixloop.reproduce.syntax import parse

Span = tuple[int, int]  # first and last line, 1-based


def statements(text: str) -> list[Span]:
    """Each simple statement, and each compound statement's head: what can be seen to run."""
    tree = parse(text)
    spans = []
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            continue
        if isinstance(node, ast.stmt) and not _is_docstring(node):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno or node.lineno
            spans.append((node.lineno, max(node.lineno, last)))
    return spans


def added(blocks: Sequence[Block]) -> list[Span]:
    """Line ranges (in the new text) that the blocks of one file wrote."""
    spans, offset = [], 0
    for block in sorted(blocks, key=lambda block: block.start):
        start = block.start + offset
        if block.new:
            spans.append((start, start + len(block.new) - 1))
        offset += len(block.new) - len(block.old)
    return spans


def added_lines(blocks: Sequence[Block]) -> set[int]:
    """The same as single line numbers."""
    return {line for first, last in added(blocks) for line in range(first, last + 1)}


def same_code(path: str, one: str | None, other: str | None) -> bool:
    """Whether two texts differ only in comments, docstrings, blank lines, or are no code at all."""
    if not path.endswith((".py", ".pyi")):
        return path.rpartition(".")[2] in ("md", "rst", "txt", "adoc")
    trees = [parse(text or "") for text in (one, other)]
    if trees[0] is None or trees[1] is None:
        return False
    return _without_docstrings(trees[0]) == _without_docstrings(trees[1])


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _without_docstrings(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.stmt) and _is_docstring(body[0]):
            node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.dump(tree)

"""Frames that only hand on: a cursor's `execute`, a decorator's wrapper, a re-raise.

A database or a client raises deep inside its plumbing, and the same few functions are the innermost of every such
trace. Who made the value stands further out.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from textwrap import dedent

from fixloop.reproduce.syntax import parse

THIN = 25  # lines; a longer function does more than hand on


def hands_on(lines: Sequence[str], line: int) -> bool:
    """Whether what runs at a line (1-based, within the lines of one Python function) only calls something with
    parameters of the function as they came, or raises again what was caught."""
    tree = parse(dedent("\n".join(lines)))
    function = tree.body[0] if tree is not None and tree.body else None
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or len(lines) > THIN:
        return False
    at = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.stmt)
        and node is not function
        and node.lineno <= line <= (node.end_lineno or 0)
    ]
    statement = max(at, key=lambda node: node.lineno, default=None)
    if isinstance(statement, ast.Raise):
        return statement.cause is not None or statement.exc is None
    if not isinstance(statement, (ast.Return, ast.Expr, ast.Assign, ast.AnnAssign)):
        return False
    called = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
    if not isinstance(called, ast.Call):
        return False
    given = [*called.args, *(keyword.value for keyword in called.keywords)]
    plain = [one.value if isinstance(one, ast.Starred) else one for one in given]
    parameters = {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
    return bool(plain) and all(isinstance(one, ast.Name) and one.id in parameters for one in plain)

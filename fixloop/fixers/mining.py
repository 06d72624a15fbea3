"""Policies that the team's own code states: defaults that siblings use. Mined by syntax, never invented."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from fixloop.reproduce.syntax import parse

Policy: TypeAlias = tuple[str, int]  # what is taken, as source; in how many places


def agreed(votes: Counter[str]) -> Policy | None:
    """What all places take; None where nobody says, or where they do not agree."""
    return votes.most_common(1)[0] if len(votes) == 1 else None


def default_for_key(key: str, texts: Iterable[str]) -> Policy | None:
    """What the team's code takes where `key` is missing: `.get(key, D)`, `.setdefault`, `.pop`, a field with that name
    and a default."""
    votes: Counter[str] = Counter()
    for text in texts:
        tree = parse(text) if key in text else None
        for node in ast.walk(tree) if tree else ():
            found = _stated(node, key)
            if found is not None:
                votes[found] += 1
    return agreed(votes)


def _stated(node: ast.AST, key: str) -> str | None:
    match node:
        case ast.Call(
            func=ast.Attribute(attr="get" | "setdefault" | "pop"), args=[ast.Constant(value=k), default]
        ) if k == key:
            return literal(default)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as default) if name == key:
            return literal(default)
        case ast.BoolOp(op=ast.Or(), values=[first, default]) if _reads(first, key):
            return literal(default)
        case _:
            return None


def _reads(node: ast.expr, key: str) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=k), *_]):
            return bool(k == key)
        case ast.Subscript(slice=ast.Constant(value=k)) | ast.Attribute(attr=k):
            return bool(k == key)
        case _:
            return False


def default_for_name(name: str, nodes: Iterable[ast.AST]) -> Policy | None:
    """What the team's code takes where a key or a field of that name has no value: `x.get(name) or D`,
    `x.name if x.name is not None else D`."""
    votes: Counter[str] = Counter()
    for node in nodes:
        match node:
            case ast.BoolOp(op=ast.Or(), values=[first, default]) if _reads(first, name):
                votes.update(filter(None, [literal(default)]))
            case ast.IfExp(test=ast.Compare(left=left, ops=[ast.IsNot()]), body=body, orelse=default) if (
                _reads(left, name) and ast.dump(left) == ast.dump(body)
            ):
                votes.update(filter(None, [literal(default)]))
            case _:
                continue
    return agreed(votes)


def literal(node: ast.expr, *, none: bool = False) -> str | None:
    """The source of a literal; None says nothing, but with `none`."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError):
        return None
    return None if value is None and not none else ast.unparse(node)


def empty_default(function: ast.AST, texts: Iterable[str], call: str) -> Policy | None:
    """What siblings give for an empty collection: `max(x, default=D)` for that call, or `x[0] if x else D`."""
    votes: Counter[str] = Counter()
    trees = [tree for tree in (parse(text) for text in texts) if tree]
    for node in (part for tree in (function, *trees) for part in ast.walk(tree)):
        match node:
            case ast.Call(func=ast.Name(id=name), keywords=words) if name == call:
                for word in words:
                    if word.arg == "default":
                        votes[ast.unparse(word.value)] += 1
            case ast.IfExp(body=ast.Subscript(), test=ast.Name(), orelse=default) if call == "[]":
                plain = literal(default)
                if plain:
                    votes[plain] += 1
            case _:
                continue
    return agreed(votes)

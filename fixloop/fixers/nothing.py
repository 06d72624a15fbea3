"""Templates for what is not there: an empty collection, a None, a zero, a name without a value. What to take in its
place is what siblings in the team's code take, or what the proven change replaced."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

from fixloop.fixers.crash import (
    Crash,
    Proposal,
    Source,
    fits,
    inserted,
    renamed,
    spliced,
    statement_of,
)
from fixloop.fixers.mining import default_for_name, empty_default, literal
from fixloop.reproduce.syntax import Function, functions, own_parts, parse
from fixloop.reverting import moves
from fixloop.situation import is_test

_PURE = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant)
_MANY = frozenset(
    {"get", "pop", "match", "search", "fullmatch", "find", "first", "next", "getattr", "read", "copy"}
)
_LOCAL = re.compile(r"local variable '(\w+)'")


def empty_collection(crash: Crash) -> Iterator[Proposal]:
    """max(x), x[-1] -> max(x, default=D), x[-1] if x else D; D is what siblings take."""
    if crash.type not in ("IndexError", "ValueError") or crash.function is None:
        return
    texts = [text for _, text in crash.case.situation.modules.values()]
    for node in crash.at_line():
        guarded = _guarded(node, crash.function.node, texts, crash.source.text)
        near = _guarded(node, crash.function.node, [crash.source.text], crash.source.text)
        if guarded is not None:
            replacement, why, _ = guarded
            places = near[2] if near is not None else 0  # what is taken in other files is of other things
            yield from crash.propose(spliced(crash.source.text, [(node, replacement)]), why, places=places)


def _guarded(node: ast.AST, function: ast.AST, texts: list[str], source: str) -> tuple[str, str, int] | None:
    segment = ast.get_source_segment(source, node)
    match node:
        case ast.Call(func=ast.Name(id="max" | "min" as name), args=[_], keywords=words) if not any(
            word.arg == "default" for word in words
        ):
            policy = empty_default(function, texts, name)
            if policy and segment:
                default, places = policy
                said = f"{name}() of nothing is {default}, as siblings have it."
                return f"{segment[:-1]}, default={default})", said, places
        case ast.Subscript(value=value, slice=ast.Constant(value=0) | ast.UnaryOp()) if isinstance(
            value, _PURE
        ):
            policy = empty_default(function, texts, "[]")
            holder = ast.get_source_segment(source, value)
            if policy and holder and segment:
                default, places = policy
                said = f"Of an empty {holder} it takes {default}, as siblings do."
                return f"({segment} if {holder} else {default})", said, places
        case _:
            pass
    return None


def none_operand(crash: Crash) -> Iterator[Proposal]:
    """x["k"] * 2 -> (x["k"] if x["k"] is not None else D) * 2; D: what siblings take where that name has no value."""
    if crash.type not in ("TypeError", "AttributeError") or "NoneType" not in crash.message:
        return
    seen = list(crash.at_line())
    seen += [value for node in seen if isinstance(node, ast.Name) and (value := crash.assigned(node.id))]
    for node in seen:
        name, segment = _read_name(node), ast.get_source_segment(crash.source.text, node)
        policy = default_for_name(name, crash.nodes(name)) if name else None
        if policy is not None and segment is not None:
            default, places = policy
            new = spliced(crash.source.text, [(node, f"({segment} if {segment} is not None else {default})")])
            said = f"Where {name} is None it is {default}, as siblings take it."
            yield from crash.propose(new, said, places=places)


def _read_name(node: ast.AST) -> str | None:
    """The key or field that an expression reads."""
    match node:
        case ast.Subscript(value=value, slice=ast.Constant(value=str(key))) if isinstance(value, _PURE):
            return key
        case ast.Attribute(value=value, attr=key) if isinstance(value, _PURE):
            return key
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key))]):
            return key
        case _:
            return None


def none_from_producer(crash: Crash) -> Iterator[Proposal]:
    """x = find(…) -> x = find(…); if x is None: raise NotFound(…); the guard is the one that siblings have."""
    if crash.function is None:
        return
    function = crash.function.node
    for name in sorted({part.id for part in crash.at_line() if isinstance(part, ast.Name)}):
        if "NoneType" not in crash.message and not crash.was_none(name):
            continue
        made = crash.assigned(name)
        called = _producer(made)
        follows = _next_statement(function, statement_of(function, made)) if made is not None else None
        if called is None or follows is None:
            continue
        votes = (each for each in _guards(crash, called, name) if fits(each, crash.source, function))
        guards = Counter(votes)
        kinds, fit = {guard.partition("(")[0] for guard in guards}, list(guards)
        if len(kinds) == 1 and fit:
            new = inserted(crash.source.text, follows, fit[0].splitlines())
            said = f"Where {called} gives None, siblings do the same."
            yield from crash.propose(new, said, places=guards.total())


def _producer(node: ast.AST | None) -> str | None:
    """What gives a value: the function's name, and the whole call where many things have a method of that name."""
    call = node.value if isinstance(node, ast.Await) else node
    if not isinstance(call, ast.Call):
        return None
    name = ast.unparse(call.func).rpartition(".")[2]
    return ast.unparse(call) if name in _MANY else f"{name}()"


def _next_statement(function: ast.AST, statement: ast.stmt | None) -> ast.stmt | None:
    for body in _bodies(function):
        if statement in body[:-1]:
            return body[body.index(statement) + 1]
    return None


def _bodies(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list) and body:
                yield body


def _guards(crash: Crash, called: str, name: str) -> Iterator[str]:
    """What siblings do with a None of the same function, in the words of the failing one."""
    for source in crash.speaking(called.partition("(")[0]):
        for body in _bodies(source.tree):
            for first, second in pairwise(body):
                match first, second:
                    case (
                        ast.Assign(targets=[ast.Name(id=theirs)], value=value),
                        ast.If(test=test, body=[ast.Raise() | ast.Return()], orelse=[]),
                    ) if _producer(value) == called and ast.unparse(test) in (
                        f"{theirs} is None",
                        f"not {theirs}",
                    ):
                        yield renamed(second, theirs, name)
                    case _:
                        continue
            yield from _returned_instead(body, called, name)


def _returned_instead(body: list[ast.stmt], called: str, name: str) -> Iterator[str]:
    """x = find(…), later `return A if x is not None else D`: where it is None, the answer is D."""
    theirs = {
        target.id
        for statement in body
        if isinstance(statement, ast.Assign) and _producer(statement.value) == called
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    for statement in body:
        match statement:
            case ast.Return(value=ast.IfExp(test=test, orelse=default)) if ast.unparse(test) in {
                f"{each} is not None" for each in theirs
            }:
                yield from (f"if {name} is None:\n    return {found}" for found in _stated(default))
            case _:
                continue


def _stated(default: ast.expr) -> list[str]:
    found = literal(default, none=True)
    return [] if found is None else [found]


def zero_division(crash: Crash) -> Iterator[Proposal]:
    """a / b -> (a / b if b else D); D is what siblings give where they would divide by nothing."""
    if crash.type != "ZeroDivisionError":
        return
    votes = Counter(_no_quotient(crash.nodes(" / ", " // ", " % ")))
    near = Counter(_no_quotient(ast.walk(crash.tree)))  # what is divided in other files is something else
    for node in crash.at_line():
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Mod)):
            whole = ast.get_source_segment(crash.source.text, node)
            by = ast.get_source_segment(crash.source.text, node.right)
            if len(votes) == 1 and whole and by and _steady(node.right):
                default = next(iter(votes))
                new = spliced(crash.source.text, [(node, f"({whole} if {by} else {default})")])
                said = f"Divided by nothing it is {default}, as siblings have it."
                yield from crash.propose(new, said, places=near.total())


def _steady(node: ast.AST) -> bool:
    """Whether an expression may be asked for twice."""
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    return all(isinstance(call.func, ast.Name) and call.func.id in {"len", "sum", "abs"} for call in calls)


def _no_quotient(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.IfExp(body=body, test=test, orelse=default) if _divides_by(body, test):
                yield from filter(None, [literal(default)])
            case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body):
                for first, second in pairwise(body):
                    match first:
                        case ast.If(
                            test=ast.UnaryOp(op=ast.Not(), operand=by), body=[ast.Return(value=given)]
                        ) if given is not None and _divides_by(second, by):
                            yield from filter(None, [literal(given)])
                        case _:
                            continue
            case _:
                continue


def _divides_by(node: ast.AST, by: ast.expr) -> bool:
    return any(
        isinstance(part, ast.BinOp)
        and isinstance(part.op, (ast.Div, ast.FloorDiv, ast.Mod))
        and ast.dump(part.right) == ast.dump(by)
        for part in ast.walk(node)
    )


def no_value_yet(crash: Crash) -> Iterator[Proposal]:
    """x = D before the branches that may or may not set x; D is what siblings begin with."""
    told = _LOCAL.search(crash.message)
    if crash.type != "UnboundLocalError" or told is None or crash.function is None:
        return
    name = told[1]
    begun = (_begins(each, name) for source in crash.speaking(name) for each in functions(source.tree))
    votes = Counter(start for start in begun if start is not None)
    body = crash.function.node.body
    first = body[1] if len(body) > 1 and isinstance(body[0], ast.Expr) else body[0]
    if len(votes) == 1:
        start = next(iter(votes))
        new = inserted(crash.source.text, first, [f"{name} = {start}"])
        said = f"{name} begins as {start}, as siblings begin it."
        yield from crash.propose(new, said, places=votes.total())


def _begins(function: Function, name: str) -> str | None:
    """What a function gives a name to begin with, before it sets it again in a branch or a loop."""
    for statement in function.node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                again = [
                    part for part in own_parts(function.node)
                    if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part.id == name
                ]  # fmt: skip
                return literal(value, none=True) if len(again) > 1 else None
            case _:
                continue
    return None


def keep_both(crash: Crash) -> Iterator[Proposal]:
    """new() -> new() if new() is not None else old(); old is what the proven change replaced."""
    cause = crash.case.cause
    if cause is None or not crash.proven or "None" not in crash.message:
        return
    change = cause.change
    mirror = crash.case.bench.repositories.get(change.repo)
    release = crash.case.bench.layout.repo(change.repo).commit
    moved = moves(mirror.renamed(change.commit, release), change.files, mirror.paths(release))
    for path in change.files:
        now = moved.get(path, path)
        texts = (mirror.text(cause.parent, path), mirror.text(change.commit, path), mirror.text(release, now))
        if (
            not path.endswith(".py")
            or is_test(path)
            or texts[0] is None
            or texts[1] is None
            or texts[2] is None
        ):
            continue
        tree = parse(texts[2])
        source = Source(change.repo, now, "", texts[2], tree) if tree else None
        for name, old, new in _replaced(texts[0], texts[1]):
            text = _with_fallback(texts[2], name, new, old)
            said = f"{name}() takes `{new}` where it gives something, else `{old}`, which {change.commit[:9]} replaced."
            yield from crash.propose(text, said, source)


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
            return spliced(text, [(node, f"({segment} if {segment} is not None else {old})")])
    return None

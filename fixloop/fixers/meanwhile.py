"""Templates for what happens in between: a collection that changes while it is gone through, check-then-act, a
temporary file that two share, state that siblings touch under a lock."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from fixloop.fixers.crash import Crash, Proposal, Source, imported, spliced
from fixloop.reproduce.syntax import Function, own_parts

_RENAMES = frozenset({"replace", "rename", "move"})
_UNIQUE = "uuid.uuid4().hex"


def changed_while_read(crash: Crash) -> Iterator[Proposal]:
    """for x in d -> for x in list(d): what was there when the loop began is what it goes through."""
    if crash.type != "RuntimeError" or "during iteration" not in crash.message:
        return
    for node in ast.walk(crash.function.node if crash.function else crash.tree):
        if isinstance(node, (ast.For, ast.comprehension)) and node.iter.lineno == crash.line:
            segment = ast.get_source_segment(crash.source.text, node.iter)
            new = spliced(crash.source.text, [(node.iter, f"list({segment})")])
            yield from crash.propose(new, "It goes through what was there when the loop began.")


def acts_at_once(crash: Crash) -> Iterator[Proposal]:
    """mkdir(p) -> mkdir(p, exist_ok=True), unlink() -> unlink(missing_ok=True), d.pop(k) -> d.pop(k, None): in one step
    instead of a check and a step, where siblings do so."""
    wanted = {
        "FileExistsError": (("mkdir", "makedirs"), "exist_ok=True"),
        "FileNotFoundError": (("unlink",), "missing_ok=True"),
    }.get(crash.type)
    for call in (node for node in crash.at_line() if isinstance(node, ast.Call)):
        name = ast.unparse(call.func).rpartition(".")[2]
        segment = ast.get_source_segment(crash.source.text, call)
        if segment is None or call.keywords:
            continue
        if wanted is not None and name in wanted[0] and _siblings_say(crash, wanted[0], wanted[1]):
            comma = ", " if call.args else ""
            new = spliced(crash.source.text, [(call, f"{segment[:-1]}{comma}{wanted[1]})")])
            yield from crash.propose(
                new, f"{name}() with {wanted[1]}, as siblings call it: somebody else may have been faster."
            )
        if crash.type == "KeyError" and name == "pop" and len(call.args) == 1:
            holder = ast.unparse(call.func)
            if any(ast.unparse(node.func) == holder and len(node.args) == 2 and ast.unparse(node.args[1]) == "None"
                   for node in ast.walk(crash.tree) if isinstance(node, ast.Call)):  # fmt: skip
                new = spliced(crash.source.text, [(call, f"{segment[:-1]}, None)")])
                yield from crash.propose(
                    new, "Taken out by somebody else already is nothing to fail for, as siblings have it."
                )


def _siblings_say(crash: Crash, names: tuple[str, ...], word: str) -> bool:
    return any(
        ast.unparse(node.func).rpartition(".")[2] in names
        and word in {ast.unparse(each) for each in node.keywords}
        for node in crash.nodes(word)
        if isinstance(node, ast.Call)
    )


def shared_temporary(crash: Crash) -> Iterator[Proposal]:
    """p = target.with_suffix(".part") -> a name of its own for each writer, where p is renamed in the end: that is done
    so that nobody sees half a file, and two writers with one name see each other's."""
    if crash.type not in ("FileNotFoundError", "FileExistsError", "PermissionError"):
        return
    for source, function in crash.frames:
        for name in _renamed(function):
            for node in own_parts(function.node):
                match node:
                    case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                        own = _of_its_own(source, value)
                        new = spliced(source.text, [(value, own)]) if own else None
                        text = imported(new, "import uuid") if new else None
                        yield from crash.propose(
                            text, f"Each writer of {name} has a file of its own until it is renamed.", source
                        )
                    case _:
                        continue


def _renamed(function: Function) -> set[str]:
    """Local names of files that are renamed: os.replace(p, target), p.rename(target)."""
    found = set()
    for node in own_parts(function.node):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="os" | "shutil"), attr=attr), args=[ast.Name(id=name), _]
            ):
                found |= {name} if attr in _RENAMES else set()
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="replace" | "rename"), args=[_]):
                found.add(name)
            case _:
                continue
    return found


def _of_its_own(source: Source, value: ast.expr) -> str | None:
    """The same temporary name with a part that no other call has; what it begins and ends with stays."""
    match value:
        case ast.Call(
            func=ast.Attribute(value=target, attr="with_suffix"), args=[ast.Constant(value=str(end))]
        ):
            whole = ast.unparse(target)
            return f'{whole}.with_name(f"{{{whole}.stem}}.{{{_UNIQUE}}}{end}")'
        case ast.BinOp(left=left, op=ast.Add(), right=ast.Constant(value=str(end))):
            return f'f"{{{ast.unparse(left)}}}.{{{_UNIQUE}}}{end}"' if '"' not in ast.unparse(left) else None
        case ast.JoinedStr(values=[*_, ast.Constant(value=str(end))]) if end.startswith("."):
            segment = ast.get_source_segment(source.text, value)
            at = segment.rfind(end) if segment else -1
            return f"{segment[:at]}.{{{_UNIQUE}}}{segment[at:]}" if segment and at > 0 else None
        case _:
            return None


def without_lock(crash: Crash) -> Iterator[Proposal]:
    """Statements on shared state come under the lock under which siblings touch the same state."""
    if crash.case.reproduction.recipe.schedule is None:
        return
    for source, function in crash.frames:
        locks = Counter(_locks(source, function))
        if len(locks) != 1:
            continue
        lock, touching = next(iter(locks)), _touching(source, function)
        body = function.node.body
        rows = [number for number, each in enumerate(body) if _touches(each, touching.get(lock, set()))]
        if rows and not any(isinstance(each, ast.With) and lock in ast.unparse(each) for each in body):
            new = _under(source.text, body[rows[0]], body[rows[-1]], lock)
            yield from crash.propose(new, f"Under {lock}, as siblings touch it.", source)


def _locks(source: Source, function: Function) -> Iterator[str]:
    state = {
        ast.unparse(node) for node in own_parts(function.node) if isinstance(node, (ast.Attribute, ast.Name))
    }
    for lock, touched in _touching(source, function).items():
        if touched & state:
            yield lock


def _touching(source: Source, function: Function) -> dict[str, set[str]]:
    """Lock -> the state that other functions of the same class or module touch only under it."""
    home: ast.AST = function.classes[-1] if function.classes else source.tree
    found: dict[str, set[str]] = {}
    for node in ast.walk(home):
        if isinstance(node, (ast.With, ast.AsyncWith)) and len(node.items) == 1:
            lock = ast.unparse(node.items[0].context_expr)
            if "lock" in lock.lower() and "(" not in lock:
                names = {
                    ast.unparse(part)
                    for each in node.body
                    for part in ast.walk(each)
                    if _is_state(part, function)
                }
                found.setdefault(lock, set()).update(names - {lock})
    return found


def _is_state(node: ast.AST, function: Function) -> bool:
    if function.classes:
        return (
            isinstance(node, ast.Attribute)
            and ast.unparse(node.value) == "self"
            and not node.attr.startswith("__")
        )
    return isinstance(node, ast.Name) and node.id.lstrip("_").isupper()


def _touches(statement: ast.stmt, state: set[str]) -> bool:
    return any(
        ast.unparse(part) in state
        for part in ast.walk(statement)
        if isinstance(part, (ast.Attribute, ast.Name))
    )


def _under(text: str, first: ast.stmt, last: ast.stmt, lock: str) -> str:
    rows = text.splitlines(keepends=True)
    start, end = first.lineno - 1, last.end_lineno or last.lineno
    inner = ["    " + row if row.strip() else row for row in rows[start:end]]
    return "".join([*rows[:start], f"{' ' * first.col_offset}with {lock}:\n", *inner, *rows[end:]])

"""Templates that look at what the code beside the failing line does with the very same value: it converts it, it guards
it, it refuses it. What a function does with a value in one branch is what it promises of it in the other."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from fixloop.fixers.crash import (
    PROMISED,
    Crash,
    Proposal,
    available,
    fits,
    inserted,
    names_in,
    renamed,
    spliced,
    statement_of,
)
from fixloop.fixers.mining import literal
from fixloop.reproduce.syntax import Function, FunctionNode, functions, own_parts, parameter_names

_PLAIN = (ast.Name, ast.Attribute, ast.Subscript)
_CONVERTS = re.compile(
    r"^(list|tuple|set|frozenset|dict|str|int|float|bytes)$"
    r"|(^|_)(to|as|ensure|force|coerce|normali[sz]e|decode|encode|convert|text|unicode|native|str|bytes)(_|$)"
)
_TELLS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print"})
_AS_WORDS = frozenset({"str", "unicode", "text_type", "compat_str", "native_str", "force_str", "force_text"})
_EMPTY = ("IndexError", "ValueError", "ZeroDivisionError", "StopIteration", "KeyError")


# --- converted ----------------------------------------------------------------------------------------------


def converted(crash: Crash) -> Iterator[Proposal]:
    """x + y -> x + list(y), y.upper() -> to_text(y).upper(): as the same function converts the same value elsewhere."""
    if crash.type not in ("TypeError", "AttributeError") or crash.function is None:
        return
    function = crash.function.node
    items = _items(function)
    inside = {id(part) for call in _conversions(function) for part in ast.walk(call)}
    found: dict[str, tuple[str, list[tuple[ast.AST, str]]]] = {}  # value -> how it is taken elsewhere, edits
    for call in _conversions(function):
        value = _meaning(call.args[0], items)
        rest = [*call.args[1:], *(word.value for word in call.keywords)]
        needed = {name for part in (call.func, *rest) for name in names_in(part)}
        if value is None or value in found or not available(needed, crash.source, function):
            continue
        if "NoneType" in crash.message and ast.unparse(call.func).rpartition(".")[2] in _AS_WORDS:
            continue  # "None" in words would hide that nothing is there
        edits: list[tuple[ast.AST, str]] = [
            (node, _call(call, node, crash.source.text))
            for node in crash.at_line()
            if id(node) not in inside and _meaning(node, items) == value and _is_read(node)
        ]
        if edits:
            found[value] = (f"`{ast.unparse(call)}`", edits)
    for chosen in [[each] for each in found.values()] + [
        list(found.values())
    ]:  # each by itself, then all together
        said = f"{', '.join(how for how, _ in chosen)} is how the same function takes that value elsewhere."
        every = [edit for _, edits in chosen for edit in edits]
        yield from crash.propose(spliced(crash.source.text, every), said, places=PROMISED if every else 0)


def _conversions(function: ast.AST) -> Iterator[ast.Call]:
    told = {id(part) for node in ast.walk(function) if _tells(node) for part in ast.walk(node)}
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and id(node) not in told
            and node.args
            and isinstance(node.args[0], _PLAIN)
            and _CONVERTS.search(ast.unparse(node.func).rpartition(".")[2])
        ):
            yield node


def _tells(node: ast.AST) -> bool:
    """Whether something is only said of a value, in an error or a log: that is not how it is used."""
    return isinstance(node, ast.Raise) or (
        isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _TELLS
    )


def _items(function: ast.AST) -> dict[str, str]:
    """Loop variables that are one item of a collection each: name -> the collection."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            match node.target, node.iter:
                case ast.Name(id=name), over:
                    found.setdefault(name, set()).add(ast.unparse(over))
                case ast.Tuple(elts=[_, ast.Name(id=name)]), ast.Call(
                    func=ast.Name(id="enumerate"), args=[over]
                ):
                    found.setdefault(name, set()).add(ast.unparse(over))
                case _:
                    continue
    return {name: next(iter(overs)) for name, overs in found.items() if len(overs) == 1}


def _meaning(node: ast.AST, items: dict[str, str]) -> str | None:
    """What an expression stands for, the same for `h` of `for h in heads` and for `heads[i]`."""
    match node:
        case ast.Name(id=name) if name in items:
            return f"an item of {items[name]}"
        case ast.Subscript(value=value, slice=ast.Name()):
            return f"an item of {ast.unparse(value)}"
        case ast.Name() | ast.Attribute() | ast.Subscript():
            return ast.unparse(node)
        case _:
            return None


def _is_read(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Load)


def _call(like: ast.Call, node: ast.AST, text: str) -> str:
    """The call with another first argument."""
    rest = [ast.unparse(part) for part in (*like.args[1:], *like.keywords)]
    return f"{ast.unparse(like.func)}({', '.join([ast.get_source_segment(text, node) or ast.unparse(node), *rest])})"


# --- guarded ------------------------------------------------------------------------------------------------


def guarded(crash: Crash) -> Iterator[Proposal]:
    """x[i] -> (x[i] if i < len(x) else D): as the same function reads the very same place elsewhere."""
    if crash.type not in ("IndexError", "KeyError", "AttributeError", "TypeError") or crash.function is None:
        return
    for node in crash.at_line():
        if not isinstance(node, (ast.Subscript, ast.Attribute)) or not _is_read(node):
            continue
        written = ast.unparse(node)
        segment = ast.get_source_segment(crash.source.text, node) or written
        votes = Counter(_guards(crash.function.node, written, crash.type))
        forms = [form for form in (_guarded(node, segment, *vote) for vote in votes) if form is not None]
        if len(votes) == 1 and forms:
            default = next(iter(votes))[1]
            said = f"Where there is no `{written}` it is {default}, as the same function has it elsewhere."
            yield from crash.propose(
                spliced(crash.source.text, [(node, forms[0])]), said, places=PROMISED * votes.total()
            )


def _guards(function: ast.AST, written: str, error: str) -> Iterator[tuple[str, str]]:
    """(condition, default) with which an expression is read; the condition is "" where an error is caught."""
    for node in ast.walk(function):
        match node:
            case ast.IfExp(test=test, body=body, orelse=default) if ast.unparse(body) == written:
                yield from ((ast.unparse(test), found) for found in _literal(default))
            case ast.Try(body=[ast.Assign(targets=[target], value=value)], handlers=[handler]) if ast.unparse(
                value
            ) == written and error in _caught(handler):
                match handler.body:
                    case [ast.Assign(targets=[other], value=default)] if ast.unparse(other) == ast.unparse(
                        target
                    ):
                        yield from (("", found) for found in _literal(default))
                    case _:
                        continue
            case _:
                continue


def _literal(node: ast.expr) -> list[str]:
    found = literal(node, none=True)
    return [] if found is None else [found]


def _caught(handler: ast.ExceptHandler) -> list[str]:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [ast.unparse(kind).rpartition(".")[2] for kind in kinds if kind is not None]


def _guarded(node: ast.expr, segment: str, test: str, default: str) -> str | None:
    if test:
        return f"({segment} if {test} else {default})"
    if not isinstance(node, ast.Subscript) or isinstance(node.slice, ast.Slice):
        return None
    holder, key = ast.unparse(node.value), ast.unparse(node.slice)
    if isinstance(node.slice, ast.UnaryOp):
        return f"({segment} if {holder} else {default})"
    return f"({segment} if {key} < len({holder}) else {default})"


def under_its_condition(crash: Crash) -> Iterator[Proposal]:
    """yield x[0] -> if x: yield x[0]; as the same function has its other statements of that form."""
    if crash.type != "IndexError" or crash.function is None:
        return
    function = crash.function.node
    form, places = _form_of(function, crash.line), 0
    for node in ast.walk(function):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and form is not None:
            places += sum(_indexed(each) == (form[0], node.test.id) for each in node.body)
    statement = next((each for each in _statements(function) if each.lineno == crash.line), None)
    segment = ast.get_source_segment(crash.source.text, statement) if statement is not None else None
    if form is not None and places and statement is not None and segment is not None:
        written = f"if {form[1]}:\n{' ' * (statement.col_offset + 4)}{segment}"
        said = f"Only where there are {form[1]}, as the same function has it {places} times."
        yield from crash.propose(spliced(crash.source.text, [(statement, written)]), said, places=places)


def _form_of(function: ast.AST, line: int) -> tuple[str, str] | None:
    found = [_indexed(each) for each in _statements(function) if each.lineno == line]
    return found[0] if found else None


def _statements(function: ast.AST) -> Iterator[ast.stmt]:
    return (node for node in ast.walk(function) if isinstance(node, (ast.Expr, ast.Return)))


def _indexed(statement: ast.stmt) -> tuple[str, str] | None:
    """("yield" or "return", name) of a statement that gives one item of a local collection, and does nothing else."""
    match statement:
        case ast.Expr(value=ast.Yield(value=ast.Subscript(value=ast.Name(id=name)))):
            return "yield", name
        case _:
            return None


# --- refused ------------------------------------------------------------------------------------------------


def refused(crash: Crash) -> Iterator[Proposal]:
    """x[0] -> if not x: raise ValueError(…) before it, as the function to which the same value goes in another branch
    refuses it, or as siblings refuse a parameter of that name."""
    if (crash.type not in _EMPTY and "NoneType" not in crash.message) or crash.function is None:
        return
    function = crash.function.node
    held = {part.id for part in crash.at_line() if isinstance(part, ast.Name) and _is_read(part)}
    for name in sorted(held):
        callees = Counter(_refusals_of_callees(crash, function, name))
        siblings = Counter(_refusals(crash.source.tree, name, but=function))
        for votes, weight, who in ((callees, PROMISED, "what takes it elsewhere"), (siblings, 1, "siblings")):
            kinds = {guard.partition("(")[0] for guard in votes}
            fit = [guard for guard in votes if fits(guard, crash.source, function)]
            first = next((part for part in crash.at_line()), None)
            statement = statement_of(function, first) if first is not None else None
            if len(kinds) == 1 and fit and statement is not None:
                new = inserted(crash.source.text, _outside(function, statement), fit[0].splitlines())
                yield from crash.propose(
                    new, f"Without {name} it is refused, as {who} refuses it.", places=weight * votes.total()
                )


def _outside(function: ast.AST, statement: ast.stmt) -> ast.stmt:
    """The statement before which a line can be put: an `elif` belongs to its `if`."""
    for node in ast.walk(function):
        if isinstance(node, ast.If) and node.orelse == [statement] and isinstance(statement, ast.If):
            return _outside(function, node)
    return statement


def _refusals_of_callees(crash: Crash, function: FunctionNode, name: str) -> Iterator[str]:
    for call in own_parts(function):
        if not isinstance(call, ast.Call):
            continue
        called = ast.unparse(call.func).rpartition(".")[2]
        at = next((i for i, arg in enumerate(call.args) if ast.unparse(arg) == name), None)
        word = next((w.arg for w in call.keywords if w.arg and ast.unparse(w.value) == name), None)
        if at is None and word is None:
            continue
        defined = [
            each for source in crash.speaking(f"def {called}") for each in functions(source.tree)
            if each.node.name == called
        ]  # fmt: skip
        for each in defined if len(defined) == 1 else ():
            parameter = word or _parameter(each, call, at or 0)
            if parameter is not None:
                yield from _refusing(each.node, parameter, name)


def _parameter(function: Function, call: ast.Call, at: int) -> str | None:
    names = parameter_names(function.node)
    bound = function.kind in ("method", "classmethod") and isinstance(call.func, ast.Attribute)
    return names[at + bound] if at + bound < len(names) else None


def _refusals(tree: ast.AST, name: str, but: FunctionNode) -> Iterator[str]:
    for each in functions(tree):
        if each.node is not but and name in parameter_names(each.node):
            yield from _refusing(each.node, name, name)


def _refusing(function: FunctionNode, parameter: str, name: str) -> Iterator[str]:
    """`if not parameter: raise …` in a function, in the words of the failing one."""
    for statement in function.body:
        match statement:
            case ast.If(test=test, body=[ast.Raise()], orelse=[]) if ast.unparse(test) in (
                f"not {parameter}", f"{parameter} is None", f"len({parameter}) == 0",
            ):  # fmt: skip
                yield renamed(statement, parameter, name)
            case _:
                continue


# --- answered -----------------------------------------------------------------------------------------------


def answered(crash: Crash) -> Iterator[Proposal]:
    """x.upper() -> if x is None: return D before it, as siblings in the file answer a parameter of that name with which
    nothing can be done; only where they all give the same."""
    if crash.type not in (*_EMPTY, "TypeError", "AttributeError") or crash.function is None:
        return
    function, first = crash.function.node, next((part for part in crash.at_line()), None)
    statement = statement_of(function, first) if first is not None else None
    if statement is None or crash.function.is_generator:
        return
    read = {part.id for part in crash.at_line() if isinstance(part, ast.Name) and _is_read(part)}
    for name in sorted(read & set(parameter_names(function))):
        guards = Counter(_answers(crash.source.tree, name, but=function))
        given = {guard.rpartition("return")[2].strip() or "None" for guard in guards}
        for guard in guards if len(given) == 1 else ():
            if fits(guard, crash.source, function):
                new = inserted(crash.source.text, _outside(function, statement), guard.splitlines())
                said = f"With such a {name} siblings give {next(iter(given))}."
                yield from crash.propose(new, said, places=guards.total())


def _answers(tree: ast.AST, name: str, but: FunctionNode) -> Iterator[str]:
    """What other functions with this parameter do where it is nothing, or of another type: give a plain value."""
    for each in functions(tree):
        if each.node is but or each.is_generator or name not in parameter_names(each.node):
            continue
        for statement in each.node.body:
            match statement:
                case ast.If(test=test, body=[ast.Return(value=value)], orelse=[]) if _is_unfit(test, name):
                    if value is None or literal(value, none=True) is not None:
                        yield ast.unparse(statement)
                case _:
                    continue


def _is_unfit(test: ast.expr, name: str) -> bool:
    """Whether a condition says that a value is nothing, or no value of some type."""
    written = ast.unparse(test)
    return written in (f"not {name}", f"{name} is None", f"len({name}) == 0") or written.startswith(
        f"not isinstance({name}, "
    )


# --- nothing there ------------------------------------------------------------------------------------------


def none_attribute(crash: Crash) -> Iterator[Proposal]:
    """self.a.b() -> if self.a is None: … before it; the guard is the one that the class's other methods have."""
    if "NoneType" not in crash.message or crash.function is None or not crash.function.classes:
        return
    function, home = crash.function.node, crash.function.classes[-1]
    held = {
        ast.unparse(part) for part in crash.at_line() if isinstance(part, ast.Attribute) and _is_read(part)
    }
    for name in sorted(each for each in held if each.startswith("self.")):
        guards = Counter(
            ast.unparse(statement)
            for method in home.body
            if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)) and method is not function
            for statement in method.body
            if _guards_name(statement, name)
        )
        fit = [guard for guard in guards if fits(guard, crash.source, function)]
        first = next((part for part in crash.at_line()), None)
        statement = statement_of(function, first) if first is not None else None
        if len(guards) == 1 and fit and statement is not None:
            new = inserted(crash.source.text, _outside(function, statement), fit[0].splitlines())
            said = f"Where {name} is None, the class's other methods do the same."
            yield from crash.propose(new, said, places=guards.total())


def _guards_name(statement: ast.stmt, name: str) -> bool:
    match statement:
        case ast.If(test=test, body=[ast.Raise() | ast.Return()], orelse=[]):
            return ast.unparse(test) in (f"{name} is None", f"not {name}")
        case _:
            return False

"""Templates for an error that the code already says what to do with, by another name.

Two things say that an error belongs to a handler. The team's other handlers around the same call name both together. Or
what failed is a conversion, and the handler already says what is to happen with a value that cannot be converted:
Python has several names for that one thing. So do a function's refusals, and the answer that it ends with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from fixloop.fixers.crash import PROMISED, Crash, Proposal, Source, names_in, spliced

# What conversions raise for a value that they do not take, and what file systems raise for a path that is not there
# (`pathlib.Path.exists` takes ENOENT, ENOTDIR and ELOOP for "no").
_UNFIT = frozenset({"ValueError", "TypeError", "OverflowError", "ArithmeticError", "InvalidOperation", "UnicodeError",
                    "UnicodeDecodeError", "UnicodeEncodeError", "ZeroDivisionError"})  # fmt: skip
_ABSENT = frozenset({"FileNotFoundError", "NotADirectoryError"})
_NUMBERS = re.compile(r"^(int|float|complex|Decimal|Fraction)$")
_CONVERSIONS = re.compile(
    r"^(int|float|complex|Decimal|Fraction|UUID|date|time|datetime|timedelta|fromtimestamp|utcfromtimestamp|strptime"
    r"|fromisoformat|fromordinal|loads|decode|ip_address|ip_network|chr|b64decode|a85decode|unhexlify|fromhex"
    r"|parsedate_to_datetime|mktime|gmtime|localtime)$"
)
_FILES = re.compile(
    r"^(stat|lstat|open|scandir|listdir|readlink|getmtime|getsize|read_text|read_bytes|run_sync|iterdir)$"
)


def caught_too(crash: Crash) -> Iterator[Proposal]:
    """except ValueError: -> except (ValueError, OverflowError): for the nearest handler around the failing call."""
    for source, attempt, line in _attempts(crash):
        calls = {
            _name(part) for part in ast.walk(attempt) if isinstance(part, ast.Call) and part.lineno == line
        }
        for handler in attempt.handlers:
            kinds = _kinds(handler)
            if not kinds or any(kind in ("Exception", "BaseException", crash.type) for kind in kinds):
                break  # it is caught here already, and raised again
            places = _places(crash, kinds, calls)
            if places and handler.type is not None:
                new = spliced(source.text, [(handler.type, _with(source, handler.type, crash.type))])
                said = f"{crash.type} says here what {', '.join(kinds)} says: it is taken the same way."
                yield from crash.propose(new, said, source, places=places)
        return  # what stands further out was not asked


def falls_back(crash: Crash) -> Iterator[Proposal]:
    """return chr(n) -> the same in a `try`, in one of several branches of a function that ends with what it gives for
    everything that it does not recognise: what cannot be converted is not recognised."""
    at = _conversion(crash)
    if at is None or crash.function is None or not isinstance(at, ast.Return):
        return
    function = crash.function.node
    branches = [
        each for each in function.body if isinstance(each, ast.If) and not each.orelse and _gives(each)
    ]
    last = function.body[-1]
    around = next((each for each in branches if at is each.body[-1]), None)
    if around is None or len(branches) < PROMISED or not isinstance(last, ast.Return) or last.value is None:
        return
    said = f"What cannot be converted is `{ast.unparse(last.value)}`, like all that is not recognised."
    new = _tried(crash, at, f"except {crash.type}:", "pass")
    yield from crash.propose(new, said, places=len(branches))


def refused_too(crash: Crash) -> Iterator[Proposal]:
    """return fromtimestamp(x) -> the same in a `try` that raises what the function itself raises for an x that is not
    good enough: what cannot be converted is no better."""
    at = _conversion(crash)
    if at is None or crash.function is None:
        return
    converted = names_in(at)
    refusals = {
        ast.unparse(each.exc)
        for statement in crash.function.node.body
        if isinstance(statement, ast.If) and not statement.orelse and converted & names_in(statement.test)
        for each in statement.body[:1]
        if isinstance(each, ast.Raise) and each.exc is not None
    }
    kinds = {refusal.partition("(")[0] for refusal in refusals}
    if len(kinds) == 1 and crash.type not in kinds:
        refusal = min(refusals)
        new = _tried(crash, at, f"except {crash.type} as error:", f"raise {refusal} from error")
        yield from crash.propose(
            new, f"What cannot be converted is refused by {refusal}, as above.", places=PROMISED
        )


def _conversion(crash: Crash) -> ast.stmt | None:
    """The failing statement, where it converts a value and the error says that this value cannot be."""
    if crash.type not in _UNFIT - {"TypeError"} or crash.function is None:
        return None
    simple = (ast.Return, ast.Assign, ast.Expr)
    found = (
        each
        for each in ast.walk(crash.function.node)
        if isinstance(each, simple) and each.lineno == crash.line
    )
    at = next(found, None)
    calls = [part for part in ast.walk(at) if isinstance(part, ast.Call)] if at is not None else []
    return at if any(_CONVERSIONS.match(_name(call).rpartition("_")[2]) for call in calls) else None


def _tried(crash: Crash, at: ast.stmt, caught: str, then: str) -> str | None:
    """The file with a statement put into a `try`."""
    segment, space = ast.get_source_segment(crash.source.text, at), " " * at.col_offset
    if segment is None:
        return None
    return spliced(
        crash.source.text, [(at, f"try:\n{space}    {segment}\n{space}{caught}\n{space}    {then}")]
    )


def _gives(branch: ast.If) -> bool:
    return isinstance(branch.body[-1], ast.Return)


def _attempts(crash: Crash) -> Iterator[tuple[Source, ast.Try, int]]:
    """The `try` statements in whose bodies the stack stands, with the line at which it does, innermost first."""
    for source, function, line in crash.stack:
        around = [
            node for node in ast.walk(function.node)
            if isinstance(node, ast.Try) and any(_has(statement, line) for statement in node.body)
        ]  # fmt: skip
        for node in sorted(around, key=lambda each: each.lineno, reverse=True):
            if any(_kinds(handler) for handler in node.handlers):
                yield source, node, line


def _has(statement: ast.stmt, line: int) -> bool:
    return statement.lineno <= line <= (statement.end_lineno or statement.lineno)


def _kinds(handler: ast.ExceptHandler) -> list[str]:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [ast.unparse(kind).rpartition(".")[2] for kind in kinds if kind is not None]


def _places(crash: Crash, kinds: list[str], calls: set[str]) -> int:
    """How often the code says that an error of this type is met like those that are named: around the same call."""
    found = sum(
        crash.type in others and set(kinds) <= set(others)
        for node in crash.nodes(crash.type)
        if isinstance(node, ast.Try) and calls & _called(node)
        for others in map(_kinds, node.handlers)
    )
    return found + (PROMISED if _same_thing(crash, kinds) else 0)


def _called(attempt: ast.Try) -> set[str]:
    return {
        _name(part)
        for statement in attempt.body
        for part in ast.walk(statement)
        if isinstance(part, ast.Call)
    }


def _same_thing(crash: Crash, kinds: list[str]) -> bool:
    """Whether the failing line converts a value, or looks for a file, and the handler is there for just that."""
    calls = {_name(part) for part in crash.at_line() if isinstance(part, ast.Call)}
    if (
        crash.type == "TypeError"
    ):  # of another type: to a number it is no value, to a parser a fault of its caller
        return bool(_UNFIT & set(kinds)) and any(_NUMBERS.match(c) or _is_given(crash, c) for c in calls)
    if crash.type in _UNFIT and _UNFIT & set(kinds):
        return any(_CONVERSIONS.match(name) or _is_given(crash, name) for name in calls)
    return crash.type in _ABSENT and bool(_ABSENT & set(kinds)) and any(_FILES.match(name) for name in calls)


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _is_given(crash: Crash, name: str) -> bool:
    """Whether a function is called that the caller has given, to convert a value: `type(value)`, `cast(value)`."""
    words = crash.function.node.args if crash.function else None
    given = [arg.arg for arg in (*words.args, *words.kwonlyargs)] if words else []
    return name in given and bool(re.search(r"type|cast|conv|pars|coerce|deserial", name))


def _with(source: Source, kind: ast.expr, name: str) -> str:
    """The handler's types with one more."""
    segment = ast.get_source_segment(source.text, kind) or ast.unparse(kind)
    if isinstance(kind, ast.Tuple):
        return f"{segment.rstrip().removesuffix(')').rstrip().removesuffix(',')}, {name})"
    return f"({segment}, {name})"

"""Templates for values in the wrong form: bytes in another encoding, times without a zone, another kind of sequence.

The right form is the one that the team's code states elsewhere, or that the proven change took away."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from fixloop.fixers.crash import Crash, Proposal, Source, spliced
from fixloop.reproduce.syntax import Function, own_parts

_NAIVE = re.compile(r"offset-naive and offset-aware|naive datetime|timezone-naive")
_MAKES_TIME = frozenset(
    {"fromisoformat", "strptime", "utcnow", "utcfromtimestamp", "fromtimestamp", "combine"}
)
_NO_MATCH = re.compile(r'can only concatenate (\w+) \(not "(\w+)"\) to \w+')
_NO_OPERAND = re.compile(r"unsupported operand type\(s\) for \+=?: '(\w+)' and '(\w+)'")
_NO_METHOD = re.compile(
    r"'(tuple|frozenset|list|set|generator|map|filter|dict_keys|dict_values)' object has no attribute '(\w+)'"
)
_OPENS = ("open", "read_text", "write_text")
_KINDS = ("list", "tuple", "set", "dict", "frozenset")


# --- times --------------------------------------------------------------------------------------------------


def naive_time(crash: Crash) -> Iterator[Proposal]:
    """datetime.fromisoformat(x) -> aware where it gives no zone; the zone is the one that the team's code gives."""
    if crash.type not in ("TypeError", "ValueError") or not _NAIVE.search(crash.message):
        return
    votes = Counter(_zones(crash))
    if len(votes) != 1:
        return
    zone = next(iter(votes))
    for source in crash.speaking(*_MAKES_TIME, "now()"):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and _makes_naive(node):
                new = _aware(source, node, zone)
                yield from crash.propose(
                    new, f"A time without a zone is made aware by {zone}, as the code has it.", source
                )


def _makes_naive(node: ast.Call) -> bool:
    name = ast.unparse(node.func)
    return name.rpartition(".")[2] in _MAKES_TIME or (
        name.endswith("datetime.now") and not (node.args or node.keywords)
    )


def _zones(crash: Crash) -> Iterator[str]:
    """How a time is made aware: a function's name that is called with it, or `replace(tzinfo=…)`."""
    nodes = [*crash.nodes("make_aware", "tzinfo", "localize")]
    for _, tree in crash.before:
        nodes += ast.walk(tree)
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr="make_aware" | "localize") as func):
                yield f"{ast.unparse(func)}(…)"
            case ast.Call(
                func=ast.Attribute(attr="replace"), args=[], keywords=[ast.keyword(arg="tzinfo", value=zone)]
            ):
                if not (isinstance(zone, ast.Constant) and zone.value is None):
                    yield f"….replace(tzinfo={ast.unparse(zone)})"
            case _:
                continue


def _aware(source: Source, node: ast.Call, zone: str) -> str | None:
    """The file with the time kept under a name and made aware where it has no zone."""
    segment = ast.get_source_segment(source.text, node)
    statement = next((each for each in _simple(source.tree) if node in set(ast.walk(each))), None)
    module = zone.partition(".")[0]
    if (
        segment is None
        or statement is None
        or (not zone.startswith("…") and module not in _imported(source.tree))
    ):
        return None
    made = zone.replace("…", "at")
    match statement:
        case ast.Return(value=value) if value is node:
            lines = f"at = {segment}\n{{0}}return at if at.tzinfo else {made}"
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is node:
            kept = zone.replace("…", name)
            lines = f"{name} = {segment}\n{{0}}if {name}.tzinfo is None:\n{{0}}    {name} = {kept}"
        case _:
            return None
    return spliced(source.text, [(statement, lines.format(" " * statement.col_offset))])


def _simple(tree: ast.AST) -> Iterator[ast.stmt]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.Return, ast.Assign)))


def _imported(tree: ast.Module) -> set[str]:
    nodes = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {alias.asname or alias.name.partition(".")[0] for node in nodes for alias in node.names}


# --- kinds of sequences -------------------------------------------------------------------------------------


def other_kind(crash: Crash) -> Iterator[Proposal]:
    """return kept -> return list(kept) where the proven change made it another kind than its callers use."""
    wanted = _wanted(crash)
    for source, function in crash.touched if wanted else ():
        if function.is_generator:
            continue
        for node in own_parts(function.node):
            value = node.value if isinstance(node, ast.Return) else None
            segment = ast.get_source_segment(source.text, value) if value is not None else None
            if value is None or segment is None or isinstance(value, ast.Constant):
                continue
            new = spliced(source.text, [(value, f"{wanted}({segment})")])
            said = f"{function.node.name}() gives its callers a {wanted} again, of their own."
            yield from crash.propose(new, said, source)


def _wanted(crash: Crash) -> str | None:
    """The kind that the failing line works with: the other side of an operator, or the one kind that has the method."""
    message = crash.message
    told = _NO_MATCH.search(message)
    if told is not None:
        return told[2] if told[1] != told[2] and told[2] in _KINDS else None
    operands = _NO_OPERAND.search(message)
    if operands is not None:
        return next((kind for kind in reversed(operands.groups()) if kind in _KINDS), None)
    method = _NO_METHOD.search(message)
    if method is None:
        return None
    having = [
        kind
        for kind in ("list", "set", "dict")
        if hasattr({"list": [], "set": set(), "dict": {}}[kind], method[2])
    ]
    return having[0] if having else None


# --- encodings ----------------------------------------------------------------------------------------------

_HELPER = '''
def decoded(raw):
    """The text of bytes that are {first}, else {second}."""
    try:
        return raw.decode("{first}")
    except UnicodeDecodeError:
        return raw.decode("{second}")
'''


def other_encoding(crash: Crash) -> Iterator[Proposal]:
    """Bytes that are not what was expected are read in the encoding that the code falls back on elsewhere, or fell back
    on before the proven change; a file that is opened in no encoding is opened in the one that siblings name."""
    if crash.type not in ("UnicodeDecodeError", "UnicodeEncodeError"):
        return
    second = Counter(_fallbacks(crash))
    for source, function in crash.frames:
        for node in ast.walk(function.node):
            if not isinstance(node, ast.Call):
                continue
            if len(second) == 1:
                new = _falling_back(source, function, node, next(iter(second)))
                yield from crash.propose(
                    new, f"What is not of that encoding is read as {next(iter(second))}.", source
                )
            yield from _named(crash, source, node)


def _fallbacks(crash: Crash) -> Iterator[str]:
    trees = [source.tree for source in crash.speaking("UnicodeDecodeError")] + [
        tree for _, tree in crash.before
    ]
    handlers = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler))
    for handler in handlers:
        if handler.type is not None and "Unicode" in ast.unparse(handler.type):
            for node in (part for statement in handler.body for part in ast.walk(statement)):
                match node:
                    case ast.Call(
                        func=ast.Attribute(attr="decode"), args=[ast.Constant(value=str(name)), *_]
                    ):
                        yield name
                    case ast.keyword(arg="encoding", value=ast.Constant(value=str(name))):
                        yield name
                    case _:
                        continue


def _falling_back(source: Source, function: Function, node: ast.Call, second: str) -> str | None:
    """The file with one reading of bytes made to fall back on another encoding."""
    top = next((each for each in source.tree.body if function.node in set(ast.walk(each))), None)
    match node:
        case ast.Call(func=ast.Attribute(attr="decode", value=raw), args=[ast.Constant(value=str(first))]):
            replaced = f"decoded({ast.get_source_segment(source.text, raw)})"
        case ast.Call(func=func, args=[file], keywords=words) if ast.unparse(func) == "io.TextIOWrapper":
            first = _encoding(words) or "utf-8"
            lines = next((ast.unparse(word.value) for word in words if word.arg == "newline"), "None")
            replaced = (
                f"io.StringIO(decoded({ast.get_source_segment(source.text, file)}.read()), newline={lines})"
            )
        case _:
            return None
    taken = "decoded" in {each.name for each in source.tree.body if isinstance(each, ast.FunctionDef)}
    if top is None or taken or first == second:
        return None
    rows = (spliced(source.text, [(node, replaced)]) or "").splitlines(keepends=True)
    row = min([top.lineno, *(each.lineno for each in getattr(top, "decorator_list", ()))]) - 1
    helper = _HELPER.format(first=first, second=second).lstrip("\n")
    return "".join([*rows[:row], helper, "\n\n", *rows[row:]])


def _encoding(words: list[ast.keyword]) -> str | None:
    for word in words:
        if (
            word.arg == "encoding"
            and isinstance(word.value, ast.Constant)
            and isinstance(word.value.value, str)
        ):
            return word.value.value
    return None


def _named(crash: Crash, source: Source, node: ast.Call) -> Iterator[Proposal]:
    """open(path) -> open(path, encoding=E); E is what the team's other files are opened with."""
    name = ast.unparse(node.func).rpartition(".")[2]
    if name not in _OPENS or any(word.arg == "encoding" for word in node.keywords):
        return
    calls = (other for other in crash.nodes("encoding") if isinstance(other, ast.Call))
    opened = (
        _encoding(other.keywords) for other in calls if ast.unparse(other.func).rpartition(".")[2] in _OPENS
    )
    votes = Counter(encoding for encoding in opened if encoding is not None)
    segment = ast.get_source_segment(source.text, node)
    if len(votes) == 1 and segment is not None:
        encoding = next(iter(votes))
        comma = ", " if node.args or node.keywords else ""
        new = spliced(source.text, [(node, f'{segment[:-1]}{comma}encoding="{encoding}")')])
        yield from crash.propose(new, f"Opened as {encoding}, as the team's other files are.", source)

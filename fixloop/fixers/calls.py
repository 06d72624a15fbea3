"""Templates for calls: arguments that a changed signature does not take, a missing await, a name that moved."""

from __future__ import annotations

import ast
import builtins
import difflib
import re
from collections import Counter
from collections.abc import Iterator

from fixloop.fixers.crash import PROMISED, Crash, Proposal, available, imported, names_in, spliced
from fixloop.fixers.mining import literal
from fixloop.reproduce.syntax import Function, FunctionNode, functions, parameter_names

_UNEXPECTED = re.compile(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r"(\w+)\(\) missing 1 required (?:positional|keyword-only) argument: '(\w+)'")
_TOO_MANY = re.compile(r"(\w+)\(\) takes (?:from \d+ to )?(\d+) positional arguments? but (\d+) were given")
_NO_NAME = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_NO_ATTRIBUTE = re.compile(r"'(\w+)' object has no attribute '(\w+)'(?:\. Did you mean: '(\w+)'\?)?")
LIKE = 0.85  # of difflib's ratio: one or two letters of a word
_UNDEFINED = re.compile(r"name '(\w+)' is not defined")


def arguments(crash: Crash) -> Iterator[Proposal]:
    """f(old=x) -> f(new=x), f(x) -> f(x, k=D), f(x, gone) -> f(x): as the definition was changed, or as siblings do."""
    if crash.type != "TypeError":
        return
    for pattern, rewrite in ((_UNEXPECTED, _renamed), (_MISSING, _added), (_TOO_MANY, _dropped)):
        told = pattern.search(crash.message)
        if told is None:
            continue
        for call in crash.at_line():
            if isinstance(call, ast.Call) and _last(call.func) == told[1].rpartition(".")[2]:
                for new, why in rewrite(crash, call, told):
                    yield from crash.propose(spliced(crash.source.text, [(call, new)]), why)


def _last(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _definitions(crash: Crash, name: str) -> list[Function]:
    return [
        each for source in crash.speaking(name) for each in functions(source.tree) if each.node.name == name
    ]


def _before(crash: Crash, function: Function) -> FunctionNode | None:
    """The definition as the proven cause's parent had it."""
    found = (
        each.node
        for _, tree in crash.before
        for each in functions(tree)
        if each.qualname == function.qualname
    )
    return next(found, None)


def _pair(crash: Crash, name: str) -> tuple[list[str], list[str]] | None:
    """The parameters of a function before the proven cause and now, where one definition has that name."""
    defined = _definitions(crash, name)
    old = _before(crash, defined[0]) if len(defined) == 1 else None
    return (parameter_names(old), parameter_names(defined[0].node)) if old is not None else None


def _renamed(crash: Crash, call: ast.Call, told: re.Match[str]) -> Iterator[tuple[str, str]]:
    pair = _pair(crash, told[1])
    if pair is None or told[2] not in pair[0] or len(pair[0]) != len(pair[1]):
        return
    new = pair[1][pair[0].index(told[2])]
    if new in pair[0]:
        return
    words = [ast.keyword(new if word.arg == told[2] else word.arg, word.value) for word in call.keywords]
    changed = ast.Call(call.func, call.args, words)
    yield (
        ast.unparse(changed),
        f"The parameter {told[2]} of {told[1]}() is called {new} since the proven change.",
    )


def _added(crash: Crash, call: ast.Call, told: re.Match[str]) -> Iterator[tuple[str, str]]:
    votes: Counter[str] = Counter()
    for node in crash.nodes(told[1]):
        if isinstance(node, ast.Call) and _last(node.func) == told[1]:
            given = next((word.value for word in node.keywords if word.arg == told[2]), None)
            votes.update(filter(None, [literal(given) if given is not None else None]))
    scope = parameter_names(crash.function.node) if crash.function else []
    value = next(iter(votes)) if len(votes) == 1 else told[2] if told[2] in scope and not votes else None
    if value is not None:
        words = [*call.keywords, ast.keyword(told[2], ast.Name(value, ast.Load()))]
        said = "as siblings give it" if votes else "which the caller has under that name"
        yield (
            ast.unparse(ast.Call(call.func, call.args, words)),
            f"{told[1]}() gets {told[2]}={value}, {said}.",
        )


def _dropped(crash: Crash, call: ast.Call, told: re.Match[str]) -> Iterator[tuple[str, str]]:
    pair = _pair(crash, told[1])
    gone = [name for name in pair[0] if name not in pair[1]] if pair else []
    if pair is None or len(gone) != 1 or any(isinstance(arg, ast.Starred) for arg in call.args):
        return
    at = pair[0].index(gone[0]) - (int(told[3]) - len(call.args))  # a method's first parameter is not written
    if 0 <= at < len(call.args):
        kept = [arg for number, arg in enumerate(call.args) if number != at]
        said = f"{told[1]}() takes no {gone[0]} any more since the proven change."
        yield ast.unparse(ast.Call(call.func, kept, call.keywords)), said


def as_siblings_call(crash: Crash) -> Iterator[Proposal]:
    """for x in rows(data=k) -> for x in rows(data=k, default=d), where the call gave a None and the others of the same
    file that are written like it all give one more keyword."""
    if "NoneType" not in crash.message or crash.function is None:
        return
    names = {node.id for node in crash.at_line() if isinstance(node, ast.Name)}
    for call in _givers(crash.function.node, names, crash.line):
        others = [
            node for node in ast.walk(crash.tree)
            if isinstance(node, ast.Call) and node is not call and _last(node.func) == _last(call.func)
            and len(node.args) == len(call.args) and _words(call) < _words(node)
        ]  # fmt: skip
        further = Counter(", ".join(sorted(_words(node) - _words(call))) for node in others)
        segment = ast.get_source_segment(crash.source.text, call)
        values = {name for node in others for word in node.keywords for name in names_in(word.value)}
        if len(further) == 1 and segment and available(values, crash.source, crash.function.node):
            more = next(iter(further))
            comma = ", " if call.args or call.keywords else ""
            new = spliced(crash.source.text, [(call, f"{segment[:-1]}{comma}{more})")])
            said = f"{_last(call.func)}() is called with {more} everywhere else in the file."
            yield from crash.propose(new, said, places=further.total())


def _words(call: ast.Call) -> frozenset[str]:
    return frozenset(ast.unparse(word) for word in call.keywords)


def _givers(function: FunctionNode, names: set[str], line: int) -> Iterator[ast.Call]:
    """The calls from which names got their values, by assignment or as what a loop goes over."""
    for node in ast.walk(function):
        match node:
            case ast.For(target=target, iter=ast.Call() as call) if names & names_in(target):
                yield call
            case ast.Assign(targets=[target], value=ast.Call() as call) if (
                names & names_in(target) and node.lineno < line
            ):
                yield call
            case _:
                continue


def missing_await(crash: Crash) -> Iterator[Proposal]:
    """f() -> (await f()) in a coroutine, where f is one of the team's own."""
    function = crash.function
    if "coroutine" not in crash.message or function is None or not function.is_async:
        return
    awaited = {id(node.value) for node in ast.walk(function.node) if isinstance(node, ast.Await)}
    names = {node.id for node in crash.at_line() if isinstance(node, ast.Name)}
    made = [value for name in names if (value := crash.assigned(name)) is not None]
    for call in [*crash.at_line(), *made]:
        if not isinstance(call, ast.Call) or id(call) in awaited:
            continue
        defined = _definitions(crash, _last(call.func))
        if defined and all(each.is_async for each in defined):
            segment = ast.get_source_segment(crash.source.text, call)
            new = spliced(
                crash.source.text, [(call, f"(await {segment})" if call not in made else f"await {segment}")]
            )
            yield from crash.propose(
                new,
                f"{_last(call.func)}() is a coroutine function: its result has to be awaited.",
                places=PROMISED,
            )


def moved_name(crash: Crash) -> Iterator[Proposal]:
    """from a import x -> from b import x, where b is the one module that has x; an import that is missing, as others
    write it."""
    if crash.type in ("ImportError", "ModuleNotFoundError"):
        yield from _from_elsewhere(crash)
    told = _UNDEFINED.search(crash.message)
    if crash.type == "NameError" and told is not None:
        lines = Counter(_imports(crash, told[1]))
        if len(lines) == 1:
            line = next(iter(lines))
            yield from crash.propose(
                imported(crash.source.text, line), f"`{line}`, as the team's other files have it."
            )


def misspelt(crash: Crash) -> Iterator[Proposal]:
    """x.issupserset(y) -> x.issuperset(y), where what has the attributes has one of nearly that name."""
    told = _NO_ATTRIBUTE.search(crash.message)
    if told is None or crash.type != "AttributeError":
        return
    near = difflib.get_close_matches(told[2], _attributes(crash, told[1]), 2, LIKE)
    meant = told[3] or (near[0] if len(near) == 1 else None)
    for node in crash.at_line():
        if meant and isinstance(node, ast.Attribute) and node.attr == told[2]:
            segment = ast.get_source_segment(crash.source.text, node) or ""
            new = spliced(crash.source.text, [(node, segment.removesuffix(told[2]) + meant)])
            said = f"There is no {told[2]} here; {meant} is the one name that is meant."
            yield from crash.propose(new, said, places=PROMISED)


def _attributes(crash: Crash, kind: str) -> list[str]:
    """The public names that objects of a type have: a builtin one, or a class of the team's own without other bases."""
    built = getattr(builtins, kind, None)
    if isinstance(built, type):
        return [name for name in dir(built) if not name.startswith("_")]
    homes = [
        node
        for source in crash.speaking(f"class {kind}")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and node.name == kind
    ]
    if len(homes) != 1 or any(ast.unparse(base) != "object" for base in homes[0].bases):
        return []
    return list(dict.fromkeys(_own_names(homes[0])))


def _own_names(home: ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(home):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name
            case _:
                continue


def _imports(crash: Crash, name: str) -> Iterator[str]:
    for source in crash.speaking(name):
        for node in source.tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)) and not getattr(node, "level", 0):
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        one = type(node)(**{**vars(node), "names": [alias]})
                        yield ast.unparse(one)


def _from_elsewhere(crash: Crash) -> Iterator[Proposal]:
    named, gone = _NO_NAME.search(crash.message), _NO_MODULE.search(crash.message)
    for node in ast.walk(crash.tree):
        if not isinstance(node, ast.ImportFrom) or node.level or node.lineno != crash.line:
            continue
        if named is not None and [alias.name for alias in node.names] == [named[1]]:
            homes = _homes(crash, named[1])
        elif gone is not None and node.module == gone[1]:
            homes = [*{home for alias in node.names for home in _homes(crash, alias.name)}]
        else:
            continue
        if len(homes) == 1 and homes[0] != node.module:
            line = ast.unparse(ast.ImportFrom(homes[0], node.names, 0))
            said = f"{', '.join(alias.name for alias in node.names)} stands in {homes[0]} and nowhere else."
            yield from crash.propose(spliced(crash.source.text, [(node, line)]), said)


def _homes(crash: Crash, name: str) -> list[str]:
    """The modules that define a name at their top."""
    found = []
    for source in crash.speaking(name):
        for node in source.tree.body:
            defines = (
                isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == name
            )
            given = isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [
                name
            ]
            if defines or given:
                found.append(source.module)
    return list(dict.fromkeys(found))

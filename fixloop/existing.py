"""Tests that exist already: run them many times in forks of a warm process, and make their inputs smaller.

The test is run by pytest inside the fork, so that fixtures, classes and parameters are what they are elsewhere. What
counts is the exception that it ended with, never an exit code.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from fixloop.behind import SEEDS, Factor, behind
from fixloop.bench import Bench
from fixloop.flake import COLD, Scan
from fixloop.minimise import minimise
from fixloop.reproduce.calling import KEPT
from fixloop.reproduce.same import Signature, normal_line, normal_message
from fixloop.reproduce.syntax import functions, parse
from fixloop.reproduce.values import from_ast, render
from fixloop.running.runner import Outcome, Raised, Runner
from fixloop.running.worlds import SOURCES, World
from store.errors import BadPayload, NotFound

BUDGET = 200  # runs that making a test smaller may take
_LITERALS = (ast.Dict, ast.List, ast.Tuple, ast.Set, ast.Constant)

_CALL = (
    KEPT
    + """
import os, pytest, sys

def call():
    path = {path!r}
    if {new!r} is not None:
        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), os.path.basename(path))
        with open(path, "w") as file:
            file.write({new!r})
    kept = Kept()
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--rootdir", {root!r}]
    code = pytest.main([*options, path + {part!r}], plugins=[kept])
    if kept.error is not None:
        raise kept.error
    if not kept.ran:
        raise RuntimeError("no test was run, pytest ended with " + str(code))
"""
)


@dataclass(frozen=True)
class ExistingTest:
    """A test by its file's text and its name ("test_x", "TestA::test_x"; empty: all of the file). `path` is its place
    in the repository where it has one there; `changed` says that the text is not what the commit has."""

    repo: str
    path: str
    name: str
    source: str
    changed: bool = True

    def call(self, source: str | None = None) -> str:
        """A module with `call()` that runs the test and raises what it ended with."""
        root = f"{SOURCES}/{self.repo}"
        new = source if source is not None else self.source if self.changed else None
        part = f"::{self.name}" if self.name else ""
        return _CALL.format(path=f"{root}/{self.path}", new=new, root=root, part=part)


@dataclass(frozen=True)
class Scanned:
    """How often a test failed, and with what: (reason, how often), the most frequent first; `behind`: what decides it,
    where that could be told. `seeded`: cold runs with other hash seeds."""

    scan: Scan
    cold: Scan
    seeded: Scan
    reasons: tuple[tuple[str, int], ...]
    behind: Factor | None = None

    @property
    def verdict(self) -> str:
        """ "always" (it fails), "never" or "sometimes"; warm and cold runs have to agree, whatever the hash seed."""
        if self.scan.verdict == self.cold.verdict == self.seeded.verdict:
            return self.scan.verdict
        return "sometimes"


def scan(test: ExistingTest, bench: Bench, runs: int) -> Scanned:
    """Run a test so many times in forks of one warm process, then a few times cold, and with other hash seeds; where it
    fails only sometimes, once more with one thing held still at a time. Raises NotFound where nothing is run."""
    source, world = test.call(), bench.world()

    def warmly(head: str, times: int) -> list[Outcome]:
        with bench.runner(world) as runner:
            return runner.run(head + source, times=times, preload=("pytest",), watch=False)

    warm = warmly("", runs)
    cold = [outcome for _ in range(COLD) for outcome in _coldly(source, world, bench)]
    seeded = [outcome for seed in SEEDS for outcome in _coldly(source, _seeded(world, seed), bench)]
    every = [*warm, *cold, *seeded]
    _ran(every)
    reasons = Counter(_reason(outcome) for outcome in every if outcome.status != "ok")
    counted = (_counted(warm), _counted(cold), _counted(seeded))
    return Scanned(*counted, tuple(reasons.most_common(5)), behind(*counted, warmly))


def _coldly(source: str, world: World, bench: Bench) -> list[Outcome]:
    with bench.runner(world) as runner:
        return runner.run(source, watch=False)


def _seeded(world: World, seed: str) -> World:
    """The world with another hash seed."""
    layout = replace(world.layout, env={**world.layout.env, "PYTHONHASHSEED": seed})
    return replace(world, layout=layout)


def _counted(outcomes: list[Outcome]) -> Scan:
    return Scan(len(outcomes), sum(outcome.status != "ok" for outcome in outcomes))


def _ran(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        error = outcome.exception
        if error is not None and error.type == "RuntimeError" and error.message.startswith("no test was run"):
            raise NotFound(f"There is nothing to run: {error.message}.")


def _reason(outcome: Outcome) -> str:
    if outcome.exception is None:
        return {"timeout": "did not end in time", "died": "the process ended without an answer"}.get(
            outcome.status, outcome.status
        )
    first = (outcome.exception.message.splitlines() or [""])[0]
    return f"{outcome.exception.type}: {first[:160]}"


# --- smaller --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shrunk:
    """A test with less in it that fails for the same reason. Sizes are in characters of the test's function."""

    source: str
    reason: str
    size_before: int
    size_after: int
    runs: int


def shrink(test: ExistingTest, bench: Bench) -> Shrunk:
    """Take statements and parts of literals out of a failing test while it still fails for the same reason. Raises
    BadPayload for a test that does not fail, or is no function of the file."""
    with bench.runner(bench.world()) as runner:
        smaller = _Smaller(test, runner)
        before = len(smaller.function(test.source))
        source = smaller.without_statements(test.source)
        source = smaller.with_smaller_literals(source)
        return Shrunk(source, smaller.reason, before, len(smaller.function(source)), smaller.runs)


class _Smaller:
    def __init__(self, test: ExistingTest, runner: Runner) -> None:
        self._test, self._runner, self.runs = test, runner, 0
        outcome = self._run(test.source)
        _ran([outcome])
        if outcome.exception is None:
            raise BadPayload(f"The test {test.name} does not fail here, so there is nothing to keep.")
        self.reason = _reason(outcome)
        self._wanted = _signature(outcome.exception)

    def _run(self, source: str) -> Outcome:
        self.runs += 1
        return self._runner.run(self._test.call(source), preload=("pytest",), watch=False)[0]

    def _fails(self, source: str) -> bool:
        """Whether the text still is a program and fails for the same reason; no answer once the budget is spent."""
        if self.runs >= BUDGET or parse(source) is None:
            return False
        error = self._run(source).exception
        return error is not None and self._wanted.is_it(error)

    def _node(self, source: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
        tree = parse(source)
        wanted = self._test.name.partition("[")[0].replace("::", ".")
        for function in functions(tree) if tree else ():
            if function.qualname == wanted:
                return function.node
        raise BadPayload(f"There is no test {self._test.name!r} in {self._test.path}: name it as FILE::NAME.")

    def function(self, source: str) -> str:
        """The text of the test's function."""
        return ast.get_source_segment(source, self._node(source)) or ""

    def without_statements(self, source: str) -> str:
        """Without the statements that the failure does not need, the last first: what needs them is gone by then."""
        places = [(part.lineno, part.end_lineno or part.lineno) for part in _statements(self._node(source))]
        for first, last in sorted(places, reverse=True):
            lines = source.splitlines(keepends=True)
            smaller = "".join([*lines[: first - 1], *lines[last:]])
            if self._fails(smaller):
                source = smaller
        return source

    def with_smaller_literals(self, source: str) -> str:
        """With each literal of the test made smaller, the last first: what stands before it keeps its place."""
        for count in range(len(list(_literals(self._node(source))))):
            literals = sorted(
                _literals(self._node(source)), key=lambda node: (node.lineno, node.col_offset), reverse=True
            )
            if count < len(literals):
                source = self._smaller_literal(source, literals[count])
        return source

    def _smaller_literal(self, source: str, node: ast.expr) -> str:
        def put(value: Any) -> str:
            return _replaced(source, node, render(value, set()))

        value = from_ast(node, "literal", lambda name: None)
        best = minimise(value, lambda smaller: self._fails(put(smaller)), budget=max(0, BUDGET - self.runs))
        return source if best == value else put(best)


def _statements(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.stmt]:
    """Statements of a test that may go: all but the docstring, inner ones too."""
    for part in ast.walk(node):
        if isinstance(part, ast.stmt) and part is not node:
            is_doc = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
            if not is_doc:
                yield part


def _literals(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    """The outermost literals that have something to take away."""
    pending: list[ast.AST] = list(node.body)
    while pending:
        part = pending.pop()
        if isinstance(part, _LITERALS) and _is_value(part):
            if not isinstance(part, ast.Constant) or (isinstance(part.value, str) and len(part.value) > 8):
                yield part
        elif not isinstance(part, ast.JoinedStr):
            pending.extend(ast.iter_child_nodes(part))


def _is_value(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _replaced(source: str, node: ast.expr, text: str) -> str:
    """The source with an expression's text replaced; columns are bytes of UTF-8."""
    lines = source.splitlines(keepends=True)
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    head = lines[first].encode()[: node.col_offset].decode()
    tail = lines[last].encode()[node.end_col_offset or 0 :].decode()
    return "".join([*lines[:first], head + text + tail, *lines[last + 1 :]])


def _signature(error: Raised) -> Signature:
    """What has to stay the same: the type, the message, and the own function and line that raised it, where that is
    not the test itself."""
    outside = [frame for frame in error.frames if not _is_test_file(str(frame["path"]))]
    frame = outside[-1] if outside else None
    return Signature(
        type=error.type,
        function=str(frame["function"]).rpartition(".")[2] if frame else None,
        text=normal_line(str(frame["text"])) if frame else None,
        message=normal_message(error.message),
    )


def _is_test_file(path: str) -> bool:
    name = PurePosixPath(path).name
    return not path.startswith(SOURCES + "/") or name.startswith("test_") or name.endswith("_test.py")

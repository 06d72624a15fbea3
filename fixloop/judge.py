"""The one place where a patch is judged. Code grades: a verdict is what runs have shown, and each run has a hash.

The reproducer is fixed beforehand; tests, conftest and configuration come from the base commit; results come over a
channel with a nonce. The order: what the diff may touch, what is refused by name, then execution (oracle, necessity,
neighbours, executed lines, mutants, suites), then what works but hides the error.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from fixloop import constraints
from fixloop.bench import Bench
from fixloop.blocks import Block, by_file, compose, parse, unified
from fixloop.constraints import Refusal
from fixloop.flake import miss_bound
from fixloop.mutants import mutants_of
from fixloop.neighbours import neighbours
from fixloop.oracle import Meaning, Reading, read
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.same import Signature
from fixloop.reproduce.syntax import parse as parse_python
from fixloop.reproduce.write import call_source
from fixloop.runner import Outcome
from fixloop.suite import SuiteResult, lost, run_suite
from fixloop.worlds import SOURCES, World
from store.errors import BadPayload
from store.repair import Oracle, Patch, Reproducer, Run, Validation, ValidationVerdict


@dataclass(frozen=True)
class Trial:
    """What a patch is judged against: the reproducer and all that is known of right and wrong. `parents` is the world
    in which the answer was right (the proven cause's parent), where there is one."""

    reproducer: Reproducer
    recipe: Recipe
    signature: Signature
    expected: Any = None
    parents: World | None = None
    modules: frozenset[str] = frozenset()


@dataclass
class _Case:
    """One patch under judgement: its blocks by repository, its worlds, its runs."""

    patch: Patch
    blocks: dict[str, list[Block]]
    old: dict[str, dict[str, str | None]]
    new: dict[str, dict[str, str | None]]
    world: World
    findings: dict[str, Any] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)


class Judge:
    """Judges patches of one incident. What does not depend on the patch is run once."""

    def __init__(self, bench: Bench, trial: Trial) -> None:
        self._bench, self._trial = bench, trial
        self._base = bench.world()
        self._test = trial.reproducer.source
        self._test_name = next(
            node.name for node in ast.parse(self._test).body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        )  # fmt: skip
        self._suites: dict[str, SuiteResult] = {}
        self._family: list[tuple[Recipe, Reading, Reading | None]] | None = None
        self._before: tuple[int, int] | None = None

    def judge(self, patch: Patch) -> Validation:
        """The verdict on a patch, with everything that was checked on the way. Never raises for what the patch does."""
        prepared = self._prepare(patch)
        if isinstance(prepared, Refusal):
            return self._refused(prepared, {}, [])
        case = prepared
        checks: tuple[Callable[[_Case], Refusal | None], ...] = (
            self._named, self._fails_before, self._passes_after, self._observed, self._necessary, self._neighbours,
            self._mutants, self._suites_hold, self._symptoms,
        )  # fmt: skip
        for check in checks:
            refusal = check(case)
            if refusal is not None:
                return self._refused(refusal, case.findings, case.runs)
        weak = self._trial.reproducer.oracle == Oracle.NO_CRASH
        survivors = case.findings["mutants"][1] - case.findings["mutants"][0]
        said = "proven: it fails before, passes after, each piece is needed, neighbours and suites hold"
        if weak:
            said = "the failure is gone, but nothing says what is right (oracle no_crash): a person has to decide"
        elif survivors:
            said = f"{survivors} simple mutant(s) of the patch pass as well: the proof does not depend on all it says"
        verdict = ValidationVerdict.WEAK if weak or survivors else ValidationVerdict.PROVEN
        return self._validation(verdict, None, said, case.findings, case.runs)

    # --- before anything runs ----------------------------------------------------------------------------------

    def _prepare(self, patch: Patch) -> _Case | Refusal:
        """Blocks and texts of the patch without its tests, and the world in which it is applied."""
        blocks: dict[str, list[Block]] = {}
        old: dict[str, dict[str, str | None]] = {}
        new: dict[str, dict[str, str | None]] = {}
        world = self._base
        aside: list[str] = []
        for repo, diff in patch.diffs.items():
            if repo not in self._bench.layout.commits:
                return Refusal("unknown_repository", f"there is no repository {repo!r} in this project")
            applied = self._apply(repo, diff)
            if isinstance(applied, Refusal):
                return applied
            blocks[repo], old[repo], new[repo], tests = applied
            aside += tests
            if blocks[repo]:
                tree = self._bench.trees.patched(repo, self._base.trees[repo], unified(old[repo], new[repo]))
                if tree is None:
                    return Refusal("does_not_apply", f"the patch does not apply to {repo}")
                world = world.with_tree(repo, tree)
        if not any(blocks.values()):
            return Refusal(
                "no_code_change",
                "without its tests the patch changes nothing: tests in a patch are set aside",
            )
        case = _Case(patch, blocks, old, new, world)
        case.findings["aside"] = aside
        return case

    def _apply(
        self, repo: str, diff: str
    ) -> tuple[list[Block], dict[str, str | None], dict[str, str | None], list[str]] | Refusal:
        try:
            wanted = parse(diff)
        except BadPayload as problem:
            return Refusal("does_not_apply", str(problem))
        broken = constraints.structure(diff, wanted, self._bench.protected)
        if broken is not None:
            return broken
        if not wanted:
            return Refusal("no_code_change", "the patch is empty")
        mirror, commit = self._bench.repositories.get(repo), self._bench.layout.repo(repo).commit
        code, tests = constraints.split_tests(wanted)
        old = {path: mirror.text(commit, path) for path in by_file(code)}
        new: dict[str, str | None] = {}
        try:
            new = {path: compose(old[path], mine) for path, mine in by_file(code).items()}
        except (
            ValueError
        ):  # line numbers a little off: git places the hunks, and the blocks are read off the result
            placed = self._placed(repo, unified_only(diff, set(old)), old)
            if placed is None:
                return Refusal("does_not_apply", f"the patch does not apply to {repo} at {commit[:9]}")
            new = placed
        for path, text in new.items():
            if text is not None and path.endswith(".py") and parse_python(text) is None:
                return Refusal("syntax", f"{path} is not Python any more")
        exact = parse(unified(old, new, context=0)) if new else []
        return exact, old, new, sorted({block.path for block in tests})

    def _placed(self, repo: str, diff: str, old: Mapping[str, str | None]) -> dict[str, str | None] | None:
        tree = self._bench.trees.patched(repo, self._base.trees[repo], diff)
        if tree is None:
            return None
        return {
            path: (tree / path).read_text("utf-8", "surrogateescape") if (tree / path).is_file() else None
            for path in old
        }

    def _named(self, case: _Case) -> Refusal | None:
        for repo in case.new:
            refusal = constraints.before_running(case.old[repo], case.new[repo])
            if refusal is not None:
                return refusal
        return None

    # --- the reproducer ----------------------------------------------------------------------------------------

    def _fails_before(self, case: _Case) -> Refusal | None:
        if self._before is None:
            failed = sum(outcome.status != "ok" for outcome in self._run_test(self._base, self._bench.runs))
            self._before = (failed, self._bench.runs)
        case.findings["fails_before"] = self._before
        self._note(case, "reproducer on the base", f"fails {self._before[0]} of {self._before[1]}")
        if self._before[0] < self._before[1]:
            return Refusal(
                "not_deterministic", f"the reproducer fails only {self._before[0]} of {self._before[1]} times"
            )
        return None

    def _passes_after(self, case: _Case) -> Refusal | None:
        first = self._run_test(case.world, 1, cold=True)[0]
        if first.status != "ok":
            case.findings["passes_after"] = (0, 1)
            self._note(case, "reproducer on the patch", "fails")
            return Refusal("oracle", f"the reproducer still fails: {self._told(first)}")
        outcomes = self._run_test(case.world, self._bench.runs)
        passed = sum(outcome.status == "ok" for outcome in outcomes)
        case.findings["passes_after"] = (passed, len(outcomes))
        case.findings["flake_bound"] = round(miss_bound(len(outcomes), len(outcomes) - passed), 5)
        self._note(case, "reproducer on the patch", f"passes {passed} of {len(outcomes)}")
        if passed < len(outcomes):
            worst = next(outcome for outcome in outcomes if outcome.status != "ok")
            return Refusal(
                "oracle", f"the reproducer passes only {passed} of {len(outcomes)} times: {self._told(worst)}"
            )
        return None

    def _run_test(self, world: World, times: int, *, cold: bool = False) -> list[Outcome]:
        with self._bench.runner(world) as runner:
            return runner.run(
                self._test, self._test_name, times=times, watch=False,
                preload=() if cold else self._trial.recipe.preload,
            )  # fmt: skip

    def _told(self, outcome: Outcome) -> str:
        if outcome.exception is None:
            return {"died": "the process ended without an answer", "timeout": "it does not end"}.get(
                outcome.status, outcome.status
            )
        line = str(outcome.exception.last.get("text", ""))
        message = outcome.exception.message.splitlines()[0][:300] if outcome.exception.message else ""
        where = f" in `{line[:160]}`" if line else ""
        return f"{outcome.exception.type}{where}{': ' + message if message else ''}"

    def _observed(self, case: _Case) -> Refusal | None:
        """The same call under another name, watched: the lines of the patch have to run, and the failure be gone."""
        with self._bench.runner(case.world) as runner:
            outcome = runner.run(call_source(self._trial.recipe), cover=True)[0]
        reading = self._reading(self._trial.recipe, outcome)
        if reading.meaning != Meaning.GOOD:
            self._note(case, "the same call without the test", reading.said)
            return Refusal("oracle", f"called without the test around it, it {reading.said}")
        covered, silent = self._covered(case, outcome)
        case.findings["coverage"] = covered
        self._note(case, "lines of the patch", f"{covered['executed']} of {covered['executable']} executed")
        if silent is not None:
            return Refusal("executed_lines", f"{silent} is not executed by the reproducer")
        return None

    def _covered(self, case: _Case, outcome: Outcome) -> tuple[dict[str, int], str | None]:
        executed = executable = 0
        silent: str | None = None
        for repo, blocks in case.blocks.items():
            for path, mine in by_file(blocks).items():
                text = case.new[repo].get(path)
                if text is None or not path.endswith(".py"):
                    continue
                ran = set(outcome.lines.get(f"{SOURCES}/{repo}/{path}", ()))
                statements = _statements(text)
                for first, last in _added(mine):
                    spans = [s for s in statements if s[0] <= last and s[1] >= first]
                    hit = [s for s in spans if ran & set(range(s[0], s[1] + 1))]
                    executable += len(spans)
                    executed += len(hit)
                    if spans and not hit:
                        silent = silent or f"{path}:{first}"
        return {"executable": executable, "executed": executed}, silent

    # --- is each piece needed ----------------------------------------------------------------------------------

    def _necessary(self, case: _Case) -> Refusal | None:
        pieces = [(repo, block) for repo, blocks in case.blocks.items() for block in blocks]
        needed, spare = 0, None
        counted = 0
        for repo, block in pieces:
            world = self._left_out(case, repo, block) if len(pieces) > 1 else self._base
            if world is None:
                continue  # it changes no code: a comment, a docstring, prose
            counted += 1
            outcome = self._run_test(world, 1, cold=True)[0]
            if outcome.status == "ok":
                spare = spare or f"{block.path}:{block.start}"
            else:
                needed += 1
        case.findings["hunks_necessary"] = (needed, counted)
        self._note(case, "each piece left out", f"{needed} of {counted} needed")
        if spare is not None:
            return Refusal(
                "necessity", f"the piece at {spare} is not needed: the reproducer passes without it"
            )
        return None

    def _left_out(self, case: _Case, repo: str, block: Block) -> World | None:
        rest = [other for other in case.blocks[repo] if other.path == block.path and other is not block]
        text = compose(case.old[repo][block.path], rest) if rest else case.old[repo][block.path]
        if _same_code(block.path, text, case.new[repo][block.path]):
            return None
        texts = {**case.new[repo], block.path: text}
        diff = unified(case.old[repo], texts)
        if not diff:
            return case.world.with_tree(repo, self._base.trees[repo])
        tree = self._bench.trees.patched(repo, self._base.trees[repo], diff)
        return case.world.with_tree(repo, tree) if tree else None

    # --- the family of the input -------------------------------------------------------------------------------

    def _neighbours(self, case: _Case) -> Refusal | None:
        family = self._base_family()
        after = self._answers(case.world, [recipe for recipe, _, _ in family])
        same = fixed = kept = 0
        bad: str | None = None
        for (recipe, before, parent), reading in zip(family, after, strict=True):
            wrong = _compare(before, parent, reading)
            if before.meaning == Meaning.SAME:
                same += 1
                fixed += wrong is None
            elif before.meaning == Meaning.GOOD:
                kept += wrong is None
            if wrong is not None and bad is None:
                bad = f"{wrong} for {_shown(recipe)}"
        case.findings["neighbours"] = {
            "tried": len(family),
            "failed_before": same,
            "right_after": fixed,
            "unchanged": kept,
        }
        self._note(case, "neighbours of the input", json.dumps(case.findings["neighbours"], sort_keys=True))
        return Refusal("neighbours", bad) if bad is not None else None

    def _base_family(self) -> list[tuple[Recipe, Reading, Reading | None]]:
        if self._family is None:
            recipes = neighbours(self._trial.recipe)
            before = self._answers(self._base, recipes)
            again = self._answers(self._base, recipes)
            parents: Sequence[Reading | None] = [None] * len(recipes)
            if self._trial.parents is not None:
                parents = self._answers(self._trial.parents, recipes)
            self._family = [
                (recipe, b, p) for recipe, b, a, p in zip(recipes, before, again, parents, strict=True)
                if (b.meaning, b.expected) == (a.meaning, a.expected)  # what differs by itself says nothing
            ]  # fmt: skip
        return self._family

    def _answers(self, world: World, recipes: Sequence[Recipe]) -> list[Reading]:
        with self._bench.runner(world) as runner:
            return [
                self._reading(recipe, runner.run(call_source(recipe), preload=recipe.preload)[0])
                for recipe in recipes
            ]

    def _reading(self, recipe: Recipe, outcome: Outcome) -> Reading:
        return read(recipe, self._trial.signature, outcome, self._trial.modules)

    # --- mutants, suites, symptoms -----------------------------------------------------------------------------

    def _mutants(self, case: _Case) -> Refusal | None:
        tried = died = 0
        family = self._base_family()
        reference = self._answers(case.world, [recipe for recipe, _, _ in family])
        for repo, blocks in case.blocks.items():
            added = {path: _lines(mine) for path, mine in by_file(blocks).items()}
            for path, _, text in mutants_of(case.old[repo], case.new[repo], added):
                diff = unified(case.old[repo], {**case.new[repo], path: text})
                tree = self._bench.trees.patched(repo, self._base.trees[repo], diff)
                if tree is None:
                    continue
                tried += 1
                died += self._notices(case.world.with_tree(repo, tree), family, reference)
        case.findings["mutants"] = (died, tried)
        self._note(case, "mutants of the patch", f"{died} of {tried} died")
        return None

    def _notices(
        self,
        world: World,
        family: Sequence[tuple[Recipe, Reading, Reading | None]],
        reference: Sequence[Reading],
    ) -> bool:
        if self._run_test(world, 1, cold=True)[0].status != "ok":
            return True
        answers = self._answers(world, [recipe for recipe, _, _ in family])
        return any(
            (a.meaning, a.expected) != (r.meaning, r.expected)
            for a, r in zip(answers, reference, strict=True)
        )

    def _suites_hold(self, case: _Case) -> Refusal | None:
        repos = [repo for repo in case.blocks if case.blocks[repo]]
        if self._trial.recipe.repo not in repos:
            repos.append(self._trial.recipe.repo)
        before_all: dict[str, Any] = {}
        after_all: dict[str, Any] = {}
        broken: list[str] = []
        for repo in repos:
            if not self._bench.layout.repo(repo).has_tests:
                before_all[repo] = after_all[repo] = {"collected": 0, "said": "the repository has no tests"}
                continue
            if repo not in self._suites:
                self._suites[repo] = run_suite(self._bench.sandbox, self._base, repo)
            before, after = self._suites[repo], run_suite(self._bench.sandbox, case.world, repo)
            before_all[repo], after_all[repo] = before.summary(), after.summary()
            broken += [f"{repo}: {test}" for test in lost(before, after)]
        case.findings["suite_before"], case.findings["suite_after"] = before_all, after_all
        self._note(case, "suites", f"{len(broken)} tests lost")
        if broken:
            more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
            return Refusal("suite", f"a test that passed fails now: {broken[0]}{more}")
        return None

    def _symptoms(self, case: _Case) -> Refusal | None:
        changed: list[str] = []
        for repo in case.new:
            refusal = constraints.after_running(case.old[repo], case.new[repo])
            if refusal is not None:
                return refusal
            changed += constraints.api_changes(case.old[repo], case.new[repo])
        case.findings["api_diff"] = {"changed": changed}
        return None

    # --- the record --------------------------------------------------------------------------------------------

    def _note(self, case: _Case, what: str, outcome: str) -> None:
        text = json.dumps(
            [case.patch.diffs, self._bench.layout.commits, self._test, what, outcome], sort_keys=True
        )
        digest = hashlib.sha256(text.encode()).hexdigest()
        case.runs.append(
            Run(
                id=f"run-{len(case.runs) + 1}",
                what=what,
                outcome=outcome,
                hash=digest,
                took=round(perf_counter(), 3),
            )
        )

    def _refused(self, refusal: Refusal, findings: dict[str, Any], runs: list[Run]) -> Validation:
        failed = refusal.rule in ("oracle", "suite", "not_deterministic")
        verdict = ValidationVerdict.FAILED if failed else ValidationVerdict.REFUSED
        return self._validation(verdict, refusal.rule, refusal.said, findings, runs)

    def _validation(
        self,
        verdict: ValidationVerdict,
        rule: str | None,
        said: str,
        findings: dict[str, Any],
        runs: list[Run],
    ) -> Validation:
        aside = findings.pop("aside", [])
        notes = [f"tests set aside: {', '.join(aside)}"] if aside else []
        return Validation(
            verdict=verdict, rule=rule, said=said, oracle=self._trial.reproducer.oracle, constraints=tuple(notes),
            sandbox=self._bench.sandbox.name, runs=tuple(runs), **findings,
        )  # fmt: skip


def unified_only(diff: str, paths: set[str]) -> str:
    """The parts of a diff that touch these paths."""
    kept, keep = [], False
    for line in diff.splitlines(keepends=True):
        if line.startswith("diff --git ") or (line.startswith("--- ") and not keep):
            keep = any(
                f"/{path}\n" in line + "\n" or f"/{path} " in line or f"/{path}\t" in line for path in paths
            )
        if keep:
            kept.append(line)
    return "".join(kept)


def _compare(before: Reading, parent: Reading | None, after: Reading) -> str | None:
    """What is wrong with the patched answer to a neighbour, or None."""
    if before.meaning == Meaning.GOOD:
        if after.meaning != Meaning.GOOD:
            return f"a neighbour that worked now {after.said}"
        return None if before.expected == after.expected else "a neighbour's answer has changed"
    if before.meaning != Meaning.SAME:
        return None
    if after.meaning == Meaning.SAME:
        return "a neighbour still fails the same way"
    if after.meaning != Meaning.GOOD:
        return f"a neighbour now {after.said}" if parent is None or parent.meaning == Meaning.GOOD else None
    if parent is not None and parent.meaning == Meaning.GOOD and not keeps(parent.expected, after.expected):
        return "a neighbour's answer is not what it was before the change"
    return None


def keeps(expected: Any, actual: Any) -> bool:
    """The assertion of the written tests, on snapshots: all of `expected` is in `actual`, which may say more."""
    if expected is None:
        return True
    if isinstance(expected, dict) and not any(key.startswith("$") for key in expected):
        return isinstance(actual, dict) and all(
            k in actual and keeps(v, actual[k]) if v is not None else k in actual for k, v in expected.items()
        )
    if isinstance(expected, dict) and "$tuple" in expected:
        return isinstance(actual, dict) and keeps(expected["$tuple"], actual.get("$tuple"))
    if isinstance(expected, list):
        return isinstance(actual, list) and len(actual) == len(expected) and all(map(keeps, expected, actual))
    return type(actual) is type(expected) and actual == expected


def _shown(recipe: Recipe) -> str:
    text = json.dumps(
        {k: v for k, v in recipe.inputs.items() if k not in ("headers",)}, ensure_ascii=False, default=str
    )
    return text[:160]


def _statements(text: str) -> list[tuple[int, int]]:
    """First and last line of each simple statement and each compound statement's head: what can be seen to run."""
    tree = parse_python(text)
    spans = []
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.stmt) and not _is_docstring(node):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno or node.lineno
            spans.append((node.lineno, max(node.lineno, last)))
    return spans


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _added(blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """Line ranges (in the new text) that blocks of one file wrote."""
    spans, offset = [], 0
    for block in sorted(blocks, key=lambda block: block.start):
        start = block.start + offset
        if block.new:
            spans.append((start, start + len(block.new) - 1))
        offset += len(block.new) - len(block.old)
    return spans


def _lines(blocks: Sequence[Block]) -> set[int]:
    return {line for first, last in _added(blocks) for line in range(first, last + 1)}


def _same_code(path: str, one: str | None, other: str | None) -> bool:
    """Whether two texts differ only in comments, docstrings, blank lines, or are no code at all."""
    if not path.endswith((".py", ".pyi")):
        return path.rpartition(".")[2] in ("md", "rst", "txt", "adoc")
    trees = [parse_python(text or "") for text in (one, other)]
    if trees[0] is None or trees[1] is None:
        return False
    return _without_docstrings(trees[0]) == _without_docstrings(trees[1])


def _without_docstrings(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.stmt) and _is_docstring(body[0]):
            node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.dump(tree)

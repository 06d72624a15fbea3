"""The one place where a patch is judged. Code grades: a verdict is what runs have shown, and each run has a
hash.

The reproducer is fixed beforehand; tests, conftest and configuration come from the base commit; results come
over a channel with a nonce, and answers are compared here, not by the code that gives them. The order: what
the diff may touch, what is refused by name, then execution (oracle, executed lines, surroundings, necessity,
neighbours, mutants, the tests that reach the patch), then what works but hides the error; the whole suite last, for it
takes the longest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from fixloop.bench import Bench
from fixloop.blocks import by_file, unified
from fixloop.flake import COLD, miss_bound
from fixloop.judging import constraints, upgrade
from fixloop.judging.applied import Case, left_out, prepare
from fixloop.judging.compare import fault, keeps
from fixloop.judging.complaints import Complaints, complaints, new_complaint
from fixloop.judging.constraints import Refusal
from fixloop.judging.covered import added, added_lines, statements
from fixloop.judging.mutants import mutants_of
from fixloop.judging.regressions import Regressions
from fixloop.judging.witness import Trial, Witness
from fixloop.oracle import Meaning
from fixloop.reproduce.recipe import Recipe
from fixloop.running.runner import Outcome
from fixloop.running.worlds import SOURCES, World
from store.errors import BudgetSpent
from store.repair import AFFECTED, SUITE, Oracle, Patch, Run, Validation, ValidationVerdict

__all__ = ["Judge", "Trial"]

TELLING = 4  # characters from which on a text of the input says which input it was
_SPARE = re.compile(r"the piece at (.+):(\d+) is not needed: ")
REPORTED = 30  # neighbours of the input that the differential report lists


class Judge:
    """Judges patches of one incident. What does not depend on the patch is run once."""

    def __init__(self, bench: Bench, trial: Trial) -> None:
        self._bench, self._trial = bench, trial
        self._witness = Witness(bench, trial)
        self._base = self._witness.base
        self._regressions = Regressions(bench, self._base)
        self._tools: dict[tuple[str, str], Complaints] = {}
        self._before: tuple[int, int] | None = None

    def judge(self, patch: Patch) -> Validation:
        """The verdict on a patch, with everything that was checked on the way. Never raises for what it
        does."""
        if patch.upgrade is not None:
            case = upgrade.prepare(self._bench, self._base, patch, patch.upgrade)
        else:
            case = prepare(self._bench, self._base, patch)
        if isinstance(case, Refusal):
            return self._refused(case, {}, [])
        try:
            return self._check(case)
        finally:
            self._witness.close()

    def _check(self, case: Case) -> Validation:
        run: tuple[Callable[[Case], Refusal | None], ...] = (
            self._fails_before, self._passes_after, self._observed, self._unrecognised,
        )  # fmt: skip
        if case.patch.upgrade is None:
            proven = (self._named, *run, self._necessary, self._neighbours, self._mutants)
            checks = (*proven, self._affected_hold, self._tools_hold, self._symptoms, self._suites_hold)
        else:  # nobody's code changes, and the one piece that does is needed: without it is the base
            checks = (*run, self._neighbours, self._tools_hold, self._suites_hold)
        for check in checks:
            refusal = check(case)
            if refusal is not None:
                return self._refused(refusal, case.findings, case.runs)
        doubt = self._doubt(case)
        said = doubt or (
            "proven: it fails before, passes after, each piece is needed, neighbours and suites hold"
            if case.patch.upgrade is None
            else "proven: it fails in the one environment, passes in the other, neighbours and suites hold"
        )
        verdict = ValidationVerdict.WEAK if doubt else ValidationVerdict.PROVEN
        return self._validation(verdict, None, said, case.findings, case.runs)

    def _doubt(self, case: Case) -> str | None:
        """Why a patch that holds is not proven all the same."""
        if self._trial.reproducer.oracle == Oracle.NO_CRASH:
            unknown = "nothing says what is right (oracle no_crash): a person has to decide"
            return f"the failure is gone, but {unknown}"
        if case.unfinished:
            return case.unfinished
        died, tried = case.findings.get("mutants", (0, 0))
        survivors = tried - died
        if survivors:
            loose = "the proof does not depend on all it says"
            return f"{survivors} simple mutant(s) of the patch pass as well: {loose}"
        if case.silent:
            return f"nothing that was run executes {case.silent[0]}: the proof says nothing of it"
        return None

    def _named(self, case: Case) -> Refusal | None:
        for repo in case.new:
            refusal = constraints.before_running(case.old[repo], case.new[repo])
            if refusal is not None:
                return refusal
        return None

    # --- the reproducer -------------------------------------------------------------------------------------

    def _fails_before(self, case: Case) -> Refusal | None:
        if self._before is None:
            # The scan that came with the reproducer was on this very base; what is left is to see it once more.
            known = self._trial.reproducer
            scanned = known.runs >= self._bench.runs
            outcomes = self._witness.test(self._base, 1 if scanned else self._bench.runs, warm=not scanned)
            failed = sum(outcome.status != "ok" for outcome in outcomes)
            if scanned:
                self._before = (known.failures, known.runs + (1 - failed))
            else:
                self._before = (failed, len(outcomes))
        case.findings["fails_before"] = self._before
        failed, runs = self._before
        self._note(case, "reproducer on the base", f"fails {failed} of {runs}")
        if failed < runs:
            return Refusal("not_deterministic", f"the reproducer fails only {failed} of {runs} times")
        return None

    def _passes_after(self, case: Case) -> Refusal | None:
        outcomes = self._witness.test(case.world)
        if outcomes[0].status == "ok":
            outcomes += self._witness.test(case.world, COLD - 1)
        if all(outcome.status == "ok" for outcome in outcomes):
            outcomes = self._witness.test(case.world, self._bench.runs, warm=True)
        passed = sum(outcome.status == "ok" for outcome in outcomes)
        case.findings["passes_after"] = (passed, len(outcomes))
        case.findings["flake_bound"] = round(miss_bound(len(outcomes), len(outcomes) - passed), 5)
        self._note(case, "reproducer on the patch", f"passes {passed} of {len(outcomes)}")
        if passed == len(outcomes):
            return None
        worst = next(outcome for outcome in outcomes if outcome.status != "ok")
        if worst.status == "timeout":
            self._bench.budget.check()  # what ended may be the attempt's seconds, and not the patch's call
        times = "still fails" if not passed else f"passes only {passed} of {len(outcomes)} times"
        return Refusal("oracle", f"the reproducer {times}: {_shown_outcome(worst)}")

    def _observed(self, case: Case) -> Refusal | None:
        """The same call without the test: its value is compared here, and the patch's lines have to run."""
        recipe, witness = self._trial.recipe, self._witness
        outcome = witness.calls(case.world, [recipe], cover=True)[0]
        refusal = self._right(
            case, recipe, outcome, self._trial.expected, "called without the test around it"
        )
        if refusal is not None:
            return refusal
        _merge(case, outcome)
        executed, executable, silent, _ = _covered(case)
        self._note(case, "lines of the patch", f"{executed} of {executable} executed")
        if silent:
            return Refusal("executed_lines", f"{silent[0]} is not executed by the reproducer")
        repeated, parent = witness.again()
        expected = parent.expected if parent is not None and parent.meaning == Meaning.GOOD else None
        outcome = witness.calls(case.world, [repeated])[0]
        return self._right(
            case, repeated, outcome, expected, f"called {repeated.repeat} times in one process"
        )

    def _right(self, case: Case, recipe: Recipe, outcome: Outcome, expected: Any, how: str) -> Refusal | None:
        reading = self._witness.read(recipe, outcome, self._witness.failed)
        self._note(case, how, reading.said)
        if reading.meaning != Meaning.GOOD:
            return Refusal("oracle", f"{how}, it {reading.said}")
        if not keeps(expected, reading.expected):
            return Refusal("oracle", f"{how}, it gives another value than the one that is right")
        return None

    def _unrecognised(self, case: Case) -> Refusal | None:
        """The same answer whatever the run looks like from the inside."""
        for name, about in self._witness.surroundings().items():
            outcome = self._witness.calls(case.world, [self._trial.recipe], surroundings=about)[0]
            if self._right(case, self._trial.recipe, outcome, self._trial.expected, name) is not None:
                return Refusal("detects_test", f"{name}, the patched code answers differently")
        return None

    # --- is each piece needed -------------------------------------------------------------------------------

    def _necessary(self, case: Case) -> Refusal | None:
        pieces = [(repo, block) for repo, blocks in case.blocks.items() for block in blocks]
        needed, counted, spare = 0, 0, None
        for repo, block in pieces:
            world = left_out(self._bench, self._base, case, repo, block)
            if world is None:
                continue  # it changes no code: a comment, a docstring, prose
            counted += 1
            if self._witness.test(world)[0].status == "ok":
                spare = spare or f"{block.path}:{block.start}"
            else:
                needed += 1
        case.findings["hunks_necessary"] = (needed, counted)
        self._note(case, "each piece left out", f"{needed} of {counted} needed")
        if spare is None:
            return None
        return Refusal("necessity", f"the piece at {spare} is not needed: the reproducer passes without it")

    # --- the family of the input ----------------------------------------------------------------------------

    def _neighbours(self, case: Case) -> Refusal | None:
        family = self._witness.family()
        outcomes = self._witness.calls(case.world, [one.recipe for one in family], cover=True)
        same = fixed = kept = 0
        bad: str | None = None
        report: list[dict[str, str]] = []
        for one, outcome in zip(family, outcomes, strict=True):
            _merge(case, outcome)
            reading = self._witness.read(one.recipe, outcome, one.failed)
            case.answers.append(reading)
            wrong = fault(one.before, one.parent, reading)
            same += one.before.meaning == Meaning.SAME
            fixed += one.before.meaning == Meaning.SAME and wrong is None
            kept += one.before.meaning == Meaning.GOOD and wrong is None
            report.append({"input": _shown(one.recipe), "before": one.before.said, "after": reading.said})
            if wrong is not None and bad is None:
                bad = f"{wrong} for {_shown(one.recipe)}"
        orders = [at for at, one in enumerate(family) if one.recipe.schedule != self._trial.recipe.schedule]
        held = sum(case.answers[at].meaning == Meaning.GOOD for at in orders)
        case.findings["schedules"] = (held, len(orders))
        case.findings["neighbours"] = {
            "tried": len(family), "failed_before": same, "right_after": fixed, "unchanged": kept,
        }  # fmt: skip
        self._note(case, "neighbours of the input", json.dumps(case.findings["neighbours"], sort_keys=True))
        case.findings["neighbours"]["report"] = report[:REPORTED]
        _state_coverage(case)
        return Refusal("neighbours", bad) if bad is not None else None

    # --- mutants, suites, symptoms --------------------------------------------------------------------------

    def _mutants(self, case: Case) -> Refusal | None:
        tried = died = 0
        for repo, blocks in case.blocks.items():
            wrote = {path: added_lines(mine) for path, mine in by_file(blocks).items()}
            for path, _, text in mutants_of(case.new[repo], wrote):
                diff = unified(case.old[repo], {**case.new[repo], path: text})
                tree = self._bench.trees.patched(repo, self._base.trees[repo], diff)
                if tree is None:
                    continue
                tried += 1
                died += self._notices(case, case.world.with_tree(repo, tree))
        case.findings["mutants"] = (died, tried)
        self._note(case, "mutants of the patch", f"{died} of {tried} died")
        return None

    def _notices(self, case: Case, world: World) -> bool:
        """Whether the reproducer or the family tells a mutant from the patch."""
        if self._witness.test(world)[0].status != "ok":
            return True
        family = self._witness.family()
        outcomes = self._witness.calls(world, [one.recipe for one in family])
        for one, outcome, wanted in zip(family, outcomes, case.answers, strict=True):
            reading = self._witness.read(one.recipe, outcome, one.failed)
            if (reading.meaning, reading.expected) != (wanted.meaning, wanted.expected):
                return True
        return False

    def _affected_hold(self, case: Case) -> Refusal | None:
        refusal = self._tests_hold(case, AFFECTED, self._regressions.first)
        _state_coverage(case)  # the team's own tests may have run what the reproducer does not
        return refusal

    def _suites_hold(self, case: Case) -> Refusal | None:
        return self._tests_hold(case, SUITE, self._regressions.whole)

    def _tests_hold(
        self, case: Case, what: str, run: Callable[[Case, str], tuple[Refusal | None, str]]
    ) -> Refusal | None:
        repos = self._changed(case)
        if self._trial.recipe.repo not in repos:
            repos.append(self._trial.recipe.repo)
        for repo in repos:
            try:
                refusal, said = run(case, repo)
            except BudgetSpent as over:
                case.unfinished = f"everything else holds, but {over}, before {what} {repo} had ended"
                return None
            self._note(case, f"{what} {repo}", refusal.said if refusal else said)
            if refusal is not None:
                return refusal
        return None

    def _changed(self, case: Case) -> list[str]:
        """The repositories in which something is different: with another environment, all of them."""
        return [repo for repo, blocks in case.blocks.items() if blocks or case.patch.upgrade is not None]

    def _tools_hold(self, case: Case) -> Refusal | None:
        for name in ("lint", "types", "security"):
            for repo in self._changed(case):
                command = getattr(self._bench.layout.repo(repo), name)
                if command is None:
                    continue
                if (name, repo) not in self._tools:
                    self._tools[name, repo] = complaints(self._bench.sandbox, self._base, repo, command)
                before, after = (
                    self._tools[name, repo],
                    complaints(self._bench.sandbox, case.world, repo, command),
                )
                found = new_complaint(before, after)
                said = {
                    "command": command,
                    "before": before.summary(),
                    "after": after.summary(),
                    "new": found,
                }
                case.findings.setdefault(name, {})[repo] = said
                self._note(case, f"{name} of {repo}", found or after.said or "nothing new")
                if found is not None:
                    return Refusal(name, f"`{command}` has a new complaint in {repo}: {found}")
        return None

    def _symptoms(self, case: Case) -> Refusal | None:
        changed: list[str] = []
        told = _texts(self._trial.recipe.inputs) - set(self._witness.spoken())
        for repo in case.new:
            refusal = constraints.after_running(case.old[repo], case.new[repo])
            refusal = refusal or constraints.of_one_event(case.old[repo], case.new[repo], told)
            if refusal is not None:
                return refusal
            changed += constraints.api_changes(case.old[repo], case.new[repo])
        case.findings["api_diff"] = {"changed": changed}
        return None

    # --- the record -----------------------------------------------------------------------------------------

    def _note(self, case: Case, what: str, outcome: str) -> None:
        """Keep a run: its hash covers the patch, the commits, the test and the outcome; `took` is in
        seconds."""
        parts = [case.patch.diffs, self._bench.layout.commits, self._trial.reproducer.source, what, outcome]
        if case.patch.upgrade is not None:
            parts.append(case.patch.upgrade.model_dump(mode="json"))
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        number = len(case.runs) + 1
        case.runs.append(Run(id=f"run-{number}", what=what, outcome=outcome, hash=digest, took=case.lap()))

    def _refused(self, refusal: Refusal, findings: dict[str, Any], runs: list[Run]) -> Validation:
        failed = refusal.rule in ("oracle", "suite", "not_deterministic", "lint", "types", "security")
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
            verdict=verdict,
            rule=rule,
            said=said,
            oracle=self._trial.reproducer.oracle,
            constraints=tuple(notes),
            sandbox=self._bench.sandbox.name,
            runs=tuple(runs),
            **findings,
        )


def spare_piece(validation: Validation) -> tuple[str, int] | None:
    """Path and line of the piece that was refused because nothing depends on it."""
    told = _SPARE.match(validation.said) if validation.rule == "necessity" else None
    return (told[1], int(told[2])) if told is not None else None


def _texts(value: Any) -> set[str]:
    """The texts of an input that could tell it from others: values, never names."""
    if isinstance(value, str):
        return {value} if len(value) >= TELLING else set()
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {text for item in items for text in _texts(item)}


def _merge(case: Case, outcome: Outcome) -> None:
    for path, lines in outcome.lines.items():
        case.lines.setdefault(path, set()).update(lines)


def _state_coverage(case: Case) -> None:
    executed, executable, _, case.silent = _covered(case)
    missed = case.silent[:20]
    case.findings["coverage"] = {"executable": executable, "executed": executed, "missed": missed}


def _covered(case: Case) -> tuple[int, int, list[str], list[str]]:
    """(statements of the patch that ran, all of them, pieces of which nothing ran, statements that did not
    run)."""
    executed = executable = 0
    silent: list[str] = []
    missed: list[str] = []
    for repo, blocks in case.blocks.items():
        for path, mine in by_file(blocks).items():
            text = case.new[repo].get(path)
            if text is None or not path.endswith(".py"):
                continue
            ran = case.lines.get(f"{SOURCES}/{repo}/{path}", set())
            every = statements(text)
            for first, last in added(mine):
                spans = [span for span in every if span[0] <= last and span[1] >= first]
                hit = [span for span in spans if ran & set(range(span[0], span[1] + 1))]
                executable += len(spans)
                executed += len(hit)
                missed += [f"{path}:{span[0]}" for span in spans if span not in hit]
                if spans and not hit:
                    silent.append(f"{path}:{first}")
    return executed, executable, silent, missed


def _shown_outcome(outcome: Outcome) -> str:
    silent = {"died": "the process ended without an answer", "timeout": "it does not end"}
    if outcome.exception is None:
        return silent.get(outcome.status, outcome.status)
    line = str(outcome.exception.last.get("text", ""))
    message = outcome.exception.message.splitlines()[0][:300] if outcome.exception.message else ""
    where = f" in `{line[:160]}`" if line else ""
    return f"{outcome.exception.type}{where}{': ' + message if message else ''}"


def _shown(recipe: Recipe) -> str:
    inputs = {key: value for key, value in recipe.inputs.items() if key != "headers"}
    return json.dumps(inputs, ensure_ascii=False, default=str)[:160]

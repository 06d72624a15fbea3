"""The readable path: incident -> reproducer -> cause -> patch -> proof. Each step says what it found.

    gather -> reproduce -> rank the changes -> prove the cause -> minimise -> write the test, scan it -> propose
    -> judge

An outcome is a value: "not reproduced", "undetermined" and "needs a decision" are results, and the attempt says which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any

from fixloop.bench import Bench
from fixloop.conclude import choose, hypotheses_of, proof_of
from fixloop.contract import contradicted
from fixloop.fixers import FixCase, Fixer
from fixloop.fixers.revert import RevertFixer
from fixloop.fixers.rules import RuleFixer
from fixloop.judge import Judge, Trial
from fixloop.oracle import Meaning, read
from fixloop.prove import Prover, Search
from fixloop.ranking import missing_names, rank
from fixloop.reproduce.ladder import Reproduction, climb
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.write import call_source
from fixloop.reproduce.writing import minimal, write_reproducer
from fixloop.situation import ReleaseSources, Situation
from fixloop.worlds import World
from store.errors import BudgetSpent, NightdeskError
from store.event import Event
from store.incident import Step
from store.repair import Attempt, ChangeVerdict, Ended, Patch, Reproducer, ValidationVerdict

FIXERS: tuple[Fixer, ...] = (RuleFixer(), RevertFixer())


@dataclass
class Findings:
    """What a repair knows so far."""

    situation: Situation
    reproduction: Reproduction | None = None
    search: Search | None = None
    reproducer: Reproducer | None = None
    trial: Trial | None = None


class _End(Exception):
    """The attempt has its result."""

    def __init__(self, ended: Ended, said: str, **details: Any) -> None:
        super().__init__(said)
        self.ended, self.said, self.details = ended, said, details


class Repair:
    """One attempt. `note` is called as each step lands; `finished` holds what a person reads."""

    def __init__(
        self,
        attempt: Attempt,
        events: Sequence[Event],
        sources: ReleaseSources,
        bench: Bench,
        note: Callable[[Step], None] = lambda step: None,
    ) -> None:
        self._bench, self._note = bench, note
        self._steps: list[Step] = []
        self._record: dict[str, Any] = {}
        self._attempt = attempt
        self._found = Findings(Situation(events, sources, bench.layout))

    def run(self, *, fixers: Sequence[Fixer] = FIXERS) -> Attempt:
        """All steps, to the end or to the first result that stops it."""
        try:
            for name, step in (
                ("gather", self._gather), ("reproduce", self._reproduce), ("causes", self._causes),
                ("minimise", self._minimise),
            ):  # fmt: skip
                self._step(name, step)
            self._step("repair", lambda: self._repair(fixers))
            ended, said = Ended.NEEDS_DECISION, "no fix was proven"
        except _End as end:
            ended, said = end.ended, end.said
        except BudgetSpent as spent:
            ended, said = Ended.OVER_BUDGET, str(spent)
        return self._finish(ended, said)

    def until(self, last: str) -> Attempt:
        """The steps up to `last` ("reproduce", "causes" or "minimise"): for the commands that want only that much."""
        steps = {
            "gather": self._gather,
            "reproduce": self._reproduce,
            "causes": self._causes,
            "minimise": self._minimise,
        }
        ended, said = Ended.UNDETERMINED, ""
        try:
            for name, step in steps.items():
                self._step(name, step)
                if name == last:
                    break
        except _End as end:
            ended, said = end.ended, end.said
        except BudgetSpent as spent:
            ended, said = Ended.OVER_BUDGET, str(spent)
        return self._finish(ended, said)

    @property
    def trial(self) -> Trial | None:
        """What a patch can be judged against, once the reproducer is written."""
        return self._found.trial

    def _finish(self, ended: Ended, said: str) -> Attempt:
        changes = tuple(self._found.search.changes) if self._found.search else ()
        return self._attempt.model_copy(
            update={
                "finished_at": self._bench.now(), "ended": ended, "said": said, "steps": tuple(self._steps),
                "changes": changes, "reproducer": self._found.reproducer,
                "hypotheses": hypotheses_of(self._found.search), **self._record,
            }
        )  # fmt: skip

    def _step(self, name: str, do: Callable[[], tuple[str, dict[str, Any]]]) -> None:
        started, clock = self._bench.now(), perf_counter()
        try:
            said, details = do()
        except _End as end:
            self._keep(name, started, clock, end.said, {"ended": end.ended, **end.details})
            raise
        except NightdeskError as problem:
            self._keep(name, started, clock, str(problem), {})
            if isinstance(problem, BudgetSpent):
                raise
            raise _End(Ended.NOT_RUNNABLE, str(problem)) from problem
        self._keep(name, started, clock, said, details)

    def _keep(self, name: str, started: datetime, clock: float, said: str, details: dict[str, Any]) -> None:
        step = Step(
            name=name, started_at=started, took=round(perf_counter() - clock, 3), said=said, details=details
        )
        self._steps.append(step)
        self._note(step)

    # --- steps -------------------------------------------------------------------------------------------------

    def _gather(self) -> tuple[str, dict[str, Any]]:
        situation = self._found.situation
        if not situation.events:
            raise _End(Ended.NOT_REPRODUCED, "no event's body was kept")
        own = situation.first.own
        if not any(sighting.signature for sighting in situation.sightings):
            raise _End(Ended.NOT_REPRODUCED, "the events carry no exception: there is nothing to run again")
        places = [f"{f.location.repo}:{f.location.path}:{f.location.line} {f.frame.function}" for f in own]
        said = f"{len(situation.events)} event(s), {len(own)} frame(s) in the team's code"
        return said, {"frames": places[-20:], "commits": self._bench.layout.commits}

    def _reproduce(self) -> tuple[str, dict[str, Any]]:
        with self._bench.runner(self._bench.world()) as runner:
            found, told = climb(self._found.situation, runner)
            if found is None:
                said = "; ".join(told.tried[:4]) or "nothing to try"
                raise _End(Ended.NOT_REPRODUCED, f"not reproduced: {said}", tried=told.tried[:20])
            source = call_source(found.recipe)
            outcomes = runner.run(source, times=20, preload=found.recipe.preload)
            hits = sum(found.signature.matches(outcome) for outcome in outcomes)
            if hits < len(outcomes):
                raise _End(
                    Ended.NOT_REPRODUCED, f"it fails only {hits} of {len(outcomes)} times: not deterministic"
                )
        self._found.reproduction = found
        how = (
            "the application's HTTP entry"
            if found.recipe.entry == "http"
            else f"{found.recipe.target['qualname']}()"
        )
        return f"fails the same way through {how}, {hits} of {hits} times", {
            "entry": found.recipe.entry, "guessed": found.recipe.guessed, "tried": told.tried[:20],
        }  # fmt: skip

    def _causes(self) -> tuple[str, dict[str, Any]]:
        assert self._found.reproduction is not None  # noqa: S101 - the step before has ended otherwise
        candidates = rank(self._found.situation, self._bench.repositories, self._bench.exposed)
        self._found.search = Prover(self._found.situation, self._found.reproduction, self._bench).search(
            candidates
        )
        search = self._found.search
        details = {"candidates": len(candidates), "runs": search.runs}
        if search.cause is not None:
            change = search.cause.change
            return (
                f"{change.verdict}: {change.repo} {change.commit[:9]} {change.title}: {change.said}",
                details,
            )
        first = search.changes[0] if search.changes else None
        verdict = f"; {first.commit[:9]} is {first.verdict}: {first.said}" if first and first.said else ""
        return f"no change was proven to be the cause{verdict}", details

    def _minimise(self) -> tuple[str, dict[str, Any]]:
        found = self._found
        assert found.reproduction is not None  # noqa: S101
        cause = found.search.cause if found.search else None
        if cause is not None and cause.change.verdict != ChangeVerdict.PROVEN:
            cause = None  # a flip alone does not say what is right
        parents = self._bench.at(cause.change.repo, cause.parent) if cause else None
        recipe = minimal(found.reproduction, self._bench, parents, frozenset(found.situation.modules))
        expected = cause.expected if cause else None
        if cause is not None and parents is not None and recipe != found.reproduction.recipe:
            with self._bench.runner(parents) as runner:
                outcome = runner.run(call_source(recipe))[0]
            reading = read(recipe, found.reproduction.signature, outcome, frozenset(found.situation.modules))
            expected = reading.expected if reading.meaning == Meaning.GOOD else None
        if cause is not None and parents is not None and self._meant_to_change(recipe, parents):
            expected = None
        reproducer = write_reproducer(
            self._attempt.incident_id, found.reproduction, recipe, cause, expected, self._bench
        )
        found.reproducer = reproducer
        found.trial = Trial(
            reproducer=reproducer, recipe=recipe, signature=found.reproduction.signature, expected=expected,
            parents=parents if cause else None, modules=frozenset(found.situation.modules),
        )  # fmt: skip
        if reproducer.failures < reproducer.runs:
            said = f"the test fails only {reproducer.failures} of {reproducer.runs} times: quarantined"
            raise _End(Ended.NOT_REPRODUCED, said)
        said = (
            f"a test that fails {reproducer.failures} of {reproducer.runs} times, oracle {reproducer.oracle}"
        )
        return said, {"size_before": reproducer.size_before, "size_after": reproducer.size_after}

    def _meant_to_change(self, recipe: Recipe, parents: World) -> bool:
        """Whether the cause changed answers on purpose: then its parent's answer is not what is right now."""
        found = self._found
        assert found.reproduction is not None  # noqa: S101
        with self._bench.runner(self._bench.world()) as release, self._bench.runner(parents) as before:
            return contradicted(
                recipe, found.reproduction.signature, missing_names(found.situation), release, before,
                frozenset(found.situation.modules),
            )  # fmt: skip

    def _repair(self, fixers: Sequence[Fixer]) -> tuple[str, dict[str, Any]]:
        found = self._found
        assert found.reproduction is not None and found.trial is not None and found.search is not None  # noqa: S101, PT018
        case = FixCase(found.situation, found.reproduction, found.search.cause, self._bench)
        judge = Judge(self._bench, found.trial)
        judged: list[tuple[Patch, Any]] = []
        for fixer in fixers:
            for patch in fixer.propose(case):
                self._bench.budget.check()
                judged.append((patch, judge.judge(patch)))
        best = choose(judged)
        self._record["rejected"] = tuple(pair for pair in judged if pair is not best)
        if best is None:
            tried = "; ".join(f"{patch.fixer}: {validation.said}" for patch, validation in judged[:3])
            raise _End(
                Ended.NEEDS_DECISION,
                f"no fix was proven ({tried})" if tried else "no fixer has a policy for this",
            )
        patch, validation = best
        self._record |= {"patch": patch, "validation": validation}
        if validation.verdict != ValidationVerdict.PROVEN:
            raise _End(Ended.NEEDS_DECISION, validation.said)
        proof = proof_of(
            self._attempt.incident_id, patch, found.trial.reproducer, validation, self._bench.now()
        )
        self._record["proof"] = proof
        raise _End(Ended.PROVEN, f"{patch.fixer}: {validation.said}")

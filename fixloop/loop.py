"""The readable path: incident -> reproducer -> cause -> patch -> proof. Each step says what it found.

    gather -> investigate (rank the changes, hypotheses with citations) -> reproduce -> prove the cause -> minimise
    -> write the test, scan it -> propose -> judge

An outcome is a value: "not reproduced", "undetermined" and "needs a decision" are results, and the attempt says which.
Each step takes what is known and gives back what is known then, both plain values: whoever has the last of them can go
on with the next step, in another process or on another day.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Any

from fixloop.bench import Bench
from fixloop.changes.clues import missing_names
from fixloop.changes.ranking import rank
from fixloop.conclude import choose, hypotheses_of, proof_of
from fixloop.contract import contradicted, raised_in
from fixloop.findings import Findings, input_hash
from fixloop.fixers import FixCase, Fixer, Reviser
from fixloop.fixers.moving import moved_to, versions
from fixloop.fixers.revert import RevertFixer
from fixloop.fixers.rules import RuleFixer
from fixloop.fixers.upstream import UpstreamFixer
from fixloop.investigate import Investigator
from fixloop.investigate.checker import Checker
from fixloop.investigate.experiments import before, experiment
from fixloop.investigate.pack import Pack, gather
from fixloop.investigate.patterns import Patterns
from fixloop.investigate.settle import about, by_version, settled, suspected_first, unlisted, untested
from fixloop.investigate.votes import voted
from fixloop.judging.beyond import beyond
from fixloop.judging.judge import Judge, Trial
from fixloop.judging.library_tests import library_tests
from fixloop.oracle import Meaning, read
from fixloop.promised import promised
from fixloop.prove import Cause, Prover, candidate
from fixloop.reproduce.ladder import SECONDS, Reproduction, climb
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.write import assertable, call_source
from fixloop.reproduce.writing import minimal, write_reproducer
from fixloop.running.worlds import World
from fixloop.situation import ReleaseSources, Situation
from fixloop.stated import Stated, stated
from store.errors import BudgetSpent, NightdeskError
from store.event import Event
from store.incident import Step
from store.repair import (
    Attempt,
    CandidateChange,
    ChangeVerdict,
    Ended,
    Hypothesis,
    Oracle,
    Patch,
    Validation,
    ValidationVerdict,
)

log = logging.getLogger("nightdesk.repair")

STEPS = ("gather", "investigate", "reproduce", "causes", "minimise", "repair")
RUNNABLE = frozenset({"python", "other", ""})  # platforms of events; "other" is not said
FIXERS: tuple[Fixer, ...] = (RuleFixer(), RevertFixer(), UpstreamFixer())
INVESTIGATORS: tuple[Investigator, ...] = (Patterns(),)
NAMED = 0.01  # the score of a change that a hypothesis names and the ranking does not list
TESTED = 3  # hypotheses about changes that the search has not run, and that are run all the same

Landed = tuple[Findings, str, dict[str, Any]]  # what is known now, what happened in one sentence, details


class _End(Exception):
    """The attempt has its result. `found` is what is known, where the step has found something all the same."""

    def __init__(self, ended: Ended, said: str, found: Findings | None = None, **details: Any) -> None:
        super().__init__(said)
        self.ended, self.said, self.found, self.details = ended, said, found, details


class Repair:
    """One attempt. `note` is called as each step lands."""

    def __init__(
        self,
        attempt: Attempt,
        events: Sequence[Event],
        sources: ReleaseSources,
        bench: Bench,
        note: Callable[[Step], None] = lambda step: None,
        fixers: Sequence[Fixer] = FIXERS,
        investigators: Sequence[Investigator] = INVESTIGATORS,
    ) -> None:
        self._attempt, self._bench, self._note, self._fixers = attempt, bench, note, fixers
        self._investigators = investigators
        self._situation = Situation(events, sources, bench.layout)
        self._steps: list[Step] = []
        self._known = Findings()

    def run(self) -> Attempt:
        """All steps, to the end or to the first result that stops it."""
        return self.until(STEPS[-1])

    def until(self, last: str) -> Attempt:
        """The steps up to `last` (one of STEPS): for the commands that want only that much."""
        for name in STEPS[: STEPS.index(last) + 1]:
            self._known, step = self.advance(name, self._known)
            self._steps.append(step)
            self._note(step)
            if self._known.ended:
                break
        if not self._known.ended:
            self._known = self._known.model_copy(update={"ended": Ended.UNDETERMINED})
        record = recorded(self._attempt, self._known, self._bench.now())
        return record.model_copy(update={"steps": tuple(self._steps)})

    @property
    def trial(self) -> Trial | None:
        """What a patch can be judged against, once the reproducer is written."""
        return self._known.trial(self._situation, self._bench)

    def advance(self, name: str, known: Findings) -> tuple[Findings, Step]:
        """Do one of STEPS on what is known: what is known then, and its line in the log. A problem that the step
        meets is a result. The same step on the same findings gives the same, however often it is run."""
        started, clock = self._bench.now(), perf_counter()
        steps: dict[str, Callable[[Findings], Landed]] = {
            "gather": self._gather, "investigate": self._investigate, "reproduce": self._reproduce,
            "causes": self._causes, "minimise": self._minimise, "repair": self._repair,
        }  # fmt: skip
        try:
            after, said, details = steps[name](known)
        except _End as end:
            details, said = {"ended": end.ended, **end.details}, end.said
            after = (end.found or known).model_copy(update={"ended": end.ended, "said": said})
        except NightdeskError as problem:
            details, said = {}, str(problem)
            ended = Ended.OVER_BUDGET if isinstance(problem, BudgetSpent) else Ended.NOT_RUNNABLE
            after = known.model_copy(update={"ended": ended, "said": said})
        took = round(perf_counter() - clock, 3)
        details = {**details, "input": input_hash(name, known)}
        step = Step(name=name, started_at=started, took=took, said=said, details=details)
        return after.model_copy(update={"spent": known.spent + took}), step

    # --- steps -------------------------------------------------------------------------------------------------

    def _gather(self, known: Findings) -> Landed:
        situation = self._situation
        if not situation.events:
            raise _End(Ended.NOT_REPRODUCED, "no event's body was kept")
        own = situation.first.own
        platforms = {event.platform for event in situation.events}
        if not own and platforms.isdisjoint(RUNNABLE):
            what = ", ".join(sorted(platforms))
            raise _End(Ended.NOT_REPRODUCED, f"not supported yet: only Python is run again, this is {what}")
        if not any(sighting.signature for sighting in situation.sightings):
            raise _End(Ended.NOT_REPRODUCED, "the events carry no exception: there is nothing to run again")
        places = [f"{f.location.repo}:{f.location.path}:{f.location.line} {f.frame.function}" for f in own]
        said = f"{len(situation.events)} event(s), {len(own)} frame(s) in the team's code"
        return known, said, {"frames": places[-20:], "commits": self._bench.layout.commits}

    def _investigate(self, known: Findings) -> Landed:
        try:
            ranked = self._ranked()
        except NightdeskError as problem:  # the causes step says it again; a reproducer needs no history
            return known, f"no change can be ranked: {problem}", {}
        pack = gather(self._situation, ranked, self._bench)
        proposed = [one for each in self._investigators for one in _proposed(each, pack)]
        checked = Checker(pack, self._bench.repositories).check(proposed)
        said = f"{len(checked.hypotheses)} hypothesis(es) with citations that hold, {len(ranked)} candidate change(s)"
        after = known.model_copy(update={"candidates": ranked, "hypotheses": checked.hypotheses})
        return after, said, {"pack": pack.counts(), "dropped": checked.dropped[:20]}

    def _reproduce(self, known: Findings) -> Landed:
        with self._bench.runner(self._bench.world()) as runner:
            found, told = climb(
                self._situation,
                runner,
                min(SECONDS, self._bench.budget.left / 2),
                self._bench.knowledge.lines,
            )
            if found is None:
                said = "; ".join(told.tried[:4]) or "nothing to try"
                redacted = self._situation.redacted
                lacking = f", redacted: {', '.join(redacted[:6])}" if redacted else ""
                raise _End(
                    Ended.NOT_REPRODUCED,
                    f"not reproduced{lacking}: {said}",
                    tried=told.tried[:20],
                    redacted=redacted,
                )
            source = call_source(found.recipe)
            outcomes = runner.run(source, times=20, warm=True)
            hits = sum(found.signature.matches(outcome) for outcome in outcomes)
            if hits < len(outcomes):
                raise _End(
                    Ended.NOT_REPRODUCED, f"it fails only {hits} of {len(outcomes)} times: not deterministic"
                )
        how = (
            "the application's HTTP entry"
            if found.recipe.entry == "http"
            else f"{found.recipe.target['qualname']}()"
        )
        if found.recipe.schedule:
            how += ", called twice at once on one schedule"
        after = known.model_copy(update={"reproduction": found})
        return after, f"fails the same way through {how}, {hits} of {hits} times", {
            "entry": found.recipe.entry, "guessed": found.recipe.guessed, "tried": told.tried[:20],
        }  # fmt: skip

    def _ranked(self) -> tuple[CandidateChange, ...]:
        bench = self._bench
        presences = bench.knowledge.presences
        return tuple(
            rank(
                self._situation, bench.repositories, bench.exposed, asked=bench.asked, presences=presences
            )
        )  # fmt: skip

    def _causes(self, known: Findings) -> Landed:
        ranked = known.candidates
        if ranked is None:
            ranked = self._ranked()
        further = (
            candidate(self._bench, *pair, "named by a hypothesis", NAMED)
            for pair in unlisted(ranked, known.hypotheses)
        )
        listed = voted([*ranked, *further], known.hypotheses)
        candidates = suspected_first(listed, known.hypotheses, self._bench.knowledge.hints)
        prover = Prover(self._situation, _reproduced(known), self._bench)
        search = prover.search(candidates)
        search = prover.test(search, untested(search.changes, known.hypotheses)[:TESTED])
        modules = frozenset(self._situation.modules)
        shown = experiment(known.hypotheses, _reproduced(known), self._bench, modules)
        search = replace(search, changes=by_version(search.changes, shown))
        after = known.model_copy(update={"search": search, "hypotheses": shown})
        if search.recipe is not None:
            reproduction = replace(_reproduced(known), recipe=search.recipe)
            after = after.model_copy(update={"reproduction": reproduction})
        details = {"candidates": len(candidates), "runs": search.runs}
        if search.cause is not None:
            change = search.cause.change
            said = f"{change.verdict}: {change.repo} {change.commit[:9]} {change.title}: {change.said}"
            return after, said, details
        first = search.changes[0] if search.changes else None
        verdict = f"; {first.commit[:9]} is {first.verdict}: {first.said}" if first and first.said else ""
        return after, f"no change was proven to be the cause{verdict}", details

    def _minimise(self, known: Findings) -> Landed:
        reproduction, modules = _reproduced(known), frozenset(self._situation.modules)
        cause = known.search.cause if known.search else None
        if cause is not None and cause.change.verdict != ChangeVerdict.PROVEN:
            cause = None  # a flip alone does not say what is right
        parents = self._bench.at(cause.change.repo, cause.parent) if cause else None
        recipe = minimal(reproduction, self._bench, parents, modules)
        expected = cause.expected if cause else None
        if cause is not None and parents is not None and recipe != reproduction.recipe:
            with self._bench.runner(parents) as runner:
                outcome = runner.run(call_source(recipe))[0]
            reading = read(recipe, reproduction.signature, outcome, modules)
            expected = reading.expected if reading.meaning == Meaning.GOOD else None
        if parents is not None and (
            self._no_longer_refused(recipe, expected, parents)
            or self._meant_to_change(reproduction, recipe, self._without(cause) or parents)
        ):
            expected = None
        changes = known.search.changes if known.search else ()
        right = self._right(reproduction, recipe, cause, expected, changes, known.hypotheses)
        if right is None:
            right = promised(self._fix_case(known), recipe)
        expected = right.expected if right is not None else expected
        test = write_reproducer(self._attempt.incident_id, reproduction, recipe, right, self._bench, parents)
        after = known.model_copy(
            update={
                "recipe": recipe, "expected": expected, "reproducer": test,
                "parent": (cause.change.repo, cause.parent) if cause else None,
            }
        )  # fmt: skip
        if test.failures < test.runs:
            said = f"the test fails only {test.failures} of {test.runs} times: quarantined"
            raise _End(Ended.NOT_REPRODUCED, said, after)
        said = f"a test that fails {test.failures} of {test.runs} times, oracle {test.oracle}"
        return after, said, {"size_before": test.size_before, "size_after": test.size_after}

    def _right(
        self, reproduction: Reproduction, recipe: Recipe, cause: Cause | None, expected: Any,
        changes: Sequence[CandidateChange], hypotheses: Sequence[Hypothesis],
    ) -> Stated | None:  # fmt: skip
        """What the call has to give: the proven cause's parent's answer, what it gave with the version of a package
        that was shown to work, else what the release's own runs state."""
        if cause is not None and expected is not None and assertable(expected):
            before = f"{cause.change.repo} {cause.change.commit[:9]}"
            why = f"Right (oracle parent_value) is what the code gave before {before}, the proven cause."
            return Stated(Oracle.PARENT_VALUE, expected, why)
        earlier = self._in_earlier_version(reproduction, recipe, hypotheses)
        if earlier is not None:
            return earlier
        names, repositories = missing_names(self._situation), self._bench.repositories
        moved = {name: moved_to(name, versions(name, changes, repositories)) for name in names}
        with self._bench.runner(self._bench.world()) as release:
            return stated(recipe, reproduction.signature, release, self._situation.modules, moved)

    def _in_earlier_version(
        self, reproduction: Reproduction, recipe: Recipe, hypotheses: Sequence[Hypothesis]
    ) -> Stated | None:
        """What the call gives with the version of a package before the change that was shown to have broken it."""
        tests = (one.test for one in hypotheses if one.status == "supported" and one.test is not None)
        for test in tests:
            there = before(self._bench, test) if test.kind == "package" else None
            if there is None:
                continue
            upgrade, world = there
            if self._meant_to_change(reproduction, recipe, world):
                continue
            with self._bench.runner(world) as runner:
                outcome = runner.run(call_source(recipe), preload=recipe.preload)[0]
            reading = read(recipe, reproduction.signature, outcome, frozenset(self._situation.modules))
            if reading.meaning == Meaning.GOOD and assertable(reading.expected):
                was = f"{upgrade.package} {upgrade.new}, the version before {test.commit[:9]}"
                why = f"Right (oracle parent_value) is what the code gave with {was}."
                return Stated(Oracle.PARENT_VALUE, reading.expected, why)
        return None

    def _no_longer_refused(self, recipe: Recipe, expected: Any, parents: World) -> bool:
        """Whether the parent refused the input by a line that the change, or one after it, has taken away: nobody
        knows then that refusing is still right."""
        if not (isinstance(expected, dict) and "$raises" in expected):
            return False
        with self._bench.runner(parents) as before:
            error = before.run(call_source(recipe), preload=recipe.preload)[0].exception
        texts = (text for _, text in self._situation.modules.values())
        return error is not None and not raised_in(str(error.last.get("text", "")), texts)

    def _without(self, cause: Cause | None) -> World | None:
        """The running release without the culprit's hunks: what came after the change stays as it is."""
        if cause is None or not cause.diff:
            return None
        repo, trees = cause.change.repo, self._bench.trees
        tree = trees.patched(repo, trees.at(repo, self._bench.layout.repo(repo).commit), cause.diff)
        return self._bench.world().with_tree(repo, tree) if tree is not None else None

    def _meant_to_change(self, reproduction: Reproduction, recipe: Recipe, without: World) -> bool:
        """Whether the cause changed answers on purpose: then what was right before it is not what is right now."""
        with self._bench.runner(self._bench.world()) as release, self._bench.runner(without) as before:
            return contradicted(
                recipe, reproduction.signature, missing_names(self._situation), release, before,
                frozenset(self._situation.modules),
            )  # fmt: skip

    def _repair(self, known: Findings) -> Landed:
        trial = known.trial(self._situation, self._bench)
        assert trial is not None  # noqa: S101 - the step before has ended otherwise
        case = self._fix_case(known)
        judged, begun = self._compete(case, Judge(self._bench, trial), known.spent)
        best = choose(judged)
        after = known.model_copy(update={"rejected": tuple(pair for pair in judged if pair is not best)})
        if best is None:
            tried = "; ".join(f"{patch.by}: {validation.said}" for patch, validation in judged[:3])
            said = f"no fix was proven ({tried})" if tried else "no fixer has a policy for this"
            raise _End(Ended.NEEDS_DECISION, "; ".join([said, *case.notes[:3]]), after)
        patch, validation = best
        times = _times(begun[next(at for at, pair in enumerate(judged) if pair is best)], validation)
        over = self._bench.budget.left <= 0  # what is looked for beside a fix is not worth losing it
        closes, siblings = (
            ((), ())
            if over
            else beyond(self._attempt.incident_id, patch, trial, self._situation, self._bench)
        )
        after = after.model_copy(
            update={"patch": patch, "validation": validation, "closes": closes, "siblings": siblings}
        )
        proof = proof_of(self._attempt.incident_id, patch, trial.reproducer, validation, self._bench.now())
        if validation.verdict != ValidationVerdict.PROVEN:
            if patch.upgrade is not None:  # a person decides of it, and can run again what was run
                after = after.model_copy(update={"proof": proof})
            raise _End(Ended.NEEDS_DECISION, f"{patch.by}: {validation.said}", after, **times)
        tests = () if over else library_tests(self._attempt.incident_id, patch, trial, self._bench)
        after = after.model_copy(update={"proof": proof, "tests": tests})
        raise _End(Ended.PROVEN, f"{patch.by}: {validation.said}", after, **times)

    def _compete(
        self, case: FixCase, judge: Judge, spent: float
    ) -> tuple[list[tuple[Patch, Validation]], list[float]]:
        """Every fixer's patches with what the judge said of them, and the seconds since the first step when each came
        before it. Raises BudgetSpent where the time is over before one of them holds."""
        judged: list[tuple[Patch, Validation]] = []
        begun: list[float] = []
        clock = perf_counter()
        try:
            for fixer in self._fixers:
                waiting = list(_proposals(fixer, partial(fixer.propose, case)))
                while waiting:
                    self._bench.budget.check()
                    patch = waiting.pop(0)
                    at = spent + perf_counter() - clock
                    validation = judge.judge(patch)
                    judged.append((patch, validation))
                    begun.append(at)
                    if validation.verdict != ValidationVerdict.PROVEN and isinstance(fixer, Reviser):
                        waiting += _proposals(fixer, partial(fixer.revise, case, patch, validation))
        except BudgetSpent:
            if choose(judged) is None:
                raise
        return judged, begun

    def _fix_case(self, known: Findings) -> FixCase:
        search = known.search
        return FixCase(
            self._situation, _reproduced(known), search.cause if search else None, self._bench, _hypotheses(known),
            known.reproducer, tuple(search.changes) if search else (),
        )  # fmt: skip


def _times(begun: float, validation: Validation) -> dict[str, float]:
    """Seconds from the first step until a patch held on the tests that reach it, and of the whole suites after that."""
    judged = validation.until_whole_suites
    early = {"proven_on_affected": round(begun + judged, 1)} if judged is not None else {}
    return {**early, "whole_suites": round(validation.whole_suites, 1)}


def _proposals(fixer: Fixer, ask: Callable[[], Sequence[Patch]]) -> Sequence[Patch]:
    """What a fixer proposes; one that fails in a way it does not say proposes nothing, and keeps no other from
    it."""
    try:
        return list(ask())
    except NightdeskError:
        raise
    except Exception:
        log.exception("The fixer %s failed.", fixer.name)
        return ()


def recorded(attempt: Attempt, known: Findings, now: datetime) -> Attempt:
    """The record of an attempt by what is known so far; its steps are kept on their own."""
    return attempt.model_copy(
        update={
            "finished_at": now if known.ended else None,
            "ended": known.ended,
            "said": known.said,
            "changes": tuple(known.search.changes) if known.search else (), "reproducer": known.reproducer,
            "hypotheses": _hypotheses(known), "patch": known.patch, "validation": known.validation,
            "proof": known.proof, "rejected": known.rejected, "tests": known.tests,
            "closes": known.closes, "siblings": known.siblings,
        }
    )  # fmt: skip


def _proposed(investigator: Investigator, pack: Pack) -> Sequence[Hypothesis]:
    """What an investigator says; one that fails in a way it does not say has said nothing."""
    try:
        return list(investigator.investigate(pack))
    except NightdeskError:
        raise
    except Exception:
        log.exception("The investigator %s failed.", investigator.name)
        return ()


def _hypotheses(known: Findings) -> tuple[Hypothesis, ...]:
    """Those that were proposed, as the runs leave them, then the changes that were run and that nobody proposed."""
    changes = known.search.changes if known.search else ()
    proposed = settled(known.hypotheses, changes, known.ended, known.said)
    told = {about(one) for one in proposed}
    rest = [change for change in changes if (change.repo, change.commit) not in told]
    return (*proposed, *hypotheses_of(rest))


def _reproduced(known: Findings) -> Reproduction:
    assert known.reproduction is not None  # noqa: S101 - "reproduce" has ended the attempt otherwise
    return known.reproduction

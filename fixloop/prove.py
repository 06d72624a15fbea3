"""Prove a cause by running it: the parent against the change, then the release without the change's hunks.

Exactly the plan's words. `proven`: in one pinned environment the reproducer passes on the parent and fails on the
change; the parent reaches the same function and its answer is good; the culprit hunks taken out of the running release
make it pass. The flip alone is `supported`. A parent without the feature is `introduced_with_feature`; one that fails
in another way is `fails_otherwise`, and the search goes on behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from fixloop.bench import Bench
from fixloop.blocks import Block, by_file, parse, smallest, undo, unified
from fixloop.changes.clues import missing_names
from fixloop.changes.evidence import names_changed
from fixloop.changes.kinds import is_lock, runs
from fixloop.changes.outline import outline
from fixloop.changes.pins import bumps_of
from fixloop.changes.words import Exposure
from fixloop.forerunners import Forerunner, forerunners, put_there, wanted
from fixloop.oracle import Meaning, Reading, read
from fixloop.reproduce.ladder import Reproduction
from fixloop.reproduce.producers import with_producers
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.write import call_source
from fixloop.reproduce.writing import minimal
from fixloop.reproduce.yesterday import how_old
from fixloop.reverting import differing, moves, put_back, take_out
from fixloop.running.runner import Outcome
from fixloop.running.worlds import World
from fixloop.situation import Sighting, Situation, is_test
from store.repair import CandidateChange, ChangeVerdict

TRIED = 14  # candidates that are run before the search goes over to bisection
BISECTED = 16  # further commits that bisection may run
SINCE = 12  # commits at which a failure is seen to have lasted
TAKEN_OUT = 40  # sets of hunks that are tried at the release
_BOUNDARY = frozenset(  # in a repository where one was found nothing is bisected; another may have its own
    {ChangeVerdict.SUPPORTED, ChangeVerdict.INTRODUCED_WITH_FEATURE}
)


@dataclass(frozen=True)
class Cause:
    """The change that did it. `expected` is what its parent gave; `reverted` are the release's files without the
    smallest set of its hunks (path -> text, None: deleted), absent where that could not be made. `whole`: they only
    came out together with what was done to their functions since, so that this is evidence and no repair."""

    change: CandidateChange
    expected: Any
    parent: str
    reverted: dict[str, str | None] | None = None
    diff: str = ""
    whole: bool = False


@dataclass(frozen=True)
class _Taken:
    """The release without hunks of a change: its files, the hunks, the diff, and whether more than those went."""

    texts: dict[str, str | None]
    blocks: list[Block]
    diff: str
    whole: bool = False


@dataclass
class Search:
    """What was found: every candidate with its verdict, and the cause if there is one."""

    changes: list[CandidateChange]
    cause: Cause | None = None
    runs: int = 0
    recipe: Recipe | None = (
        None  # the call as it was run in the end, where that is not the one that was given
    )


@dataclass
class _Known:
    """What is known of one repository's commits."""

    readings: dict[str, tuple[Reading, Outcome]] = field(default_factory=dict)
    good: set[str] = field(default_factory=set)


class Prover:
    """Runs one reproduction on many commits."""

    def __init__(self, situation: Situation, reproduction: Reproduction, bench: Bench) -> None:
        self._situation, self._reproduction, self._bench = situation, reproduction, bench
        self._older: list[Forerunner] = []  # where names of the call stand at older commits
        self._of_no_use: set[int] = set()  # ages whose names, put back, make another failure of the release's
        self._go_by(reproduction.recipe)
        self._modules = frozenset(situation.modules)
        self._leaves = {module.rpartition(".")[2] for module in self._modules}
        self._known = {repo.name: _Known() for repo in bench.layout.repositories}
        self._runs = 0

    def search(self, candidates: Sequence[CandidateChange]) -> Search:
        """Run the candidates in their order; then bisect. Stops at the first proven cause."""
        judged: dict[tuple[str, str], CandidateChange] = {}
        supported: Cause | None = None
        runnable = [change for change in candidates if change.score > 0 or len(candidates) <= TRIED]
        for change in runnable:
            if self._runs >= 2 * TRIED or self._bench.budget.tight:
                break
            cause = self._judge(change, judged)
            if cause and cause.change.verdict == ChangeVerdict.PROVEN:
                return self._result(candidates, judged, cause)
            supported = supported or cause
        if supported is None:
            supported = self._with_producers(runnable, judged)
            if supported is not None and supported.change.verdict == ChangeVerdict.PROVEN:
                return self._result(candidates, judged, supported)
        settled = {repo for repo, _ in (pair for pair, c in judged.items() if c.verdict in _BOUNDARY)}
        for repo in sorted(
            {change.repo for change in candidates}, key=lambda name: self._best(name, candidates)
        ):
            if repo in settled or self._bench.budget.tight:
                continue
            boundary = self._bisect(repo, candidates)
            cause = self._judge(boundary, judged) if boundary is not None else None
            if cause and cause.change.verdict == ChangeVerdict.PROVEN:
                return self._result(candidates, judged, cause)
            supported = supported or cause
        return self._result(candidates, judged, supported)

    def test(self, search: Search, wanted: Sequence[CandidateChange]) -> Search:
        """The same search with a verdict on some more changes, as far as the time reaches."""
        judged: dict[tuple[str, str], CandidateChange] = {}
        for change in wanted:
            if self._bench.budget.tight:
                break
            self._judge(change, judged)
        rest = [change for change in search.changes if (change.repo, change.commit) not in judged]
        return self._result(rest, {(c.repo, c.commit): c for c in rest} | judged, search.cause)

    def _best(self, repo: str, candidates: Sequence[CandidateChange]) -> float:
        return -max((change.score for change in candidates if change.repo == repo), default=0.0)

    def _result(
        self,
        candidates: Sequence[CandidateChange],
        judged: dict[tuple[str, str], CandidateChange],
        cause: Cause | None,
    ) -> Search:
        some = [change for change in candidates if change.score > 0] or candidates
        listed = {(change.repo, change.commit): change for change in some} | judged
        order = {ChangeVerdict.PROVEN: 0, ChangeVerdict.SUPPORTED: 1, ChangeVerdict.INTRODUCED_WITH_FEATURE: 2,
                 ChangeVerdict.REFUTED: 9}  # fmt: skip
        changes = sorted(listed.values(), key=lambda change: (order.get(change.verdict, 5), -change.score))
        changed = self._recipe if self._recipe != self._reproduction.recipe else None
        return Search(changes, cause, self._runs, changed)

    # --- one candidate -----------------------------------------------------------------------------------------

    def _judge(self, change: CandidateChange, judged: dict[tuple[str, str], CandidateChange]) -> Cause | None:
        verdict, said, cause = self._verdict(change)
        settled = change.model_copy(update={"verdict": verdict, "said": said})
        if cause is not None:
            settled = settled.model_copy(update={"hunks": cause.change.hunks})
            cause = replace(cause, change=settled)
        judged[(change.repo, change.commit)] = settled
        return cause

    def _verdict(self, change: CandidateChange) -> tuple[ChangeVerdict, str, Cause | None]:
        mirror = self._bench.repositories.get(change.repo)
        info = mirror.log(change.commit, limit=1)[0]
        if not info.parents:
            first, _ = self._at(change.repo, change.commit)
            if first.meaning == Meaning.SAME:
                return (
                    ChangeVerdict.INTRODUCED_WITH_FEATURE,
                    "it failed so from the repository's first commit on",
                    None,
                )
            return ChangeVerdict.REFUTED, f"the repository's first commit {first.said}", None
        parent = info.parents[0]
        known = self._known[change.repo]
        for good in known.good:
            if good == change.commit or mirror.is_ancestor(change.commit, good):
                return self._refuted(change, f"at {good[:9]}, which has this change, it still worked")
        before, outcome = self._at(change.repo, parent)
        if before.meaning == Meaning.SAME:
            moved = self._versions(change)
            if moved:  # a parent that is run with the release's packages says nothing of those it had
                said = f"it changes {moved}, and every commit is run with the packages of the release"
                return ChangeVerdict.UNTESTED, said, None
            return self._refuted(change, "its parent fails the same way")
        after, _ = self._at(change.repo, change.commit)
        return self._flip(change, parent, before, outcome, after)

    def _refuted(self, change: CandidateChange, said: str) -> tuple[ChangeVerdict, str, Cause | None]:
        """Refuted, unless the change is in code that production ran and the call does not: a call that begins inside,
        with the values that were wrong already, says nothing of those who handed them over."""
        place = self._unrun_place(change) or self._dropped(change)
        if place is None:
            return ChangeVerdict.REFUTED, said, None
        return ChangeVerdict.UNTESTED, f"it {place}, which the reproducer does not run", None

    def _versions(self, change: CandidateChange) -> str:
        """The packages that a change puts in another version, in words."""
        if not any(is_lock(path) for path in change.files):
            return ""
        bumps = bumps_of(self._bench.repositories.get(change.repo), change.commit)
        return ", ".join(str(bump) for bump in bumps[:3] if bump.old and bump.new)

    def _unrun_place(self, change: CandidateChange) -> str | None:
        """A function of the trace that the change touches and that the call does not run."""
        own = [one for one in self._situation.first.own if (one.frame.function or "<").isidentifier()]
        called = _called(self._ran) if len(own) > 1 else set()
        names: dict[str, set[str]] = {}
        for one in own:
            if one.location.repo == change.repo and one.frame.function not in called and called:
                names.setdefault(_file(one.location.path), set()).add(one.frame.function or "")
        place = self._touched(change.repo, change.commit, names) if names else None
        return place and f"touches {place}"

    def _dropped(self, change: CandidateChange) -> str | None:
        """Where the change takes away the very name that is missing, in a module that the call does not load a function
        of: what made the value, and not what read it."""
        mirror = self._bench.repositories.get(change.repo)
        missing = missing_names(self._situation)
        hunks = mirror.history.hunks([change.commit]).get(change.commit, []) if missing else []
        added, removed = names_changed(hunks, missing)
        for hunk in hunks:
            lost = names_changed([hunk], tuple(removed - added))[1]
            module = self._situation.module_name(change.repo, hunk.path)
            if (
                lost
                and runs(hunk.path)
                and module not in {call.partition(":")[0] for call in self._ran.calls}
            ):
                return f"takes {', '.join(sorted(lost))} out of {hunk.path}"
        return None

    @cached_property
    def _ran(self) -> Outcome:
        """What the call does at the release."""
        return self._run(self._bench.world())[1]

    def _touched(self, repo: str, commit: str, names: Mapping[str, Collection[str]]) -> str | None:
        """A function among `names` (by the name of its file) that a commit touches."""
        mirror = self._bench.repositories.get(repo)
        for hunk in mirror.history.hunks([commit]).get(commit, ()):
            wanted_here = names.get(_file(hunk.path), ())
            places = outline(hunk.path, mirror.text(commit, hunk.path) or "") if wanted_here else []
            for place in places:
                last = hunk.new_start + max(hunk.new_lines, 1) - 1
                if place.name in wanted_here and place.start <= last and hunk.new_start <= place.end:
                    return place.qualname
        return None

    def _with_producers(
        self, candidates: Sequence[CandidateChange], judged: dict[tuple[str, str], CandidateChange]
    ) -> Cause | None:
        """Judge what a call that begins inside does not run by one that makes its values as production made them, if
        the release fails the same way with it."""
        kept, known, ran = self._recipe, self._known, self._ran
        recipe = with_producers(kept, self._seen, self._situation)
        if recipe is None:
            return None
        self._go_by(recipe)
        self._known = {name: _Known() for name in known}
        reading, self._ran = self._run(self._bench.world())
        more = set(self._ran.calls) - set(ran.calls) if reading.meaning == Meaning.SAME else set()
        for change in candidates:
            verdict = judged.get((change.repo, change.commit), change).verdict
            if verdict not in (ChangeVerdict.REFUTED, ChangeVerdict.UNTESTED) or self._bench.budget.tight:
                continue
            cause = self._judge(change, judged) if self._touches_any(change, more) else None
            if cause is not None:
                return cause
        self._go_by(kept)
        self._known, self._ran = known, ran
        return None

    def _touches_any(self, change: CandidateChange, calls: Collection[str]) -> bool:
        """Whether a change touches one of the functions ("module:qualname") in its repository."""
        names: dict[str, set[str]] = {}
        for module, _, qualname in (call.partition(":") for call in calls):
            names.setdefault(f"{module.rpartition('.')[2]}.py", set()).add(qualname.rpartition(".")[2])
        return bool(names) and self._touched(change.repo, change.commit, names) is not None

    @property
    def _seen(self) -> Sighting:
        """The event that the call was made of."""
        made_of = (
            one for one in self._situation.sightings if one.event.event_id == self._reproduction.event_id
        )
        return next(made_of, self._situation.first)

    def _flip(
        self, change: CandidateChange, parent: str, before: Reading, outcome: Outcome, after: Reading
    ) -> tuple[ChangeVerdict, str, Cause | None]:
        if before.meaning == Meaning.GOOD and after.meaning == Meaning.GOOD:
            return ChangeVerdict.REFUTED, "it works with this change, too", None
        if after.meaning != Meaning.SAME:
            broken = Meaning.BROKEN in (after.meaning, before.meaning)
            verdict = ChangeVerdict.NOT_RUNNABLE if broken else ChangeVerdict.FAILS_OTHERWISE
            return verdict, f"the parent {before.said}, the change {after.said}", None
        if before.meaning == Meaning.ABSENT:
            moved = self._follow(change, parent)
            if not moved:
                return (
                    ChangeVerdict.INTRODUCED_WITH_FEATURE,
                    f"the parent {before.said}: it came with the feature",
                    None,
                )
            before, outcome = self._at(change.repo, parent)
            there = ", ".join(map(str, moved))
            if before.meaning == Meaning.SAME:
                return ChangeVerdict.REFUTED, f"its parent fails the same way, where it is {there}", None
            before = replace(before, said=f"{before.said}, where it is {there}")
        if before.meaning == Meaning.BROKEN:
            return ChangeVerdict.NOT_RUNNABLE, f"the parent {before.said}", None
        if before.meaning != Meaning.GOOD:
            return ChangeVerdict.FAILS_OTHERWISE, f"the parent {before.said}", None
        cause = Cause(change, before.expected, parent)
        if not self._reaches(outcome):
            return (
                ChangeVerdict.SUPPORTED,
                "the parent works, but does not reach the function that fails",
                cause,
            )
        before, taken = self._taken(change, parent, before)
        if taken is not None and taken.whole and not self._lasts(change, taken):
            return ChangeVerdict.SUPPORTED, (
                f"the parent {before.said} and the change fails; its hunks do not come out of the running release, and "
                "it is not shown that it failed the same way all the time since"
            ), cause  # fmt: skip
        if taken is None:
            return ChangeVerdict.SUPPORTED, (
                f"the parent {before.said} and the change fails; its hunks do not come out of the running release"
            ), cause  # fmt: skip
        proven = change.model_copy(update={"hunks": self._hunks(change, taken.blocks)})
        less = "without its hunks" if not taken.whole else "with the functions as they were before it"
        said = f"the parent {before.said}, the change fails, and the running release {less} works again"
        cause = Cause(proven, before.expected, parent, taken.texts, taken.diff, taken.whole)
        return ChangeVerdict.PROVEN, said, cause

    def _follow(self, change: CandidateChange, parent: str) -> list[Forerunner]:
        """Where what the call uses stood before a change that brought the names of today. The call finds it there from
        then on, so that the search goes on behind a move or a renaming."""
        mirror = self._bench.repositories.get(change.repo)
        modules = [
            {
                self._situation.module_name(change.repo, path): path
                for path in mirror.paths(commit)
                if path.endswith(".py") and not is_test(path)
            }
            for commit in (parent, change.commit)
        ]
        known = {(one.module, one.name): (one.older, one.was) for one in self._older}
        names = {known.get(name, name): name for name in wanted(call_source(self._recipe))}
        found = [
            Forerunner(*names[one.module, one.name], one.older, one.was)
            for one in forerunners(list(names), mirror, parent, change.commit, *modules)
        ]
        new = [one for one in found if one not in self._older]
        if new:
            self._older += new
            self._go_by(self._recipe)
            for of in self._known.values():
                of.readings = {
                    at: read for at, read in of.readings.items() if read[0].meaning != Meaning.ABSENT
                }
        return found

    def _lasts(self, change: CandidateChange, taken: _Taken) -> bool:
        """Whether the failure was there all the time: at every commit since the change that touched the functions which
        were put back, and at some of the others of their files. One that was mended meanwhile and came back is another
        change's doing."""
        mirror = self._bench.repositories.get(change.repo)
        release = self._bench.layout.repo(change.repo).commit
        paths = {*taken.texts, *(block.path for block in taken.blocks)}
        names = {
            _file(path): differing(mirror.text(release, path), text) for path, text in taken.texts.items()
        }
        since = [
            info.sha
            for info in mirror.log(release)
            if paths & set(info.files) and info.sha not in (change.commit, release)
            and mirror.is_ancestor(change.commit, info.sha)
        ]  # fmt: skip
        touching = [sha for sha in since if self._touched(change.repo, sha, names)]
        if len(touching) > SINCE:
            return False
        others = [sha for sha in since if sha not in touching]
        room = SINCE - len(touching)
        spread = others[:: -(-len(others) // room)] if room and others else []
        return all(
            not self._bench.budget.tight and self._at(change.repo, sha)[0].meaning == Meaning.SAME
            for sha in (*touching, *spread)
        )

    def _reaches(self, outcome: Outcome) -> bool:
        failing = self._reproduction.signature.function
        if failing is None or failing.startswith("<"):
            own = self._situation.first.own
            names = [
                f.frame.function for f in own if f.frame.function and not f.frame.function.startswith("<")
            ]
            failing = names[-1].rpartition(".")[2] if names else None
        called = {failing, *(one.was for one in self._older if one.name == failing)}
        return failing is None or bool(called & _called(outcome))

    def _at(self, repo: str, commit: str) -> tuple[Reading, Outcome]:
        known = self._known[repo]
        if commit not in known.readings:
            reading, outcome = self._read(self._bench.at(repo, commit))
            known.readings[commit] = (reading, outcome)
            if reading.meaning == Meaning.GOOD:
                known.good.add(commit)
        return known.readings[commit]

    def _read(self, world: World) -> tuple[Reading, Outcome]:
        """What the call means in a world. Where an old commit lacks a name that newer Pythons have removed, the names
        are put back for all worlds from then on, if the release still fails the same way with them."""
        reading, outcome = self._run(world)
        error = outcome.exception
        if error is None or reading.meaning in (Meaning.SAME, Meaning.GOOD):
            return reading, outcome
        age, kept = how_old(error.type, error.message), self._recipe
        elsewhere = error.missing is not None and age > 1 and error.missing not in self._leaves
        if age <= kept.yesterday or age in self._of_no_use or elsewhere:
            return reading, outcome
        self._go_by(kept.model_copy(update={"yesterday": age}))
        if self._run(self._bench.world())[0].meaning != Meaning.SAME:
            self._go_by(kept)
            self._of_no_use.add(age)
            return reading, outcome
        for known in self._known.values():
            known.readings.clear()
        return self._run(world)

    def _go_by(self, recipe: Recipe) -> None:
        self._recipe, self._source = recipe, call_source(recipe, before=put_there(self._older))

    def _run(self, world: World) -> tuple[Reading, Outcome]:
        """Run twice in a world: what differs between two runs is no answer."""
        self._runs += 1
        with self._bench.runner(world) as runner:
            outcomes = runner.run(self._source, times=2, preload=self._recipe.preload)
        readings = [
            read(self._recipe, self._reproduction.signature, outcome, self._modules) for outcome in outcomes
        ]
        first, second = readings[0], readings[-1]
        if first.meaning != second.meaning:
            return Reading(Meaning.OTHER, "does not do the same twice"), outcomes[0]
        if first.expected != second.expected:
            return Reading(
                first.meaning, first.said, self._stable(first.expected, second.expected)
            ), outcomes[0]
        return first, outcomes[0]

    def _stable(self, first: Any, second: Any) -> Any:
        """Of two HTTP answers that differ, the status is what holds; of anything else nothing."""
        pairs = [v.get("$tuple") if isinstance(v, dict) else None for v in (first, second)]
        if self._recipe.entry == "http" and pairs[0] and pairs[1] and pairs[0][0] == pairs[1][0]:
            return {"$tuple": [pairs[0][0], None]}
        return None

    # --- the release without the change ------------------------------------------------------------------------

    def _taken(self, change: CandidateChange, parent: str, before: Reading) -> tuple[Reading, _Taken | None]:
        """The release without the change, and what the parent gives for the call by which that was seen. What came
        after the change may have changed what the rest of an input gives; then the smallest that fails is used."""
        taken, kept = self._without(change, before), self._recipe
        if taken is not None or self._bench.budget.tight:
            return before, taken
        reproduction = replace(self._reproduction, recipe=kept)
        smaller = minimal(reproduction, self._bench, self._bench.at(change.repo, parent), self._modules)
        if smaller != kept:
            self._go_by(smaller)
            reading, _ = self._run(self._bench.at(change.repo, parent))
            taken = self._without(change, reading) if reading.meaning == Meaning.GOOD else None
            if taken is not None:
                return reading, taken
            self._go_by(kept)
        return before, None

    def _without(self, change: CandidateChange, before: Reading) -> _Taken | None:
        """The smallest set of the change's hunks without which the running release gives the parent's answer; where
        none comes out, the functions that it changed as they were before it."""
        mirror = self._bench.repositories.get(change.repo)
        release = self._bench.layout.repo(change.repo).commit
        blocks = [b for b in parse(mirror.diff(change.commit, context=0)) if not is_test(b.path)]
        touched = [block.path for block in blocks]
        moved = moves(mirror.renamed(change.commit, release), touched, mirror.paths(release))
        tries = 0

        def at_change(path: str) -> str | None:
            return mirror.text(change.commit, path)

        def at_release(path: str) -> str | None:
            return mirror.text(release, path)

        def gives(texts: dict[str, str | None] | None) -> tuple[dict[str, str | None], str] | None:
            nonlocal tries
            tries += 1
            if texts is None or tries > TAKEN_OUT or self._bench.budget.tight:
                return None
            diff = unified({path: at_release(path) for path in texts}, texts)
            tree = self._bench.trees.patched(change.repo, self._bench.trees.at(change.repo, release), diff)
            if tree is None:
                return None
            reading, _ = self._read(self._bench.world().with_tree(change.repo, tree))
            good = reading.meaning == Meaning.GOOD and reading.expected == before.expected
            return (texts, diff) if good else None

        chosen = smallest(blocks, lambda some: gives(take_out(blocks, some, at_change, at_release, moved)))
        if chosen is not None:
            return _Taken(chosen[1][0], chosen[0], chosen[1][1])
        back = gives(put_back(blocks, at_change, at_release, moved))
        return _Taken(back[0], blocks, back[1], whole=True) if back is not None else None

    def _hunks(self, change: CandidateChange, chosen: Sequence[Block]) -> str:
        """The culprit hunks as the change made them."""
        mirror = self._bench.repositories.get(change.repo)
        everything = by_file(parse(mirror.diff(change.commit, context=0)))
        after = {path: mirror.text(change.commit, path) for path in by_file(chosen)}
        before = {path: undo(after[path], everything[path], mine) for path, mine in by_file(chosen).items()}
        return unified(before, after)

    # --- bisection ---------------------------------------------------------------------------------------------

    def _bisect(self, repo: str, candidates: Iterable[CandidateChange]) -> CandidateChange | None:
        """The first commit on the release's main line that fails the same way, when its parent does not."""
        line = self._main_line(repo)
        newest_bad, step, budget = 0, 1, BISECTED
        not_bad: int | None = None
        while budget > 0 and not_bad is None and newest_bad < len(line) - 1 and not self._bench.budget.tight:
            at = min(newest_bad + step, len(line) - 1)
            budget -= 1
            if self._at(repo, line[at])[0].meaning == Meaning.SAME:
                newest_bad, step = at, step * 2
            else:
                not_bad = at
        while (
            not_bad is not None and not_bad - newest_bad > 1 and budget > 0 and not self._bench.budget.tight
        ):
            middle = (newest_bad + not_bad) // 2
            budget -= 1
            if self._at(repo, line[middle])[0].meaning == Meaning.SAME:
                newest_bad = middle
            else:
                not_bad = middle
        if not_bad is None or not_bad - newest_bad > 1:
            return None
        sha = line[newest_bad]
        listed = next((c for c in candidates if c.repo == repo and c.commit == sha), None)
        if listed is not None:
            return listed
        return candidate(self._bench, repo, sha, "found by bisection")

    def _main_line(self, repo: str) -> list[str]:
        """First parents of the release, newest first, that touch more than tests."""
        release = self._bench.layout.repo(repo).commit
        by_sha = {info.sha: info for info in self._bench.repositories.get(repo).log(release)}
        line, at = [], release
        while at in by_sha:
            info = by_sha[at]
            if at == release or any(path.endswith(".py") and not is_test(path) for path in info.files):
                line.append(at)
            if not info.parents:
                break
            at = info.parents[0]
        return line


def _file(path: str) -> str:
    """The name of a file, which a move leaves as it is."""
    return path.rpartition("/")[2]


def _called(outcome: Outcome) -> set[str]:
    """The bare names of the own functions that a run called."""
    return {call.rpartition(":")[2].rpartition(".")[2] for call in outcome.calls}


def candidate(bench: Bench, repo: str, sha: str, why: str, score: float = 0.0) -> CandidateChange:
    """A commit that the ranking does not list, as a candidate."""
    info = bench.repositories.get(repo).log(sha, limit=1)[0]
    return CandidateChange(
        repo=repo, commit=sha, title=info.subject, author=info.author, authored_at=info.authored_at,
        merged_at=info.committed_at, files=info.files[:50], reasons=(why,), score=score,
        first_exposed_at=bench.exposed.get((repo, sha), Exposure()).at,
    )  # fmt: skip

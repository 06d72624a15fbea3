"""Do the repository's own tests hold with a patch: those that reach it first, then all of them.

The first run only tells early; what is judged by is the whole suite. Its run on the base is the same for every patch at
a release, so it is kept across attempts, where it came to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

from fixloop.bench import Bench
from fixloop.judging.affected import reaching, test_files
from fixloop.judging.applied import Case
from fixloop.judging.constraints import Refusal
from fixloop.judging.suite import WALL, SuiteResult, broken_by, numbered, renamed, run_suite
from fixloop.running.kept import key_of
from fixloop.running.worlds import World

FIRST = 60.0  # seconds for the tests that reach a patch
LEAST = 5.0  # seconds that a run has, however little is left
SLACK = 3  # a run with the patch may take so many times as long as the one without it
_FORMAT = 1  # of what is kept


class Regressions:
    """The suites of one incident's repositories. What does not depend on the patch is run once."""

    def __init__(self, bench: Bench, base: World) -> None:
        self._bench, self._base = bench, base
        self._tests: dict[str, Mapping[str, str]] = {}
        self._whole: dict[str, SuiteResult] = {}
        self._some: dict[tuple[str, tuple[str, ...]], SuiteResult] = {}

    def first(self, case: Case, repo: str) -> tuple[Refusal | None, str]:
        """The tests that reach the patch: what it has broken there, and what was seen. Lines of the patch that ran in
        those that pass go into `case.lines`. Raises BudgetSpent."""
        layout = self._bench.layout.repo(repo)
        if not layout.has_tests:
            return None, "the repository has no tests"
        if repo not in self._tests:
            self._tests[repo] = test_files(self._bench.repositories.get(repo), layout.commit)
        old, new = case.old.get(repo, {}), case.new.get(repo, {})
        files = reaching(self._tests[repo], case.blocks.get(repo, []), old, new, layout.source_roots)
        if not files:
            return None, "no test names what the patch changes"
        if len(files) == len(self._tests[repo]):
            return self.whole(case, repo, watch=tuple(new))
        before = self._before(repo, files)
        if not before.complete or not before.collected:
            return (
                None,
                f"the tests of {len(files)} file(s) that name what it changes do not run by themselves",
            )
        after, found = self._after(case, before, partial(self._run, repo, files=files), watch=tuple(new))
        seen = {**after.summary(), "files": list(files), "took_before": round(before.took, 1)}
        case.findings.setdefault("suite_after", {}).setdefault(repo, {})["affected"] = seen
        if found is not None:
            return _refusal(repo, after, found), found
        return None, f"hold: {after.count('passed')} passed of {len(files)} file(s)"

    def whole(self, case: Case, repo: str, *, watch: tuple[str, ...] = ()) -> tuple[Refusal | None, str]:
        """The whole suite, in the same way; once for a patch. Raises BudgetSpent."""
        if repo in case.held:
            return None, case.held[repo]
        findings = case.findings
        before, after = findings.setdefault("suite_before", {}), findings.setdefault("suite_after", {})
        if not self._bench.layout.repo(repo).has_tests:
            before[repo] = after[repo] = {"collected": 0, "said": "the repository has no tests"}
            return None, "the repository has no tests"
        known, kept = self._kept(repo)
        base = known or self._run_base(repo)
        reached = tuple(base.outcomes) if base.cut else ()
        compared = replace(base, collected=reached) if base.cut else base
        result, found = self._after(case, compared, partial(self._run, repo, tests=reached), watch=watch)
        before[repo] = {**base.summary(), "kept": kept}
        after[repo] = {**after.get(repo, {}), **result.summary()}
        if found is not None:
            return _refusal(repo, result, found), found
        case.held[repo] = "holds"
        return None, case.held[repo]

    def _run(
        self, repo: str, world: World, wall: float, *, files: Collection[str] = (), tests: Collection[str] = (),
        watch: Collection[str] = (),
    ) -> SuiteResult:  # fmt: skip
        sandbox, budget = self._bench.sandbox, self._bench.budget
        budget.check()
        wall = min(wall, max(LEAST, budget.left))
        found = run_suite(sandbox, world, repo, wall=wall, files=files, tests=tests, watch=watch)
        if found.cut:
            budget.check()  # what ended may be the attempt's seconds: then how far it came is nothing to go by
        return found

    # --- with the patch -------------------------------------------------------------------------------------

    def _after(
        self, case: Case, before: SuiteResult, run: Callable[..., SuiteResult], watch: tuple[str, ...]
    ) -> tuple[SuiteResult, str | None]:
        """A run with the patch, and what it has broken. A test may fail by itself now and then, or because it is
        watched: it is run again, unwatched. One whose name is another in every run is known by its place."""
        wall = max(FIRST, SLACK * before.took)
        after = run(case.world, wall, watch=watch)
        found = broken_by(before, after)
        if found is not None and not after.tampered:
            after = run(case.world, wall)
            found = broken_by(before, after)
        if found is not None and not after.tampered and set(before.collected) - set(after.collected):
            moving = renamed(before, run(self._base, wall))
            found = broken_by(numbered(before, moving), numbered(after, moving))
        if found is None:
            for path, lines in after.ran.items():
                case.lines.setdefault(path, set()).update(lines)
        return after, found

    # --- without it -----------------------------------------------------------------------------------------

    def _before(self, repo: str, files: tuple[str, ...]) -> SuiteResult:
        """The tests of some files on the base: out of the whole suite's run where that is known."""
        known, _ = self._kept(repo)
        some = known.of_files(files) if known is not None and known.complete else None
        if some is not None and some.collected:
            return some
        if (repo, files) not in self._some:
            self._some[repo, files] = self._run(repo, self._base, FIRST, files=files)
        return self._some[repo, files]

    def _run_base(self, repo: str) -> SuiteResult:
        found = self._whole[repo] = self._run(repo, self._base, WALL)
        if self._bench.kept is not None and found.complete and not found.tampered:
            self._bench.kept.put(self._key(repo), found.as_json())
        return found

    def _kept(self, repo: str) -> tuple[SuiteResult | None, bool]:
        """The suite's run on the base where it is known, and whether an earlier attempt has made it."""
        if repo in self._whole or self._bench.kept is None:
            return self._whole.get(repo), False
        content = self._bench.kept.get(self._key(repo))
        return (SuiteResult.from_json(content), True) if content is not None else (None, False)

    def _key(self, repo: str) -> str:
        """All that the run of a suite on the base depends on."""
        layout, bench = self._bench.layout, self._bench
        return key_of([
            "suite", _FORMAT, repo, layout.repo(repo).test_command, layout.commits, dict(layout.env),
            [[one.name, list(one.source_roots)] for one in layout.repositories], bench.environment.key,
            bench.sandbox.name, WALL,
        ])  # fmt: skip


def _refusal(repo: str, after: SuiteResult, found: str) -> Refusal:
    return Refusal("tampers_with_runner" if after.tampered else "suite", f"{repo}: {found}")

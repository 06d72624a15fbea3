"""Another version of a dependency, where the failing frame is in it, or where a change of its version broke the call.

Forward: the next version, the newest of the same minor, of the same major, of all; the nearest that holds is what is
proposed. Back: the version that was pinned before the change, where running it has shown that it works. The files that
pin it are written by us, from what uv says; nobody else may touch them, and a person always decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fixloop.changes import pins
from fixloop.fixers import FixCase
from fixloop.fixers.relock import NotLocked, must_be_pinned, relocked
from fixloop.running.packages import Packages
from store.errors import Unavailable
from store.repair import Patch, Upgrade, Validation, ValidationVerdict

SECONDS = 60.0  # of the attempt that have to be left to make an environment and to run the suites in it
PACKAGES = 2  # of the frames between the team's code and the error, innermost first


class UpstreamFixer:
    """Versions of the packages that failed, one after the other."""

    name = "upstream"

    def propose(self, case: FixCase) -> Sequence[Patch]:
        """The nearest newer version of each package that failed, and the version before a change that broke it."""
        packages = case.bench.packages
        if packages is None:
            return ()
        broken = list(_broken(case, packages))
        named = dict.fromkeys([*(package for package, _, _ in broken), *_failing(case, packages)])
        forward = (self._forward(case, packages, name, "") for name in named)
        back = (self._back(case, packages, *one) for one in broken)
        return [patch for patch in (*forward, *back) if patch is not None]

    def revise(self, case: FixCase, patch: Patch, validation: Validation) -> Sequence[Patch]:
        """The next newer version, after this one did not hold."""
        packages, tried = case.bench.packages, patch.upgrade
        if packages is None or tried is None or patch.loses or validation.verdict is ValidationVerdict.WEAK:
            return ()
        following = self._forward(case, packages, tried.package, tried.new)
        return () if following is None else (following,)

    def _forward(self, case: FixCase, packages: Packages, package: str, after: str) -> Patch | None:
        """The first of the newer versions behind `after` (empty: of all) that the files can be written for."""
        old = packages.installed[package]
        if case.bench.budget.left < SECONDS:
            case.notes.append(f"no time was left to try another version of {package} than {old}")
            return None
        try:
            must_be_pinned(case.bench, package, old)
            versions = packages.newer(package)
        except (NotLocked, Unavailable) as problem:
            case.notes.append(str(problem))
            return None
        if not versions:
            case.notes.append(
                f"the failure is in {package} {old}, and no newer version of it is to be had as a wheel"
            )
        left = versions[versions.index(after) + 1 :] if after in versions else versions
        for version in left:
            why = (
                f"{package}, where the failure comes from, in another version: {version} in place of {old}, and "
                "nothing else."
            )
            patch = self._patch(case, packages, packages.upgrade(package, version), why, ())
            if patch is not None:
                return patch
        return None

    def _back(self, case: FixCase, packages: Packages, package: str, version: str, by: str) -> Patch | None:
        now = packages.installed[package]
        why = (
            f"Takes back what {by} did to the version of {package}: {version} again, in place of {now}. Back is the "
            f"way while no version after {now} holds; forward, with the code made fit for it, where {now} is needed."
        )
        lost = f"what {package} {now} has over {version}"
        return self._patch(case, packages, packages.upgrade(package, version), why, (lost,))

    def _patch(
        self, case: FixCase, packages: Packages, upgrade: Upgrade, why: str, loses: tuple[str, ...]
    ) -> Patch | None:
        named = f"{upgrade.package} {upgrade.new}"
        try:
            changed = relocked(case.bench, packages, upgrade)
        except (NotLocked, Unavailable) as problem:
            case.notes.append(f"{named} is not proposed: {problem}")
            return None
        return Patch(
            diffs={repo: one.diff for repo, one in changed.items()},
            base_commits={repo: case.bench.layout.repo(repo).commit for repo in changed},
            files=tuple(sorted(path for one in changed.values() for path in one.files)),
            fixer=self.name, kind="upstream", rationale=why, loses=loses, upgrade=upgrade,
        )  # fmt: skip


def _failing(case: FixCase, packages: Packages) -> list[str]:
    """The packages that the innermost frames of the error are in, below the team's code."""
    error = case.situation.first.event.exception
    frames = error.frames if error else ()
    last = max((own.index for own in case.situation.first.own), default=-1)
    paths = [frame.abs_path or frame.filename or "" for frame in frames[last + 1 :]]
    raised = case.reproduction.outcome.exception
    if raised is not None:
        paths.append(str(raised.last.get("path", "")))
    found = (packages.owner(path) for path in reversed(paths))
    return list(dict.fromkeys(name for name in found if name is not None))[:PACKAGES]


def _broken(case: FixCase, packages: Packages) -> Iterator[tuple[str, str, str]]:
    """(package, the version before, what changed it) of each change of a version that running has shown to be why."""
    for one in case.hypotheses:
        test = one.test if one.status == "supported" else None
        if test is not None and test.kind == "package" and test.name in packages.installed:
            old = pins.before(case.bench.repositories.get(test.repo), test.commit, test.name)
            if old is not None and old != packages.installed[test.name]:
                yield test.name, old, test.commit[:9]

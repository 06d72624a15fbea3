"""Merged fixes that are watched: which builds contain them, what those builds have met since, and with which bound."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fixloop.flake import miss_bound
from server.house import House
from server.knowing.releases import Place, release_of, standings
from store import queries, recurring
from store.errors import NightdeskError
from store.event import Value
from store.mirrors import Mirror
from store.recurring import UNNAMED, Build, Watch

log = logging.getLogger("nightdesk.lifecycle")

GRACE = timedelta(days=1)  # after a merge in which an event of a build that nobody can place does not reopen


class WatchReport(Value):
    """How a merged fix holds. `exposures` are requests that builds with the fix have served; `failures` how many events
    those builds have sent; `bound` the 95 % upper bound of the rate, None without exposures."""

    attempt: str
    merged_at: datetime
    commits: dict[str, str]
    builds: tuple[str, ...] = ()  # releases that contain the fix
    without: tuple[str, ...] = ()  # releases that do not, and have met it since
    unplaced: int = 0  # events since the merge of builds that nobody can place
    exposures: int = 0
    of: str = "requests"
    failures: int = 0
    bound: float | None = None
    recurred_at: datetime | None = None
    recurred_release: str | None = None

    @property
    def said(self) -> str:
        """The state of it in one sentence."""
        if self.recurred_at is not None:
            return f"It came back in {self.recurred_release or 'a build'}, which contains the fix."
        if not self.builds:
            return "No build that contains the fix is known to run yet."
        if not self.exposures:
            return (
                f"{self.failures} events of {len(self.builds)} builds with the fix; how many requests they have served "
                "is not known."
            )
        return f"{self.failures} of {self.exposures} {self.of}, ≤ {_percent(self.bound)} at 95 %"


def plainly(report: WatchReport) -> str:
    """The state of it without a word from outside: releases and transactions are called what their senders like."""
    if report.recurred_at is not None:
        return "it came back in a build that contains the fix"
    if not report.builds:
        return "no build that contains the fix is known to run yet"
    rate = (
        f" of {report.exposures} requests, ≤ {_percent(report.bound)} at 95 %"
        if report.exposures
        else " events"
    )
    return f"{report.failures}{rate}, in {len(report.builds)} builds that contain the fix"


def decide_builds(house: House, limit: int = 50) -> int:
    """Look up what builds contain that nobody has looked at yet, and reopen what came back; how many were reopened."""
    reopened, fetched = 0, set[str]()
    for watch, build in recurring.questions(house.database, limit):
        contains, said = _decided(house, watch, build)
        if contains is None and _fetched(house, watch, fetched):
            contains, said = _decided(house, watch, build)
        recurring.answer(house.database, build, contains, said)
        if build.event_id is not None and _is_back(house, watch, build, contains):
            words = f"ran on {build.release or 'a build'}, which contains the fix: {said}"
            unknown = f"came more than a day after the merge, and nothing tells whether its build has the fix: {said}"
            reopened += recurring.reopen(house.database, watch, build, words if contains else unknown)
    return reopened


def foresee(house: House) -> None:
    """Look up the releases that no event has asked about yet, so that the first one reopens at once."""
    for watch in recurring.watches(house.database, active=True):
        known = {
            build.release for build in recurring.builds(house.database, watch) if build.contains is not None
        }
        for release in queries.releases(house.database, watch.project):
            if release.version and release.version not in known:
                build = Build(watch.id, release.version, None, None)
                contains, said = _decided(house, watch, build)
                if contains is not None:
                    recurring.answer(house.database, build, contains, said)


def reports(house: House, incident_id: str) -> list[WatchReport]:
    """How the merged fixes of an incident hold, oldest first. Raises NotFound."""
    events = queries.events(house.database, incident_id, limit=1)
    transaction = events[0].transaction if events else None
    return [_report(house, watch, transaction) for watch in recurring.watches(house.database, incident_id)]


def as_json(found: Sequence[WatchReport]) -> list[dict[str, Any]]:
    """The reports as scripts read them."""
    return [{**report.model_dump(mode="json"), "said": report.said} for report in found]


def _report(house: House, watch: Watch, transaction: str | None) -> WatchReport:
    builds = {build.release: build.contains for build in recurring.builds(house.database, watch)}
    counts = recurring.counts(house.database, watch, transaction)
    containing = tuple(sorted(name for name, has in builds.items() if has and name != UNNAMED))
    exposures = sum(counts.exposures.get(name, 0) for name in containing)
    failures = sum(counts.events.get(name, 0) for name in containing)
    return WatchReport(
        attempt=watch.attempt_id, merged_at=watch.merged_at, commits=watch.commits, builds=containing,
        without=tuple(sorted(name for name in counts.events if builds.get(name) is False)),
        unplaced=sum(number for name, number in counts.events.items() if builds.get(name) is None),
        exposures=exposures, of=counts.of, failures=failures,
        bound=miss_bound(exposures, failures) if exposures else None,
        recurred_at=watch.recurred_at, recurred_release=watch.recurred_release,
    )  # fmt: skip


def _fetched(house: House, watch: Watch, done: set[str]) -> bool:
    """Fetch what the repositories of a fix have got since, each once; whether any was."""
    new = {repo for repo in watch.commits if repo not in done}
    done |= new
    for repo in new:
        try:
            house.mirrors.sync(repo)
        except NightdeskError as problem:
            log.warning("%s cannot be fetched: %s", repo, problem)
    return bool(new)


def _is_back(house: House, watch: Watch, build: Build, contains: bool | None) -> bool:
    """Whether the event that asked brings the incident back. One of a build that nobody can place does so once the old
    builds have had a day to go."""
    if contains is not None:
        return contains
    event = queries.event(house.database, build.event_id or "", watch.project)
    moment = event.timestamp if event else datetime.now(UTC)
    return moment > watch.merged_at + GRACE


def _decided(house: House, watch: Watch, build: Build) -> tuple[bool | None, str]:
    """Whether a build contains every commit of the fix, and the sentence that says how this is known."""
    try:
        places = house.places(watch.project)
        stood = _standing(house, places, watch, build)
        mirrors = {place.mirror.name: place.mirror for place in places}
        return _contains(mirrors, stood, watch)
    except NightdeskError as problem:
        return None, str(problem)


def _standing(house: House, places: Sequence[Place], watch: Watch, build: Build) -> Mapping[str, str]:
    """Repository to commit of the build, of those of which it is known."""
    if build.release != UNNAMED:
        version, release = build.release, queries.release(house.database, watch.project, build.release)
    else:
        event = queries.event(house.database, build.event_id or "", watch.project)
        release = release_of(house.database, event) if event else None
        version = release.version if release else UNNAMED
    found = standings(places, version, release)
    return {repo: standing.commit for repo, standing in found.items() if standing.certain}


def _contains(
    mirrors: Mapping[str, Mirror], stood: Mapping[str, str], watch: Watch
) -> tuple[bool | None, str]:
    if not watch.commits:
        return None, "The forge does not say as which commit the fix was merged."
    for repo, commit in watch.commits.items():
        if repo not in mirrors or repo not in stood:
            return None, f"Which commit of {repo} it was made from is not known."
        mirror = mirrors[repo]
        if mirror.resolve(commit) is None:
            return None, f"The merged commit {commit[:10]} is not in the mirror of {repo}."
        if not mirror.is_ancestor(commit, stood[repo]):
            return False, f"{repo} at {stood[repo][:10]} is without {commit[:10]}."
    merged = ", ".join(f"{repo} {commit[:10]}" for repo, commit in watch.commits.items())
    return True, f"it was merged as {merged}"


def _percent(rate: float | None) -> str:
    return "100 %" if rate is None else f"{rate * 100:.2g} %"

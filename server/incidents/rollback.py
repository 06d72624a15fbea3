"""Roll-back advice: the newest earlier release without the proven change, and what else going back takes away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from server.knowing.releases import Place, release_of, standings
from store import queries
from store.errors import NightdeskError
from store.event import Event, Value
from store.mirrors import Mirror
from store.project import Release
from store.repair import Attempt, CandidateChange, ChangeVerdict

if TYPE_CHECKING:
    from server.house import House

_LOOKED_AT = 20  # earlier releases
_LISTED = 50  # changes that are named


class Removed(Value):
    """A change that going back takes away. Title and author are the repository's words, not ours."""

    repo: str
    commit: str
    title: str
    author: str


class Rollback(Value):
    """Where to go back to. `also_removes` are the other changes, the newest first; `left_out` more are not named."""

    to_release: str
    environment: str | None = None
    since: datetime | None = None  # when that release was deployed, or first seen
    change: str
    also_removes: tuple[Removed, ...] = ()
    left_out: int = 0

    @property
    def said(self) -> str:
        """The advice in one sentence of our own words."""
        count = len(self.also_removes) + self.left_out
        others = f"going back also removes {count} other change{'' if count == 1 else 's'}"
        return f"Release {self.to_release} does not have it; {others if count else 'going back removes nothing else'}."


def advice(house: House, attempt: Attempt | None, event: Event | None) -> Rollback | None:
    """Where the team could go back to, or None: no change is proven, the running release is not known, or no
    earlier one lacks the change. `event` is the newest one."""
    change = (
        next((c for c in attempt.changes if c.verdict is ChangeVerdict.PROVEN), None) if attempt else None
    )
    if change is None or event is None:
        return None
    try:
        return _advice(house, change, event)
    except NightdeskError:  # a repository that cannot be read: no advice is better than half of one
        return None


def _advice(house: House, change: CandidateChange, event: Event) -> Rollback | None:
    running = release_of(house.database, event)
    if running is None:
        return None
    places = house.places(event.project)
    commits = _commits(places, running)
    mirrors = {place.mirror.name: place.mirror for place in places}
    mirror = mirrors.get(change.repo)
    if (
        mirror is None
        or change.repo not in commits
        or not mirror.is_ancestor(change.commit, commits[change.repo])
    ):
        return None
    releases = queries.releases(house.database, event.project)
    for earlier in _before(releases, running, event)[:_LOOKED_AT]:
        there = _commits(places, earlier)
        if change.repo in there and not mirror.is_ancestor(change.commit, there[change.repo]):
            return _rollback(earlier, change, list(_removed(mirrors, there, commits, change)))
    return None


def _before(releases: Sequence[Release], running: Release, event: Event) -> list[Release]:
    """Releases that ran here before the running one, the newest first."""
    told = [r for r in releases if event.environment is None or r.environment in {None, event.environment}]
    moments = [moment for r in told if r.version == running.version and (moment := _moment(r))]
    start = min(moments, default=event.timestamp)
    earlier = [r for r in told if r.version != running.version and (moment := _moment(r)) and moment < start]
    return sorted(earlier, key=lambda r: _moment(r) or start, reverse=True)


def _moment(release: Release) -> datetime | None:
    return release.deployed_at or release.first_seen


def _commits(places: Sequence[Place], release: Release) -> dict[str, str]:
    """Repository to commit, of those of which it is known."""
    stood = standings(places, release.version, release)
    return {repo: standing.commit for repo, standing in stood.items() if standing.certain}


def _removed(
    mirrors: Mapping[str, Mirror], there: Mapping[str, str], here: Mapping[str, str], change: CandidateChange
) -> Iterator[Removed]:
    for repo in here.keys() & there.keys():
        for commit in mirrors[repo].between(there[repo], here[repo]):
            if commit.sha != change.commit:
                yield Removed(
                    repo=repo, commit=commit.sha, title=commit.subject[:300], author=commit.author[:200]
                )


def _rollback(release: Release, change: CandidateChange, removed: Sequence[Removed]) -> Rollback:
    return Rollback(
        to_release=release.version, environment=release.environment, since=_moment(release), change=change.commit,
        also_removes=tuple(removed[:_LISTED]), left_out=len(removed[_LISTED:]),
    )  # fmt: skip


def as_json(found: Rollback | None) -> dict[str, Any] | None:
    """The advice as scripts read it."""
    return {**found.model_dump(mode="json"), "said": found.said} if found else None

"""Which commit of which repository an event ran on, and how that is known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from store import queries
from store.database import Database
from store.event import Event
from store.mirrors import Mirror
from store.project import Release


@dataclass(frozen=True)
class Standing:
    """The commit that one repository stood at, and the sentence that says how this is known."""

    commit: str
    said: str
    certain: bool  # False where the head of the default branch stands in for a release that is not known


def release_of(db: Database, event: Event) -> Release | None:
    """The release row of an event: the one it names, else the last one deployed to its environment before
    it."""
    if event.release:
        return queries.release(db, event.project, event.release)
    return deployed_before(queries.releases(db, event.project), event.environment, event.timestamp)


def deployed_before(releases: Sequence[Release], environment: str | None, moment: datetime) -> Release | None:
    """The release deployed last before a moment, to this environment where both sides name one."""
    there = [
        release
        for release in releases
        if release.deployed_at
        and release.deployed_at <= moment
        and (environment is None or release.environment in {None, environment})
    ]
    return max(there, key=lambda release: release.deployed_at or moment, default=None)


def standing(mirror: Mirror, event: Event, release: Release | None) -> Standing:
    """Where this repository stood: by the release's row, by a commit or tag that the release's name is, or by
    guess."""
    recorded = (release.commits if release else {}).get(mirror.name)
    if release and recorded and (commit := mirror.resolve(recorded)):
        return Standing(commit, f"Release {release.version} ran {mirror.name} at {commit[:10]}.", True)
    if event.release and (commit := _named_by(event.release, mirror)):
        return Standing(
            commit, f"The release {event.release!r} names commit {commit[:10]} of {mirror.name}.", True
        )
    head = mirror.head()
    why = f"release {event.release!r} is not known" if event.release else "the event names no release"
    return Standing(head, f"Taken at the head of the default branch ({head[:10]}), because {why}.", False)


def _named_by(version: str, mirror: Mirror) -> str | None:
    """The commit that a release's name is by itself: a sha (7 digits at least) or a tag, with or without
    `name@`, `v`."""
    bare = version.rpartition("@")[2]
    sha = bare.rpartition("+")[2]
    if re.fullmatch(r"[0-9a-f]{7,40}", sha) and (commit := mirror.resolve(sha)):
        return commit
    tags: Mapping[str, str] = mirror.tags()
    return next(
        (tags[name] for name in (version, bare, f"v{bare}", bare.removeprefix("v")) if name in tags), None
    )

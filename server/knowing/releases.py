"""Which commit of which repository an event ran on, and how that is known."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.knowing.locks import Pin, canonical, pins
from store import queries
from store.database import Database
from store.event import Event
from store.mirrors import Mirror
from store.project import Release


@dataclass(frozen=True)
class Standing:
    """The commit that one repository stood at, and the sentence that says how this is known. `by` is how:
    recorded, sha, tag, lock, time or head."""

    commit: str
    said: str
    certain: bool  # False where the head of the default branch stands in for a release that is not known
    by: str


@dataclass(frozen=True)
class Place:
    """A repository of a project: its mirror, and the files in it that say what it has installed."""

    mirror: Mirror
    locks: tuple[str, ...] = ()


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


def standings(
    places: Sequence[Place], version: str | None, release: Release | None, moment: datetime | None = None
) -> dict[str, Standing]:
    """Where each repository stood when a version ran: by the release's row, by a commit that the version's name is,
    by the lock of a repository that uses it, by a tag of the version's name, by the time at which it ran, or by
    guess."""
    stood = {place.mirror.name: standing(place.mirror, version, release, moment) for place in places}
    known = dict(stood)
    users = [place for place in places if place.locks]
    locked: dict[str, dict[str, Pin]] = {}
    for place in places:
        name = place.mirror.name
        if known[name].by in {"recorded", "sha"} or not any(user is not place for user in users):
            continue
        names = distribution_names(place.mirror)
        for user in users:
            service = user.mirror.name
            if service == name:
                continue
            if service not in locked:
                locked[service] = _locked(user, known[service].commit)
            pin = next((locked[service][each] for each in names if each in locked[service]), None)
            if pin and (commit := pinned(place.mirror, names, pin)):
                stood[name] = _by_lock(name, commit, pin, service, known[service])
                break
    return stood


def standing(
    mirror: Mirror, version: str | None, release: Release | None, moment: datetime | None = None
) -> Standing:
    """Where this repository stood by itself: by the release's row, by a commit or tag that the release's name is, by
    what the default branch was at that moment, or by guess."""
    recorded = (release.commits if release else {}).get(mirror.name)
    if release and recorded and (commit := mirror.resolve(recorded)):
        return Standing(
            commit, f"Release {release.version} ran {mirror.name} at {commit[:10]}.", True, "recorded"
        )
    if version and (named := _named_by(version, mirror)):
        commit, by = named
        said = f"The release {version!r} names commit {commit[:10]} of {mirror.name}."
        return Standing(commit, said, True, by)
    head = mirror.head()
    why = f"release {version!r} is not known" if version else "the event names no release"
    then = mirror.head_at(moment) if moment else None
    if then is not None and then != head:
        said = f"Taken as the default branch was at the time of the event ({then[:10]}), because {why}."
        return Standing(then, said, False, "time")
    said = f"Taken at the head of the default branch ({head[:10]}), because {why}."
    return Standing(head, said, False, "head")


def distribution_names(mirror: Mirror) -> frozenset[str]:
    """By what a repository may be called in a lock: its own name, and what its `pyproject.toml` says."""
    names = {canonical(mirror.name.rpartition("/")[2])}
    try:
        told = tomllib.loads(mirror.text(mirror.head(), "pyproject.toml") or "")
    except tomllib.TOMLDecodeError:
        return frozenset(names)
    for table in (told.get("project"), told.get("tool", {}).get("poetry")):
        if isinstance(table, dict) and isinstance(table.get("name"), str):
            names.add(canonical(table["name"]))
    return frozenset(names)


def pinned(mirror: Mirror, names: Iterable[str], pin: Pin) -> str | None:
    """The commit of a library that a pin means: its git revision, else the tag of its version."""
    if pin.revision and (commit := mirror.resolve(pin.revision)):
        return commit
    if pin.version is None:
        return None
    tags = mirror.tags()
    by_name = [
        f"{name}{between}{pin.version}" for name in names for between in ("-", "-v", "@", "/v", "/", "==")
    ]
    return next((tags[tag] for tag in (f"v{pin.version}", pin.version, *by_name) if tag in tags), None)


def _locked(user: Place, commit: str) -> dict[str, Pin]:
    """Every pin of a repository at a commit; an earlier file wins over a later one."""
    found: dict[str, Pin] = {}
    contents = user.mirror.blobs(commit, user.locks)
    for path in reversed(user.locks):
        content = contents[path]
        if content is not None:
            found |= pins(path, content.decode("utf-8", "replace"))
    return found


def _by_lock(name: str, commit: str, pin: Pin, service: str, standing: Standing) -> Standing:
    what = pin.version or pin.revision
    said = f"{service} at {standing.commit[:10]} has {name} {what} in its lock: commit {commit[:10]}."
    return Standing(commit, said, standing.certain, "lock")


def _named_by(version: str, mirror: Mirror) -> tuple[str, str] | None:
    """The commit that a release's name is by itself, and by what: a sha (7 digits at least) or a tag, with or without
    `name@`, `v`."""
    bare = version.rpartition("@")[2]
    sha = bare.rpartition("+")[2]
    if re.fullmatch(r"[0-9a-f]{7,40}", sha) and (commit := mirror.resolve(sha)):
        return commit, "sha"
    tags: Mapping[str, str] = mirror.tags()
    names = (version, bare, f"v{bare}", bare.removeprefix("v"))
    return next(((tags[name], "tag") for name in names if name in tags), None)

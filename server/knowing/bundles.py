"""Where the source map of a bundle is: uploaded (by the bundler's id, or by release and name), or in a repository at
the release's commit. Frames of bundles are told as their originals before an event is grouped."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from store import source_maps as kept_maps
from store.artifacts import Artifacts
from store.database import Database
from store.errors import BadPayload, NightdeskError
from store.event import Event
from store.source_maps import KeptMap
from triage.source_maps import SourceMap, debug_id, file_of, read
from triage.unbundle import CONTEXT, best_named, may_be_bundled, unbundled

if TYPE_CHECKING:
    from triage import Sources

log = logging.getLogger("nightdesk.bundles")

LARGEST = 64 << 20  # bytes of one map
_REMEMBERED = 4  # maps that are kept decoded
_FRESH = 60.0  # seconds for which it is remembered which maps a release has
InRepositories = dict[str, "tuple[str, str] | None"]  # bundle's path -> repository and path of its map
_RELEASES = 64  # releases of which that is remembered


class Bundles:
    """Tells events of bundles as their originals. Safe to use from several threads."""

    def __init__(self, database: Database, artifacts: Artifacts, sources: Callable[[Event], Sources]) -> None:
        self._database = database
        self._artifacts = artifacts
        self._sources = sources
        self._looked: dict[tuple[str, str | None, str | None], tuple[float, InRepositories]] = {}

    def restored(self, event: Event) -> Event:
        """The event with the frames of bundles as their originals, where there is a map; else as it is. Never raises:
        what a damaged map says is logged, and the frames stay."""
        if not may_be_bundled(event):
            return event
        try:
            uploaded = kept_maps.of_release(self._database, event.project, event.release)
            in_repositories = self._in_repositories(event)
            ids = _debug_ids(event)
            if not (uploaded or in_repositories or ids):
                return event
            return unbundled(event, lambda path: self._map(event, path, uploaded, in_repositories, ids))
        except NightdeskError as error:
            log.warning("Source maps of event %s cannot be used: %s", event.event_id, error)
            return event

    def _map(
        self,
        event: Event,
        path: str,
        uploaded: Sequence[KeptMap],
        in_repositories: InRepositories,
        ids: dict[str, str],
    ) -> SourceMap | None:
        """By the bundler's id first: it is of that very build."""
        if path in ids:
            found = kept_maps.of_debug_id(self._database, event.project, ids[path])
            if found is not None:
                return _decoded(self._artifacts, found.artifact)
        for release in (event.release, None):
            named = {kept.name: kept for kept in uploaded if kept.release == release}
            name = best_named(path, named)
            if name is not None:
                return _decoded(self._artifacts, named[name].artifact)
        name = best_named(path, in_repositories)
        place = in_repositories[name] if name is not None else None
        if place is None:
            return None
        repo, at = place
        text = self._sources(event).text(repo, at)
        return None if text is None else _decoded(self._artifacts, self._artifacts.put(text.encode()))

    def _in_repositories(self, event: Event) -> InRepositories:
        """The maps that are in repositories at the event's release: looked for once a minute at most."""
        key = (event.project, event.release, event.environment)
        now = time.monotonic()
        known = self._looked.get(key)
        if known is not None and now - known[0] < _FRESH:
            return known[1]
        found = _in_repositories(self._sources(event))
        if len(self._looked) >= _RELEASES:
            self._looked.clear()
        self._looked[key] = now, found
        return found


def kept(
    artifacts: Artifacts, name: str | None, content: bytes, release: str | None, fallback: str | None = None
) -> KeptMap:
    """A map as it is kept: read once, so that what is damaged is refused at the door. Without a name it is the bundle
    that the map names, else `fallback`. Raises BadPayload."""
    if len(content) > LARGEST:
        raise BadPayload(f"A source map has at most {LARGEST >> 20} MiB.")
    read(content)
    named = name or file_of(content) or fallback
    if not named:
        raise BadPayload("The map does not say which bundle it is of; name it.")
    artifact = artifacts.put(content)
    return KeptMap(named.removeprefix("~/"), release, debug_id(content), artifact)


def bundle_of(path: str) -> str:
    """The bundle that a map's file name tells."""
    return PurePosixPath(path).name.removesuffix(".map")


def _in_repositories(sources: Sources) -> InRepositories:
    """Bundle's path -> repository and path of its map; a path that two repositories have is left out. A script without
    a map stands there with None: a frame that is nearer to it is not in a bundle. Empty where there is no map."""
    found: InRepositories = {}
    scripts: set[str] = set()
    twice: set[str] = set()
    for repo in sources.repositories():
        for path in sources.paths(repo):
            if path.endswith((".js.map", ".mjs.map", ".cjs.map", ".bundle.map")):
                name = path.removesuffix(".map")
                if name in found:
                    twice.add(name)
                found[name] = (repo, path)
            elif path.endswith((".js", ".mjs", ".cjs")):
                scripts.add(path)
    if not found:
        return {}
    mapped = {name: place for name, place in found.items() if name not in twice}
    return {**dict.fromkeys(scripts - found.keys()), **mapped}


@lru_cache(maxsize=_REMEMBERED)
def _decoded(artifacts: Artifacts, digest: str) -> SourceMap:
    return read(artifacts.get(digest))


def _debug_ids(event: Event) -> dict[str, str]:
    """Bundle's address -> the id that the sender told with it."""
    told = event.contexts.get(CONTEXT)
    ids = told.get("debug_ids") if isinstance(told, dict) else None
    return {str(path): str(found).lower() for path, found in ids.items()} if isinstance(ids, dict) else {}

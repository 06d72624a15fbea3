"""What is known when a repair begins: the events, where their frames are in the team's code, what must be the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from fixloop import Repositories
from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.same import Signature, signature
from fixloop.reproduce.values import FILTERED
from fixloop.running.worlds import CONVENTIONAL_ROOTS, Layout
from store.event import Event, Frame
from store.incident import CodeLocation
from triage.locate import locate

MAX_SOURCES = 4_000  # modules that are looked through for application objects and classes


class ReleaseSources:
    """`triage.Sources` over the repositories at the commits of the running release."""

    def __init__(
        self,
        repositories: Repositories,
        commits: Mapping[str, str],
        path_maps: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._repositories, self._commits, self._maps = repositories, commits, path_maps
        self._paths: dict[str, Sequence[str]] = {}
        self._texts: dict[tuple[str, str], str | None] = {}

    def repositories(self) -> Sequence[str]:
        return list(self._commits)

    def commit(self, repo: str) -> str:
        return self._commits[repo]

    def paths(self, repo: str) -> Sequence[str]:
        if repo not in self._paths:
            self._paths[repo] = self._repositories.get(repo).paths(self._commits[repo])
        return self._paths[repo]

    def text(self, repo: str, path: str) -> str | None:
        key = (repo, path)
        if key not in self._texts:
            self._texts[key] = self._repositories.get(repo).text(self._commits[repo], path)
        return self._texts[key]

    def read_ahead(self, repo: str, paths: Sequence[str]) -> None:
        """Read many files by one process; what `text` is asked afterwards is there already."""
        paths = [path for path in paths if (repo, path) not in self._texts]
        for path, content in self._repositories.get(repo).blobs(self._commits[repo], paths).items():
            try:
                self._texts[(repo, path)] = None if content is None else content.decode("utf-8")
            except UnicodeDecodeError:
                self._texts[(repo, path)] = None

    def path_map(self, repo: str) -> Mapping[str, str]:
        return self._maps.get(repo, {})

    def renamed(self, repo: str) -> Mapping[str, str]:
        return {}  # a world is built of the files of its commit, and frames are run by the names that they have there


@dataclass(frozen=True)
class Sighting:
    """One event with its frames in the team's code, oldest first."""

    event: Event
    own: tuple[OwnFrame, ...]
    signature: Signature | None


class Situation:
    """All events of an incident against the code that ran."""

    def __init__(self, events: Sequence[Event], sources: ReleaseSources, layout: Layout) -> None:
        self.events, self.sources, self.layout = tuple(events), sources, layout

    @cached_property
    def sightings(self) -> tuple[Sighting, ...]:
        return tuple(self._see(event) for event in self.events)

    @property
    def first(self) -> Sighting:
        return self.sightings[0]

    @cached_property
    def redacted(self) -> tuple[str, ...]:
        """Where the events lack a value because it was redacted: in the request, and in the frames' locals."""
        found: dict[str, None] = {}
        for sighting in self.sightings:
            taken = (one.pointer for one in sighting.event.redactions)
            found |= dict.fromkeys(one for one in taken if "/vars/" in one or one.startswith("/request/"))
            request = sighting.event.request
            if request is not None:
                parts = {"data": request.data, "headers": request.headers, "query": request.query_string}
                found |= dict.fromkeys(_filtered(parts, "request"))
            for own in sighting.own:
                found |= dict.fromkeys(_filtered(own.frame.vars, own.frame.function or "frame"))
        return tuple(found)

    def _see(self, event: Event) -> Sighting:
        error = event.exception
        if error is None:
            return Sighting(event, (), None)
        self._read_ahead(event)
        located = locate(event, self.sources)
        own = tuple(
            own_frame
            for at, (frame, place, mine) in enumerate(
                zip(error.frames, located.frames, located.own, strict=True)
            )
            if mine and place is not None and (own_frame := self._own(frame, place, at)) is not None
        )
        text = None
        if own and own[-1].location.line:
            lines = own[-1].source.splitlines()
            line = own[-1].location.line
            text = lines[line - 1] if 0 < line <= len(lines) else None
        return Sighting(event, own, signature(event, [frame.frame for frame in own], text))

    def _read_ahead(self, event: Event) -> None:
        """Read by one process what `locate` will look into: every file that is called as a frame's is."""
        paths = (
            frame.abs_path or frame.filename or "" for error in event.exceptions for frame in error.frames
        )
        called = {path.replace("\\", "/").rpartition("/")[2] for path in paths}
        for repo in self.sources.repositories():
            self.sources.read_ahead(
                repo, [p for p in self.sources.paths(repo) if p.rpartition("/")[2] in called]
            )

    def _own(self, frame: Frame, place: CodeLocation, at: int) -> OwnFrame | None:
        text = self.sources.text(place.repo, place.path)
        if text is None or not place.path.endswith(".py"):
            return None
        return OwnFrame(frame, place, self.module_name(place.repo, place.path), text, at)

    def module_name(self, repo: str, path: str) -> str:
        """The import name of a file: its path below the source root that it stands under."""
        pure = PurePosixPath(path)
        roots = [root for root in self.layout.repo(repo).source_roots if root not in (".", "")]
        for root in [*roots, *(root for root in CONVENTIONAL_ROOTS if root != ".")]:
            if pure.is_relative_to(root):
                pure = pure.relative_to(root)
                break
        parts = list(pure.with_suffix("").parts)
        if parts and parts[-1] == "__init__":
            parts.pop()
        return ".".join(parts)

    @cached_property
    def modules(self) -> dict[str, tuple[str, str]]:
        """Module name -> (repository, text) of the team's Python files, tests left out."""
        found: dict[str, tuple[str, str]] = {}
        for repo in self.layout.repositories:
            paths = [
                path for path in self.sources.paths(repo.name) if path.endswith(".py") and not is_test(path)
            ]
            self.sources.read_ahead(repo.name, paths[:MAX_SOURCES])
            for path in paths[:MAX_SOURCES]:
                text = self.sources.text(repo.name, path)
                if text is not None:
                    found.setdefault(self.module_name(repo.name, path), (repo.name, text))
        return found

    @cached_property
    def catalogue(self) -> Catalogue:
        """The classes, functions and instances of the team's own code."""
        return Catalogue(lambda: {module: text for module, (_, text) in self.modules.items()})


def _filtered(value: object, path: str) -> Iterator[str]:
    """The places in a value where something was taken out."""
    if isinstance(value, str):
        if any(mark in value for mark in FILTERED):
            yield path
    elif isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _filtered(part, f"{path}.{key}")


def is_test(path: str) -> bool:
    """Whether a path is a test's or only serves tests."""
    pure = PurePosixPath(path)
    return (
        any(part in ("tests", "test", "testing") for part in pure.parts[:-1])
        or pure.name.startswith("test_")
        or pure.name.endswith("_test.py")
        or pure.name == "conftest.py"
    )

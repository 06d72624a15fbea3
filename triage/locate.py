"""From a path in a container to repository, path, line and commit, over all repositories of the project.

Candidates are the files whose path shares the longest end with the frame's; the text of the line and the
name of the
function decide whether it is really that file. What stays open is given as alternatives and not guessed away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.event import Event, ExceptionValue, Frame
from store.incident import CodeLocation
from triage.languages import by_name
from triage.paths import (
    Installed,
    common_suffix,
    installed,
    is_named,
    is_standard,
    is_unlikely,
    mapped,
    normal,
    of_class,
    spellings,
)

if TYPE_CHECKING:
    from triage import Sources

DOUBT = 0.6  # confidence up to which several places are said to be open
OWN = 0.5  # confidence from which a located frame counts as the team's own code
NEARBY = 80  # lines above within which a function is named, in languages that we cannot read
MOVED = 400  # lines within which a line that moved is looked for
ALTERNATIVES = 5


@dataclass(frozen=True)
class Located:
    """Where the frames of the last exception are in the team's code."""

    frames: tuple[CodeLocation | None, ...]  # aligned to the frames of the last exception
    own: tuple[
        bool, ...
    ]  # whether the frame is the team's own code: located, or called in-app with nothing against it
    best: CodeLocation | None  # the innermost own frame
    alternatives: tuple[CodeLocation, ...] = ()  # other places that the best one could be as well


@dataclass(frozen=True)
class _Candidate:
    location: CodeLocation
    rank: tuple[float, ...]


def locate(event: Event, sources: Sources) -> Located:
    """Find every frame of the last exception; where none of its frames is own, `best` comes from its
    causes."""
    finder = _Finder(event.platform, sources)
    raised = event.exception
    if raised is None:
        return Located((), (), None)
    found = finder.chain(raised)
    frames = tuple(places[0] if places else None for places in found)
    own = tuple(_is_own(frame, place) for frame, place in zip(raised.frames, frames, strict=True))
    best = _innermost(found)
    for cause in reversed(event.exceptions[:-1]):
        if best:
            break
        best = _innermost(finder.chain(cause))
    return Located(frames, own, best[0] if best else None, tuple(best[1:]) if best else ())


def _innermost(found: Sequence[list[CodeLocation]]) -> list[CodeLocation]:
    return next((places for places in reversed(found) if places and places[0].confidence >= OWN), [])


def _is_own(frame: Frame, place: CodeLocation | None) -> bool:
    """Found in a repository of the team (an own library counts, whatever the sender said), or called
    in-app."""
    return frame.in_app or (place is not None and place.confidence >= OWN)


class _Finder:
    """The files of all repositories, by name."""

    def __init__(self, platform: str, sources: Sources) -> None:
        self._sources = sources
        self._language = by_name(platform) or (by_name("python") if platform == "other" else None)
        self._files: dict[str, list[tuple[str, str]]] = {}
        for repo in sources.repositories():
            for path in sources.paths(repo):
                self._files.setdefault(path.rsplit("/", 1)[-1], []).append((repo, path))
        self._roots: dict[
            tuple[str, str], int
        ] = {}  # (container folder, repository folder) -> frames that agree

    def chain(self, raised: ExceptionValue) -> list[list[CodeLocation]]:
        """For each frame its possible places, the best first."""
        known: dict[tuple[str | None, int | None, str | None], list[_Candidate]] = {}
        ranked = []
        for frame in raised.frames:
            key = (frame.abs_path or frame.filename, frame.lineno, frame.function)
            if key not in known:
                known[key] = self._candidates(frame)
                self._learn(frame, known[key])
            ranked.append(known[key])
        return [
            self._settle(frame, candidates) for frame, candidates in zip(raised.frames, ranked, strict=True)
        ]

    def _candidates(self, frame: Frame) -> list[_Candidate]:
        path = _path(frame)
        if not path or is_standard(path, frame.module):
            return []
        for repo in self._sources.repositories():
            exact = mapped(path, self._sources.path_map(repo))
            if exact is not None and (repo, exact) in self._files.get(exact.rsplit("/", 1)[-1], ()):
                location = self._place(frame, repo, exact, "path map", 0.9)
                return [_Candidate(location, (location.confidence,))]
        package = installed(path)
        found: list[_Candidate] = []
        for wanted in spellings(package.rest if package else path):
            named = self._files.get(wanted.rsplit("/", 1)[-1], ())
            ordered = sorted(
                ((common_suffix(wanted, one[1]), one) for one in named), key=lambda each: -each[0]
            )
            for shared, (repo, candidate) in ordered:
                if found and max(one.rank for one in found) > (True, shared + 1):
                    break  # what is verified and shares more cannot be outranked; a thousand files take time
                judged = self._judged(frame, repo, candidate, wanted, package)
                if judged is not None:
                    found.append(judged)
            if found:
                break  # what it was built from is asked for only where the file itself is nowhere
        if not any(one.location.confidence >= OWN for one in found) and package is None:
            found += self._moved(frame, path)
        found.sort(key=lambda one: (tuple(-part for part in one.rank), one.location.repo, one.location.path))
        return found

    def _moved(self, frame: Frame, path: str) -> list[_Candidate]:
        """Files that had this name at another time. The name alone is worth less than it is for a file that still has
        it."""
        if not (frame.in_app or frame.context_line):
            return []
        found = []
        name = path.rsplit("/", 1)[-1]
        for repo in self._sources.repositories():
            for before, present in self._sources.renamed(repo).items():
                if before.rsplit("/", 1)[-1] != name:
                    continue
                shared = common_suffix(path, before)
                complete = shared == before.count("/") + 1
                base = round(_base(shared, complete) - 0.1, 2)
                place = self._place(frame, repo, present, f"renamed from {before}", base)
                if place.confidence > base or (place.confidence == base >= OWN):
                    found.append(_Candidate(place, _rank(place, shared, complete)))
        return found

    def _judged(
        self, frame: Frame, repo: str, path: str, wanted: str, package: Installed | None
    ) -> _Candidate | None:
        """The candidate with what speaks for it; None where too little does."""
        shared = common_suffix(wanted, path)
        complete = shared == path.count("/") + 1
        if package and not self._is_of(package, repo, wanted, path, shared):
            return None
        place = self._place(frame, repo, path, "path", _base(shared, complete))
        verified = place.confidence > _base(shared, complete)
        if package and (place.confidence < _base(shared, complete) or (is_unlikely(path) and not verified)):
            return None
        if shared == 1 and not verified and (not complete or place.confidence < _base(shared, complete)):
            return None
        return _Candidate(place, _rank(place, shared, complete))

    def _is_of(self, package: Installed, repo: str, wanted: str, path: str, shared: int) -> bool:
        """Whether a repository's file can be this file of an installed package: Python's packages keep their
        name in the path, those of others are told by the name of the repository or of a folder in it."""
        if wanted.startswith(f"{package.package}/"):
            return shared == wanted.count("/") + 1
        folders = path.split("/")[:-1]
        if not (is_named(package.package, repo) or any(is_named(package.package, one) for one in folders)):
            return False
        return shared == wanted.count("/") + 1 or (
            shared > 0 and wanted.startswith(("dist/", "lib/", "build/"))
        )

    def _place(self, frame: Frame, repo: str, path: str, how: str, base: float) -> CodeLocation:
        """Check the line's text, then the function's name, against the file at the running commit."""
        source = self._sources.text(repo, path)
        line, method, confidence = frame.lineno, f"{how}", base
        if source is not None and frame.lineno:
            lines = source.splitlines()
            wanted = (frame.context_line or "").strip()
            if wanted and "redacted-" not in wanted and not wanted.endswith("…"):
                at = _find_line(lines, wanted, frame.lineno)
                if at == frame.lineno:
                    method, confidence = f"{how}, line text", 0.99
                elif at is not None:
                    line, method, confidence = at, f"{how}, line text moved from {frame.lineno}", 0.85
                elif self._has_symbol(source, lines, frame):
                    method, confidence = f"{how}, function; line text differs", min(base, 0.55)
                else:
                    method, confidence = f"{how}; line text differs", min(base, 0.3)
            elif self._has_symbol(source, lines, frame):
                method, confidence = f"{how}, function", max(base, 0.8)
            elif frame.lineno > len(lines):
                method, confidence = f"{how}; the file is shorter", min(base, 0.3)
        return CodeLocation(
            repo=repo,
            path=path,
            line=line,
            function=frame.function,
            commit=self._sources.commit(repo),
            confidence=confidence,
            method=method,
        )

    def _has_symbol(self, source: str, lines: list[str], frame: Frame) -> bool:
        name = re.split(r"[.:#>]", frame.function or "")[-1].removesuffix("()")
        if (
            not name
            or name.startswith("<")
            or not frame.lineno
            or frame.lineno > len(lines)
            or name not in source
        ):
            return False
        if self._language is None:
            word = re.compile(rf"\b{re.escape(name)}\b")
            return any(word.search(line) for line in lines[max(0, frame.lineno - NEARBY) : frame.lineno])
        symbol = self._language.symbol_at(source, frame.lineno)
        return symbol is not None and name in symbol.split(".")

    def _learn(self, frame: Frame, candidates: list[_Candidate]) -> None:
        """Remember which container folder is which repository folder, from frames that leave no doubt."""
        if len(candidates) == 1 or (len(candidates) > 1 and candidates[0].rank > candidates[1].rank):
            root = _root(frame, candidates[0].location)
            if candidates[0].location.confidence >= OWN:
                self._roots[root] = self._roots.get(root, 0) + 1

    def _settle(self, frame: Frame, candidates: list[_Candidate]) -> list[CodeLocation]:
        """Order equals by the folders that other frames were found in; what stays equal loses confidence."""
        if len(candidates) < 2 or candidates[0].rank > candidates[1].rank:
            return [one.location for one in candidates[:1]]
        equal = [one for one in candidates if one.rank == candidates[0].rank][: ALTERNATIVES + 1]
        agreed = [self._roots.get(_root(frame, one.location), 0) for one in equal]
        order = sorted(range(len(equal)), key=lambda at: (-agreed[at], at))
        if agreed[order[0]] > agreed[order[1]]:
            return [equal[at].location for at in order]
        places = [equal[at].location for at in order]
        return [place.model_copy(update={"confidence": _in_doubt(place, len(places))}) for place in places]


def _in_doubt(place: CodeLocation, rivals: int) -> float:
    """The confidence of one of several equal places. That it is the team's code stays sure where each of them
    was; which one it is does not."""
    shared = round(place.confidence * max(0.5, 1 / rivals) + 0.1, 3)
    return max(shared, OWN) if place.confidence >= OWN else shared


def _rank(location: CodeLocation, shared: int, complete: bool) -> tuple[float, ...]:
    verified = location.confidence >= 0.75
    return (verified, shared, complete, not is_unlikely(location.path), location.confidence)


def _path(frame: Frame) -> str:
    """Where the sender says that the frame is; of a class where it says nothing else."""
    path = normal(frame.abs_path or frame.filename or "")
    return of_class(frame.module, path) or path


def _base(shared: int, complete: bool) -> float:
    """What the path alone is worth."""
    if shared > 1:
        return 0.7 if complete or shared > 2 else 0.65
    return 0.6 if complete else 0.2


def _root(frame: Frame, location: CodeLocation) -> tuple[str, str]:
    """The folders that stay when the shared end of both paths is taken off."""
    path = _path(frame)
    shared = common_suffix(path, location.path)
    outside = "/".join(path.split("/")[: path.count("/") + 1 - shared])
    inside = "/".join(location.path.split("/")[: location.path.count("/") + 1 - shared])
    return outside, f"{location.repo}:{inside}"


def _find_line(lines: Sequence[str], wanted: str, near: int) -> int | None:
    """The number of the line that reads so: the one expected, else the nearest within bounds if it says
    enough."""
    if 1 <= near <= len(lines) and lines[near - 1].strip() == wanted:
        return near
    if sum(character.isalnum() for character in wanted) < 6:
        return None
    first, last = max(1, near - MOVED), min(len(lines), near + MOVED)
    found = [number for number in range(first, last + 1) if lines[number - 1].strip() == wanted]
    return min(found, key=lambda number: abs(number - near)) if found else None

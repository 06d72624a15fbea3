"""The evidence pack: everything that is known of a failure without running it, put together the same way each time.

All occurrences at once and aligned in time with what was logged near them, the team's code at the release's commit with
who wrote it, the candidate changes with their hunks, the documents that match, earlier incidents in the same lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from fixloop.bench import Bench
from fixloop.changes.kinds import is_lock
from fixloop.changes.pins import Bump, bumps_of
from fixloop.knowledge import Document, Earlier, LogLine
from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.syntax import function_at, parse
from fixloop.situation import Situation
from store.errors import NightdeskError
from store.event import Event
from store.repair import CandidateChange

FRAMES = 12  # own frames whose code is put in, from the innermost outwards
LINES = 120  # of one piece of code
CHANGES = 12
DOCUMENTS = 6
NEAR = 120  # lines of the time-line


@dataclass(frozen=True)
class Code:
    """A function (or the lines around a place) of the release. `failed` is the line of the stack."""

    repo: str
    commit: str
    path: str
    first: int
    text: str
    failed: int | None
    function: str | None = None

    def line(self, number: int) -> str | None:
        """The text of a line of the file, where it is in here."""
        lines = self.text.split("\n")
        at = number - self.first
        return lines[at] if 0 <= at < len(lines) else None


@dataclass(frozen=True)
class Authored:
    """Who last wrote a line that failed."""

    repo: str
    path: str
    line: int
    commit: str
    text: str


@dataclass(frozen=True)
class Moment:
    """Something that happened: `offset` in milliseconds from the first occurrence; `id` is what a citation names."""

    id: str
    at: datetime
    offset: int
    source: str
    text: str


@dataclass(frozen=True)
class Pack:
    """The pack of one incident. `own` are the frames of the first event in the team's code, innermost last."""

    events: tuple[Event, ...]
    own: tuple[OwnFrame, ...]
    commits: dict[str, str]
    moments: tuple[Moment, ...] = ()
    code: tuple[Code, ...] = ()
    authored: tuple[Authored, ...] = ()
    changes: tuple[CandidateChange, ...] = ()
    bumps: tuple[tuple[CandidateChange, Bump], ...] = ()  # packages that those changes put in another version
    documents: tuple[Document, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def first(self) -> Event:
        """The event that the others are compared with."""
        return self.events[0]

    @property
    def failed(self) -> Code | None:
        """The code around the innermost own line."""
        return self.code[0] if self.code else None

    def counts(self) -> dict[str, int]:
        """How much of each kind there is, for the record."""
        kinds = ("events", "moments", "code", "authored", "changes", "documents", "earlier")
        return {kind: len(getattr(self, kind)) for kind in kinds}


def gather(situation: Situation, changes: Sequence[CandidateChange], bench: Bench) -> Pack:
    """The pack of a situation. What cannot be read is left out: a pack says less, it does not fail."""
    own = situation.first.own
    code = tuple(_code(own))
    return Pack(
        events=situation.events,
        own=own,
        commits=dict(bench.layout.commits),
        moments=tuple(_moments(situation.events, bench.knowledge.lines)),
        code=code,
        authored=tuple(_authored(own, bench)),
        changes=tuple(changes[:CHANGES]),
        bumps=tuple(_bumps(changes, bench)),
        documents=_matching(situation, bench.knowledge.documents),
        earlier=bench.knowledge.earlier,
        hints=bench.knowledge.hints,
    )


def _bumps(changes: Sequence[CandidateChange], bench: Bench) -> Iterator[tuple[CandidateChange, Bump]]:
    """The changes of versions, however little else suspects them."""
    touching = (change for change in changes if any(is_lock(path) for path in change.files))
    for change in islice(touching, CHANGES):
        for bump in bumps_of(bench.repositories.get(change.repo), change.commit):
            if bump.old is not None and bump.new is not None:
                yield change, bump


def _code(own: Sequence[OwnFrame]) -> Iterator[Code]:
    """Each function of the stack once, the innermost first."""
    seen: set[tuple[str, str, int]] = set()
    for frame in reversed(own[-FRAMES:]):
        place, lines = frame.location, frame.source.split("\n")
        line = place.line or 1
        tree = parse(frame.source)
        around = function_at(tree, line) if tree else None
        first, last = max(1, line - 20), min(len(lines), line + 20)
        if around is not None:
            first, last = around.node.lineno, around.node.end_lineno or around.node.lineno
        if last - first >= LINES:
            first, last = max(first, line - LINES // 2), min(last, line + LINES // 2)
        key = (place.repo, place.path, first)
        if key not in seen:
            seen.add(key)
            text = "\n".join(lines[first - 1 : last])
            name = around.qualname if around else None
            yield Code(place.repo, place.commit, place.path, first, text, place.line, name)


def _authored(own: Sequence[OwnFrame], bench: Bench) -> Iterator[Authored]:
    for frame in reversed(own[-FRAMES:]):
        place = frame.location
        if not place.line:
            continue
        try:
            mirror = bench.repositories.get(place.repo)
            blamed = mirror.blame(place.commit, place.path, place.line, place.line)
        except NightdeskError:
            continue
        for each in blamed:
            yield Authored(place.repo, place.path, place.line, each.commit, each.text)


def _moments(events: Sequence[Event], lines: Sequence[LogLine]) -> list[Moment]:
    """Occurrences, what each logged before, and the lines near them, in the order in which they happened."""
    start = min(_aware(event.timestamp) for event in events)
    found: list[Moment] = []

    def add(name: str, at: datetime, source: str, text: str) -> None:
        at = _aware(at)
        offset = int((at - start).total_seconds() * 1000)
        found.append(Moment(name, at, offset, source, text[:500]))

    for number, event in enumerate(events):
        error = event.exception
        said = f"{error.type}: {error.value}" if error else event.message or ""
        where = " ".join(filter(None, (event.server_name, event.release, event.transaction)))
        add(f"E{number}", event.timestamp, f"occurrence {event.event_id[:8]}", f"{said} [{where}]")
        for at, crumb in enumerate(event.breadcrumbs):
            if crumb.timestamp is not None:
                add(
                    f"E{number}.B{at}",
                    crumb.timestamp,
                    crumb.category or "log",
                    crumb.message or str(crumb.data),
                )
    for line in lines:
        add(line.id, line.at, line.source, line.text)
    near = sorted(found, key=lambda moment: (_distance(moment, events), moment.at))[:NEAR]
    return sorted(near, key=lambda moment: (moment.at, moment.id))


def _distance(moment: Moment, events: Sequence[Event]) -> float:
    return min(abs((moment.at - _aware(event.timestamp)).total_seconds()) for event in events)


def _aware(moment: datetime) -> datetime:
    """A moment that says no zone is taken as UTC, as senders mean it."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _matching(situation: Situation, documents: Sequence[Document]) -> tuple[Document, ...]:
    """Runbooks that speak of this failure, the most telling first; context and conventions of the repositories as
    they are."""
    words = _words(situation)
    scored = []
    for document in documents:
        hits = sum(bool(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", document.text)) for word in words)
        if document.kind == "runbook" and hits:
            scored.append((-hits, document))
    runbooks = [document for _, document in sorted(scored, key=lambda pair: (pair[0], pair[1].path))]
    others = [document for document in documents if document.kind != "runbook"]
    return (*runbooks[:DOCUMENTS], *others[:DOCUMENTS])


def _words(situation: Situation) -> list[str]:
    """By what a runbook says what it is for: exception types, functions, paths, transactions, tags."""
    event = situation.first.event
    words: dict[str, None] = {}
    for error in event.exceptions:
        words[error.type.rpartition(".")[2]] = None
    for frame in situation.first.own[-FRAMES:]:
        words |= {frame.location.path: None, frame.frame.function or "": None}
    words |= {event.transaction or "": None, event.service or "": None}
    words |= {f"{name}:{value}": None for name, value in event.tags.items()}
    return [word for word in words if len(word) > 3]

"""What a team knows beside its code: documents, lines logged near, earlier incidents. Handed in, read only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from store.repair import Reproducer
from store.shapes import Presence


@dataclass(frozen=True)
class Document:
    """A text of the team's own. `kind`: runbook, context or convention."""

    kind: str
    repo: str
    path: str
    text: str


@dataclass(frozen=True)
class LogLine:
    """A line that was written near an event: `id` is what a citation names. `source` says where it stood."""

    id: str
    at: datetime
    source: str
    text: str


@dataclass(frozen=True)
class Earlier:
    """An incident of before in the same lines, and how its last repair ended."""

    incident: str
    title: str
    place: str
    status: str
    said: str = ""


@dataclass(frozen=True)
class Knowledge:
    """All of it; empty where nobody has handed any in."""

    documents: tuple[Document, ...] = ()
    lines: tuple[LogLine, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    tests: tuple[tuple[str, Reproducer], ...] = ()  # of other incidents that are open: (incident, its test)
    presences: tuple[Presence, ...] = ()  # of the fields that the messages name as missing
    hints: tuple[str, ...] = ()  # what whoever started the repair thinks

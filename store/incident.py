"""What we think of what happened: grouping, place in the code, verdict, lane. Frozen values; no I/O."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from store.event import Value


class Lane(StrEnum):
    """Where an incident stands: `focus` is short, `backlog` is real but can wait, `noise` was set aside."""

    FOCUS = "focus"
    BACKLOG = "backlog"
    NOISE = "noise"


class Status(StrEnum):
    """What became of an incident."""

    OPEN = "open"
    REGRESSED = "regressed"
    MUTED = "muted"
    RESOLVED = "resolved"


class Kind(StrEnum):
    """The cause class of a failure."""

    APP_BUG = "app_bug"
    INFRASTRUCTURE = "infrastructure"
    DEPENDENCY = "dependency"
    CALLER = "caller"
    CONFIGURATION = "configuration"


class Step(Value):
    """One step of a triage or a repair, as people read it."""

    name: str
    started_at: datetime
    took: float  # seconds
    said: str  # one plain sentence
    details: dict[str, Any] = Field(default_factory=dict)


class Fingerprint(Value):
    """Why two events are one incident. Equal `key` under one `mechanism` means the same group."""

    key: str
    mechanism: str
    parts: tuple[str, ...]
    # Keys by which earlier versions of the mechanism knew it: an incident that has one of them goes on under `key`.
    earlier: tuple[str, ...] = Field(default=(), exclude=True)


class CodeLocation(Value):
    """A place in a repository. `confidence` is 0..1; `method` says how it was found."""

    repo: str
    path: str
    line: int | None
    function: str | None
    commit: str
    confidence: float
    method: str


class Verdict(Value):
    """Signal or noise, of which kind, and why. `score` is the probability-like weight of "matters", 0..1."""

    kind: Kind
    signal: bool
    score: float
    threshold: float
    classifier: str  # name@version
    reasons: tuple[str, ...]
    focus_from: float = 0.0  # a score below it can wait; 0: no opinion, the kind and the facts decide


class Occurrence(Value):
    """One event of an incident."""

    incident_id: str
    event_id: str
    seen_at: datetime
    release: str | None
    environment: str | None


class Triage(Value):
    """The record of one triage: what was decided and each step on the way."""

    verdict: Verdict
    lane: Lane
    priority: float  # higher first
    why: str  # the one reason shown in lists
    title: str
    culprit: str
    location: CodeLocation | None
    alternatives: tuple[CodeLocation, ...] = ()
    facts: dict[str, Any] = Field(default_factory=dict)
    steps: tuple[Step, ...] = ()


class Incident(Value):
    """A group of events that are one problem."""

    id: str  # "INC-42"
    project: str
    title: str
    culprit: str = ""
    fingerprints: tuple[Fingerprint, ...] = ()
    first_seen: datetime
    last_seen: datetime
    event_count: int
    user_count: int = 0
    environments: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    status: Status = Status.OPEN
    lane: Lane = Lane.BACKLOG
    priority: float = 0.0
    why: str = ""
    verdict: Verdict | None = None
    location: CodeLocation | None = None
    owner: str | None = None
    owner_set_by: str | None = None  # None: suggested by triage, or nobody
    claimed_by: str | None = None

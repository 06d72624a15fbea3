"""What is around a failure: what happened beside it, what was deployed or switched before it, how it runs and whom it
reaches, what it resembles, and what the team has written for it. Looked at by pure code; the server hands it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from store.event import Event
from store.incident import CodeLocation, Kind
from triage.course import Episode, Reached, Seen, episodes, flapping, span_words, spreading
from triage.nearness import Near, Neighbour, failing_share, near, pairs
from triage.runbooks import Match, Runbook, covers, matching
from triage.similar import Known, Likeness, similar

BEFORE = timedelta(hours=24)  # how long before the first event a change is told of
_AFTER = timedelta(minutes=1)  # by which clocks may differ
_SHOWN = 3
_EPISODES = 20


@dataclass(frozen=True)
class Change:
    """Something that was changed on purpose: a deployment, a flag."""

    at: datetime
    what: str  # one phrase: "release shop@7 was deployed to production"


@dataclass(frozen=True)
class Guide:
    """What a repository tells whoever looks into a failure: the beginnings of what explains the application and of how
    code is written in it, and what CI runs. The team's own words."""

    repo: str
    service: tuple[str, ...] = ()
    conventions: tuple[str, ...] = ()
    ci: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it tells nothing."""
        return not (self.service or self.conventions or self.ci)


@dataclass(frozen=True)
class Surroundings:
    """What the server knows of the time, the past and the team. Everything may be empty."""

    neighbours: Sequence[Neighbour] = ()
    deploys: Sequence[Change] = ()
    flags: Sequence[Change] = ()
    own: Known | None = None
    past: Sequence[Known] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)  # of those in `past`, in words
    seen: Sequence[Seen] = ()
    runbooks: Sequence[Runbook] = ()
    critical: Sequence[tuple[str, str]] = ()  # repository and glob
    guides: Sequence[Guide] = ()


NOTHING_AROUND = Surroundings()


@dataclass(frozen=True)
class Looked:
    """What of it concerns one event."""

    near: tuple[Near, ...] = ()
    pairs: tuple[str, ...] = ()
    failing: tuple[int, int] | None = None
    changes: tuple[str, ...] = ()
    similar: tuple[Likeness, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)
    episodes: tuple[Episode, ...] = ()
    flapping: str | None = None
    spreading: tuple[Reached, ...] = ()
    runbooks: tuple[Match, ...] = ()
    critical: str | None = None
    guides: tuple[Guide, ...] = ()

    @property
    def cause(self) -> Kind | None:
        """The class that a runbook of the team gives it."""
        return next((match.runbook.cause for match in self.runbooks if match.runbook.cause), None)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Whom it reaches lately, in our words."""
        return tuple(dict.fromkeys(one.kind for one in self.spreading))

    def said(self) -> list[str]:
        """Sentences, each of one thing, in our own words and the team's; what events say stands in the facts. Empty
        where there is nothing to say."""
        found = [f"{one.said}." for one in self.near]
        found += [
            f"It may follow from {one.incident_id}: the same host, time and object."
            for one in self.near
            if one.behind
        ]
        found += (
            [f"{len(self.pairs)} pairs of requests in its log are milliseconds apart."] if self.pairs else []
        )
        if self.failing:
            failed, whole = self.failing
            found.append(f"In its log {failed} of {whole} such requests failed ({failed / whole:.0%}).")
        found += [f"{change}." for change in self.changes]
        found += [f"It spreads: {', '.join(self.kinds)}."] if self.spreading else []
        found += [f"{self.flapping[:1].upper()}{self.flapping[1:]}."] if self.flapping else []
        found += [
            f"{one.id} was like it ({one.score:.0%}): {self.outcomes.get(one.id, 'not known')}."
            for one in self.similar
        ]
        found += [
            f"Runbook {one.runbook.path}, for {one.because}: {one.runbook.title}." for one in self.runbooks
        ]
        found += [f"The team calls {self.critical} critical."] if self.critical else []
        found += [f"What {guide.repo} tells of itself was read." for guide in self.guides]
        return found

    def facts(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        told: dict[str, Any] = {
            "near": [{"apart_ms": one.apart, "what": one.what, "incident": one.incident_id,
                      "shared": list(one.shared), "may_follow_from_it": one.behind} for one in self.near],
            "pairs": list(self.pairs),
            "spreads_to": [{"kind": one.kind, "value": one.value} for one in self.spreading],
            "failing_share": {"failed": self.failing[0], "of": self.failing[1]} if self.failing else None,
            "changes_before": list(self.changes),
            "similar": [{"incident": one.id, "score": one.score, "title": one.title, "because": one.because,
                         "outcome": self.outcomes.get(one.id)} for one in self.similar],
            "episodes": [{"start": one.start.isoformat(), "seconds": one.lasted.total_seconds(), "events": one.count,
                          **({"over": True} if one.over else {})}
                         for one in self.episodes[-_EPISODES:]] if self.flapping else None,
            "runbooks": [{"repo": one.runbook.repo, "path": one.runbook.path, "title": one.runbook.title,
                          "because": one.because, "steps": list(one.runbook.steps)} for one in self.runbooks],
            "guides": [asdict(guide) for guide in self.guides],
        }  # fmt: skip
        return {name: value for name, value in told.items() if value}


def look(
    event: Event, place: CodeLocation | None, around: Surroundings, first_seen: datetime | None
) -> Looked:
    """What of the surroundings concerns an event. Never raises; the same input gives the same answer."""
    began = first_seen or event.timestamp
    runs = episodes(around.seen)
    globs = [
        glob
        for repo, glob in around.critical
        if glob.startswith("/") or (place is not None and place.repo == repo)
    ]
    return Looked(
        near=near(event, around.neighbours),
        pairs=pairs(event),
        failing=failing_share(event),
        changes=(*_changes(around.deploys, began), *_changes(around.flags, began)),
        similar=similar(around.own, around.past) if around.own else (),
        outcomes=around.outcomes,
        episodes=runs,
        flapping=flapping(runs),
        spreading=spreading(around.seen),
        runbooks=matching(around.runbooks, event, place)[:_SHOWN],
        critical=covers(globs, event, place),
        guides=_guides(around.guides, place),
    )


def _guides(guides: Sequence[Guide], place: CodeLocation | None) -> tuple[Guide, ...]:
    """That of the repository in which it happened; where that is not known, of the first few."""
    told = [guide for guide in guides if not guide.empty]
    here = [guide for guide in told if place is not None and guide.repo == place.repo]
    return tuple(here or ([] if place is not None else told[:_SHOWN]))


def _changes(changes: Sequence[Change], began: datetime) -> list[str]:
    """The newest ones before a failure was first seen, each with how long before."""
    there = sorted(
        (change for change in changes if began - BEFORE <= change.at <= began + _AFTER),
        key=lambda change: (change.at, change.what),
        reverse=True,
    )
    return [
        f"{span_words(began - change.at)} before its first event, {change.what}" for change in there[:_SHOWN]
    ]

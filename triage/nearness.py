"""What happened within milliseconds of an event and has to do with it: the same order, the same user, the same host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from store.event import Breadcrumb, Event
from store.incident import Kind
from triage.entities import entities, objects, shared

WITHIN = timedelta(seconds=1)
CLOSE = timedelta(milliseconds=100)  # two lines of a log that are so close are told as a pair
SHOWN = 5
_REQUEST = re.compile(
    r"\b(?P<method>GET|POST|PUT|PATCH|DELETE)\s+(?P<path>/\S*)(?:.*?\s(?P<status>[1-5]\d\d)\b)?"
)
_TROUBLE = frozenset({Kind.INFRASTRUCTURE, Kind.DEPENDENCY})
_FEWEST = 5  # requests of a log from which a share is told


@dataclass(frozen=True)
class Neighbour:
    """Another event, with what its incident is thought to be."""

    event: Event
    incident_id: str
    kind: Kind | None = None


@dataclass(frozen=True)
class Near:
    """One thing that was close. `apart` is in milliseconds, negative before; `shared` says what makes it one matter."""

    apart: float
    what: str
    incident_id: str | None
    shared: tuple[str, ...]
    behind: bool = False  # trouble of a machine or a service that the event may follow from

    @property
    def said(self) -> str:
        """One sentence in our words: what it is about by kind, not by value, for that is the event's text."""
        when = f"{abs(self.apart):.0f} ms {'before' if self.apart < 0 else 'after'} it"
        kinds = list(dict.fromkeys(each.partition("=")[0] for each in self.shared if "=" in each))
        about = f" about the same {', '.join(kinds)}" if kinds else ""
        return f"{self.incident_id or 'A line of its log'} was {when}{about}"


def near(event: Event, others: Sequence[Neighbour]) -> tuple[Near, ...]:
    """The events within a second that share an entity with this one, and what its own log says of them, the nearest
    first. What is only close in time is left out: in a busy system everything is."""
    own = entities(event)
    found = [_other(event, own, other) for other in others if other.event.event_id != event.event_id]
    found += [_line(event, own, crumb) for crumb in event.breadcrumbs]
    close = [one for one in found if one is not None]
    return tuple(sorted(close, key=lambda one: (abs(one.apart), one.what))[:SHOWN])


def pairs(event: Event) -> tuple[str, ...]:
    """Two requests of the event's own log that are milliseconds apart and about the same thing, in words."""
    told = [
        (crumb.timestamp, asked["method"], asked["path"])
        for crumb in event.breadcrumbs
        if crumb.timestamp and (asked := _REQUEST.search(_text(crumb)))
    ]
    told.sort(key=lambda one: one[0])
    own = set(entities(event).values())
    found = []
    for (first, method, path), (second, again, other) in pairwise(told):
        about = sorted(own & set(_words(path)) & set(_words(other)))
        if second - first <= CLOSE and (about or path == other):
            what = f" about {', '.join(about)}" if about else ""
            found.append(
                f"{method} {path} and {again} {other}, {_milliseconds(second - first):.0f} ms apart{what}"
            )
    return tuple(found[-SHOWN:])


def failing_share(event: Event) -> tuple[int, int] | None:
    """(failed, all) requests to the event's own endpoint in the log that came with it; None where it tells too few.
    A failure that is not always there may hang on what differs."""
    if event.request is None:
        return None
    wanted = _shape(event.request.url)
    statuses = [
        int(asked["status"])
        for crumb in event.breadcrumbs
        if (asked := _REQUEST.search(_text(crumb))) and asked["status"]
        and asked["method"] == event.request.method and _shape(asked["path"]) == wanted
    ]  # fmt: skip
    failed = sum(status >= 500 for status in statuses)
    return (failed, len(statuses)) if len(statuses) >= _FEWEST else None


def _other(event: Event, own: dict[str, str], other: Neighbour) -> Near | None:
    apart = other.event.timestamp - event.timestamp
    if abs(apart) > WITHIN:
        return None
    common = shared(own, entities(other.event))
    behind = other.kind in _TROUBLE and _follows(event, other.event)
    if not common and not behind:
        return None
    raised = other.event.exception
    said = f"{raised.type}: {raised.value}" if raised and raised.type else other.event.message or ""
    what = " ".join(part for part in (other.event.transaction, said.split("\n")[0]) if part)
    about = common or tuple(sorted(objects(event) & objects(other.event)))
    return Near(_milliseconds(apart), what[:160], other.incident_id, about, behind)


def _follows(event: Event, trouble: Event) -> bool:
    """Whether a failure may follow from trouble of a machine or service. Loud and at the same time is not enough: the
    same host, and the same object that both speak of."""
    same_host = bool(event.server_name) and event.server_name == trouble.server_name
    return same_host and bool(objects(event) & objects(trouble))


def _line(event: Event, own: dict[str, str], crumb: Breadcrumb) -> Near | None:
    if crumb.timestamp is None or not _close(event.timestamp, crumb.timestamp):
        return None
    words = set(_words(_text(crumb)))
    about = tuple(f"{name}={value}" for name, value in own.items() if value in words)
    if not about:
        return None
    apart = _milliseconds(crumb.timestamp - event.timestamp)
    return Near(apart, f"{crumb.category or 'log'}: {crumb.message or ''}"[:160], None, about)


def _close(one: datetime, other: datetime) -> bool:
    return abs(one - other) <= WITHIN


def _text(crumb: Breadcrumb) -> str:
    """What a line says; a request that an SDK noted as fields, as one line."""
    if "url" in crumb.data:
        told = (crumb.data.get(name, "") for name in ("method", "url", "status_code"))
        method, url, status = (str(part) for part in told)
        return f"{method} /{url.partition('://')[2].partition('/')[2] or url.lstrip('/')} {status}"
    return crumb.message or ""


def _words(text: str) -> list[str]:
    return re.findall(r"[\w@.-]+", text[:2000])


def _shape(path: str) -> str:
    """A path without what changes: ids and the query."""
    bare = re.sub(r"^[a-z]+://[^/]+", "", path).partition("?")[0]
    return re.sub(r"(?<=/)(?:\d+|[0-9a-fA-F-]{8,})(?=/|$)", "*", bare.rstrip("/"))


def _milliseconds(span: timedelta) -> float:
    return span.total_seconds() * 1000

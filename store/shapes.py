"""What the payload of an event looks like, and what is known of a field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from store.event import Event, Frame
from store.field_shapes import FIELDS, plain_name, walk


@dataclass(frozen=True)
class FieldDay:
    """One field on one day: how many records could have had it, how many have, in how many it is null."""

    day: date
    of: int
    present: int
    null: int


@dataclass(frozen=True)
class Presence:
    """How a field (`body.items[].sku`) was there in the payloads of an entry point, day by day, the oldest first.
    `siblings` are the names of the other fields of the same record; `days` are of payloads that came with events,
    `well` of requests that went well, where the application counts them."""

    entry: str
    field: str
    days: tuple[FieldDay, ...]
    siblings: tuple[str, ...] = ()
    well: tuple[FieldDay, ...] = ()


def entry_of(event: Event) -> str | None:
    """Where an event came in: its transaction, else its method and path, else its outermost own function."""
    if event.transaction:
        return event.transaction[:200]
    if event.request and event.request.url:
        path = re.sub(r"/\d[^/]*|/[0-9a-f-]{16,}", "/*", urlsplit(event.request.url).path)
        return f"{event.request.method} {path}"[:200]
    own = _own(event)
    return f"{own[0].module or own[0].filename or ''}:{own[0].function or ''}"[:200] if own else None


def shapes_of(event: Event) -> list[tuple[str, str]]:
    """(field, shape) of what an event came with: its body, its query, and the mappings in the function that failed."""
    found: list[tuple[str, str]] = []
    for name, value in _roots(event):
        walk(name, value, found)
    return found[:FIELDS]


def _roots(event: Event) -> Iterator[tuple[str, Any]]:
    if event.request:
        if isinstance(event.request.data, (dict, list)):
            yield "body", event.request.data
        if event.request.query_string:
            yield "query", dict(parse_qsl(event.request.query_string[:2000], keep_blank_values=True))
    own = _own(event)
    for name, value in own[-1].vars.items() if own else ():
        if isinstance(value, dict) and name != "self":
            yield f"{own[-1].function}.{plain_name(name)}", value


def _own(event: Event) -> list[Frame]:
    return [frame for frame in event.exception.frames if frame.in_app] if event.exception else []

"""What the payload of an event looks like, without any value: which fields are there, of what kind, how long.

A field's name is kept where it is a plain word; what may be a value itself (an address, a number as a key) is `*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from store.event import Event, Frame

FIELDS = 60  # of one event
DEPTH = 4
ELEMENTS = 3  # of a list, the first ones
_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]*\d{0,3}[A-Za-z_-]*")
_KINDS = {type(None): "null", bool: "bool", int: "number", float: "number"}
_LONGEST = 40  # characters of a name; what is longer is no word


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
    `siblings` are the names of the other fields of the same record."""

    entry: str
    field: str
    days: tuple[FieldDay, ...]
    siblings: tuple[str, ...] = ()


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
        _walk(name, value, DEPTH, found)
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
            yield f"{own[-1].function}.{_plain_name(name)}", value


def _own(event: Event) -> list[Frame]:
    return [frame for frame in event.exception.frames if frame.in_app] if event.exception else []


def _walk(field: str, value: Any, depth: int, found: list[tuple[str, str]]) -> None:
    found.append((field, _shape(value)))
    if depth == 0 or len(found) >= FIELDS:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            _walk(f"{field}.{_plain_name(name)}", item, depth - 1, found)
    elif isinstance(value, list):
        for item in value[:ELEMENTS]:
            _walk(f"{field}[]", item, depth - 1, found)


@lru_cache(4096)
def _plain_name(name: str) -> str:
    return name if len(name) <= _LONGEST and _NAME.fullmatch(name) else "*"


def _shape(value: Any) -> str:
    """The kind of a value; of texts and lists the length too, to a power of two."""
    if isinstance(value, str):
        return f"text:{len(value).bit_length()}"
    if isinstance(value, list):
        return f"list:{len(value).bit_length()}"
    return _KINDS.get(type(value), "object")

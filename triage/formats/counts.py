"""What the capture client counts of requests that went well: counts only, off unless the application asks for it.

The item is JSON: `{"version": 1, "requests": [[endpoint, time, good, bad]], "payloads": [[endpoint, time, [[field,
shape]], how many]]}`, times in seconds since 1970. A row that is none is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from store.event import Served
from store.field_shapes import FIELDS, plain_name

ITEM = "nightdesk_counts"
MOST = 1_000  # rows of each kind
LATEST = timedelta(days=1)  # what is older is not about now
_NUMBER = 1 << 31
_SHAPE = re.compile(r"(?:text|list):\d{1,2}|null|bool|number|object")
_PART = re.compile(r"\[\]|[^.\[\]]+")


def of_counts(sent: Any, received_at: datetime) -> list[Served]:
    """Requests that ended, and what the payloads of some of them looked like."""
    if not isinstance(sent, dict) or sent.get("version") != 1:
        return []
    return [
        *_requests(_rows(sent.get("requests")), received_at),
        *_payloads(_rows(sent.get("payloads")), received_at),
    ]


def _rows(listed: Any) -> list[list[Any]]:
    every = listed[:MOST] if isinstance(listed, list) else []
    return [row for row in every if isinstance(row, list) and len(row) == 4 and isinstance(row[0], str)]


def _requests(rows: list[list[Any]], received_at: datetime) -> Iterator[Served]:
    for endpoint, at, good, bad in rows:
        if _is_count(good) and _is_count(bad):
            yield Served(endpoint=endpoint[:200], at=_time(at, received_at), good=good, bad=bad)


def _payloads(rows: list[list[Any]], received_at: datetime) -> Iterator[Served]:
    for endpoint, at, fields, number in rows:
        shapes = tuple(_shapes(fields))
        if shapes and endpoint and _is_count(number):
            yield Served(endpoint=endpoint[:200], at=_time(at, received_at), shapes=shapes, alike=number)


def _shapes(fields: Any) -> Iterator[tuple[str, str]]:
    """Fields and shapes as our own code would have said them, whoever it was that did."""
    for pair in fields[:FIELDS] if isinstance(fields, list) else ():
        match pair:
            case [str(field), str(shape)] if _SHAPE.fullmatch(shape) and len(field) <= 400:
                parts = [part if part == "[]" else plain_name(part) for part in _PART.findall(field)]
                yield ".".join(parts).replace(".[]", "[]"), shape


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _NUMBER


def _time(said: Any, received_at: datetime) -> datetime:
    if type(said) not in (int, float) or not 0 < said < _NUMBER * 2:
        return received_at
    at = datetime.fromtimestamp(said, UTC)
    return at if received_at - LATEST <= at <= received_at else received_at

"""How many requests a release has served, as Sentry's SDKs count them by themselves: sessions, alone or summed up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from store.errors import BadPayload
from triage.formats.envelope import read_envelope
from triage.formats.shapes import read_json

_SUMS = ("exited", "errored", "abnormal", "crashed", "unhandled")
_MOST = 1_000_000_000  # requests of one sum: what is more is no count
_ROWS = 1000  # sums of one item


@dataclass(frozen=True)
class Served:
    """Requests that a release has served, failed or not."""

    release: str
    environment: str
    started: datetime
    count: int


def may_have_sessions(body: bytes) -> bool:
    """Whether it is worth while to look: a cheap test."""
    return b'"session' in body


def served_of(body: bytes, received_at: datetime) -> list[Served]:
    """What the sessions of an envelope say was served; nothing for whatever else it is. Never raises: what cannot be
    read is not counted."""
    try:
        envelope = read_envelope(body)
        found = []
        for item in envelope.items:
            if item.type in ("session", "sessions"):
                sent = read_json(item.payload, "session in the envelope")
                if isinstance(sent, dict):
                    found += (
                        _summed(sent, received_at) if item.type == "sessions" else _one(sent, received_at)
                    )
        return found
    except BadPayload:
        return []


def _summed(sent: dict[str, Any], received_at: datetime) -> list[Served]:
    rows = sent.get("aggregates")
    found = []
    for row in rows[:_ROWS] if isinstance(rows, list) else []:
        if isinstance(row, dict):
            count = sum(_number(row.get(name)) for name in _SUMS)
            found += _served(sent, row.get("started"), min(count, _MOST), received_at)
    return found


def _one(sent: dict[str, Any], received_at: datetime) -> list[Served]:
    """A session by itself is sent several times; it counts when it begins."""
    return _served(sent, sent.get("started"), 1, received_at) if sent.get("init") is True else []


def _served(sent: dict[str, Any], started: object, count: int, received_at: datetime) -> list[Served]:
    attrs = sent.get("attrs")
    release = attrs.get("release") if isinstance(attrs, dict) else None
    if not isinstance(attrs, dict) or not isinstance(release, str) or not release or count < 1:
        return []
    environment = attrs.get("environment")
    place = environment if isinstance(environment, str) else ""
    return [Served(release[:250], place[:100], _moment(started, received_at), count)]


def _moment(started: object, received_at: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(str(started))
    except ValueError:
        return received_at
    return min(found if found.tzinfo else found.replace(tzinfo=UTC), received_at)


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST else 0

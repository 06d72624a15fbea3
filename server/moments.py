"""Points in time as people write them: ISO 8601, or an age such as `24h`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from store.errors import BadPayload

Clock = Callable[[], datetime]

_AGE = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def utc_now() -> datetime:
    """The clock that everybody has who is handed no other one."""
    return datetime.now(UTC)


def moment(text: str) -> datetime:
    """A point in time, in UTC; without a zone it is meant in UTC. Raises BadPayload."""
    try:
        read = datetime.fromisoformat(text.strip())
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise BadPayload(f"{text[:100]!r} is not a time; write it as 2026-11-20T11:30:00+00:00.") from error


def since_moment(text: str) -> datetime:
    """A time, or an age before now. Raises BadPayload."""
    age = _AGE.fullmatch(text.strip())
    if age is None:
        return moment(text)
    try:
        return datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)  # longer ago than there are years: everything

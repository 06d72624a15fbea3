"""Points in time as people write and read them: ISO 8601, an age such as `24h`, `3 h ago`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from store.errors import BadPayload, Unavailable

Clock = Callable[[], datetime]

FIRST_PLAUSIBLE = datetime(2026, 1, 1, tzinfo=UTC)  # a clock before this has never been set

_AGE = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
_WORDS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def utc_now() -> datetime:
    """The clock that everybody has who is handed no other one."""
    return datetime.now(UTC)


def require_set_clock() -> None:
    """Refuse to keep anything by a clock that was never set: what is dated 1970 is the first to go when it is. Raises
    Unavailable."""
    now = datetime.fromtimestamp(time.time(), UTC)
    if now < FIRST_PLAUSIBLE:
        raise Unavailable(f"This machine's clock says {stamp(now)}; set up time synchronisation first.")


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
        return datetime.now(UTC) - timedelta(**{_WORDS[age[2]]: int(age[1])})
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)  # longer ago than there are years: everything


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, in the largest unit that fits: `3 h ago`."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def stamp(moment: datetime) -> str:
    """A moment in full: `2026-11-20 11:30:00 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

"""Hours in which people are left alone: every day from one time to another, in a time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_HOURS = re.compile(r"([0-2]?[0-9]):([0-5][0-9])-([0-2]?[0-9]):([0-5][0-9])(?:\s+(\S+))?")


@dataclass(frozen=True)
class Quiet:
    """From `start` to `end` by the clocks of `zone`; over midnight where it ends before it starts."""

    start: time
    end: time
    zone: tzinfo

    def until(self, now: datetime) -> datetime | None:
        """When the quiet hours that are on now end; None: they are not on."""
        here = now.astimezone(self.zone)
        for day in (here.date() - timedelta(days=1), here.date()):
            starts = datetime.combine(day, self.start, self.zone)
            over = day if self.start < self.end else day + timedelta(days=1)
            ends = datetime.combine(over, self.end, self.zone)
            if starts.astimezone(UTC) <= now < ends.astimezone(UTC):
                return ends.astimezone(UTC)
        return None


def quiet_of(text: str) -> Quiet | None:
    """The hours that a setting names; None for an empty one. Raises ValueError, which says how it is written."""
    if not text.strip():
        return None
    found = _HOURS.fullmatch(text.strip())
    if found is None or int(found[1]) > 23 or int(found[3]) > 23:
        raise ValueError("quiet hours are written 22:00-07:00, with a time zone behind it if it is not UTC's")
    start, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
    if start == end:
        raise ValueError("quiet hours that end when they start would last for ever, or never begin")
    return Quiet(start, end, _zone(found[5] or "UTC"))


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name[:60]!r} on this machine") from error

"""Lines of a log file near given moments, read from its end: bounded, whatever its size. Nothing is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fixloop.knowledge import LogLine

READ = 32 << 20  # bytes from the end
NEAR = timedelta(seconds=2)
MOST = 60
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?")
_COMMON = re.compile(r"\[(\d\d/\w{3}/\d{4}):(\d\d:\d\d:\d\d)(\.\d{1,6})? ([+-]\d{4})\]")


def near(place: Path, moments: Sequence[datetime]) -> list[LogLine]:
    """The lines at most two seconds from any of the moments, the nearest kept, in their order. Empty where the file
    cannot be read: a log is a help and no condition."""
    try:
        lines = list(_lines(place))
    except OSError:
        return []
    found = []
    for number, text in enumerate(lines):
        at = moment_of(text)
        if at is not None and (distance := min(abs(at - each) for each in moments)) <= NEAR:
            found.append((distance, number, at, text))
    kept = sorted(sorted(found)[:MOST], key=lambda one: one[1])
    return [LogLine(f"L{number}", at, place.name, text[:600]) for number, (_, _, at, text) in enumerate(kept)]


def moment_of(text: str) -> datetime | None:
    """When a line says that it was written: an ISO time (without a zone: UTC) or that of the common log format."""
    head = text[:200]
    if found := _COMMON.search(head):
        day, clock, part, zone = found.groups()
        try:
            return datetime.strptime(f"{day} {clock}{part or '.0'} {zone}", "%d/%b/%Y %H:%M:%S.%f %z")
        except ValueError:
            return None
    if found := _ISO.search(head):
        try:
            at = datetime.fromisoformat(found.group().replace(",", ".").replace(" ", "T"))
        except ValueError:
            return None
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return None


def _lines(place: Path) -> Iterator[str]:
    with place.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - READ))
        if size > READ:
            file.readline()
        for line in file:
            yield line.decode("utf-8", "replace").rstrip("\r\n")

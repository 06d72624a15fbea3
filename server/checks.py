"""The state of every part, and what to do where it is not well."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.util import find_spec

from server.config import SETTINGS, Config
from server.house import House
from server.web.words import ago, stamp
from store import queries
from store.errors import NightdeskError

_FIRST_PLAUSIBLE = datetime(2026, 1, 1, tzinfo=UTC)  # a clock before this has never been set


class State(StrEnum):
    """How a part is. `missing` is a part that one can do without, `setting` a value and its source."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"
    SETTING = "setting"


@dataclass(frozen=True)
class Check:
    """One part: how it is, and in words why, or what to do."""

    part: str
    state: State
    said: str


def examine(house: House) -> Iterator[Check]:
    """Look at every part. A part that fails is a line in the answer, never an exception."""
    yield _database(house)
    yield from _sandbox(house)
    yield _git()
    yield _uv()
    yield from _repositories(house)
    yield _clock(house)
    yield _last_event(house)


def configuration(config: Config) -> list[Check]:
    """Every setting with its value and where it came from."""
    values = {"data": config.data, **{name: getattr(config, name) for name in SETTINGS}}
    values["database"] = config.database_url
    return [
        Check(name, State.SETTING, f"{'unset' if value in (None, '') else value} ({config.source(name)})")
        for name, value in values.items()
    ]


def _database(house: House) -> Check:
    try:
        counts = queries.lane_counts(house.database)
    except NightdeskError as error:
        return Check("database", State.BROKEN, str(error))
    free = shutil.disk_usage(house.config.data).free
    said = (
        f"{sum(counts.values())} incidents in {house.config.database_url}; {free >> 20} MiB free on its disk."
    )
    return Check("database", State.OK if free > 100 << 20 else State.BROKEN, said)


def _sandbox(house: House) -> Iterator[Check]:
    tested = house.sandbox.self_test()
    yield Check("sandbox", State.OK if tested.ok else State.MISSING, tested.said)
    for gap in tested.open:
        yield Check("sandbox, open", State.MISSING, gap)


def _git() -> Check:
    said = _version("git", "--version")
    return (
        Check("git", State.OK, said)
        if said
        else Check("git", State.BROKEN, "git is not installed; install it.")
    )


def _uv() -> Check:
    """uv builds environments; as a package of ours it is there even when it is not on PATH."""
    said = _version("uv", "--version") or ("uv, as a Python package" if find_spec("uv") else "")
    return (
        Check("uv", State.OK, said)
        if said
        else Check("uv", State.MISSING, "uv is not installed: `pip install uv`.")
    )


def _version(*argv: str) -> str:
    """The first line that a program prints of itself; empty where it is absent or does not answer in 10
    seconds."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.strip().splitlines()
    return lines[0] if lines and done.returncode == 0 else ""


def _repositories(house: House) -> Iterator[Check]:
    rows = queries.repositories(house.database)
    if not rows:
        yield Check(
            "repositories",
            State.MISSING,
            "None yet: `nightdesk repo add NAME PATH`; without one no cause is found.",
        )
    for row in rows:
        part = f"repository {row.name}"
        try:
            mirror = house.mirrors.get(row.name)
            house.part(row, mirror)
            yield Check(part, State.OK, f"{row.project}, at {mirror.head()[:10]}, from {row.url}")
        except NightdeskError as error:
            yield Check(part, State.BROKEN, str(error))


def _clock(house: House) -> Check:
    """The clock is plausible and runs with the one that the events carry; signatures and order depend on
    it."""
    now = datetime.fromtimestamp(time.time(), UTC)
    newest = [incident.last_seen for incident in queries.incidents(house.database, limit=200)]
    ahead = [seen for seen in newest if (seen - now).total_seconds() > 300]
    if now < _FIRST_PLAUSIBLE or ahead:
        why = f"an event is dated {stamp(max(ahead))}" if ahead else "it was never set"
        return Check(
            "clock", State.MISSING, f"{stamp(now)}, but {why}; set up time synchronisation on both sides."
        )
    return Check("clock", State.OK, stamp(now))


def _last_event(house: House) -> Check:
    seen = [incident.last_seen for incident in queries.incidents(house.database)]
    if not seen:
        return Check(
            "last event", State.MISSING, "None yet: `nightdesk project list` prints the DSN for a sender."
        )
    return Check("last event", State.OK, f"{ago(max(seen))}, {stamp(max(seen))}")

"""Of a storm only what is kept is redacted, and yet everything that is kept is what it would be without that."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from bench.ingest_load import bodies
from server.config import load
from server.house import House
from server.intake.parsing import sentry_events
from server.intake.redaction import KEY_FILE
from server.intake.storms import Storms
from store.bodies import FIRST_BODIES, unpacked
from store.event import Event
from triage.formats.sentry import receive

WIRE = Path(__file__).resolve().parents[1] / "corpus" / "wire"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TABLES = (
    "events",
    "incidents",
    "fingerprints",
    "facets",
    "minutes",
    "sketches",
    "user_sketches",
    "acts",
    "tasks",
    "releases",
)
WRITTEN = {"created_at", "at", "asked_at", "since"}  # when a row was written, and not what it says


def captured() -> list[Event]:
    """Forty events of each capture: the same crash, two seconds apart, of many users."""
    found = []
    for path in sorted(WIRE.glob("*.envelope")):
        for event in receive(path.read_bytes(), project="default", received_at=NOW).events:
            for number in range(40):
                at = NOW + timedelta(seconds=2 * number)
                own = {
                    "event_id": uuid5(NAMESPACE_URL, f"{path.name}/{number}").hex,
                    "timestamp": at,
                    "user": {"id": f"ann{number}@example.com"},
                }
                found.append(event.model_copy(update=own))
    return found


def mixed(mix: str, count: int) -> list[Event]:
    """Events of one of the benchmark's mixes."""
    sent = [gzip.decompress(body) for _, body in bodies(mix, count)]
    return [event for body in sent for event in receive(body, project="default", received_at=NOW).events]


def kept(folder: Path, events: Sequence[Event]) -> dict[str, list[tuple[Any, ...]]]:
    """What a new house has in its tables once it has kept these events, eight at a time."""
    folder.mkdir()
    (folder / KEY_FILE).write_bytes(b"k" * 32)
    with House.open(load(folder, {})) as house:
        for at in range(0, len(events), 8):
            answers = house.keep_all([[event] for event in events[at : at + 8]])
            assert not any(isinstance(answer, Exception) for answer in answers)
    with closing(sqlite3.connect(folder / "nightdesk.sqlite")) as connection:
        return {table: rows(connection, table) for table in TABLES}


def kept_as_sent(folder: Path, sent: Sequence[bytes]) -> dict[str, list[tuple[Any, ...]]]:
    """The same for events as they were sent, of which in a storm no more than a glimpse is taken."""
    folder.mkdir()
    (folder / KEY_FILE).write_bytes(b"k" * 32)
    with House.open(load(folder, {})) as house:
        for at in range(0, len(sent), 8):
            told = [
                sentry_events(body, {}, project="default", received_at=NOW, rages=house.rages)
                for body in sent[at : at + 8]
            ]
            answers = house.keep_all([[one.glimpse] if one.glimpse else one.events for one in told])
            assert not any(isinstance(answer, Exception) for answer in answers)
    with closing(sqlite3.connect(folder / "nightdesk.sqlite")) as connection:
        return {table: rows(connection, table) for table in TABLES}


def rows(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    found = connection.execute(f"select * from {table}")  # noqa: S608 - a name from above
    names = [column[0] for column in found.description]
    return [
        tuple(
            unpacked(value) if name == "body" and value else value
            for name, value in zip(names, row, strict=True)
            if name not in WRITTEN
        )
        for row in found
    ]


EVENTS: dict[str, Callable[[], list[Event]]] = {
    "captures": captured,
    "storm": lambda: mixed("storm", 120),
    "texts": lambda: mixed("texts", 60),
    "places": lambda: mixed("places", 60),
    "free text": lambda: mixed("free text", 60),
}


@pytest.mark.parametrize("name", EVENTS)
def test_what_is_kept_of_a_storm_is_what_is_kept_of_its_events_one_by_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = EVENTS[name]()
    guessed = kept(tmp_path / "guessed", events)
    monkeypatch.setattr(Storms, "rages", lambda self, sketch: False)
    read = kept(tmp_path / "read", events)
    for table in TABLES:
        assert guessed[table] == read[table], table
    assert len(read["events"]) == len(events)
    if name == "storm":
        assert (
            FIRST_BODIES
            < len([row for row in read["events"] if any(isinstance(part, bytes) for part in row)])
            < len(events)
        )


def test_what_is_kept_of_glimpses_is_what_is_kept_of_whole_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [gzip.decompress(body) for _, body in bodies("storm", 120)]
    glimpsed = kept_as_sent(tmp_path / "glimpsed", sent)
    monkeypatch.setattr(Storms, "rages", lambda self, sketch: False)
    read = kept_as_sent(tmp_path / "read", sent)
    for table in TABLES:
        assert glimpsed[table] == read[table], table
    assert len(read["events"]) == len(sent)

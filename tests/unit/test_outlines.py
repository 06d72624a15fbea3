"""An outline groups, counts and names as its event does; of a storm the rest is made only where a body is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.house import House
from server.intake.storms import Storms
from store import queries
from store.bodies import FIRST_BODIES, entity_of
from store.event import Event
from store.facets import user_key
from triage.fingerprint import fingerprint
from triage.formats.sentry import receive
from triage.outline import outline, sketched
from triage.redact import Redactor
from triage.title import culprit, title

WIRE = Path(__file__).resolve().parents[1] / "corpus" / "wire"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SECRET = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"


def events_of(capture: Path) -> tuple[Event, ...]:
    return receive(capture.read_bytes(), project="default", received_at=NOW).events


def crash(number: int, **more: Any) -> Event:
    """One of a storm, with a secret in what only its body shows."""
    frame = {"function": "charge", "module": "shop.pay", "filename": "shop/pay.py", "lineno": 7, "in_app": True,
             "vars": {"card_token": SECRET, "oid": str(number)}, "context_line": f"    key = '{SECRET}'"}  # fmt: skip
    sent = {
        "event_id": f"{number:032x}", "platform": "python", "user": {"id": str(number)}, "extra": {"password": SECRET},
        "exception": {"values": [{"type": "KeyError", "value": f"order of ann{number}@example.com", "stacktrace": {"frames": [frame]}}]},
        "request": {"headers": {"Authorization": f"Bearer {SECRET}"}}, **more,
    }  # fmt: skip
    return receive(
        json.dumps(sent).encode(), project="default", received_at=NOW + timedelta(minutes=number)
    ).events[0]


def storm(house: House, numbers: range) -> None:
    """Several senders at once, four events together."""
    for at in range(numbers.start, numbers.stop, 4):
        answers = house.keep_all([[crash(number)] for number in range(at, min(at + 4, numbers.stop))])
        assert not any(isinstance(answer, Exception) for answer in answers)


@pytest.mark.parametrize("capture", sorted(WIRE.glob("*.envelope")), ids=lambda path: path.name)
def test_an_outline_is_grouped_named_and_counted_as_its_event(capture: Path) -> None:
    for event in events_of(capture):
        redactor = Redactor(b"k" * 32)
        whole, short = redactor.redact(event), redactor.redact(outline(event))
        assert fingerprint(short) == fingerprint(whole)
        assert (title(short), culprit(short)) == (title(whole), culprit(whole))
        assert user_key(short) == user_key(whole)
        assert entity_of(short, None) == entity_of(whole, None)
        kept = (
            "event_id",
            "timestamp",
            "release",
            "environment",
            "service",
            "transaction",
            "trust",
            "client_fingerprint",
        )
        assert [getattr(short, name) for name in kept] == [getattr(whole, name) for name in kept]


def test_of_a_storm_every_event_is_counted_and_no_secret_is_kept(house: House) -> None:
    storm(house, range(200))
    incident = queries.incident(house.database, "INC-1")
    assert (incident.event_count, incident.user_count) == (200, 200)
    events = queries.events(house.database, "INC-1", limit=200)
    assert FIRST_BODIES < len(events) < 100
    assert max(int(event.event_id, 16) for event in events) == 199
    for event in events:
        assert event.request is not None
        assert event.exceptions[0].frames[0].vars["oid"] == str(int(event.event_id, 16))
    for path in house.config.data.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
    assert SECRET not in "".join(event.model_dump_json() for event in events)


def test_both_halves_of_a_race_are_kept_in_full_though_a_storm_rages(house: House) -> None:
    storm(house, range(64))
    first, second = crash(101), crash(102)
    first = first.model_copy(update={"timestamp": NOW, "user": {"id": "ann"}})
    second = second.model_copy(update={"timestamp": NOW + timedelta(milliseconds=300), "user": {"id": "ann"}})
    house.keep_all([[first], [crash(103)]])
    house.keep_all([[second], [crash(104)]])
    kept = {event.event_id: event for event in queries.events(house.database, "INC-1", limit=200)}
    assert {first.event_id, second.event_id} <= set(kept)
    assert kept[first.event_id].exceptions[0].frames[0].context_line is not None
    assert SECRET not in kept[first.event_id].model_dump_json()


def test_an_event_whose_body_cannot_be_read_is_refused_and_its_neighbours_are_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm(house, range(40))
    spoiled, redact = crash(501), house.redaction.redact

    def failing(event: Event) -> Event:
        if event.event_id == spoiled.event_id and event.request is not None:
            raise ValueError("spoiled")
        return redact(event)

    monkeypatch.setattr(house.redaction, "redact", failing)
    numbers = [40 + number for number in range(8)]
    batch = [[crash(number)] for number in numbers]
    answers = house.keep_all([*batch[:7], [spoiled], *batch[7:]])
    kept = queries.incident(house.database, "INC-1").event_count
    assert kept == 40 + sum(not isinstance(answer, Exception) for answer in answers)
    assert kept >= 48


def test_what_has_no_stack_never_rages_by_a_glance() -> None:
    storms = Storms()
    bare = crash(1, exception=None, message="out of ideas")
    assert sketched(bare) == ("default",)
    assert not storms.rages(sketched(bare))
    assert not storms.rages(sketched(crash(1)))

"""The list and the look-ups: order, filters, pages, references."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store import journal, narrowing, queries
from store.artifacts import Artifacts
from store.database import Database
from store.errors import NotFound
from store.event import Event
from store.incident import CodeLocation, Fingerprint, Kind, Lane, Status, Triage, Verdict

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
# lane, priority, hours after noon, repository, service
SEVEN = [
    (Lane.NOISE, 99, 9, "api", "web"),
    (Lane.FOCUS, 1, 1, "api", "web"),
    (Lane.BACKLOG, 5, 2, "lib", "jobs"),
    (Lane.FOCUS, 8, 0, "lib", "jobs"),
    (Lane.FOCUS, 1, 3, "api", None),
    (Lane.BACKLOG, 5, 2, "api", "web"),
    (Lane.NOISE, 0, 0, "api", "web"),
]
IN_ORDER = ["INC-4", "INC-5", "INC-2", "INC-6", "INC-3", "INC-1", "INC-7"]


@pytest.fixture
def db(tmp_path: Path, database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    for number, (lane, priority, hours, repo, service) in enumerate(SEVEN, start=1):
        at = NOON + timedelta(hours=hours)
        event = Event(event_id=f"e{number}", project="default", received_at=at, timestamp=at, service=service)
        fingerprint = Fingerprint(key=str(number), mechanism="v1", parts=("p",))
        journal.record(database, Artifacts(tmp_path), [(event, fingerprint, "T", "c")])
        verdict = Verdict(kind=Kind.APP_BUG, signal=True, score=1, threshold=0, classifier="c@1", reasons=())
        place = CodeLocation(
            repo=repo, path="a", line=1, function=None, commit="c" * 40, confidence=1, method="exact"
        )
        triage = Triage(
            verdict=verdict,
            lane=lane,
            priority=priority,
            why="100%_new" if number == 2 else "old",
            title=f"Title {number}",
            culprit="c",
            location=place,
        )
        journal.keep_triage(database, f"INC-{number}", triage)
    yield database
    database.close()


def ids(found: list) -> list[str]:
    return [incident.id for incident in found]


def test_the_list_has_focus_first_then_priority_then_the_latest(db: Database) -> None:
    assert ids(queries.incidents(db)) == IN_ORDER


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_put_together_are_the_list(db: Database, size: int) -> None:
    seen: list[str] = []
    while page := ids(queries.incidents(db, limit=size, after=seen[-1] if seen else None)):
        assert len(page) <= size
        seen += page

    assert seen == IN_ORDER


def test_each_filter_leaves_what_it_names(db: Database) -> None:
    journal.set_status(db, "INC-2", Status.RESOLVED, "ada", "")

    assert ids(queries.incidents(db, lane=Lane.BACKLOG)) == ["INC-6", "INC-3"]
    assert ids(queries.incidents(db, repo="lib")) == ["INC-4", "INC-3"]
    assert ids(queries.incidents(db, service="jobs", lane=Lane.FOCUS)) == ["INC-4"]
    assert ids(queries.incidents(db, status=Status.RESOLVED)) == ["INC-2"]
    assert ids(queries.incidents(db, status={Status.OPEN, Status.REGRESSED}, lane=Lane.FOCUS)) == [
        "INC-4",
        "INC-5",
    ]
    assert ids(queries.incidents(db, since=NOON + timedelta(hours=3))) == ["INC-5", "INC-1"]
    assert ids(queries.incidents(db, project="1")) == IN_ORDER
    assert queries.incidents(db, project="default", service="nothing") == []
    with pytest.raises(NotFound):
        queries.incidents(db, project="nowhere")


def test_a_search_takes_its_text_literally_and_without_regard_to_case(db: Database) -> None:
    assert ids(queries.incidents(db, query="title 4")) == ["INC-4"]
    assert ids(queries.incidents(db, query="%_")) == ["INC-2"]
    assert queries.incidents(db, query="' OR 1=1 --") == []


@pytest.mark.parametrize("few", [0, 1, 3, 2000])
def test_a_filter_finds_the_same_whether_few_or_many_pass_it(
    db: Database, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(narrowing, "FEW", few)
    assert ids(queries.incidents(db, service="jobs")) == ["INC-4", "INC-3"]
    assert ids(queries.incidents(db, repo="lib", service="jobs", query="title 3")) == ["INC-3"]
    assert ids(queries.incidents(db, since=NOON + timedelta(hours=3))) == ["INC-5", "INC-1"]
    assert ids(queries.incidents(db, query="title", limit=2, after="INC-5")) == ["INC-2", "INC-6"]
    assert ids(queries.incidents(db, query='"title')) == []


def test_a_search_follows_what_a_triage_has_renamed(db: Database) -> None:
    triage = queries.triage(db, "INC-3")
    assert triage is not None
    journal.keep_triage(db, "INC-3", triage.model_copy(update={"title": "Renamed carrier"}))
    assert ids(queries.incidents(db, query="named CARR")) == ["INC-3"]
    assert ids(queries.incidents(db, query="title 3")) == []


def test_a_list_may_be_longer_than_a_statement_has_parameters(db: Database, tmp_path: Path) -> None:
    event = Event(event_id="e", project="default", received_at=NOON, timestamp=NOON)
    many = [
        (
            event.model_copy(update={"event_id": f"m{n}"}),
            Fingerprint(key=f"m{n}", mechanism="v1", parts=()),
            "T",
            "c",
        )
        for n in range(1100)
    ]
    journal.record(db, Artifacts(tmp_path), many)

    found = queries.incidents(db)

    assert len(found) == 1107
    assert {len(incident.fingerprints) for incident in found} == {1}


def test_the_lanes_are_counted_with_those_that_are_empty(db: Database) -> None:
    assert queries.lane_counts(db) == {Lane.FOCUS: 3, Lane.BACKLOG: 2, Lane.NOISE: 2}
    assert queries.lane_counts(db, "default", status=Status.MUTED) == dict.fromkeys(Lane, 0)


@pytest.mark.parametrize("ref", ["INC-3", "inc-3", " INC-3\n", "3"])
def test_an_incident_is_found_however_its_id_is_written(db: Database, ref: str) -> None:
    found = queries.incident(db, ref)

    assert found.id == "INC-3"
    assert found.fingerprints == (Fingerprint(key="3", mechanism="v1", parts=("p",)),)


@pytest.mark.parametrize("ref", ["INC-99", "", "INC-", "-1", "3.0", "٣", "9" * 40, "INC-INC-3; --"])
def test_a_reference_that_means_nothing_is_not_found(db: Database, ref: str) -> None:
    with pytest.raises(NotFound, match="There is no incident"):
        queries.incident(db, ref)


@pytest.mark.parametrize("secret", ["", "nothing", "\ud800", "0" * 32])
def test_a_key_that_nobody_was_given_is_none(db: Database, secret: str) -> None:
    assert queries.key(db, secret) is None


def test_what_was_never_made_is_none(db: Database) -> None:
    assert queries.event(db, "nothing") is None
    assert queries.attempt(db, "INC-1-1") is None
    assert queries.latest_attempt(db, "INC-1") is None
    assert queries.release(db, "default", "1.0") is None


def test_an_event_leads_to_its_incident(db: Database) -> None:
    assert queries.incident_of(db, "e5") == "INC-5"
    assert queries.incident_of(db, "e5", project="default") == "INC-5"
    assert queries.incident_of(db, "nothing") is None
    assert [seen.event_id for seen in queries.occurrences(db, "INC-5")] == ["e5"]

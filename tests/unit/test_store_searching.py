"""The search over incidents: what they are found by, on both databases, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store import journal, searching
from store.artifacts import Artifacts
from store.database import Database
from store.event import Event, ExceptionValue, Frame
from store.incident import CodeLocation, Fingerprint, Kind, Lane, Triage, Verdict
from store.purging import older_than, purge
from store.repair import Attempt, CandidateChange
from store.searching import search

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SHA = "c0ffee" * 6 + "c0ff"


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    at = f"sqlite:///{tmp_path / 'n.sqlite'}"
    database = Database.open(at if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    yield database
    database.close()


def keep(db: Database, folder: Path, number: int, title: str = "KeyError: 'carrier'", **frame: str) -> str:
    """An incident of its own with one event."""
    raised = ExceptionValue(
        type="KeyError", value=f"'carrier' of order\nsecond line {number}",
        frames=(Frame(filename=frame.get("filename"), function=frame.get("function"), in_app=True),),
    )  # fmt: skip
    at = NOW + timedelta(minutes=number)
    event = Event(
        event_id=f"{number:032x}", project="default", received_at=at, timestamp=at, exceptions=(raised,)
    )
    report = (event, Fingerprint(key=str(number), mechanism="v1", parts=()), title, "shop in quote")
    return journal.record(db, Artifacts(folder), [report])[0].incident_id


def triaged(db: Database, incident_id: str) -> None:
    verdict = Verdict(kind=Kind.APP_BUG, signal=True, score=0.9, threshold=0.5, classifier="t", reasons=())
    place = CodeLocation(
        repo="shop",
        path="shop/rates.py",
        line=4,
        function="quote",
        commit=SHA,
        confidence=1.0,
        method="exact",
    )
    triage = Triage(
        verdict=verdict, lane=Lane.FOCUS, priority=1.0, why="unhandled in a 100% request", title="KeyError: 'carrier'",
        culprit="shop in quote", location=place,
    )  # fmt: skip
    journal.keep_triage(db, incident_id, triage)


def test_an_incident_is_found_by_title_message_file_function_commit_and_event(
    db: Database, tmp_path: Path
) -> None:
    found = keep(db, tmp_path, 1, filename="shop/parcels.py", function="weigh_all")
    triaged(db, found)
    keep(db, tmp_path, 2, title="ValueError: of nothing")

    for words in (["CARRIER"], ["second line 1"], ["parcels.py"], ["weigh_all"], ["c0ffeec0", "quote"],
                  ["shop/rates.py", "100%"], [f"{1:032x}"], ["er", "carrier"]):  # fmt: skip
        assert searching.search(db, words, 10)[:1] == [found], words
    assert search(db, ["second line 1", "nothing"], 10) == []
    assert search(db, ["%"], 10) == [found]


def test_an_incident_is_found_by_the_commits_that_its_repair_looked_at(db: Database, tmp_path: Path) -> None:
    found = keep(db, tmp_path, 1)
    begun = journal.start_attempt(db, found)
    change = CandidateChange(
        repo="shop", commit="deadbeef" * 5, title="Read the tariff", author="Ada", authored_at=NOW, files=()
    )
    journal.keep_attempt(db, Attempt.model_validate({**begun.model_dump(), "changes": (change,)}))

    assert search(db, ["deadbeefdead"], 10) == [found]
    assert search(db, ["tariff"], 10) == [found]


def test_it_is_found_before_its_triage_the_newest_first_and_only_in_the_projects_that_are_seen(
    db: Database, tmp_path: Path
) -> None:
    journal.add_project(db, "other")
    found = [keep(db, tmp_path, number) for number in (1, 2, 3)]

    assert search(db, ["keyerror", "carrier"], 2) == [found[2], found[1]]
    assert search(db, ["keyerror"], 10, ["other"]) == []


def test_common_words_are_found_as_rare_ones_are(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "FEW", 2)
    found = [keep(db, tmp_path, number) for number in range(1, 6)]

    assert search(db, ["carrier"], 3) == found[::-1][:3]


def test_what_was_purged_is_not_found_any_more(db: Database, tmp_path: Path) -> None:
    found = keep(db, tmp_path, 1)
    triaged(db, found)
    purge(db, Artifacts(tmp_path), older_than(NOW + timedelta(days=1)), by="ann", why="asked")

    assert search(db, ["second line"], 10) == []
    assert search(db, ["carrier"], 10) == [found]

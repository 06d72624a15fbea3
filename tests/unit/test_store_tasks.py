"""What is to be done: written with its reason, gone with its result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import journal, queries, tasks
from store.artifacts import Artifacts
from store.database import Database
from store.errors import NotAllowed, NotFound
from store.event import Event
from store.incident import Fingerprint, Step
from store.repair import Ended
from store.tasks import TaskKind
from tests.unit.triage_samples import NOW


@pytest.fixture
def db(tmp_path: Path, database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    keep(database, tmp_path, "e1", "1.0")
    yield database
    database.close()


def keep(database: Database, folder: Path, event_id: str, release: str) -> None:
    event = Event(event_id=event_id, project="default", received_at=NOW, timestamp=NOW, release=release)
    report = (event, Fingerprint(key="k", mechanism="v1", parts=()), "T", "c")
    journal.record(database, Artifacts(folder / "artifacts"), [report])


def test_a_new_incident_waits_for_triage_and_a_repeat_asks_for_nothing(db: Database, tmp_path: Path) -> None:
    keep(db, tmp_path, "e2", "1.0")
    (task,) = tasks.waiting(db)
    assert (task.kind, task.incident_id, task.subject) == (TaskKind.TRIAGE, "INC-1", "INC-1")
    assert task.name == f"triage-{task.id}"


def test_what_changes_while_a_triage_is_at_work_asks_for_another_one(db: Database, tmp_path: Path) -> None:
    (old,) = tasks.waiting(db)
    keep(db, tmp_path, "e2", "2.0")
    tasks.settle(db, old)
    (new,) = tasks.waiting(db)
    assert new.id > old.id


def test_one_repair_of_an_incident_is_made_at_a_time(db: Database) -> None:
    first, fresh = tasks.request_repair(db, "INC-1")
    second, again = tasks.request_repair(db, "inc-1")
    assert (fresh, again, second.id) == (True, False, first.id)
    task = tasks.of_incident(db, "INC-1", TaskKind.REPAIR)
    assert task is not None
    tasks.settle(db, task)
    third, fresh = tasks.request_repair(db, "INC-1")
    assert (third.id, fresh) == ("INC-1-2", True)
    with pytest.raises(NotFound):
        tasks.request_repair(db, "INC-9")


def test_a_repair_that_is_given_up_ends_as_cancelled_with_its_reason(db: Database) -> None:
    begun, _ = tasks.request_repair(db, "INC-1")
    assert tasks.cancel_repair(db, begun.id, "operator", "enough")
    assert not tasks.cancel_repair(db, begun.id, "operator", "enough")
    attempt = queries.attempt(db, begun.id)
    assert attempt is not None
    assert (attempt.ended, attempt.said) == (Ended.CANCELLED, "enough")
    assert [act.what for act in queries.acts(db, begun.id)] == ["cancel"]


def test_while_repairs_are_paused_none_is_begun_and_one_under_way_is_named(db: Database) -> None:
    begun, _ = tasks.request_repair(db, "INC-1")
    assert tasks.pause(db, "operator")
    assert not tasks.pause(db, "operator")
    assert tasks.request_repair(db, "INC-1") == (queries.attempt(db, begun.id), False)
    tasks.cancel_repair(db, begun.id, "operator", "enough")
    with pytest.raises(NotAllowed, match="nightdesk resume"):
        tasks.request_repair(db, "INC-1")
    assert tasks.resume(db, "operator")
    assert not tasks.resume(db, "operator")
    assert tasks.request_repair(db, "INC-1")[1]


def test_a_step_that_says_of_which_input_it_is_has_one_line_however_often_it_runs(db: Database) -> None:
    begun, _ = tasks.request_repair(db, "INC-1")
    for took, given in ((1.0, "a"), (2.0, "a"), (3.0, "b")):
        step = Step(name="causes", started_at=NOW, took=took, said="s", details={"input": given})
        journal.note_step(db, begun.id, step)
    attempt = queries.attempt(db, begun.id)
    assert attempt is not None
    assert [(step.took, step.details["input"]) for step in attempt.steps] == [(2.0, "a"), (3.0, "b")]

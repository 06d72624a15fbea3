"""What is purged is what was meant, on both databases: in whichever project, and no user who has an event left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select

from store import journal, purging, queries
from store.artifacts import Artifacts
from store.database import Database
from store.figures import figures
from store.repair import Ended
from store.tables import FacetRow, TaskKind
from tests.unit.test_store_journal import NOON, report


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    yield database
    database.close()


def named_users(db: Database) -> set[tuple[int, str]]:
    with db.read() as session:
        found = session.exec(select(FacetRow).where(col(FacetRow.kind) == "user"))
        return {(row.incident_id, row.value) for row in found}


def test_users_of_whom_an_event_is_left_stay_named_in_each_project_and_others_do_not(
    db: Database, tmp_path: Path
) -> None:
    journal.add_project(db, "shop")
    old, new = NOON - timedelta(days=9), NOON
    sent = [
        report(f"{project}-{user}-{at.day}", key=project, project=project, user={"id": user}, received_at=at)
        for project in ("default", "shop")
        for user, times in (("ann", (old, new)), ("ben", (old,)), ("cay", (new,)))
        for at in times
    ]
    artifacts = Artifacts(tmp_path / "artifacts")
    journal.record(db, artifacts, sent)
    assert len(named_users(db)) == 6

    gone = purging.purge(db, artifacts, purging.older_than(NOON - timedelta(days=1)), "ann", "old")

    assert gone.events == 4
    assert named_users(db) == {(1, "id:ann"), (1, "id:cay"), (2, "id:ann"), (2, "id:cay")}
    assert [queries.incident(db, name).user_count for name in ("INC-1", "INC-2")] == [3, 3]

    assert purging.purge(db, artifacts, purging.of_user("ann"), "ann", "asked for").events == 2
    assert named_users(db) == {(1, "id:cay"), (2, "id:cay")}


def test_figures_count_what_was_purged_and_how_repairs_ended_without_reading_them_whole(
    db: Database, tmp_path: Path
) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    journal.record(db, artifacts, [report("a", key="one"), report("b", key="one"), report("c", key="two")])
    done = journal.start_attempt(db, "INC-1")
    journal.keep_attempt(db, done.model_copy(update={"ended": Ended.PROVEN}))
    journal.start_attempt(db, "INC-2")
    purging.purge(db, artifacts, purging.older_than(NOON + timedelta(days=1)), "ann", "old")

    found = figures(db)

    assert found.events == 3
    assert found.repairs == {"proven": 1, "running": 1}
    assert found.waiting == {TaskKind.TRIAGE: 2, TaskKind.REPAIR: 0, TaskKind.DRAFT: 0, TaskKind.JUDGE: 0}

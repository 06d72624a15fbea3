"""Merging, splitting, taking back: no event is lost or counted twice, whatever is done in whatever order."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from store import journal, migrations, queries
from store.artifacts import Artifacts
from store.database import Database
from store.errors import BadPayload, NotFound, OverLimit
from store.event import Event
from store.incident import Fingerprint, Incident, Lane, Status
from store.journal import Recorded
from store.regrouping import MOST_PARTS
from store.sqlite import Sqlite
from store.tables import Row

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def db(tmp_path: Path, database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    yield database
    database.close()


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


class Sender:
    """Records events one after the other, a minute apart."""

    def __init__(self, db: Database, artifacts: Artifacts) -> None:
        self._db, self._artifacts, self._sent = db, artifacts, 0

    def __call__(self, key: str = "k", **fields: Any) -> Recorded:
        self._sent += 1
        at = NOON + timedelta(minutes=self._sent)
        given: dict[str, Any] = {"project": "default", "received_at": at, "timestamp": at, **fields}
        event = Event(event_id=f"{self._sent:032x}", **given)
        print_ = Fingerprint(key=key, mechanism="v1", parts=("ValueError", key))
        return journal.record(self._db, self._artifacts, [(event, print_, f"ValueError {key}", "app")])[0]


@pytest.fixture
def send(db: Database, artifacts: Artifacts) -> Sender:
    return Sender(db, artifacts)


def counts(db: Database) -> dict[str, int]:
    return {each.id: each.event_count for each in queries.incidents(db)}


def ids(db: Database, ref: str) -> list[int]:
    return [int(seen.event_id, 16) for seen in queries.occurrences(db, ref)]


def stripped(incident: Incident) -> dict[str, Any]:
    """Everything of an incident that grouping decides."""
    return incident.model_dump(exclude={"why"})


def test_a_merged_incident_has_the_events_fingerprints_users_and_releases_of_both(
    db: Database, send: Sender
) -> None:
    send("a", release="1", user={"id": 1})
    send("b", release="2", user={"id": 1})
    send("a", user={"id": 2})
    send("b", user={"id": 3}, environment="production")

    assert journal.merge(db, "INC-1", "INC-2", "ann", "the same") == "INC-1"

    kept = queries.incident(db, "INC-1")
    assert (kept.event_count, kept.user_count) == (4, 3)
    assert (kept.releases, kept.environments) == (("1", "2"), ("production",))
    assert {each.key for each in kept.fingerprints} == {"a", "b"}
    assert ids(db, "INC-1") == [1, 2, 3, 4]
    assert queries.merged(db, "INC-1") == ["INC-2"]


def test_the_old_id_answers_with_the_new_one_and_is_in_no_list(db: Database, send: Sender) -> None:
    send("a"), send("b"), send("c")
    journal.merge(db, "INC-2", "INC-3", "ann")
    journal.merge(db, "INC-1", "INC-2", "ann")

    assert queries.incident(db, "INC-3").id == "INC-1"
    assert counts(db) == {"INC-1": 3}
    assert sum(queries.lane_counts(db).values()) == 1
    journal.set_status(db, "INC-3", Status.MUTED, "ann", "")
    assert queries.incident(db, "INC-1").status is Status.MUTED


def test_events_that_come_in_after_a_merge_are_counted_where_it_went(db: Database, send: Sender) -> None:
    send("a"), send("b")
    journal.merge(db, "INC-1", "INC-2", "ann")

    recorded = send("b")

    assert (recorded.incident_id, recorded.new_incident) == ("INC-1", False)
    assert counts(db) == {"INC-1": 3}


def test_undoing_a_merge_gives_back_what_came_along_and_what_came_in_since(
    db: Database, send: Sender
) -> None:
    send("a", release="1"), send("b", release="2"), send("b", user={"id": 7})
    before = [stripped(queries.incident(db, ref)) for ref in ("INC-1", "INC-2")]
    journal.merge(db, "INC-1", "INC-2", "ann")
    journal.undo(db, "ann")

    assert [stripped(queries.incident(db, ref)) for ref in ("INC-1", "INC-2")] == before

    journal.merge(db, "INC-1", "INC-2", "ann")
    send("b"), send("a")
    journal.undo(db, "ann")
    assert (ids(db, "INC-1"), ids(db, "INC-2")) == ([1, 5], [2, 3, 4])


def test_two_attempts_are_both_there_after_a_merge_and_the_own_one_is_the_latest(
    db: Database, send: Sender
) -> None:
    send("a"), send("b")
    own = journal.start_attempt(db, "INC-1")
    other = journal.start_attempt(db, "INC-2")

    journal.merge(db, "INC-1", "INC-2", "ann")

    assert [each.id for each in queries.attempts(db, "INC-2")] == [other.id, own.id]
    assert journal.start_attempt(db, "INC-2").id == "INC-1-2"


@pytest.mark.parametrize("into", ["INC-1", "inc-1", "1"])
def test_an_incident_cannot_be_merged_with_itself_or_with_its_own_part(
    db: Database, send: Sender, into: str
) -> None:
    send("a"), send("b")
    with pytest.raises(BadPayload, match="one incident already"):
        journal.merge(db, into, "INC-1", "ann")
    journal.merge(db, "INC-1", "INC-2", "ann")
    with pytest.raises(BadPayload, match="one incident already"):
        journal.merge(db, into, "INC-2", "ann")


def test_incidents_of_two_projects_cannot_be_merged(db: Database, send: Sender) -> None:
    journal.add_project(db, "shop")
    send("a"), send("a", project="shop")
    with pytest.raises(BadPayload, match="two projects"):
        journal.merge(db, "INC-1", "INC-2", "ann")
    with pytest.raises(NotFound):
        journal.merge(db, "INC-1", "INC-9", "ann")
    assert counts(db) == {"INC-1": 1, "INC-2": 1}


@pytest.mark.parametrize("column", ["release", "environment", "transaction"])
def test_a_split_makes_an_incident_of_each_further_value_and_new_events_follow(
    db: Database, send: Sender, column: str
) -> None:
    for value in ("x", "y", None, "x", "y"):
        send(**{column: value})
    journal.set_lane(db, "INC-1", Lane.FOCUS, "ann", "")

    made = journal.split(db, "INC-1", column, "ann")

    assert made == ["INC-2", "INC-3"]
    assert [ids(db, ref) for ref in ("INC-1", "INC-2", "INC-3")] == [[1, 4], [2, 5], [3]]
    assert queries.incident(db, "INC-2").lane is Lane.FOCUS
    assert [send(**{column: v}).incident_id for v in ("x", "y", None)] == ["INC-1", "INC-2", "INC-3"]
    fresh = send(**{column: "z"})
    assert (fresh.incident_id, fresh.new_incident) == ("INC-4", True)
    assert send(**{column: "z"}).incident_id == "INC-4"


def test_a_split_by_fingerprint_parts_what_was_merged(db: Database, send: Sender) -> None:
    send("a"), send("b"), send("b")
    journal.merge(db, "INC-1", "INC-2", "ann")

    assert journal.split(db, "INC-1", "fingerprint", "ann") == ["INC-3"]

    assert (ids(db, "INC-1"), ids(db, "INC-3")) == ([1], [2, 3])
    assert send("b").incident_id == "INC-3"
    assert [each.key for each in queries.incident(db, "INC-3").fingerprints] == ["b"]


def test_undoing_a_split_puts_everything_together_also_what_its_rule_made_since(
    db: Database, send: Sender
) -> None:
    send(release="1"), send(release="2")
    before = stripped(queries.incident(db, "INC-1"))
    journal.split(db, "INC-1", "release", "ann")
    journal.undo(db, "ann")
    assert stripped(queries.incident(db, "INC-1")) == before

    journal.split(db, "INC-1", "release", "ann")
    send(release="3")
    journal.undo(db, "ann")
    assert counts(db) == {"INC-1": 3}
    assert send(release="2").incident_id == "INC-1"
    assert queries.incident(db, "INC-4").id == "INC-1"


def test_a_part_that_is_merged_back_does_not_send_its_events_in_circles(db: Database, send: Sender) -> None:
    send(release="1"), send(release="2")
    journal.split(db, "INC-1", "release", "ann")
    journal.merge(db, "INC-1", "INC-2", "ann")

    assert send(release="2").incident_id == "INC-1"


def test_a_split_of_equal_events_makes_nothing_and_leaves_no_act(db: Database, send: Sender) -> None:
    send(release="1"), send(release="1")
    assert journal.split(db, "INC-1", "release", "ann") == []
    assert queries.acts(db, "INC-1") == []


def test_a_split_into_too_many_parts_or_by_a_second_rule_is_refused_whole(db: Database, send: Sender) -> None:
    for number in range(MOST_PARTS + 1):
        send(transaction=str(number), environment=str(number % 2))
    with pytest.raises(OverLimit, match=f"{MOST_PARTS} are allowed"):
        journal.split(db, "INC-1", "transaction", "ann")
    journal.split(db, "INC-1", "environment", "ann")
    with pytest.raises(BadPayload, match="split by environment already"):
        journal.split(db, "INC-1", "transaction", "ann")
    assert sum(counts(db).values()) == MOST_PARTS + 1


def test_status_lane_owner_and_claim_are_taken_back_one_after_the_other(db: Database, send: Sender) -> None:
    send()
    before = queries.incident(db, "INC-1")
    journal.set_status(db, "INC-1", Status.RESOLVED, "ann", "done")
    journal.set_lane(db, "INC-1", Lane.NOISE, "ann", "")
    journal.assign(db, "INC-1", "bob", "ann")
    journal.claim(db, "INC-1", "claude")

    taken = [journal.undo(db, "ann").what for _ in range(4)]

    assert taken == ["claimed_by", "owner", "lane", "status"]
    assert queries.incident(db, "INC-1") == before
    with pytest.raises(NotFound, match="nothing to undo"):
        journal.undo(db, "ann")
    undone = [act.before["act"] for act in queries.acts(db, "INC-1") if act.what == "undo"]
    assert undone == [4, 3, 2, 1]


def test_a_lane_that_was_taken_back_is_triages_to_decide_again(db: Database, send: Sender) -> None:
    send()
    journal.set_lane(db, "INC-1", Lane.NOISE, "ann", "")
    journal.set_lane(db, "INC-1", Lane.FOCUS, "ann", "")
    journal.undo(db, "ann")
    assert queries.incident(db, "INC-1").lane is Lane.NOISE
    journal.suggest_owner(db, "INC-1", "team-a", "code owners")
    journal.assign(db, "INC-1", "bob", "ann")
    journal.suggest_owner(db, "INC-1", "team-b", "code owners")
    assert queries.incident(db, "INC-1").owner == "bob"
    journal.undo(db, "ann")
    journal.suggest_owner(db, "INC-1", "team-b", "code owners")
    assert queries.incident(db, "INC-1").owner == "team-b"


def test_an_act_on_which_a_later_one_builds_is_not_taken_back_before_it(db: Database, send: Sender) -> None:
    send("a"), send("b"), send("c")
    journal.merge(db, "INC-1", "INC-2", "ann")
    journal.merge(db, "INC-3", "INC-1", "ann")
    with pytest.raises(BadPayload, match="undo 2 first"):
        journal.undo(db, "ann", 1)
    journal.undo(db, "ann", 2)
    journal.undo(db, "ann", 1)
    assert counts(db) == {"INC-1": 1, "INC-2": 1, "INC-3": 1}
    with pytest.raises(BadPayload, match="taken back already"):
        journal.undo(db, "ann", 1)
    with pytest.raises(NotFound, match="no act 99"):
        journal.undo(db, "ann", 99)
    with pytest.raises(BadPayload, match="cannot be taken back"):
        journal.undo(db, "ann", 3)


def test_a_database_of_the_first_schema_comes_forward_with_its_data(
    tmp_path: Path, artifacts: Artifacts
) -> None:
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as old:
        made = Database(Sqlite(path))
        made.migrate()
        made.close()
        _back_to_the_first_schema(old)
        body = zlib.compress(b'{"transaction": "GET /quote"}')
        old.execute(
            "INSERT INTO projects (id, name, created_at) VALUES (1, 'default', '2026-01-01 00:00:00')"
        )
        old.execute(
            "INSERT INTO incidents (id, project_id, title, culprit, first_seen, last_seen, event_count, user_count, "
            "environments, releases, status, lane, priority, why, owner) VALUES (7, 1, 'T', 'c', "
            "'2026-01-01 00:00:00', '2026-01-02 00:00:00', 2, 0, '[]', '[\"1\"]', 'open', 'focus', 1, '', 'bob')"
        )
        old.execute("INSERT INTO fingerprints VALUES (5, 1, 7, 'v1', 'k', '[]')")
        for number, kept in ((1, body), (2, None)):
            old.execute(
                "INSERT INTO events (id, project_id, incident_id, event_id, number, received_at, seen_at, release, "
                "body) VALUES (?, 1, 7, ?, ?, '2026-01-01 00:00:00', '2026-01-01 00:00:00', '1', ?)",
                (number, f"e{number}", number, kept),
            )
        old.execute(
            "INSERT INTO releases (id, project_id, version, environment, commits, created_at) "
            "VALUES (1, 1, '1', '', '{}', '2026-01-05 00:00:00')"
        )
    old.close()

    database = Database.open(f"sqlite:///{path}")

    (told,) = queries.releases(database, "default")
    assert told.first_seen == datetime(2026, 1, 1, tzinfo=UTC)
    journal.suggest_owner(database, "INC-7", "somebody else", "code owners")
    assert queries.incident(database, "INC-7").owner == "bob"
    assert journal.split(database, "INC-7", "transaction", "ann") == ["INC-8"]
    sender = Sender(database, artifacts)
    assert sender(transaction="GET /quote").incident_id == "INC-7"
    journal.undo(database, "ann")
    assert queries.incident(database, "INC-7").event_count == 3
    with sqlite3.connect(path) as now:
        revision = now.execute("SELECT version_num FROM alembic_version").fetchone()
        prints = now.execute("SELECT DISTINCT fingerprint_id FROM events").fetchall()
    now.close()
    database.close()
    assert revision != ("0001",)
    assert prints == [(5,)]


def _back_to_the_first_schema(connection: sqlite3.Connection) -> None:
    """Drop everything and make the tables of the baseline, by the migration that made them then."""
    connection.execute("PRAGMA foreign_keys=OFF")
    for name in (*Row.metadata.tables, "alembic_version", "incident_words", "incident_words_all"):
        connection.execute(f'DROP TABLE "{name}"')
    connection.commit()
    place = connection.execute("PRAGMA database_list").fetchone()[2]
    old = Database(Sqlite(Path(place)))
    with old._writer.connect() as writer, writer.begin():
        migrations.upgrade(writer, revision="0001")
    old.close()

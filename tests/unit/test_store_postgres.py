"""What PostgreSQL does in its own way: the lock of whoever writes, readers, copies, and its errors in sentences."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.event import listens_for
from sqlalchemy.exc import InternalError

from bench.postgres_server import PostgresServer
from store import journal, migrations, queries
from store.artifacts import Artifacts
from store.database import Database, backend_of
from store.errors import Unavailable
from store.event import Event
from store.incident import Fingerprint
from store.postgres import DRIVER
from store.tables import Row
from store.upgrade import bring_forward, put_back, snapshot, stands_at

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def db(postgres_url: str) -> Iterator[Database]:
    database = Database.open(postgres_url)
    yield database
    database.close()


def keep(database: Database, folder: Path, event_id: str, key: str = "k", title: str = "T") -> str:
    event = Event(event_id=event_id, project="default", received_at=NOW, timestamp=NOW)
    report = (event, Fingerprint(key=key, mechanism="v1", parts=()), title, "c")
    return journal.record(database, Artifacts(folder), [report])[0].incident_id


def test_the_schema_that_migrations_make_is_what_the_tables_say(postgres_url: str) -> None:
    engine = create_engine(make_url(postgres_url).set(drivername=DRIVER))
    with engine.connect() as connection:
        ours = {"include_name": lambda name, kind, parents: "incident_words" not in str(name)}
        difference = compare_metadata(MigrationContext.configure(connection, opts=ours), Row.metadata)
    engine.dispose()
    assert difference == []


def test_writers_that_read_before_they_write_lose_nothing(db: Database, tmp_path: Path) -> None:
    others = [Database.open(db.backend.url.render_as_string(hide_password=False)) for _ in range(3)]  # type: ignore[attr-defined]

    def write(me: int) -> None:
        for number in range(20):
            keep(others[me], tmp_path, f"{me}-{number}")

    threads = [threading.Thread(target=write, args=(me,)) for me in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for other in others:
        other.close()
    (incident,) = queries.incidents(db)
    assert incident.event_count == 60


def test_many_events_of_one_batch_are_one_insert_and_not_one_each(db: Database, tmp_path: Path) -> None:
    sent: list[str] = []

    @listens_for(db._writer, "before_cursor_execute")
    def before(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO events"):
            sent.append(statement)

    fingerprint = Fingerprint(key="k", mechanism="v1", parts=())
    events = [
        Event(event_id=f"{number:032x}", project="default", received_at=NOW, timestamp=NOW)
        for number in range(40)
    ]
    journal.record(db, Artifacts(tmp_path), [(event, fingerprint, "T", "c") for event in events])

    assert len(sent) == 1
    assert sent[0].count("), (") == 39
    assert len(queries.occurrences(db, "INC-1")) == 40


def test_a_reader_cannot_write_and_sees_one_state(db: Database, tmp_path: Path) -> None:
    keep(db, tmp_path, "e1")
    with db.read() as session:
        before = session.connection().execute(text("SELECT count(*) FROM events")).scalar()
        keep(db, tmp_path, "e2")
        assert session.connection().execute(text("SELECT count(*) FROM events")).scalar() == before
    with db.read() as session, pytest.raises(InternalError, match="read-only"):
        session.connection().execute(text("DELETE FROM keys"))


def test_words_are_found_by_the_index_and_follow_what_an_incident_is_called(
    db: Database, tmp_path: Path
) -> None:
    keep(db, tmp_path, "e1", "a", "KeyError: 'Süßkartoffel'")
    keep(db, tmp_path, "e2", "b", "ValueError: 100%_off")
    assert [found.title for found in queries.incidents(db, query="süßkart")] == ["KeyError: 'Süßkartoffel'"]
    assert [found.title for found in queries.incidents(db, query="0%_o")] == ["ValueError: 100%_off"]
    with db.write() as session:
        session.connection().execute(text("UPDATE incidents SET title = 'Other' WHERE title LIKE 'Value%'"))
    assert queries.incidents(db, query="100%") == []
    assert [found.title for found in queries.incidents(db, query="othe")] == ["Other"]


def test_all_rows_go_to_a_file_and_back_and_new_numbers_follow_the_old_ones(
    db: Database, tmp_path: Path, postgres: PostgresServer
) -> None:
    url = db.backend.url.render_as_string(hide_password=False)  # type: ignore[attr-defined]
    keep(db, tmp_path, "e1", "a", "half \\u0000 and 'quotes'")
    keep(db, tmp_path, "e2", "b")
    snapshot(url, tmp_path / "copy.sqlite")
    file = Database.open(f"sqlite:///{tmp_path / 'copy.sqlite'}")
    assert queries.incidents(file) == queries.incidents(db)
    file.close()

    empty = postgres.new_database()
    put_back(tmp_path / "copy.sqlite", empty)
    again = Database.open(empty)
    assert queries.incidents(again) == queries.incidents(db)
    assert queries.keys(again, "default") == queries.keys(db, "default")
    assert keep(again, tmp_path, "e3", "c") == "INC-3"
    again.close()


def test_every_earlier_schema_comes_forward_with_its_rows(postgres: PostgresServer, tmp_path: Path) -> None:
    for revision in ("0001", "0002", "0003", "0004", "0005", "0006"):
        url = postgres.new_database()
        old = Database(backend_of(url))
        with old._writer.connect() as connection, connection.begin():
            migrations.upgrade(connection, revision=revision)
            connection.exec_driver_sql("INSERT INTO projects (name, created_at) VALUES ('p', now())")
            connection.exec_driver_sql(
                "INSERT INTO incidents (project_id, title, culprit, first_seen, last_seen, event_count, user_count, "
                "environments, releases, status, lane, priority, why) VALUES (1, 'Lost order', 'c', now(), now(), 0, "
                "0, '[]', '[]', 'open', 'focus', 1, 'new')"
            )
        old.close()
        assert stands_at(url).due
        done = bring_forward(url, tmp_path)
        assert (done.current, done.backup) == (revision, None)
        assert not stands_at(url).due
        database = Database.open(url)
        assert [found.title for found in queries.incidents(database, query="st ord")] == ["Lost order"]
        database.close()


def test_a_migration_that_breaks_changes_nothing(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database()
    old = Database(backend_of(url))
    with old._writer.connect() as connection, connection.begin():
        migrations.upgrade(connection, revision="0006")
    upgrade = migrations.upgrade

    def break_off(connection: object, *rest: object) -> None:
        upgrade(connection)  # type: ignore[arg-type]
        raise RuntimeError("the power went")

    monkeypatch.setattr(migrations, "upgrade", break_off)
    with pytest.raises(RuntimeError, match="the power went"):
        old.migrate()
    old.close()
    assert stands_at(url).current == "0006"


def test_a_schema_that_says_more_than_is_there_is_told_in_a_sentence(db: Database, postgres_url: str) -> None:
    with db.write() as session:
        session.connection().execute(text("DROP TABLE switches"))
    with pytest.raises(Unavailable, match=r"has no table 'switches'.*Restore a backup"):
        Database.open(postgres_url)


def test_a_schema_of_a_newer_version_or_another_program_is_refused(db: Database, postgres_url: str) -> None:
    with db.write() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = 'from-2031'"))
    with pytest.raises(Unavailable, match=r"newer Nightdesk \(schema from-2031\)"):
        Database.open(postgres_url)
    with db.write() as session:
        session.connection().execute(text("DROP TABLE alembic_version"))
    with pytest.raises(Unavailable, match="another program"):
        Database.open(postgres_url)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"database": "nowhere"}, "does not exist; make it with `createdb`"),
        ({"username": "nobody-of-ours"}, "does not exist; make it with `createdb`"),
        ({"query": {"host": "/nonexistent"}}, "does not answer|Nothing listens"),
        ({"query": {}, "host": "127.0.0.1", "port": 9, "password": "secret"}, "Nothing listens at"),
        ({"query": {}, "host": "no.such.host.invalid", "password": "secret"}, "host of .* is not known"),
    ],
)
def test_a_url_that_leads_nowhere_is_told_in_a_sentence_without_its_password(
    postgres_url: str, change: dict[str, object], said: str
) -> None:
    url = make_url(postgres_url).set(**change)  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match=said) as told:
        Database.open(url.render_as_string(hide_password=False))
    assert "secret" not in str(told.value)


def test_a_user_who_may_only_read_is_told_so(db: Database, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    mine = Database.open(make_url(postgres_url).set(username="reader").render_as_string(hide_password=False))
    try:
        with pytest.raises(Unavailable, match="may not do this; it has to own the database"):
            journal.add_project(mine, "other", "operator")
    finally:
        mine.close()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP OWNED BY reader")
            connection.execute("DROP ROLE reader")


def test_text_that_the_server_cannot_keep_is_looked_for_in_vain_and_no_crash(db: Database) -> None:
    assert queries.event(db, "a\0b") is None
    journal.add_project(db, "p", "who\0ever")
    assert queries.acts(db, "project:p")[0].who in ("whoever", "who\ufffdever")

"""Opening, migrating, and the two kinds of transaction."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from store import journal, migrations, queries, tasks
from store.artifacts import Artifacts
from store.database import Database
from store.errors import Unavailable
from store.event import Event
from store.incident import Fingerprint
from store.sqlite import Sqlite
from store.tables import Row

REBUILD = """
from alembic import op
import sqlalchemy as sa

revision = "colour"
down_revision = "{head}"


def upgrade():
    with op.batch_alter_table("incidents", recreate="always") as batch:
        batch.add_column(sa.Column("colour", sa.String(), server_default="grey", nullable=False))
"""

INCIDENT = """
INSERT INTO incidents (id, project_id, title, culprit, first_seen, last_seen, event_count, user_count, environments,
releases, status, lane, priority, why, verdict) VALUES
(1, 1, 'T', '', '2026-01-02 00:00:00', '2026-01-02 00:00:00', 0, 0, '[]', '[]', 'open', 'backlog', 0, '', NULL)
"""


def report(event_id: str) -> tuple[Event, Fingerprint, str, str]:
    now = datetime.now(UTC)
    event = Event(event_id=event_id, project="default", received_at=now, timestamp=now)
    return event, Fingerprint(key="k", mechanism="v1", parts=()), "T", "c"


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "nightdesk.sqlite"


def test_a_new_database_has_the_default_project_with_a_key(path: Path) -> None:
    database = Database.open(url_of(path))
    (project,) = queries.projects(database)
    (key,) = queries.keys(database, "1")
    database.close()

    assert (project.id, project.name) == (1, "default")
    assert (key.project, key.public, key.revoked_at) == ("default", False, None)
    assert len(key.key) == 32


@pytest.mark.parametrize("name", ["a b", "100%25", "what?mode=memory", "#1", "ä"])
def test_a_path_with_signs_that_mean_something_in_a_url_is_that_path(tmp_path: Path, name: str) -> None:
    Database(Sqlite(tmp_path / name)).close()
    database = Database(Sqlite(tmp_path / name))
    database.migrate()
    database.close()

    assert (tmp_path / name).stat().st_size > 0


def test_opening_again_changes_nothing(path: Path) -> None:
    first = Database.open(url_of(path))
    before = queries.keys(first, "default")
    first.close()

    second = Database.open(url_of(path))
    after = queries.keys(second, "default")
    second.close()

    assert before == after


def test_the_migrated_schema_is_what_the_tables_say(path: Path) -> None:
    Database.open(url_of(path)).close()
    engine = create_engine(url_of(path))

    with engine.connect() as connection:
        searched = {
            "include_name": lambda name, kind, parents: "incident_words" not in str(name)
        }  # FTS5's own
        difference = compare_metadata(MigrationContext.configure(connection, opts=searched), Row.metadata)
    engine.dispose()

    assert difference == []


def test_every_connection_is_set_up_to_be_shared(path: Path) -> None:
    database = Database.open(url_of(path))
    with database.write() as session:
        asked = {
            name: session.connection().exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("busy_timeout", "journal_mode", "synchronous", "foreign_keys")
        }
    database.close()

    assert asked == {"busy_timeout": 30_000, "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_rebuilt_table_keeps_the_rows_that_refer_to_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database.open(url_of(path))
    journal.record(database, Artifacts(tmp_path / "artifacts"), [report("a"), report("b")])
    newer = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, newer, ignore=shutil.ignore_patterns("__pycache__"))
    head = ScriptDirectory(str(newer)).get_current_head() or ""
    (newer / "versions" / "colour.py").write_text(REBUILD.replace("{head}", head))
    monkeypatch.setattr(migrations.is_current, "__defaults__", (newer,))
    monkeypatch.setattr(migrations.upgrade, "__defaults__", (newer, "head"))

    database.migrate()

    with database.write() as session:
        colour = session.connection().execute(text("SELECT colour FROM incidents")).scalar()
        foreign_keys = session.connection().exec_driver_sql("PRAGMA foreign_keys").scalar()
    assert (colour, foreign_keys) == ("grey", 1)
    assert len(queries.occurrences(database, "INC-1")) == 2
    database.close()


def test_what_the_first_schema_held_is_there_after_the_way_to_the_newest_and_waits_for_its_triage(
    path: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    shutil.copytree(migrations.FOLDER, first, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (first / "versions").glob("*.py"):
        if script.name != "baseline.py":
            script.unlink()
    database = Database(Sqlite(path))
    path.parent.mkdir(parents=True)
    with database._writer.connect() as connection, connection.begin():
        migrations.upgrade(connection, first)
        connection.exec_driver_sql(
            "INSERT INTO projects (id, name, created_at) VALUES (1, 'p', '2026-01-02 00:00:00')"
        )
        connection.exec_driver_sql(INCIDENT)
        connection.exec_driver_sql(INCIDENT.replace("(1, 1,", "(2, 1,").replace("NULL", "'{}'"))
    database.close()

    database = Database.open(url_of(path))

    assert [project.name for project in queries.projects(database)] == ["p"]
    assert [task.subject for task in tasks.waiting(database)] == ["INC-1"]
    database.close()


def test_a_schema_of_a_newer_version_is_refused_in_one_sentence(path: Path) -> None:
    Database.open(url_of(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from-2031'")
    connection.close()

    with pytest.raises(Unavailable, match=r"written by a newer Nightdesk \(schema from-2031\)"):
        Database.open(url_of(path))


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    connection.close()

    with pytest.raises(Unavailable, match="database of another program"):
        Database.open(url_of(path))


def test_a_file_that_is_no_database_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)

    with pytest.raises(Unavailable, match="damaged or not a database"):
        Database.open(url_of(path))


@pytest.mark.parametrize("folder", ["/proc", "/proc/nightdesk"])
def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(folder: str) -> None:
    with pytest.raises(Unavailable, match=r"cannot be (written|made)"):
        Database.open(url_of(Path(folder) / "nightdesk.sqlite"))


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "postgresql://u:secret@host", "mysql://u:secret@host/db", "nonsense"],
)
def test_a_database_of_no_kind_that_is_known_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(Unavailable, match="must be a file") as refused:
        Database.open(url)

    assert "secret" not in str(refused.value)


def test_a_reader_cannot_write(path: Path) -> None:
    database = Database.open(url_of(path))

    with database.read() as session, pytest.raises(OperationalError, match="readonly"):
        session.connection().execute(text("DELETE FROM keys"))

    assert len(queries.keys(database, "default")) == 1
    database.close()


def test_a_transaction_that_fails_leaves_nothing_behind(path: Path) -> None:
    database = Database.open(url_of(path))

    def delete_and_fail() -> None:
        with database.write() as session:
            session.connection().execute(text("DELETE FROM keys"))
            session.connection().execute(
                text("INSERT INTO projects (id, name, created_at) VALUES (1, 'x', 0)")
            )

    with pytest.raises(IntegrityError):
        delete_and_fail()

    assert len(queries.keys(database, "default")) == 1
    database.close()

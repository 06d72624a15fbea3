"""From every schema that was ever shipped to the newest, with the rows of a team in it, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, insert, select

from bench.postgres_server import PostgresServer
from server.config import load
from server.house import House
from store import journal, migrations, queries
from store.copying import advance
from store.database import Database, backend_of
from store.incident import Lane, Status
from store.project import Release, RepositoryConfig
from store.upgrade import bring_forward, stands_at
from tests.journeys import mcp_samples as samples

SCRIPTS = ScriptDirectory(str(migrations.FOLDER))
EARLIER = [script.revision for script in SCRIPTS.walk_revisions()][:0:-1]

pytestmark = pytest.mark.heavy


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """A folder with two projects, incidents that somebody judged, a repair, a release, a repository: what every schema
    could hold."""
    with House.open(load(tmp_path / "team", {})) as house:
        db = house.database
        journal.add_project(db, "shop")
        for number in range(1, 9):
            fields = {"client_fingerprint": (f"g{number % 5}",), "user": {"id": str(number)}}
            house.receive([samples.event(number, project="shop" if number > 6 else "default", **fields)])
        journal.set_status(db, "INC-3", Status.MUTED, "ann", "later")
        journal.set_lane(db, "INC-3", Lane.NOISE, "ann", "")
        samples.attempt_with(house, "INC-1", "said")
        journal.add_release(db, Release(project="default", version="shop@1", commits={"shop": "a" * 40}))
        url = "https://git.example/shop.git"
        journal.add_repository(db, RepositoryConfig(name="shop", project="default", url=url))
    return tmp_path / "team"


def made_at(revision: str, url: str, source: Engine) -> None:
    """A database of that schema with every row of `source`, as far as the schema has a place for it."""
    old = Database(backend_of(url))
    there, rows = MetaData(), MetaData()
    rows.reflect(source)
    with old._writer.connect() as connection, connection.begin():
        migrations.upgrade(connection, revision=revision)
    with old._writer.connect() as connection, connection.begin():
        there.reflect(connection)
        for table in there.sorted_tables:
            if table.name == "alembic_version" or table.name.startswith("incident_words"):
                continue
            kept = rows.tables.get(table.name)
            if kept is None:
                continue
            names = [column.name for column in table.columns if column.name in kept.columns]
            with source.connect() as reading:
                found = [
                    dict(row) for row in reading.execute(select(*(kept.c[name] for name in names))).mappings()
                ]
            if found:
                connection.execute(insert(table), found)
            advance(connection, table)
    old.close()


def seen(url: str) -> dict[str, Any]:
    """What a team sees of a database."""
    database = Database.open(url)
    try:
        found = queries.incidents(database)
        return {
            "titles": {each.id: (each.title, each.status, each.event_count) for each in found},
            "events": {each.id: len(queries.occurrences(database, each.id)) for each in found},
            "bodies": {
                each.id: [event.event_id for event in queries.events(database, each.id)] for each in found
            },
            "attempts": {
                each.id: [one.said for one in queries.attempts(database, each.id)] for each in found
            },
            "keys": [key.key for key in queries.keys(database, "default")],
            "search": [each.id for each in queries.incidents(database, query=found[0].title[:12])] != [],
        }
    finally:
        database.close()


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, of the kind that is asked for."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'old.sqlite'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.new_database()
    yield url
    server.drop(url)


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("revision", EARLIER)
def test_a_database_of_an_earlier_schema_comes_forward_with_everything_in_it(
    team: Path,
    tmp_path: Path,
    place: str,
    revision: str,
) -> None:
    with House.open(load(team, {})) as house:
        made_at(revision, place, house.database._reader)
    assert stands_at(place).current == revision
    done = bring_forward(place, tmp_path / "backups")
    assert (done.current, stands_at(place).due) == (revision, False)
    before, after = seen(f"sqlite:///{team / 'nightdesk.sqlite'}"), seen(place)
    assert after == before
    assert len(after["titles"]) >= 5

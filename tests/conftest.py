"""What several rooms of tests share: an open house in a fresh folder, and where labelled data lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bench.postgres_server import NoServer, PostgresServer
from server.config import load
from server.house import House
from store.database import Database, backend_of

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a key of their own; no test asks their model."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house on an empty data folder."""
    with House.open(load(tmp_path / "data", {})) as opened:
        yield opened


@pytest.fixture
def shared() -> Path:
    """The folder of shared labelled data; skips where it is not there."""
    folder = Path(os.environ.get("NIGHTDESK_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}; set NIGHTDESK_SHARED")
    return folder / "data"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, one for each process of tests; skips, with the reason, where none is to be had."""
    try:
        with PostgresServer.start() as server:
            yield server
    except NoServer as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a database that has the schema and nothing else: a copy is had in a tenth of the time."""
    url = postgres.new_database()
    database = Database(backend_of(url))
    database.migrate()
    database.close()
    return str(make_url(url).database)


@pytest.fixture
def postgres_url(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A fresh database on PostgreSQL."""
    url = postgres.new_database(postgres_template)
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'nightdesk.sqlite'}"

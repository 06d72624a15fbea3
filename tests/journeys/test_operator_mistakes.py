"""What an operator gets wrong at the start: one clear sentence each, at the command that they typed, and nothing is changed."""

from __future__ import annotations

import os
import re
import selectors
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from server.cli import cli
from server.config import load
from server.house import House
from tests.journeys import mcp_samples as samples
from tests.journeys.test_doctor_broken import NIGHTDESK, bubblewrap, serving

PATIENCE = 180.0  # seconds for the first words of a server, on a machine that is busy


def said(data: Path, *words: str, **environ: str) -> str:
    """The one sentence with which a command is refused."""
    unset = {name: None for name in os.environ if name.startswith("NIGHTDESK_")}
    done = CliRunner().invoke(
        cli, [*words, "--data", str(data)], env={**unset, **environ}, catch_exceptions=False
    )
    assert done.exit_code == 1, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("nightdesk: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with House.open(load(tmp_path / "data", {})) as house:
        house.receive([samples.event(1)])
    return tmp_path / "data"


def change(data: Path, statement: str) -> None:
    with closing(sqlite3.connect(data / "nightdesk.sqlite")) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "what was given is not a URL"),
        ("mysql://ann:secret@db/nightdesk", "not mysql://ann:***@db/nightdesk"),
        ("postgresql://ann:secret@127.0.0.1:9/nightdesk", "Nothing listens at"),
        ("postgresql://ann:secret@no-such-host.invalid/nightdesk", "no-such-host.invalid"),
    ],
)
@pytest.mark.parametrize("command", ["incidents", "serve", "worker", "migrate"])
def test_a_wrong_database_url_is_said_without_its_password(
    tmp_path: Path, url: str, sentence: str, command: str
) -> None:
    words = ("serve", "--port", "0") if command == "serve" else (command,)
    told = said(tmp_path, *words, NIGHTDESK_DATABASE=url)
    assert sentence in told
    assert "secret" not in told


@pytest.mark.parametrize("command", ["incidents", "worker", "migrate"])
def test_an_older_program_on_a_newer_schema_says_to_upgrade(data: Path, command: str) -> None:
    change(data, "UPDATE alembic_version SET version_num = 'from-2031'")
    assert "written by a newer Nightdesk (schema from-2031); upgrade Nightdesk" in said(data, command)


def test_a_migration_that_was_left_half_done_is_said_before_and_behind_its_revision(data: Path) -> None:
    change(data, "UPDATE alembic_version SET version_num = '0008'")  # its tables are newer than it says
    told = said(data, "incidents")
    assert "not as its schema 0008 says" in told
    assert "half done by hand. Nothing was changed; restore a backup." in told

    with House.open(load(data.parent / "other", {})):
        pass
    change(data.parent / "other", "DROP TABLE source_maps")  # it says the newest, and lacks one
    assert "has no table 'source_maps': a migration was left half done" in said(
        data.parent / "other", "incidents"
    )


@pytest.mark.parametrize("command", ["incidents", "worker"])
def test_a_data_folder_that_is_read_only_says_whose_rights_to_look_at(data: Path, command: str) -> None:
    words = [*bubblewrap("--ro-bind", str(data), str(data)), NIGHTDESK, command, "--data", str(data)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "cannot be written; check the owner and rights of its folder." in done.stderr


def test_a_second_server_on_a_folder_says_so_when_it_starts(data: Path) -> None:
    command = [NIGHTDESK, "serve", "--port", "0", "--data", str(data)]
    with (
        serving(data),
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as second,
        selectors.DefaultSelector() as ready,
    ):
        try:
            assert second.stderr is not None
            ready.register(second.stderr, selectors.EVENT_READ)
            assert ready.select(PATIENCE), "it says nothing"
            told = second.stderr.readline()
        finally:
            second.terminate()
            second.wait(PATIENCE)
    assert re.match(r"nightdesk: 2 servers run on this folder \(http://\S+, http://\S+\)", told)
    assert told.endswith("stop all but one.\n")


@pytest.mark.parametrize("command", ["worker", "ingest", "serve"])
def test_a_clock_that_was_never_set_is_said_before_anything_is_kept_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_500_000_000.0)
    words = ("serve", "--port", "0") if command == "serve" else (command,)
    told = said(tmp_path / "data", *words)
    assert "clock says 2017-07-14 02:40:00 UTC; set up time synchronisation first." in told
    assert not (tmp_path / "data" / "nightdesk.sqlite").exists()


def test_a_server_that_only_reads_and_a_schema_that_is_newer_are_said_on_postgresql_too(
    tmp_path: Path, postgres_url: str
) -> None:
    with House.open(load(tmp_path, {"NIGHTDESK_DATABASE": postgres_url})):
        pass
    name = make_url(postgres_url).database
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        told = said(tmp_path, "worker", "--until-idle", NIGHTDESK_DATABASE=postgres_url)
        assert told.endswith("cannot be written: its server is a standby, or read-only.\n")
        server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
        server.execute("SET default_transaction_read_only = off")
        server.execute("UPDATE alembic_version SET version_num = 'from-2031'")
    told = said(tmp_path, "worker", "--until-idle", NIGHTDESK_DATABASE=postgres_url)
    assert "written by a newer Nightdesk (schema from-2031); upgrade Nightdesk" in told


def test_a_database_without_an_encoding_is_refused_with_the_command_that_makes_a_right_one(
    tmp_path: Path, postgres_url: str
) -> None:
    plain = make_url(postgres_url).set(database="no_encoding")
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(
            "CREATE DATABASE no_encoding ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
        try:
            url = plain.render_as_string(hide_password=False)
            told = said(tmp_path, "worker", "--until-idle", NIGHTDESK_DATABASE=url)
        finally:
            server.execute("DROP DATABASE no_encoding")
    assert "is encoded in SQL_ASCII, which cannot hold every text; make one with `createdb -E UTF8" in told

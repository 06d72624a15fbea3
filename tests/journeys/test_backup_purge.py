"""A data folder copied while it is in use and made anew, and data that goes for good: through the commands."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.postgres_server import PostgresServer
from server.cli import cli
from server.config import load
from server.house import House
from store import queries
from store.event import Event
from tests.journeys import mcp_samples as samples


def nightdesk(data: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--data", str(data)], catch_exceptions=False)


def event(number: int, days_ago: int = 0, **fields: object) -> Event:
    received = datetime.now(UTC) - timedelta(days=days_ago)
    return samples.event(number, received_at=received, timestamp=received, **fields)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """Five events of two people, three of them old, one with a payload; a proven repair; the house stays open."""
    folder = tmp_path / "data"
    with House.open(load(folder, {})) as house:
        raw = house.artifacts.put(b"a payload")
        house.receive(
            [
                event(number, days_ago=100, user={"id": "ann"}, raw=raw if number == 1 else None)
                for number in (1, 2, 3)
            ]
            + [event(number, user={"id": "ben"}) for number in (4, 5)]
        )
        samples.attempt_with(house, "INC-1", "it broke")
        proof = folder / "artifacts" / "proofs" / "INC-1-1.json"
        proof.parent.mkdir()
        proof.write_text("{}")
        yield folder


def ids(data: Path) -> list[str]:
    rows = json.loads(nightdesk(data, "events", "INC-1", "--json").stdout)
    return sorted(row["event_id"][-1] for row in rows)


def test_a_backup_while_events_come_in_restores_to_a_folder_that_works(data: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def send() -> None:
        with House.open(load(data, {})) as house:
            number = 100
            while not stop.is_set():
                house.keep([event(number)])
                number += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        done = nightdesk(data, "backup", str(tmp_path / "all.tgz"), "--json")
    finally:
        stop.set()
        sender.join(timeout=60)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "all.tgz").stat().st_mode & 0o077 == 0
    restored = tmp_path / "restored"
    done = nightdesk(restored, "restore", str(tmp_path / "all.tgz"))
    assert done.exit_code == 0, done.stderr
    assert "nightdesk repo sync" in done.stdout
    assert set("12345") <= set(ids(restored))
    before, after = (
        json.loads(nightdesk(each, "show", "INC-1", "--json").stdout) for each in (data, restored)
    )
    assert after["patch"] == before["patch"]
    assert (restored / "redaction.key").read_bytes() == (data / "redaction.key").read_bytes()
    assert (restored / "artifacts" / "proofs" / "INC-1-1.json").read_text() == "{}"
    with House.open(load(restored, {})) as house:
        assert house.artifacts.get(house.artifacts.put(b"a payload")) == b"a payload"
        house.receive([event(900)])
        assert queries.incident(house.database, "INC-1").event_count > 5


def test_a_restore_takes_nothing_away_that_is_in_the_folder(data: Path, tmp_path: Path) -> None:
    (data / "nightdesk.toml").write_text("draft_cap = 2\n", "utf-8")
    nightdesk(data, "backup", str(tmp_path / "all.tar"))
    new = tmp_path / "new"
    new.mkdir()
    (new / "nightdesk.toml").write_text("draft_cap = 9\n", "utf-8")
    done = nightdesk(new, "restore", str(tmp_path / "all.tar"))
    assert (done.exit_code, "has nightdesk.toml already" in done.stderr) == (1, True)
    assert (new / "nightdesk.toml").read_text("utf-8") == "draft_cap = 9\n"
    assert not (new / "nightdesk.sqlite").exists()


def test_a_backup_goes_from_a_file_to_postgresql_and_back(
    data: Path, tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json.loads(nightdesk(data, "show", "INC-1", "--json").stdout)
    assert nightdesk(data, "backup", str(tmp_path / "file.tar")).exit_code == 0

    monkeypatch.setenv("NIGHTDESK_DATABASE", postgres.new_database())
    moved = tmp_path / "moved"
    done = nightdesk(moved, "restore", str(tmp_path / "file.tar"))
    assert done.exit_code == 0, done.stderr
    assert not (moved / "nightdesk.sqlite").exists()
    assert json.loads(nightdesk(moved, "show", "INC-1", "--json").stdout) == before
    again = nightdesk(tmp_path / "other", "restore", str(tmp_path / "file.tar"))
    assert (again.exit_code, "There is a database" in again.stderr) == (1, True)
    assert nightdesk(moved, "backup", str(tmp_path / "server.tar")).exit_code == 0

    monkeypatch.delenv("NIGHTDESK_DATABASE")
    back = tmp_path / "back"
    assert nightdesk(back, "restore", str(tmp_path / "server.tar")).exit_code == 0
    assert json.loads(nightdesk(back, "show", "INC-1", "--json").stdout) == before
    with House.open(load(back, {})) as house:
        house.receive([event(900)])
        assert queries.incident(house.database, "INC-1").event_count == 6


def test_a_folder_in_use_is_never_overwritten(data: Path, tmp_path: Path) -> None:
    nightdesk(data, "backup", str(tmp_path / "all.tar"))
    done = nightdesk(data, "restore", str(tmp_path / "all.tar"))
    assert done.exit_code == 1
    assert "There is a database" in done.stderr
    assert "--data" in done.stderr


@pytest.mark.parametrize("name", ["../escaped", "/etc/escaped", "server/app.py", "artifacts/../../escaped"])
def test_an_archive_with_anything_else_in_it_is_refused_and_nothing_is_written(
    tmp_path: Path, name: str
) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    done = nightdesk(tmp_path / "new", "restore", str(tmp_path / "bad.tar"))
    assert done.exit_code == 1
    assert "not a backup" in done.stderr
    assert not list(tmp_path.rglob("escaped"))
    assert not (tmp_path / "new" / "nightdesk.sqlite").exists()


def test_a_backup_that_is_cut_off_or_is_none_is_said(data: Path, tmp_path: Path) -> None:
    nightdesk(data, "backup", str(tmp_path / "all.tgz"))
    whole = (tmp_path / "all.tgz").read_bytes()
    (tmp_path / "half.tgz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.tgz").write_bytes(b"hello")
    for name in ("half.tgz", "none.tgz"):
        done = nightdesk(tmp_path / "new", "restore", str(tmp_path / name))
        assert done.exit_code == 1
        assert "not a backup, or is not whole" in done.stderr
    assert not (tmp_path / "new" / "nightdesk.sqlite").exists()


def test_old_events_go_with_bodies_and_payloads_and_the_counts_stay(data: Path) -> None:
    told = json.loads(nightdesk(data, "purge", "--older-than", "90d", "--json").stdout)
    assert (told["events"], told["done"]) == (3, False)
    assert ids(data) == list("12345")
    done = json.loads(nightdesk(data, "purge", "--older-than", "90d", "--yes", "--json").stdout)
    assert (done["events"], done["done"]) == (3, True)
    assert ids(data) == list("45")
    shown = json.loads(nightdesk(data, "show", "INC-1", "--json").stdout)
    assert (shown["event_count"], shown["user_count"]) == (5, 2)
    assert nightdesk(data, "purge", "--older-than", "90d").exit_code == 3


def test_everything_of_one_person_goes_and_nothing_of_another(data: Path) -> None:
    with House.open(load(data, {})) as house:
        kept = queries.events(house.database, "INC-1", limit=10)
        ann = next(str(each.user["id"]) for each in kept if each.event_id.endswith("1"))
    done = json.loads(nightdesk(data, "purge", "--user", ann, "--yes", "--json").stdout)
    assert done["events"] == 3
    assert ids(data) == list("45")
    assert f"id:{ann}".encode() not in (data / "nightdesk.sqlite").read_bytes()


def test_payloads_that_nothing_refers_to_go_once_they_have_settled(data: Path) -> None:
    with House.open(load(data, {})) as house:
        digest = house.artifacts.put(b"a payload")
        (place,) = (data / "artifacts").rglob(digest)
    long_ago = datetime.now(UTC).timestamp() - 200_000
    place.touch()
    done = json.loads(nightdesk(data, "purge", "--older-than", "90d", "--yes", "--json").stdout)
    assert done["artifacts"] == 0
    os.utime(place, (long_ago, long_ago))
    with House.open(load(data, {})) as house:
        house.receive([event(7, days_ago=95)])
    done = json.loads(nightdesk(data, "purge", "--older-than", "90d", "--yes", "--json").stdout)
    assert done["artifacts"] == 1
    assert not place.exists()

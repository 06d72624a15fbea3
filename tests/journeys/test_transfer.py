"""The data is the user's: out as one file, in again, once or twice the same; the database forward with a copy."""

from __future__ import annotations

import json
import os
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.cli import cli
from server.config import load
from server.house import House
from server.incidents.as_json import incident_json
from store import flags, journal, migrations, queries, source_maps, submissions
from store.database import Database
from store.flags import FlagChange
from store.incident import Lane, Status
from store.project import Release, RepositoryConfig
from store.rows_out import TABLES
from store.source_maps import KeptMap
from store.sqlite import Sqlite
from tests.journeys import mcp_samples as samples


def nightdesk(*args: str, data: Path | None = None) -> Result:
    unset = {name: None for name in os.environ if name.startswith("NIGHTDESK_")}
    where = ("--data", str(data)) if data else ()
    return CliRunner().invoke(cli, [*args, *where], env=unset, catch_exceptions=False)


def as_json(*args: str, data: Path) -> Any:
    done = nightdesk(*args, "--json", data=data)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A folder with two projects, a merge, a split, a repair, a release, a repository with a secret in its address."""
    folder = tmp_path / "full"
    with House.open(load(folder, {})) as house:
        db = house.database
        journal.add_project(db, "shop")
        for number in range(1, 9):
            fields = {"client_fingerprint": (f"g{number % 3}",), "user": {"id": str(number)}}
            house.receive([samples.event(number, project="shop" if number > 6 else "default", **fields)])
        journal.merge(db, "INC-1", "INC-2", "ann", "the same")
        journal.split(db, "INC-1", "release", "ann")
        journal.set_status(db, "INC-3", Status.MUTED, "ann", "later")
        journal.set_lane(db, "INC-3", Lane.NOISE, "ann", "")
        journal.undo(db, "ann")
        samples.attempt_with(house, "INC-1", "said")
        handed, _ = submissions.hand_in(db, samples.submission("INC-1", said="no environment"))
        assert submissions.take(db, "INC-1", "run") is not None
        assert submissions.keep(db, handed, "run")
        journal.add_release(db, Release(project="default", version="shop@1", commits={"shop": "a" * 40}))
        moment = datetime(2026, 11, 20, tzinfo=UTC)
        flags.add(db, FlagChange(project="default", flag="dark", after="on", at=moment))
        digest = house.artifacts.put(b"a map")
        source_maps.add(db, "default", KeptMap("app.js", "1.0", None, digest), "ann")
        url = "https://ann:secret-token@git.example/shop.git"
        journal.add_repository(db, RepositoryConfig(name="shop", project="default", url=url))
    return folder


def everything(folder: Path) -> dict[str, Any]:
    """All that can be seen of a folder, without what follows from when it was opened."""
    with House.open(load(folder, {})) as house:
        db = house.database
        found = queries.incidents(db)
        return {
            "incidents": {each.id: each.model_dump(mode="json") for each in found},
            "json": {each.id: incident_json(house, each.id) for each in found},
            "events": {each.id: queries.occurrences(db, each.id) for each in found},
            "bodies": {each.id: queries.events(db, each.id) for each in found},
            "attempts": {each.id: queries.attempts(db, each.id) for each in found},
            "acts": [act for act in queries.acts(db) if act.subject.startswith("INC-")],
            "releases": queries.releases(db, "default"),
            "projects": queries.projects(db),
            "flags": flags.between(db, "default", datetime.min.replace(tzinfo=UTC), datetime.now(UTC)),
            "maps": [house.artifacts.get(kept.artifact) for kept in source_maps.all_of(db, "default")],
        }


def test_a_fresh_folder_that_takes_in_an_export_says_the_same_as_the_old_one(
    full: Path, tmp_path: Path
) -> None:
    file, fresh = tmp_path / "all.tar.gz", tmp_path / "fresh"
    counts = as_json("export", str(file), data=full)["rows"]
    assert (counts["events"], counts["projects"]) == (8, 2)

    new = as_json("import", str(file), data=fresh)["new"]

    assert new["events"] == 8
    before, after = everything(full), everything(fresh)
    for name, value in before.items():
        assert after[name] == value, name
    assert queries_after_undo(fresh) == queries_after_undo(full)


def queries_after_undo(folder: Path) -> dict[str, int]:
    """Take back the split and the merge: what they were told apart by came along."""
    with House.open(load(folder, {})) as house:
        acts = [act.id for act in queries.acts(house.database) if act.what in ("merge", "split")]
        for number in reversed(acts):
            journal.undo(house.database, "ann", number)
        return {each.id: each.event_count for each in queries.incidents(house.database)}


def test_taking_it_in_twice_is_the_same_as_once_also_where_it_came_from(full: Path, tmp_path: Path) -> None:
    file, fresh = tmp_path / "all.tar", tmp_path / "fresh"
    as_json("export", str(file), data=full)
    as_json("import", str(file), data=fresh)
    for folder in (fresh, full):
        before = everything(folder)
        assert set(as_json("import", str(file), data=folder)["new"].values()) == {0}
        assert everything(folder) == before


def test_numbers_that_are_taken_become_others_and_equal_incidents_become_one(
    full: Path, tmp_path: Path
) -> None:
    file, other = tmp_path / "all.tar", tmp_path / "other"
    as_json("export", str(file), data=full)
    with House.open(load(other, {})) as house:
        house.receive([samples.event(99, client_fingerprint=("elsewhere",))])
        house.receive([samples.event(98, client_fingerprint=("g0",))])
        samples.attempt_with(house, "INC-1", "of another incident")

    as_json("import", str(file), data=other)

    with House.open(load(other, {})) as house:
        found = {each.id: each for each in queries.incidents(house.database)}
        assert sum(each.event_count for each in found.values()) == 10
        assert len(queries.incidents(house.database, project="default")) == 4
        assert [queries.incident_of(house.database, f"{n:032x}") for n in (98, 3, 6)] == ["INC-2"] * 3
        assert queries.incident_of(house.database, f"{99:032x}") == "INC-1"
        renamed = [a for each in found for a in queries.attempts(house.database, each) if a.said == "said"]
        assert len(renamed) == 1
        assert renamed[0].id.startswith(renamed[0].incident_id + "-")
        assert renamed[0].id != "INC-1-1"
    assert set(as_json("import", str(file), data=other)["new"].values()) == {0}


def test_one_project_is_exported_without_the_others(full: Path, tmp_path: Path) -> None:
    file, fresh = tmp_path / "shop.tar", tmp_path / "fresh"
    counts = as_json("export", str(file), "--project", "shop", data=full)["rows"]
    assert (counts["events"], counts["projects"], counts["repositories"]) == (2, 1, 0)
    as_json("import", str(file), data=fresh)
    with House.open(load(fresh, {})) as house:
        assert {each.project for each in queries.incidents(house.database)} == {"shop"}
        assert queries.keys(house.database, "shop") == []


def test_keys_and_credentials_stay_unless_keys_are_asked_for(full: Path, tmp_path: Path) -> None:
    with House.open(load(full, {})) as house:
        (key,) = queries.keys(house.database, "default")
    plain, with_keys = tmp_path / "plain.tar", tmp_path / "keys.tar"
    as_json("export", str(plain), data=full)
    as_json("export", str(with_keys), "--with-keys", data=full)
    assert key.key.encode() not in plain.read_bytes()
    assert key.key.encode() in with_keys.read_bytes()
    assert b"secret-token" not in plain.read_bytes() + with_keys.read_bytes()
    assert plain.stat().st_mode & 0o077 == 0
    as_json("import", str(with_keys), data=tmp_path / "fresh")
    with House.open(load(tmp_path / "fresh", {})) as house:
        assert queries.key(house.database, key.key) is not None


def spoil(file: Path, name: str, content: bytes) -> None:
    """The export with one member replaced."""
    with tarfile.open(file) as archive:
        members = {m.name: (archive.extractfile(m) or file.open("rb")).read() for m in archive}
    members[name] = content
    with tarfile.open(file, "w:") as archive:
        for member, text in members.items():
            place = file.parent / "member"
            place.write_bytes(text)
            archive.add(place, member)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("manifest.json", b"{}", "not an export of this version"),
        ("manifest.json", b'{"nightdesk_export": 1, "schema": "0001"}', "nightdesk migrate"),
        ("events.jsonl", b"{nope", "Nothing was imported"),
        ("events.jsonl", b'{"project_id": 77}\n', "Nothing was imported"),
        ("incidents.jsonl", b"[]\n", "Nothing was imported"),
        ("steps.jsonl", b'{"attempt_id": "INC-9-9"}\n', "Nothing was imported"),
    ],
)
def test_an_export_that_is_not_whole_is_refused_whole(
    full: Path, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    file, fresh = tmp_path / "all.tar", tmp_path / "fresh"
    as_json("export", str(file), data=full)
    spoil(file, name, content)

    done = nightdesk("import", str(file), data=fresh)

    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert said in done.stderr
    assert as_json("incidents", data=fresh) == []


def test_a_member_that_leads_out_of_the_folder_is_never_written(full: Path, tmp_path: Path) -> None:
    file, fresh = tmp_path / "all.tar", tmp_path / "fresh"
    as_json("export", str(file), data=full)
    spoil(file, "proofs/../../evil.json", b"{}")
    as_json("import", str(file), data=fresh)
    assert list(tmp_path.rglob("*evil*")) == []


def test_every_table_that_is_a_teams_is_exported() -> None:
    internal = {
        "facets",
        "imports",
        "tasks",
        "switches",
        "follows",
        "builds",
        "notices",
        "deliveries",
    }  # what follows from the events, what is about this folder
    with_secrets = {
        "tokens",
        "users",
        "grants",
        "sessions",
        "logins",
        "memberships",
        "grant_tokens",
        "login_links",
    }
    internal |= {"oauth_clients", "oauth_codes", "tallies", "minutes", "sketches", "blobs", "incident_texts"}
    internal |= {"user_sketches", "marks", "sent", "calibrations", "requests"}
    made = set(next(iter(TABLES.values())).metadata.tables)
    assert made - internal - with_secrets == set(TABLES)


def of_the_first_schema(folder: Path) -> None:
    """A data folder with a database as the first version made it, with one project in it."""
    folder.mkdir()
    database = Database(Sqlite(folder / "nightdesk.sqlite"))
    with database._writer.connect() as connection, connection.begin():
        migrations.upgrade(connection, revision="0001")
        connection.exec_driver_sql("INSERT INTO projects VALUES (1, 'old', '2026-01-01 00:00:00')")
    database.close()


def test_migrate_says_both_revisions_copies_first_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    of_the_first_schema(folder)
    due = nightdesk("migrate", "--check", data=folder)
    assert (due.exit_code, "the newest is" in due.stdout) == (3, True)

    done = as_json("migrate", data=folder)

    assert done["current"] == "0001" != done["target"]
    with closing(sqlite3.connect(done["backup"])) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert copy.execute("SELECT name FROM projects").fetchone() == ("old",)
    assert nightdesk("migrate", "--check", data=folder).exit_code == 0
    again = as_json("migrate", data=folder)
    assert (again["current"], again["backup"]) == (done["target"], None)
    assert [row["name"] for row in as_json("project", "list", data=folder)] == ["old"]


def test_migrate_of_what_is_no_database_of_ours_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.sqlite").write_text("not a database " * 100)
    done = nightdesk("migrate", data=tmp_path)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "damaged or not a database" in done.stderr

"""Tokens and users: shown once, kept as a digest, refused when they are not good; keys after a rotation."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from server.access import authenticate
from server.cli import cli
from server.house import House
from server.http.answers import NoKey
from store import accounts, journal, queries
from store.database import Database
from store.errors import BadPayload, NotFound
from store.people import Role, Scope
from store.tables import Row


@pytest.fixture
def db(tmp_path: Path, database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    yield database
    database.close()


def now() -> datetime:
    return datetime.now(UTC)


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--data", str(data)])


def told(data: Path, *arguments: str) -> Any:
    result = run(data, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_no_row_or_file_of_the_database_holds_the_text_of_a_token_or_its_secret(
    db: Database, tmp_path: Path
) -> None:
    text, token = accounts.create_token(db, name="ci")
    _, identity, secret = text.split("_", 2)
    with db.read() as session:
        rows = [
            repr(tuple(row)) for table in Row.metadata.sorted_tables for row in session.execute(select(table))
        ]
    kept = [*(path.read_bytes() for path in tmp_path.iterdir() if path.is_file()), "\n".join(rows).encode()]
    assert any(identity.encode() in one for one in kept)
    assert not any(secret.encode() in one for one in kept)
    assert identity == token.id
    assert len(secret) == 43


def test_a_token_is_known_by_its_whole_text_and_by_nothing_else(db: Database) -> None:
    text, token = accounts.create_token(db, scopes=[Scope.READ, Scope.FIX, Scope.READ])
    other, _ = accounts.create_token(db)
    assert accounts.token(db, text, now()) == token
    assert token.scopes == (Scope.READ, Scope.FIX)
    identity, secret = text.split("_", 2)[1:]
    wrong = [
        "", "nd_", text[:-1], text + "A", text.upper(), secret, identity, f"nd_{identity}_{'A' * 43}",
        f"nd_{'0' * 12}_{secret}", f"nd_{other.split('_')[1]}_{secret}", text + "\n", "nd_\0_é", "x" * 100_000,
    ]  # fmt: skip
    assert [given for given in wrong if accounts.token(db, given, now()) is not None] == []


def test_the_secret_is_compared_in_constant_time_also_for_a_token_that_nobody_has(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, _ = accounts.create_token(db)
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert accounts.token(db, text, now()) is not None
    assert accounts.token(db, f"nd_{'0' * 12}_{'A' * 43}", now()) is None
    assert accounts.token(db, "nonsense", now()) is None
    assert compared == [(64, 64)] * 3


def test_a_token_ends_at_its_time_and_when_it_is_revoked(db: Database) -> None:
    text, token = accounts.create_token(db, days=2)
    assert accounts.token(db, text, token.expires_at - timedelta(seconds=1)) is not None
    assert accounts.token(db, text, token.expires_at) is None
    first = accounts.revoke_token(db, token.id)
    assert accounts.token(db, text, now()) is None
    assert accounts.revoke_token(db, text) == first
    with pytest.raises(NotFound, match="token list"):
        accounts.revoke_token(db, "nobody")


def test_the_use_of_a_token_is_remembered_to_the_hour_with_one_write(house: House) -> None:
    text, token = accounts.create_token(house.database)
    headers = {"authorization": f"Bearer {text}"}
    assert authenticate(house, headers).name == f"token {token.id}"
    (used,) = [row.last_used_at for row in accounts.tokens(house.database)]
    assert used is not None
    assert (used.minute, used.second, used.microsecond) == (0, 0, 0)
    with house.database.write():  # a second write would wait for this one
        assert authenticate(house, headers).name == f"token {token.id}"


def test_a_token_that_is_not_good_is_refused_in_one_sentence_whatever_is_wrong(house: House) -> None:
    text, token = accounts.create_token(house.database)
    accounts.revoke_token(house.database, token.id)
    said = set()
    for given in (text, text[:-1] + "!", "Basic", "nd_"):
        with pytest.raises(NoKey) as refused:
            authenticate(house, {"authorization": f"Bearer {given}"})
        said.add(str(refused.value))
    assert len(said) == 1
    with pytest.raises(NoKey, match="No token came"):
        authenticate(house, {})


def test_a_user_who_is_removed_takes_their_tokens_along_and_comes_back_without_them(db: Database) -> None:
    accounts.add_user(db, "ada", Role.RESPONDER)
    text, _ = accounts.create_token(db, user="ada")
    accounts.remove_user(db, "ada")
    assert accounts.users(db) == []
    assert accounts.token(db, text, now()) is None
    with pytest.raises(NotFound, match="no user 'ada'"):
        accounts.create_token(db, user="ada")
    back = accounts.add_user(db, "ada", Role.VIEWER)
    assert (back.role, back.roles) == (Role.VIEWER, {})
    assert accounts.token(db, text, now()) is None


def test_a_role_is_kept_for_each_project_and_the_token_sees_it_change(db: Database) -> None:
    journal.add_project(db, "shop")
    accounts.add_user(db, "ada", Role.VIEWER, "shop")
    text, _ = accounts.create_token(db, user="ada")
    accounts.add_user(db, "ada", Role.ADMIN, "shop")
    found = accounts.token(db, text, now())
    assert found is not None
    assert found.user is not None
    assert (found.user.role, found.user.roles) == (None, {"shop": Role.ADMIN})
    accounts.remove_user(db, "ada", "shop")
    assert [user.roles for user in accounts.users(db)] == [{}]
    with pytest.raises(NotFound, match="no role in 'shop'"):
        accounts.remove_user(db, "ada", "shop")


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "x" * 65, "a\n", "ä", "operator", "Policy"])
def test_a_name_that_could_not_be_a_users_is_refused(db: Database, name: str) -> None:
    with pytest.raises(BadPayload, match="cannot be a user's name"):
        accounts.add_user(db, name, Role.VIEWER)


def test_what_is_done_to_tokens_and_users_is_on_record_without_a_secret(db: Database) -> None:
    accounts.add_user(db, "ada", Role.VIEWER)
    text, token = accounts.create_token(db, name="ci", user="ada")
    accounts.revoke_token(db, token.id)
    acts = [act for act in queries.acts(db) if act.what in {"user", "token"}]
    assert [act.subject for act in acts] == ["user:ada", f"token:{token.id}", f"token:{token.id}"]
    assert text.split("_", 2)[2] not in json.dumps([act.model_dump(mode="json") for act in acts])


# --- at the command line --------------------------------------------------------------------------


def test_token_create_shows_the_text_once_and_list_and_revoke_go_by_the_id(tmp_path: Path) -> None:
    made = told(tmp_path, "token", "create", "--name", "ci", "--days", "7", "--scope", "incidents:fix")
    assert set(made) == {"token", "id", "scopes", "expires_at"}
    assert made["token"].startswith(f"nd_{made['id']}_")
    assert made["scopes"] == ["incidents:fix"]
    left = datetime.fromisoformat(made["expires_at"]) - now()
    assert timedelta(days=6) < left <= timedelta(days=7)
    (row,) = told(tmp_path, "token", "list")
    assert (row["id"], row["name"], row["revoked_at"]) == (made["id"], "ci", None)
    assert made["token"] not in json.dumps(row)
    assert told(tmp_path, "token", "revoke", made["id"]) == {"id": made["id"], "revoked": True}
    assert told(tmp_path, "token", "list")[0]["revoked_at"] is not None


def test_a_token_reads_incidents_unless_more_is_asked_for(tmp_path: Path) -> None:
    assert told(tmp_path, "token", "create")["scopes"] == ["incidents:read"]
    said = run(tmp_path, "token", "create")
    assert "It is not shown again." in said.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["token", "create", "--scope", "incidents:all"], 2),
        (["token", "create", "--days", "0"], 2),
        (["token", "create", "--user", "nobody"], 1),
        (["token", "create", "--project", "nowhere"], 1),
        (["token", "revoke", "nd_x"], 1),
        (["user", "add", "ada", "--role", "king"], 2),
        (["user", "add", "ada", "--project", "nowhere"], 1),
        (["user", "remove", "nobody"], 1),
    ],
)
def test_wrong_use_of_token_and_user_ends_with_its_code_and_one_sentence(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    result = run(tmp_path, *arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_users_are_added_listed_and_removed(tmp_path: Path) -> None:
    assert told(tmp_path, "user", "list") == []
    assert told(tmp_path, "user", "add", "ada", "--project", "default", "--role", "admin") == {
        "name": "ada", "role": None, "roles": {"default": "admin"},
    }  # fmt: skip
    assert "ada  admin in default" in run(tmp_path, "user", "list").stdout
    assert told(tmp_path, "user", "remove", "ada")["removed"] is True
    assert told(tmp_path, "user", "list") == []


# --- keys -----------------------------------------------------------------------------------------


def test_a_key_is_refused_after_its_rotation_at_once_or_after_the_grace(house: House) -> None:
    data, database = house.config.data, house.database
    (first,) = queries.keys(database, "default")
    second = told(data, "key", "rotate")["key"]
    assert queries.key(database, first.key) is None
    assert queries.key(database, second) is not None
    third = told(data, "key", "rotate", "--grace", "2")["key"]
    assert queries.key(database, second) is not None
    assert {row["key"] for row in told(data, "key", "list")} == {second, third}
    assert told(data, "project", "list")[0]["key"] == third
    ends = {key.key: key.revoked_at for key in queries.keys(database, "default")}[second]
    assert ends is not None
    assert timedelta(hours=1, minutes=59) < ends - now() <= timedelta(hours=2)
    journal.revoke_key(database, second, at=now() + timedelta(days=1))
    assert {key.key: key.revoked_at for key in queries.keys(database, "default")}[second] == ends
    told(data, "key", "revoke", second)
    assert queries.key(database, second) is None

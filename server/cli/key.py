"""`nightdesk key`: what senders show at the door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.dsn import dsn
from server.house import House
from store import journal, queries
from store.errors import NotFound
from store.project import Key


@click.group()
def command() -> None:
    """Keys that senders use. Events by a public key start no repair on their own."""


@command.command("add")
@click.argument("project", default="default")
@click.option("--public", is_flag=True, help="May be read by anybody: for browsers and mobile applications.")
@common
def add(project: str, public: bool, data: Path | None, as_json: bool) -> None:
    """Add a key to PROJECT."""
    with open_house(data) as house:
        name = queries.project(house.database, project).name
        _emit(house, [journal.add_key(house.database, name, public=public)], as_json=as_json, one=True)


@command.command("list")
@click.argument("project", default="default")
@common
def list_(project: str, data: Path | None, as_json: bool) -> None:
    """Every key of PROJECT that is in use."""
    with open_house(data) as house:
        _emit(house, _usable(house, project), as_json=as_json)


@command.command("rotate")
@click.argument("project", default="default")
@click.option("--public", is_flag=True, help="Replace the public keys, not the secret ones.")
@click.option(
    "--grace",
    type=click.IntRange(0, 365 * 24),
    default=0,
    metavar="HOURS",
    help="How long the older keys still open the door, so that senders can be changed one by one.",
)
@common
def rotate(project: str, public: bool, grace: int, data: Path | None, as_json: bool) -> None:
    """Add a key to PROJECT and revoke the older ones of the same sort, at once or after a grace."""
    with open_house(data) as house:
        older = [key for key in _usable(house, project) if key.public == public]
        name = queries.project(house.database, project).name
        fresh = journal.add_key(house.database, name, public=public)
        for key in older:
            journal.revoke_key(house.database, key.key, at=fresh.created_at + timedelta(hours=grace))
        _emit(house, [fresh], as_json=as_json, one=True)


@command.command("revoke")
@click.argument("key")
@common
def revoke(key: str, data: Path | None, as_json: bool) -> None:
    """Revoke KEY: events sent with it are refused from now on."""
    with open_house(data) as house:
        if queries.key(house.database, key) is None:
            raise NotFound("No key in use is called that; `nightdesk key list PROJECT` shows them.")
        journal.revoke_key(house.database, key)
    emit({"key": key, "revoked": True}, f"Revoked {key}.", as_json=as_json)


def _usable(house: House, project: str) -> list[Key]:
    now = datetime.now(UTC)
    return [key for key in queries.keys(house.database, project) if key.usable(now)]


def _emit(house: House, keys: list[Key], *, as_json: bool, one: bool = False) -> None:
    """Rows `{id, name, key, dsn, public}` where id and name are the project's."""
    rows = []
    for key in keys:
        project = queries.project(house.database, key.project)
        rows.append(
            {
                "id": project.id,
                "name": project.name,
                "key": key.key,
                "dsn": dsn(house, project, key),
                "public": key.public,
            }
        )
    text = table([[row["name"], "public" if row["public"] else "secret", row["dsn"]] for row in rows])
    emit(rows[0] if one else rows, text, as_json=as_json)

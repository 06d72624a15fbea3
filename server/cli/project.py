"""`nightdesk project`: the applications that send events."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.house import House
from store import journal, queries
from store.project import Key, Project


@click.group()
def command() -> None:
    """Projects: the applications that send events."""


@command.command("add")
@click.argument("name")
@common
def add(name: str, data: Path | None, as_json: bool) -> None:
    """Add a project; it gets a key, so that its DSN can be used at once."""
    with open_house(data) as house:
        project = journal.add_project(house.database, name)
        if not queries.keys(house.database, project.name):
            journal.add_key(house.database, project.name)
        row = project_row(house, project)
    emit(row, table([[row["id"], row["name"], row["dsn"]]]), as_json=as_json)


@command.command("list")
@common
def list_(data: Path | None, as_json: bool) -> None:
    """Every project with its DSN."""
    with open_house(data) as house:
        rows = [project_row(house, project) for project in queries.projects(house.database)]
    emit(rows, table([[row["id"], row["name"], row["dsn"] or "no key"] for row in rows]), as_json=as_json)


def project_row(house: House, project: Project) -> dict[str, object]:
    """`{id, name, key, dsn}` with the newest key in use, secret ones before public ones."""
    usable = [key for key in queries.keys(house.database, project.name) if key.revoked_at is None]
    key = max(usable, key=lambda key: (not key.public, key.created_at, key.id), default=None)
    return {
        "id": project.id,
        "name": project.name,
        "key": key.key if key else None,
        "dsn": dsn(house, project, key) if key else None,
    }


def dsn(house: House, project: Project, key: Key) -> str:
    """The address a sender is configured with: `http://KEY@HOST:PORT/ID`."""
    scheme, _, rest = house.config.address.partition("://")
    return f"{scheme}://{key.key}@{rest}/{project.id}"

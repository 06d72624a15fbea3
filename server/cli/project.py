"""`nightdesk project`: the applications that send events."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.dsn import project_row
from store import journal, queries


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

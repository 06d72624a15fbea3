"""`nightdesk user`: people and their roles."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.cli.states import who
from store import accounts
from store.people import Role, User


@click.group()
def command() -> None:
    """People and their roles: viewer reads, responder works on incidents, admin sets up. Add, list, remove."""


@command.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.RESPONDER.value,
    show_default=True,
    help="What they are.",
)
@click.option("--project", default=None, help="Only in this project. Default: in all.")
@common
def add(name: str, role: str, project: str | None, data: Path | None, as_json: bool) -> None:
    """Give NAME a role; the one they have there is replaced."""
    with open_house(data) as house:
        user = accounts.add_user(house.database, name, Role(role), project, by=who())
    emit(user, f"{user.name}: {_roles(user)}.", as_json=as_json)


@command.command("list")
@common
def list_(data: Path | None, as_json: bool) -> None:
    """Everybody, with their roles."""
    with open_house(data) as house:
        rows = accounts.users(house.database)
    emit(rows, table([user.name, _roles(user)] for user in rows) or "Nobody.", as_json=as_json)


@command.command("remove")
@click.argument("name")
@click.option(
    "--project", default=None, help="Only their role in this project. Default: all, and their tokens."
)
@common
def remove(name: str, project: str | None, data: Path | None, as_json: bool) -> None:
    """Take NAME's role away. Without --project all of them go, and NAME's tokens are revoked."""
    with open_house(data) as house:
        accounts.remove_user(house.database, name, project, by=who())
    where = f" from {project}" if project else "; their tokens are revoked"
    emit({"name": name, "project": project, "removed": True}, f"Removed {name}{where}.", as_json=as_json)


def _roles(user: User) -> str:
    everywhere = [f"{user.role} everywhere"] if user.role else []
    return ", ".join([*everywhere, *(f"{role} in {name}" for name, role in user.roles.items())]) or "no role"

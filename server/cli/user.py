"""`nightdesk user`: people and their roles."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.cli.states import who
from server.house import House
from server.moments import stamp, utc_now
from server.operating.presence import servers
from server.web.passwords import encoded
from store import accounts, logins
from store.people import Role, User


@click.group()
def command() -> None:
    """People and their roles: viewer reads, responder works on incidents, admin sets up. How they log in."""


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


@command.command("link")
@click.argument("name", required=False)
@common
def link(name: str | None, data: Path | None, as_json: bool) -> None:
    """Print a link that logs NAME in at the web page, once and within an hour; without NAME, you as the operator."""
    with open_house(data) as house:
        running = servers(house.config.data)
        address, until = login_link(house, name, running[0] if running else house.config.address)
    value = {"link": address, "user": name, "expires_at": until}
    emit(
        value,
        f"{address}\nIt works once, until {stamp(until)}. Whoever opens it is logged in.",
        as_json=as_json,
    )


@command.command("password")
@click.argument("name")
@common
def password(name: str, data: Path | None, as_json: bool) -> None:
    """Set the password with which NAME logs in at the web page: asked for on a terminal, else the first line of
    standard input. Whoever is logged in as NAME is logged out."""
    if sys.stdin.isatty():
        text = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    with open_house(data) as house:
        logins.set_password(house.database, name, encoded(text), by=who())
    emit({"name": name, "password": True}, f"{name} has a new password.", as_json=as_json)


def login_link(house: House, name: str | None, server: str) -> tuple[str, datetime]:
    """The address that logs somebody in once at a server, and until when; None is the operator. Raises NotFound."""
    now = utc_now()
    secret = logins.create_link(house.database, name, now, by=who())
    return f"{server}/login?link={secret}", now + logins.LINK


def _roles(user: User) -> str:
    everywhere = [f"{user.role} everywhere"] if user.role else []
    return ", ".join([*everywhere, *(f"{role} in {name}" for name, role in user.roles.items())]) or "no role"

"""`nightdesk token`: what scripts and assistants show at the HTTP doors."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.cli.states import who
from server.moments import stamp
from store import accounts
from store.people import Scope, Token


@click.group()
def command() -> None:
    """Tokens that scripts and assistants show over HTTP: create, list, revoke."""


@command.command("create")
@click.option("--name", default="", help="What it is for; shown with what is done by it.")
@click.option(
    "--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How long it is good."
)
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    help="What it is good for; repeatable. Default: incidents:read.",
)
@click.option("--user", default=None, help="Who stands behind it: it never may more than they. Default: you.")
@click.option("--project", default=None, help="The only project it is good for. Default: all.")
@common
def create(
    name: str,
    days: int,
    scopes: tuple[str, ...],
    user: str | None,
    project: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Make a token. Its text is shown this once: only a digest of it is kept."""
    wanted = [Scope(scope) for scope in scopes] or [Scope.READ]
    with open_house(data) as house:
        text, token = accounts.create_token(
            house.database, name=name, scopes=wanted, days=days, user=user, project=project, by=who()
        )
    value = {"token": text, "id": token.id, "scopes": list(token.scopes), "expires_at": token.expires_at}
    said = f"{', '.join(token.scopes)}, until {stamp(token.expires_at)}. It is not shown again."
    emit(value, f"{text}\n{said}", as_json=as_json)


@command.command("list")
@common
def list_(data: Path | None, as_json: bool) -> None:
    """Every token, without its text."""
    with open_house(data) as house:
        rows = accounts.tokens(house.database)
    values = [{**row.model_dump(mode="json"), "user": row.user.name if row.user else None} for row in rows]
    emit(values, table(_cells(row) for row in rows) or "No tokens.", as_json=as_json)


@command.command("revoke")
@click.argument("token")
@common
def revoke(token: str, data: Path | None, as_json: bool) -> None:
    """Revoke TOKEN, given by its id: it is refused from now on."""
    with open_house(data) as house:
        gone = accounts.revoke_token(house.database, token, by=who())
    emit({"id": gone.id, "revoked": True}, f"Revoked {gone.id} ({gone.name}).", as_json=as_json)


def _cells(token: Token) -> list[str]:
    used = stamp(token.last_used_at) if token.last_used_at else "never used"
    until = f"until {stamp(token.expires_at)}" if token.revoked_at is None else "revoked"
    return [
        token.id, token.name, " ".join(token.scopes), token.project or "every project",
        token.user.name if token.user else "operator", until, used,
    ]  # fmt: skip

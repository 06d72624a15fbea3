"""`nightdesk grants`: what persons let assistants do, and taking it back."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.cli.states import who
from server.moments import stamp, utc_now
from server.oauth.words import is_live, state_of
from store import grants
from store.people import Grant


@click.group()
def command() -> None:
    """What persons let assistants do over OAuth: list, revoke."""


@command.command("list")
@click.option("--all", "every", is_flag=True, help="Those that have ended lately too.")
@common
def list_(every: bool, data: Path | None, as_json: bool) -> None:
    """What is granted now, newest first."""
    now = utc_now()
    with open_house(data) as house:
        rows = [row for row in grants.grants(house.database) if every or is_live(row, now)]
    values = [{**row.model_dump(mode="json"), "user": row.user.name if row.user else None} for row in rows]
    text = table([*_cells(row), state_of(row, now)] for row in rows)
    emit(values, text or "No assistant was let in.", as_json=as_json)


@command.command("revoke")
@click.argument("grant")
@common
def revoke(grant: str, data: Path | None, as_json: bool) -> None:
    """Take back GRANT, given by its id: every token that it gave is refused from now on."""
    with open_house(data) as house:
        gone = grants.revoke_grant(house.database, grant, utc_now(), by=who())
    emit({"id": gone.id, "revoked": True}, f"Revoked {gone.id} ({gone.client_name}).", as_json=as_json)


def _cells(grant: Grant) -> list[str]:
    used = f"used {stamp(grant.used_at)}" if grant.used_at else "never used"
    by = grant.user.name if grant.user else "operator"
    return [grant.id, grant.client_name, by, grant.audience, " ".join(grant.scopes), used]

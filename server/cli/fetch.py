"""`nightdesk fetch`: one incident from another Nightdesk, to be reproduced here."""

from __future__ import annotations

import os
from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.operating.fetching import fetch
from store import queries
from store.errors import NotAllowed


@click.command()
@click.argument("incident", metavar="INC-n")
@click.option(
    "--from", "site", required=True, metavar="URL", help="The address of the Nightdesk that has it."
)
@common
def command(incident: str, site: str, data: Path | None, as_json: bool) -> None:
    """Take an incident with its newest events from another Nightdesk; the token is read from NIGHTDESK_TOKEN and needs
    the scope incidents:read. It keeps its number where that is free here."""
    token = os.environ.get("NIGHTDESK_TOKEN")
    if not token:
        raise NotAllowed(
            "There is no token in NIGHTDESK_TOKEN; `nightdesk token create` over there makes one."
        )
    with open_house(data) as house:
        name = fetch(house, site, token, incident)
        found = queries.incident(house.database, name)
        kept = len(queries.kept_bodies(house.database, name))
    emit(found, f"{found.id}: {found.title} ({kept} events with their bodies)", as_json=as_json)

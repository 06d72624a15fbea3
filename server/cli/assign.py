"""`nightdesk assign`: name an incident's owner."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, open_house
from server.cli.states import report, who
from store import journal, queries


@click.command()
@click.argument("incident", metavar="INC-n")
@click.argument("owner")
@common
def command(incident: str, owner: str, data: Path | None, as_json: bool) -> None:
    """Name an incident's OWNER."""
    with open_house(data) as house:
        incident_id = queries.incident(house.database, incident).id
        journal.assign(house.database, incident_id, owner, who())
        report(house, incident_id, as_json=as_json)

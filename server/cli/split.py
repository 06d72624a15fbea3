"""`nightdesk split`: an incident is several problems."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import NO, common, emit, open_house, table
from server.cli.states import who
from store import journal, queries
from store.errors import NotFound
from store.regrouping import SPLIT_BY


@click.command()
@click.argument("incident", metavar="INC-n")
@click.option("--by", "column", type=click.Choice(SPLIT_BY), required=True, help="What the parts differ in.")
@click.option("--reason", default="", help="Why; it is kept.")
@common
def command(incident: str, column: str, reason: str, data: Path | None, as_json: bool) -> None:
    """Make a new incident of each further value; new events follow. Exit 3 where all events have the same.
    `nightdesk undo` puts them together again."""
    with open_house(data) as house:
        made = journal.split(house.database, incident, column, who(), reason)
        for part in made:
            try:
                house.triage_incident(part)
            except NotFound:  # none of its bodies was kept: it stands as the whole was judged
                continue
        rows = [queries.incident(house.database, each) for each in [incident, *made]] if made else []
    said = table([[row.id, row.event_count, row.title] for row in rows])
    emit(rows, said or f"All events of {incident} have the same {column}.", as_json=as_json)
    if not made:
        raise SystemExit(NO)

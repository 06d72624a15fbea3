"""`nightdesk merge`: two incidents are one problem."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.cli.states import who
from store import journal, queries


@click.command()
@click.argument("into", metavar="INC-a")
@click.argument("part", metavar="INC-b")
@click.option("--reason", default="", help="Why; it is kept.")
@common
def command(into: str, part: str, reason: str, data: Path | None, as_json: bool) -> None:
    """Make INC-b a part of INC-a: events, fingerprints and counts move, and the old id answers with the other one.
    `nightdesk undo` parts them again."""
    with open_house(data) as house:
        kept = journal.merge(house.database, into, part, who(), reason)
        found = queries.incident(house.database, kept)
        merged = queries.merged(house.database, kept)
    emit(
        {**found.model_dump(mode="json"), "merged": merged},
        f"{found.id} has {found.event_count} events now; {', '.join(merged)} answers with it.",
        as_json=as_json,
    )

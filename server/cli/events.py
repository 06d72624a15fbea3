"""`nightdesk events`: every event kept, and which bodies are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from server.cli.output import as_json_text, common, emit, open_house, table
from server.house import House
from server.moments import stamp
from store import queries
from store.errors import NotFound


@click.command()
@click.argument("incident", metavar="[INC-n]", required=False)
@click.option("--id", "event_id", default=None, help="One event: its body, as it was kept.")
@common
def command(incident: str | None, event_id: str | None, data: Path | None, as_json: bool) -> None:
    """Ids, times and releases of every event kept; without INC-n, of all incidents."""
    with open_house(data) as house:
        if event_id:
            found = queries.event(house.database, event_id.replace("-", ""))
            if found is None:
                raise NotFound(f"No event {event_id!r} is kept with its body; `nightdesk events` lists them.")
            emit(found, as_json_text(found), as_json=as_json)
            return
        ids = [incident] if incident else [row.id for row in queries.incidents(house.database)]
        rows = [row for each in ids for row in _rows(house, each)]
    lines = [
        [
            row["incident_id"],
            row["event_id"],
            stamp(row["seen_at"]),
            row["release"] or "-",
            "body" if row["body"] else "-",
        ]
        for row in rows
    ]
    emit(rows, table(lines) or "No events.", as_json=as_json)


def _rows(house: House, incident_id: str) -> list[dict[str, Any]]:
    """One incident's events, oldest first."""
    kept = queries.kept_bodies(house.database, incident_id)
    return [
        {**seen.model_dump(), "body": seen.event_id in kept}
        for seen in queries.occurrences(house.database, incident_id)
    ]

"""`nightdesk pause`: hold all repairs back."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from store import tasks


@click.command()
@common
def command(data: Path | None, as_json: bool) -> None:
    """Stop all repairs, also those at work, until `nightdesk resume`. Events are taken and triaged as ever."""
    with open_house(data) as house:
        changed = tasks.pause(house.database, "operator")
        waiting = [task.subject for task in tasks.waiting(house.database, tasks.TaskKind.REPAIR)]
    state = {"paused": True, "changed": changed, "waiting": waiting}
    said = "Repairs are paused" if changed else "Repairs were paused already"
    emit(state, f"{said}; {len(waiting)} not done.", as_json=as_json)

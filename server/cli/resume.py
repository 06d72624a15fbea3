"""`nightdesk resume`: let repairs go on."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.work.detached import ensure_worker
from store import tasks


@click.command()
@common
def command(data: Path | None, as_json: bool) -> None:
    """Let repairs go on at the step they were in."""
    with open_house(data) as house:
        changed = tasks.resume(house.database, "operator")
        waiting = [task.subject for task in tasks.waiting(house.database, tasks.TaskKind.REPAIR)]
        if waiting:
            ensure_worker(house)
    state = {"paused": False, "changed": changed, "waiting": waiting}
    said = "Repairs go on" if changed else "Repairs were not paused"
    emit(state, f"{said}; {len(waiting)} not done.", as_json=as_json)

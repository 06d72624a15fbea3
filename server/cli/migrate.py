"""`nightdesk migrate`: the database forward."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import NO, common, emit
from server.config import load
from server.house import make_folder
from store.upgrade import bring_forward, stands_at


@click.command()
@click.option("--check", is_flag=True, help="Only say how it stands; exit 3 where a migration is due.")
@common
def command(check: bool, data: Path | None, as_json: bool) -> None:
    """Bring the database to the newest schema: checked first, with a copy in the folder `backups`."""
    config = load(data)
    if check:
        found = stands_at(config.database_url)
    else:
        make_folder(config.data)
        found = bring_forward(config.database_url, config.data / "backups")
    current = found.current or "none yet"
    if not found.due:
        said = f"The schema is {current}, the newest: nothing to do."
    elif check:
        said = f"The schema is {current}, the newest is {found.target}: `nightdesk migrate` brings it there."
    else:
        copy = f" A copy is in {found.backup}." if found.backup else ""
        said = f"The schema was {current} and is {found.target} now.{copy}"
    values = {
        "current": found.current,
        "target": found.target,
        "due": found.due and check,
        "backup": found.backup,
    }
    emit(values, said, as_json=as_json)
    if check and found.due:
        raise SystemExit(NO)

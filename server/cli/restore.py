"""`nightdesk restore`: a data folder from a backup."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit
from server.config import load
from server.house import House
from server.operating.backup import restore


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@common
def command(file: Path, data: Path | None, as_json: bool) -> None:
    """Make the data folder from the backup FILE. A folder that has a database already is left as it is. Afterwards
    `nightdesk repo sync` fetches the mirrors again."""
    config = load(data)
    found = restore(config, file)
    with House.open(load(data)):  # brings an older schema forward, and shows that it opens
        pass
    said = f"{config.data}: {found.files} files of {found.made_at}. Next: nightdesk repo sync"
    emit({"data": str(config.data), **vars(found)}, said, as_json=as_json)

"""`nightdesk import`: take in what another folder has exported."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.operating import transfer


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@common
def command(file: Path, data: Path | None, as_json: bool) -> None:
    """Take in an export. What is here already stays as it is, so doing it twice is the same as doing it once."""
    with open_house(data) as house:
        new = transfer.take(house, file).new
    said = ", ".join(f"{count} {name}" for name, count in new.items() if count)
    emit({"file": str(file), "new": new}, f"New: {said}." if said else "Nothing new.", as_json=as_json)

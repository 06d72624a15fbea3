"""`nightdesk export`: the user's data as one file."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.operating import transfer


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--project", default=None, help="Only this project.  [default: all]")
@click.option("--with-keys", is_flag=True, help="With the keys of senders: whoever has the file can send.")
@common
def command(file: Path, project: str | None, with_keys: bool, data: Path | None, as_json: bool) -> None:
    """Write everything of a project, or of all, to FILE: a tar of JSON lines, with payloads and proofs. All of it is
    redacted, as it was when it was kept."""
    with open_house(data) as house:
        counts = transfer.export(house, file, project, with_keys=with_keys)
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    emit({"file": str(file), "rows": counts}, f"{file}: {said}.", as_json=as_json)

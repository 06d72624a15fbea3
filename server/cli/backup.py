"""`nightdesk backup`: all that a data folder keeps, while it is in use."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit
from server.config import load
from server.operating.backup import back_up


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@common
def command(file: Path, data: Path | None, as_json: bool) -> None:
    """Write database, payloads, proofs, settings and the key of redaction to FILE, for its owner only. The server may
    go on meanwhile. Mirrors and environments are not in it: they are made again."""
    made = back_up(load(data), file.absolute())
    said = f"{file}: {made.files} files, {made.bytes >> 10} KiB, schema {made.schema}."
    emit({"file": str(file), **vars(made)}, said, as_json=as_json)

"""`nightdesk metrics`: the product's own figures."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.metrics import metrics_text
from store.figures import figures


@click.command()
@common
def command(data: Path | None, as_json: bool) -> None:
    """The product's own figures, as `/metrics` says them."""
    with open_house(data) as house:
        found = figures(house.database)
    emit(found, metrics_text(found), as_json=as_json)

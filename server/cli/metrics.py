"""`nightdesk metrics`: the product's own figures."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, fields, open_house
from server.moments import since_moment
from server.operating.product import product, product_rows
from store.figures import figures
from store.tracks import tracks


@click.command()
@click.option(
    "--since", default=None, metavar="TIME", help="Only incidents detected since (a time, or an age as 30d)."
)
@common
def command(since: str | None, data: Path | None, as_json: bool) -> None:
    """How long each stage takes, what holds, what came back: the product's own figures."""
    moment = since_moment(since) if since else None
    with open_house(data) as house:
        counted = figures(house.database)
        found = product(tracks(house.database, moment))
    lanes = ", ".join(f"{number} {lane.value}" for lane, number in counted.incidents.items())
    ends = ", ".join(f"{number} {end}" for end, number in sorted(counted.repairs.items()))
    head = {"events": counted.events, "open incidents": lanes, "repairs": ends or "none"}
    told = {
        "events": counted.events, "incidents": counted.incidents, "repairs": counted.repairs,
        "product": found.model_dump(mode="json"),
    }  # fmt: skip
    emit(told, f"{fields(head)}\n\n{fields(dict(product_rows(found)))}", as_json=as_json)

"""`nightdesk audit`: a random, weighted sample of what was set aside, for a person to look at."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import NO, common, emit, open_house, table
from server.operating.calibration import audit
from store import queries


@click.command()
@click.option("--project", default="default", show_default=True, help="Whose noise.")
@click.option("--count", type=click.IntRange(min=1), default=20, show_default=True, help="About how many.")
@click.option("--seed", default="", help="Another seed, another sample.")
@common
def command(project: str, count: int, seed: str, data: Path | None, as_json: bool) -> None:
    """Draw from the noise lane, likelier what is likelier to matter; say `not-noise` where it was wrong.

    Each draw carries its chance: a rate over the whole lane weighs each by one over it.
    """
    with open_house(data) as house:
        name = queries.project(house.database, project).name
        drawn = audit(house, name, count, seed)
    rows = [["incident", "chance", "title", "set aside because"]]
    rows += [[draw.id, f"{draw.chance:.3f}", one.title[:60], one.why[:60]] for draw, one in drawn]
    listed = [
        {"id": draw.id, "chance": draw.chance, "title": one.title, "why": one.why} for draw, one in drawn
    ]
    emit(listed, table(rows) if drawn else "Nothing is set aside.", as_json=as_json)
    if not drawn and not as_json:
        raise click.exceptions.Exit(NO)

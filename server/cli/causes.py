"""`nightdesk causes`: the changes that may have caused an incident."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from fixloop.changes.ranking import rank
from server.cli.output import NO, common, emit, open_house
from server.cli.repairing import change_line, printer
from server.repairs.workbench import prepare
from server.work.foreground import repair_here
from store.repair import CandidateChange


@click.command()
@click.argument("incident", metavar="INC-n")
@click.option(
    "--since", type=click.DateTime(), help="Only changes committed after this time; without it, no limit."
)
@click.option("--prove", is_flag=True, help="Judge the candidates by execution.")
@common
def command(incident: str, since: datetime | None, prove: bool, data: Path | None, as_json: bool) -> None:
    """Candidate changes, ranked with reasons; with --prove judged by running them."""
    with open_house(data) as house:
        if prove:
            changes = list(repair_here(house, incident, printer(as_json), until="causes").changes)
        else:
            prepared = prepare(house, incident)
            bench = prepared.bench
            changes = rank(
                prepared.situation, bench.repositories, bench.exposed, _aware(since), asked=bench.asked,
                presences=bench.knowledge.presences,
            )  # fmt: skip
    if prove and since is not None:
        changes = [change for change in changes if _committed(change) >= since.astimezone()]
    emit(changes, "\n".join(map(change_line, changes)) or "No change was found.", as_json=as_json)
    if not changes and not as_json:
        raise SystemExit(NO)


def _aware(since: datetime | None) -> datetime | None:
    return None if since is None else since.astimezone()


def _committed(change: CandidateChange) -> datetime:
    return change.merged_at or change.authored_at

"""`nightdesk undo`: take back what was done to an incident."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.cli.states import who
from server.moments import stamp
from store import journal, queries
from store.project import Act
from store.undoing import UNDOABLE

_SHOWN = 20  # acts that --list shows


@click.command()
@click.option(
    "--act", "number", type=click.IntRange(min=1), help="The act of this number.  [default: the last one]"
)
@click.option(
    "--list", "listing", is_flag=True, help="Show the latest acts with their numbers, change nothing."
)
@click.option("--reason", default="", help="Why; it is kept.")
@common
def command(number: int | None, listing: bool, reason: str, data: Path | None, as_json: bool) -> None:
    """Take back a status, a lane, an owner, a claim, a merge or a split: the last thing that somebody said, or the act
    of a number."""
    with open_house(data) as house:
        if listing:
            acts = [act for act in queries.acts(house.database) if act.what in (*UNDOABLE, "undo")][-_SHOWN:]
            emit(acts, table(_line(act) for act in acts) if acts else "No acts.", as_json=as_json)
            return
        act = journal.undo(house.database, who(), number, reason)
    emit(act, f"Taken back: {act.what} of {act.subject} by {act.who}, {stamp(act.at)}.", as_json=as_json)


def _line(act: Act) -> list[object]:
    was = f"{act.before} → {act.after}" if act.what not in ("merge", "split", "undo") else ""
    number = f"of act {act.before['act']}" if act.what == "undo" else ""
    return [act.id, stamp(act.at), act.who, act.subject, act.what, f"{was}{number} {act.reason}".strip()]

"""`nightdesk confirm`: what an assistant called noise or resolved becomes a label, or is taken back."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.cli.states import who
from server.moments import stamp
from store import labels
from store.labels import Proposal


@click.command()
@click.argument("incident", metavar="INC-n", required=False)
@click.option("--dismiss", is_flag=True, help="Take it back, with what it changed.")
@click.option("--reason", default="", help="Why; it is kept.")
@common
def command(incident: str | None, dismiss: bool, reason: str, data: Path | None, as_json: bool) -> None:
    """Say that what an assistant said of an incident is right: only then it is a label. Without INC-n: what waits."""
    with open_house(data) as house:
        if incident is None:
            waiting = labels.pending(house.database)
            text = table(_line(each) for each in waiting) if waiting else "Nothing waits for a person."
            emit(waiting, text, as_json=as_json)
            return
        decided = labels.decide(house.database, incident, who(), confirmed=not dismiss, reason=reason)
    word = "Taken back" if dismiss else "Confirmed"
    text = "\n".join(f"{word}: {each.incident} is {each.label}, said by {each.said_by}." for each in decided)
    emit(decided, text, as_json=as_json)


def _line(proposal: Proposal) -> list[object]:
    return [proposal.incident, proposal.label, proposal.said_by, stamp(proposal.said_at), proposal.reason]

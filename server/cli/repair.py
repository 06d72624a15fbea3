"""`nightdesk repair`: the whole loop on one incident."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.cli.repairing import GOOD, change_line, leave, printer, validation_lines
from server.incidents.as_json import incident_json
from server.work.foreground import repair_here
from store.repair import Attempt, ValidationVerdict


@click.command()
@click.argument("incident", metavar="INC-n")
@common
def command(incident: str, data: Path | None, as_json: bool) -> None:
    """Reproduce, find the cause, fix, judge. Exit 3 where no fix was proven."""
    with open_house(data) as house:
        attempt = repair_here(house, incident, printer(as_json))
        values = incident_json(house, incident)
    emit(values, _text(attempt), as_json=as_json)
    leave(attempt, wanted=attempt.ended in GOOD)


def _text(attempt: Attempt) -> str:
    parts = [f"{attempt.incident_id}: {attempt.ended}: {attempt.said}"]
    parts += [change_line(change) for change in attempt.changes[:3] if change.said]
    if attempt.reproducer:
        test = attempt.reproducer
        parts.append(f"{test.test_path} (oracle {test.oracle})\n\n{test.source}")
    if attempt.patch:
        parts += list(attempt.patch.diffs.values())
    if attempt.validation:
        parts.append(validation_lines(attempt.validation))
    for patch, judged in attempt.rejected[:5]:
        proven = judged.verdict == ValidationVerdict.PROVEN
        said = (
            "was proven as well, and takes more away or is larger"
            if proven
            else f"was turned down: {judged.said}"
        )
        parts.append(f"{patch.by} {said}")
    parts += [f"draft: {draft.branch} in {draft.repo} ({draft.state})" for draft in attempt.drafts]
    return "\n\n".join(parts)

"""`nightdesk draft`: open the draft of a proven fix, or show what would be pushed."""

from __future__ import annotations

from pathlib import Path

import click

from server.approvals import WAITING, open_drafts, proposed
from server.cli.output import common, emit, open_house
from server.cli.states import who
from store.repair import DraftPullRequest


@click.command()
@click.argument("incident", metavar="INC-n")
@click.option("--yes", is_flag=True, help="You have read it: open the draft. Nothing is ever merged.")
@common
def command(incident: str, yes: bool, data: Path | None, as_json: bool) -> None:
    """Show what would be pushed; with --yes open it."""
    with open_house(data) as house:
        if yes:
            drafts = open_drafts(house, incident, by=who())
            emit(drafts, "\n".join(_line(draft) for draft in drafts), as_json=as_json)
            return
        attempt, decision, drafts = proposed(house, incident)
    shown = [
        f"{draft.repo}: {draft.branch} on {draft.base[:12]}\n\n{draft.title}\n\n{draft.body}"
        for draft in drafts
    ]
    shown += list(attempt.patch.diffs.values()) if attempt.patch else []
    shown.append(f"By itself it {'opens' if decision.opens else 'does not open'}: {decision.why}.")
    shown.append(f"To open it: nightdesk draft {attempt.incident_id} --yes")
    emit(
        {"drafts": drafts, "opens_by_itself": decision.opens, "why": decision.why},
        "\n\n".join(shown),
        as_json=as_json,
    )


def _line(draft: DraftPullRequest) -> str:
    if draft.state == WAITING:
        return (
            f"{draft.branch} waits for the forge of {draft.repo}: it is opened there as soon as that answers."
        )
    return f"{draft.branch} is in {draft.url} (draft of {draft.repo})"

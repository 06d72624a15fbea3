"""`nightdesk draft`: open the draft of a proven fix, or show what would be pushed."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import NO, common, emit, open_house
from server.cli.states import who
from server.drafts.approvals import WAITING, open_drafts, open_test, proposed, proposed_test
from server.incidents.evidence import submission_words
from server.repairs.reviewing import answer_reviews
from server.work.foreground import judge_handed_in
from store.repair import DraftPullRequest


@click.command()
@click.argument("incident", metavar="INC-n")
@click.option("--yes", is_flag=True, help="You have read it: open the draft. Nothing is ever merged.")
@click.option(
    "--answer",
    is_flag=True,
    help="Take up what reviews of the open draft ask for: change, prove, push, answer.",
)
@click.option("--test-only", is_flag=True, help="Only the failing test, without a fix.")
@common
def command(
    incident: str, yes: bool, answer: bool, test_only: bool, data: Path | None, as_json: bool
) -> None:
    """Show what would be pushed; with --yes open it. With --answer exit 3 where nothing was changed."""
    if answer and (yes or test_only):
        raise click.UsageError("--answer goes with neither --yes nor --test-only.")
    if answer:
        _answer(incident, data, as_json)
        return
    if test_only:
        _test_only(incident, yes, data, as_json)
        return
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


def _answer(incident: str, data: Path | None, as_json: bool) -> None:
    """Take up the reviews, and wait for what comes of it."""
    with open_house(data) as house:
        heard = answer_reviews(house, incident, who())
        done = [judge_handed_in(house, one) for one in heard.taken]
    lines = [f"{one.id}: {submission_words(one)}" for one in done] or ["There is nothing to take up."]
    lines += [
        f"{name} has no right to write: what they said is kept, and no more." for name in heard.strangers
    ]
    emit({"taken": done, "strangers": heard.strangers}, "\n".join(lines), as_json=as_json)
    if not any(one.pushed for one in done):
        raise SystemExit(NO)


def _test_only(incident: str, yes: bool, data: Path | None, as_json: bool) -> None:
    """The failing test by itself: shown, or landed on its branch."""
    with open_house(data) as house:
        if yes:
            draft = open_test(house, incident, by=who())
            emit([draft], _line(draft), as_json=as_json)
            return
        found, attempt, draft = proposed_test(house, incident)
    source = attempt.reproducer.source if attempt.reproducer else ""
    shown = [
        f"{draft.repo}: {draft.branch} on {draft.base[:12]}\n\n{draft.title}\n\n{draft.body}",
        source,
        f"To land it: nightdesk draft {found.id} --test-only --yes",
    ]
    emit(
        {"drafts": [draft], "opens_by_itself": False, "why": "a person decides"},
        "\n\n".join(shown),
        as_json=as_json,
    )


def _line(draft: DraftPullRequest) -> str:
    if draft.state == WAITING:
        return (
            f"{draft.branch} waits for the forge of {draft.repo}: it is opened there as soon as that answers."
        )
    return f"{draft.branch} is in {draft.url} (draft of {draft.repo})"

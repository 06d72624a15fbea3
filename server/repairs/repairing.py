"""Drive the loop with the parts of the house: repair an incident here and now, open the draft."""

from __future__ import annotations

from datetime import UTC, datetime

from server.drafts.approvals import open_drafts
from server.house import House
from server.repairs.progress import STEPS, Note, Progress, Steps
from server.repairs.workbench import choose, prepare
from store import journal, queries
from store.errors import NotAllowed
from store.repair import Attempt, DraftPullRequest, Ended


def repair(house: House, ref: str, note: Note = lambda step: None, *, until: str | None = None) -> Attempt:
    """Repair an incident here and now, to the end or up to a step ("reproduce", "causes", "minimise"). Each
    step is kept as it lands; one that is killed is not taken up again: `server.work` has those that are. A
    proven fix becomes a draft where the policy lets it. Raises NightdeskError before the first step only."""
    incident = queries.incident(house.database, ref)
    basis = choose(house, incident.id)
    prepare(house, incident.id, basis)
    attempt = journal.start_attempt(house.database, incident.id)
    progress = Progress(attempt_id=attempt.id, incident_id=incident.id, basis=basis)
    steps = Steps(house)
    try:
        for name in STEPS[1:]:
            if progress.wants(name):
                progress = steps.advance(name, progress, note)
            if name == until:
                break
    except BaseException:
        _close(house, attempt.id, Ended.CANCELLED, "it was stopped before its end")
        raise
    return _close(house, attempt.id, Ended.UNDETERMINED, "")


def _close(house: House, attempt_id: str, ended: Ended, said: str) -> Attempt:
    """The attempt as it stands; one that has no result of its own yet ends with this one."""
    attempt = queries.attempt(house.database, attempt_id)
    assert attempt is not None  # noqa: S101 - it was begun before its first step
    if attempt.ended is None:
        update = {"ended": ended, "said": said, "finished_at": datetime.now(UTC)}
        attempt = attempt.model_copy(update=update)
        journal.keep_attempt(house.database, attempt)
    return attempt


def open_draft(house: House, ref: str, by: str | None = None) -> list[DraftPullRequest] | str:
    """Open the draft, or give the address of the page where a person opens it."""
    try:
        return open_drafts(house, ref, by)
    except NotAllowed as refused:
        incident = queries.incident(house.database, ref)
        return f"{refused} Open it at {house.config.address}/incidents/{incident.id}#draft"

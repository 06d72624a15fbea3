"""What becomes of drafts on their forges: when each is looked at next, where it stands, what was said of it.

A draft whose state changes moves its incident in the same transaction, as an act that can be taken back. Said twice (a
webhook, then a look) is the same as once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, delete, select

from store.acts import note_act, plain
from store.database import Database
from store.incident import Status
from store.queries import attempt_value, incident_name, incident_row
from store.repair import Attempt, DraftPullRequest, Feedback
from store.tables import AttemptRow, FeedbackRow, FollowRow, IncidentRow, WatchRow

FORGE = "forge"  # who: a person over there
CLAIM = timedelta(minutes=5)  # how long whoever looks has for it
_TEXT = 4000  # characters of a comment
_OPEN, _MERGED, _CLOSED = "open", "merged", "closed"


@dataclass(frozen=True)
class Follow:
    """A draft that is due to be looked at."""

    attempt_id: str
    repo: str
    next_at: datetime
    failures: int = 0
    said: str = ""


def follow(session: Session, attempt: Attempt, now: datetime) -> None:
    """See to it that the open drafts of an attempt are followed, inside the transaction that keeps them."""
    for draft in attempt.drafts:
        if draft.state == _OPEN and session.get(FollowRow, (attempt.id, draft.repo)) is None:
            session.add(FollowRow(attempt_id=attempt.id, repo=draft.repo, next_at=now))


def follow_all(db: Database) -> None:
    """Follow every open draft there is: those of a restore, an import, an older version."""
    with db.read() as session:
        some = col(AttemptRow.body).contains('"state":"open"', autoescape=True)
        found = [
            Attempt.model_validate_json(body) for body in session.exec(select(AttemptRow.body).where(some))
        ]
    if found:
        with db.write() as session:
            for attempt in found:
                follow(session, attempt, datetime.now(UTC))


def claim(db: Database, now: datetime, limit: int = 20) -> list[Follow]:
    """Take the drafts that are due, longest due first; nobody else looks at them for a while."""
    with db.write() as session:
        statement = select(FollowRow).where(col(FollowRow.next_at) <= now).order_by(col(FollowRow.next_at))
        taken = []
        for row in session.exec(statement.limit(limit)):
            taken.append(Follow(**row.model_dump(exclude={"looked_at"})))
            row.next_at = now + CLAIM
        return taken


def due(db: Database, now: datetime) -> bool:
    """Whether a draft is due: asked often, and without writing."""
    with db.read() as session:
        return session.exec(select(FollowRow.repo).where(col(FollowRow.next_at) <= now)).first() is not None


def looked(db: Database, one: Follow, next_at: datetime, problem: str | None, now: datetime) -> None:
    """Say how a look went, and when the next one is."""
    with db.write() as session:
        row = session.get(FollowRow, (one.attempt_id, one.repo))
        if row is None:
            return
        row.next_at = next_at
        row.failures, row.said = (row.failures + 1, plain(problem)) if problem else (0, "")
        row.looked_at = row.looked_at if problem else now


def let_go(db: Database, one: Follow) -> None:
    """Look at a draft no more."""
    with db.write() as session:
        row = session.get(FollowRow, (one.attempt_id, one.repo))
        if row is not None:
            session.delete(row)


def hurry(db: Database, attempt_id: str, repo: str, now: datetime) -> None:
    """Have a draft looked at now."""
    with db.write() as session:
        row = session.get(FollowRow, (attempt_id, repo))
        if row is not None:
            row.next_at = now


def troubled(db: Database) -> list[Follow]:
    """Drafts of which the last look failed."""
    with db.read() as session:
        rows = session.exec(select(FollowRow).where(FollowRow.failures > 0))
        return [Follow(**row.model_dump(exclude={"looked_at"})) for row in rows]


def move(db: Database, attempt_id: str, told: DraftPullRequest, now: datetime) -> bool:
    """Let a draft stand as its forge says; whether anything changed. The fix that is merged, in every repository that
    it changes, resolves its incident and is watched from then on."""
    with db.write() as session:
        row = session.get(AttemptRow, attempt_id)
        attempt = None if row is None else attempt_value(session, row)
        known = next((d for d in attempt.drafts if d.repo == told.repo), None) if attempt else None
        if row is None or attempt is None or known is None or known.state == _MERGED:
            return False
        fresh = _after(known, told, now)
        if fresh == known:
            return False
        drafts = tuple(fresh if draft.repo == told.repo else draft for draft in attempt.drafts)
        after = attempt.model_copy(update={"drafts": drafts})
        row.body = after.model_dump_json(exclude={"steps"})
        if fresh.state != known.state:
            incident = incident_row(session, attempt.incident_id)
            where = f"{fresh.repo} {fresh.url or fresh.branch}"
            note_act(session, FORGE, "draft", incident_name(incident), known.state, fresh.state, where)
            _settle(session, incident, after, fresh, now)
        return fresh.state != known.state


def keep_feedback(db: Database, attempt_id: str, repo: str, said: Sequence[Feedback]) -> int:
    """Keep what was said of a draft; how many of it are new. A check that ends otherwise than before takes its old
    place. The texts are redacted already."""
    new = 0
    with db.write() as session:
        incident = incident_row(session, attempt_id.rpartition("-")[0])
        for one in said:
            place: dict[str, Any] = {
                "attempt_id": attempt_id, "repo": repo, "kind": one.kind, "source": plain(one.source)
            }  # fmt: skip
            wanted = [getattr(FeedbackRow, name) == value for name, value in place.items()]
            row = session.exec(select(FeedbackRow).where(*wanted)).first()
            if row is None:
                row = FeedbackRow(incident_id=incident.id or 0, at=one.at, **place)
                session.add(row)
                new += 1
            text = one.text[:_TEXT].replace("\0", "").encode("utf-8", "replace").decode("utf-8")
            row.at, row.who, row.outcome = one.at, plain(one.who), plain(one.outcome)
            row.text, row.url = text, plain(one.url)
    return new


def feedback(db: Database, incident_id: str) -> list[tuple[str, Feedback]]:
    """What was said of the drafts of an incident, with the repository of each, oldest first. Raises NotFound."""
    with db.read() as session:
        number = incident_row(session, incident_id).id
        statement = select(FeedbackRow).where(FeedbackRow.incident_id == number)
        ordered = statement.order_by(col(FeedbackRow.at), col(FeedbackRow.id))
        names = set(Feedback.model_fields)
        return [(row.repo, Feedback(**row.model_dump(include=names))) for row in session.exec(ordered)]


def _after(known: DraftPullRequest, told: DraftPullRequest, now: datetime) -> DraftPullRequest:
    """What is known with what was told; the time of a change is now where the forge does not say it."""
    update: dict[str, Any] = {
        "state": told.state, "number": told.number or known.number, "url": told.url or known.url,
        "merged_at": None, "merge_commit": None, "closed_at": None,
    }  # fmt: skip
    if told.state == _MERGED:
        update |= {"merged_at": told.merged_at or now, "merge_commit": told.merge_commit}
    elif told.state == _CLOSED:
        update["closed_at"] = told.closed_at or known.closed_at or now
    return known.model_copy(update=update)


def _settle(
    session: Session, incident: IncidentRow, attempt: Attempt, draft: DraftPullRequest, now: datetime
) -> None:
    """What follows from a new state: nothing more to look at, or (opened again) more; the incident resolved."""
    if draft.state == _OPEN:
        follow(session, attempt, now)
    elif draft.state == _MERGED:
        gone = (col(FollowRow.attempt_id) == attempt.id, col(FollowRow.repo) == draft.repo)
        session.execute(delete(FollowRow).where(*gone).execution_options(synchronize_session=False))
    fixes = [each for each in attempt.drafts if each.kind == "fix"]
    if draft.kind != "fix" or draft.state != _MERGED or any(each.state != _MERGED for each in fixes):
        return
    if incident.status in (Status.OPEN, Status.REGRESSED):
        before, incident.status = incident.status, Status.RESOLVED.value
        reason = f"resolved by a merged change: {draft.url or draft.branch}"
        note_act(session, FORGE, "status", incident_name(incident), before, incident.status, reason)
    if session.exec(select(WatchRow).where(WatchRow.attempt_id == attempt.id)).first() is None:
        commits = {each.repo: each.merge_commit for each in fixes if each.merge_commit}
        merged = max((each.merged_at for each in fixes if each.merged_at), default=now)
        session.add(
            WatchRow(incident_id=incident.id or 0, attempt_id=attempt.id, commits=commits, merged_at=merged)
        )

"""All writes. Each is one transaction: it is done whole, or not at all.

Whatever a person or an assistant does, and every change of an incident's state, leaves a row in the
append-only table of acts with what was before, so that it can be explained and undone.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, select

from store.acts import note_act, plain
from store.database import Database
from store.errors import BadPayload, NotFound
from store.following import follow
from store.hosts import keys_changed
from store.incident import Lane, Status, Step, Triage
from store.labels import propose
from store.notices import Telling, note
from store.project import Key, Project, Release, RepositoryConfig
from store.queries import (
    incident_name,
    incident_row,
    key_value,
    project_row,
    project_value,
    release_value,
)
from store.recording import Recorded, record, record_all
from store.regrouping import merge, split
from store.repair import Attempt, Ended
from store.searching import note_texts
from store.tables import (
    ActRow,
    AttemptRow,
    IncidentRow,
    KeyRow,
    ProjectRow,
    ReleaseRow,
    RepositoryRow,
    StepRow,
    TriageRow,
)
from store.tasks import Task, drop, new_attempt
from store.undoing import undo

__all__ = [
    "Recorded",
    "add_key",
    "add_project",
    "add_release",
    "add_repository",
    "assign",
    "claim",
    "hold_attempt",
    "keep_attempt",
    "keep_triage",
    "merge",
    "note_step",
    "record",
    "record_all",
    "remember",
    "remove_repository",
    "revoke_key",
    "set_lane",
    "set_status",
    "split",
    "start_attempt",
    "suggest_owner",
    "unclaim",
    "undo",
]

_PROJECT_NAME = re.compile(r"(?![0-9]+$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TRIAGE = "triage"
_OPERATOR = "operator"


# --- records of work ------------------------------------------------------------------------------


def keep_triage(db: Database, incident_id: str, triage: Triage, task: Task | None = None) -> None:
    """Keep the record of a triage and let the incident say what it found; `task` is done with it. Raises
    NotFound.

    A lane that a person has set stays: their word outranks ours until they say otherwise."""
    with db.write() as session:
        row = incident_row(session, incident_id)
        session.add(TriageRow(incident_id=row.id or 0, at=datetime.now(UTC), body=triage.model_dump_json()))
        if row.lane_set_by is None:
            _change(session, row, "lane", triage.lane.value, who=_TRIAGE, reason=triage.why)
        row.title, row.culprit, row.why = plain(triage.title), plain(triage.culprit), plain(triage.why)
        row.priority = triage.priority
        row.verdict = triage.verdict.model_dump(mode="json")
        row.location = None if triage.location is None else triage.location.model_dump(mode="json")
        row.repo = None if triage.location is None else triage.location.repo
        if row.lane == Lane.FOCUS and row.status not in (Status.MUTED, Status.RESOLVED):
            key = f"focus:{row.id}"
            note(session, Telling.FOCUS, row.id or 0, key, row.why, datetime.now(UTC))
        note_texts(session, row)
        if task is not None:
            drop(session, task)


def start_attempt(db: Database, incident_id: str) -> Attempt:
    """Begin the record of a repair; its id is the incident's with a running number ("INC-42-1"). Raises
    NotFound."""
    with db.write() as session:
        return new_attempt(session, incident_id)


def note_step(db: Database, attempt_id: str, step: Step) -> None:
    """Add a line to a repair's step log. A step that says of which `input` (a hash in its details) it is takes
    the place of the one that had the same: a durable step may run twice. The very same step adds nothing.

    Raises NotFound for an unknown attempt."""
    with db.write() as session:
        row = _attempt_row(session, attempt_id)
        _add_steps(session, row, (step,))


def hold_attempt(db: Database, attempt_id: str, holder: str) -> bool:
    """Let this run of a worker be the one that may write a repair, whoever was it before. False where the repair was
    given up: nobody may. Raises NotFound."""
    with db.write() as session:
        row = _attempt_row(session, attempt_id)
        if Attempt.model_validate_json(row.body).ended is Ended.CANCELLED:
            return False
        row.holder = holder
        return True


def keep_attempt(db: Database, attempt: Attempt, holder: str | None = None) -> bool:
    """Keep a repair as it stands now. Steps noted before stay; those that were not noted yet are added. False, and
    nothing is kept, where another than this `holder` may write it by now; without one nobody is asked.

    Raises NotFound for an attempt that was never started."""
    with db.write() as session:
        row, now = _attempt_row(session, attempt.id), datetime.now(UTC)
        if holder is not None and row.holder != holder:
            return False
        row.body = attempt.model_dump_json(exclude={"steps"})
        _add_steps(session, row, attempt.steps)
        session.flush()
        note_texts(session, session.get_one(IncidentRow, row.incident_id))
        follow(session, attempt, now)
        if attempt.proof is not None and attempt.ended in (Ended.PROVEN, Ended.DRAFTED):
            note(session, Telling.PROVEN, row.incident_id, f"proven:{attempt.id}", attempt.said, now)
    return True


# --- a person's or an assistant's word ------------------------------------------------------------


def set_status(
    db: Database, incident_id: str, status: Status, by: str, reason: str, *, proposes: str | None = None
) -> None:
    """Open, mute or resolve an incident. Raises NotFound.

    `proposes`: the label that this would be if a person had said it, where an assistant has (`store.labels`)."""
    with db.write() as session:
        row = incident_row(session, incident_id)
        act = _change(session, row, "status", status.value, who=by, reason=reason)
        if act is not None and proposes is not None:
            propose(session, act, proposes)


def set_lane(
    db: Database, incident_id: str, lane: Lane, by: str, reason: str, *, proposes: str | None = None
) -> None:
    """Put an incident into a lane, where it stays whatever later triages find. `proposes` as for `set_status`.
    Raises NotFound."""
    with db.write() as session:
        row = incident_row(session, incident_id)
        act = _change(session, row, "lane", lane.value, who=by, reason=reason, always=True)
        row.lane_set_by = by
        if act is not None and proposes is not None:
            propose(session, act, proposes)


def claim(db: Database, incident_id: str, by: str) -> str | None:
    """Say that one is working on an incident. None: it is yours now. A name: somebody else's, and nothing
    changed.

    Raises NotFound."""
    with db.write() as session:
        row = incident_row(session, incident_id)
        if row.claimed_by not in (None, by):
            return row.claimed_by
        _change(session, row, "claimed_by", by, who=by)
    return None


def unclaim(db: Database, incident_id: str, by: str) -> None:
    """Let go of an incident, or take it away from whoever holds it. Raises NotFound."""
    with db.write() as session:
        _change(session, incident_row(session, incident_id), "claimed_by", None, who=by)


def assign(db: Database, incident_id: str, owner: str | None, by: str = _OPERATOR) -> None:
    """Say who is to look after an incident; None for nobody. Raises NotFound."""
    with db.write() as session:
        row = incident_row(session, incident_id)
        _change(session, row, "owner", owner, who=by)
        row.owner_set_by = None if owner is None else by


def suggest_owner(db: Database, incident_id: str, owner: str, why: str) -> None:
    """Name an owner where no person has; their word stays. Raises NotFound."""
    with db.write() as session:
        row = incident_row(session, incident_id)
        if row.owner_set_by is None:
            _change(session, row, "owner", plain(owner), who=_TRIAGE, reason=why)


# --- what a team sets up --------------------------------------------------------------------------


def add_project(db: Database, name: str, by: str = _OPERATOR) -> Project:
    """Make a project, without keys; the one that exists where there is one of this name.

    Raises BadPayload for a name that could not stand in a route or would look like a number."""
    if not _PROJECT_NAME.fullmatch(name):
        raise BadPayload(
            f"{name[:100]!r} cannot be a project's name: it has letters, digits, '.', '_' and '-', "
            "at most 64 of them, and not only digits."
        )
    with db.write() as session:
        row = session.exec(select(ProjectRow).where(ProjectRow.name == name)).first()
        if row is None:
            row = ProjectRow(name=name, created_at=datetime.now(UTC))
            session.add(row)
            session.flush()
            note_act(session, by, "project", f"project:{name}", None, {"id": row.id})
        return project_value(row)


def add_key(db: Database, project: str, public: bool = False, by: str = _OPERATOR) -> Key:
    """Make a key that nobody has seen before. Raises NotFound for an unknown project."""
    with db.write() as session:
        owner = project_row(session, project)
        row = KeyRow(
            project_id=owner.id or 0, key=secrets.token_hex(16), public=public, created_at=datetime.now(UTC)
        )
        session.add(row)
        session.flush()
        note_act(session, by, "key", f"project:{owner.name}", None, {"id": row.id, "public": public})
        keys_changed(session)
        return key_value(row, owner)


def revoke_key(db: Database, key: str, by: str = _OPERATOR, at: datetime | None = None) -> Key:
    """Take a key out of use, for ever, now or from `at` on; a time that is set only moves towards now.

    Raises NotFound for an unknown one."""
    end = at or datetime.now(UTC)
    with db.write() as session:
        row = session.exec(select(KeyRow).where(KeyRow.key == key)).first()
        if row is None:
            raise NotFound("There is no such key; `nightdesk project list` shows those that exist.")
        owner = session.get_one(ProjectRow, row.project_id)
        if row.revoked_at is None or row.revoked_at > end:
            row.revoked_at = end
            after = {"id": row.id, "revoked": True, "at": end.isoformat()}
            note_act(session, by, "key", f"project:{owner.name}", {"id": row.id}, after)
            keys_changed(session)
        return key_value(row, owner)


def add_repository(db: Database, repository: RepositoryConfig, by: str = _OPERATOR) -> None:
    """Add a repository to its project, or change the one of this name. Raises NotFound for an unknown
    project."""
    with db.write() as session:
        owner = project_row(session, repository.project)
        places = (RepositoryRow.project_id == owner.id, RepositoryRow.name == repository.name)
        row = session.exec(select(RepositoryRow).where(*places)).first()
        before = None if row is None else {"url": row.url, "root": row.root, "config": row.config}
        if row is None:
            row = RepositoryRow(project_id=owner.id or 0, name=repository.name, url="", root="")
            session.add(row)
        row.url, row.root, row.config = repository.url, repository.root, repository.config
        after = {"url": row.url, "root": row.root, "config": row.config}
        if before != after:
            note_act(session, by, "repository", f"repository:{owner.name}/{repository.name}", before, after)


def remember(db: Database, by: str, what: str, subject: str, before: Any, after: Any) -> None:
    """Remember something that was done outside the database."""
    with db.write() as session:
        note_act(session, by, what, subject, before, after)


def remove_repository(db: Database, project: str, name: str, by: str = _OPERATOR) -> RepositoryConfig:
    """Take a repository away from its project; its mirror stays. Returns what it was. Raises NotFound."""
    with db.write() as session:
        owner = project_row(session, project)
        row = session.exec(
            select(RepositoryRow).where(RepositoryRow.project_id == owner.id, RepositoryRow.name == name)
        ).first()
        if row is None:
            raise NotFound(
                f"{owner.name} has no repository {name[:100]!r}; `nightdesk repo list` shows them."
            )
        gone = RepositoryConfig(name=name, project=owner.name, url=row.url, root=row.root, config=row.config)
        before = gone.model_dump(include={"url", "root", "config"})
        note_act(session, by, "repository", f"repository:{owner.name}/{name}", before, None)
        session.delete(row)
        return gone


def add_release(db: Database, release: Release, by: str = _OPERATOR) -> Release:
    """Add what is known of a version in an environment to what was known, and return both together.

    Newer commits win; a deployment without a time does not forget the time of an earlier report. Raises
    NotFound."""
    with db.write() as session:
        owner = project_row(session, release.project)
        row = session.exec(
            select(ReleaseRow).where(
                ReleaseRow.project_id == owner.id,
                ReleaseRow.version == release.version,
                ReleaseRow.environment == (release.environment or ""),
            )
        ).first()
        before = None if row is None else release_value(row, owner)
        if row is None:
            row = ReleaseRow(
                project_id=owner.id or 0,
                version=release.version,
                environment=release.environment or "",
                created_at=datetime.now(UTC),
            )
            session.add(row)
        row.commits = {**row.commits, **release.commits}
        row.deployed_at = release.deployed_at or row.deployed_at
        row.first_seen = row.first_seen or release.first_seen
        after = release_value(row, owner)
        if before != after:
            told = None if before is None else before.model_dump(mode="json")
            note_act(session, by, "release", f"project:{owner.name}", told, after.model_dump(mode="json"))
        return after


def _change(
    session: Session,
    row: IncidentRow,
    column: str,
    value: Any,
    *,
    who: str,
    reason: str = "",
    always: bool = False,
) -> ActRow | None:
    """Set one column of an incident and remember it. Nothing is remembered of a change that changes nothing,
    unless it is a word that counts by having been said (`always`)."""
    before = getattr(row, column)
    if before == value and not always:
        return None
    setattr(row, column, value)
    return note_act(session, who, column, incident_name(row), before, value, reason)


def _attempt_row(session: Session, attempt_id: str) -> AttemptRow:
    row = session.get(AttemptRow, attempt_id)
    if row is None:
        raise NotFound(f"There is no attempt {attempt_id[:100]!r}.")
    return row


def _add_steps(session: Session, row: AttemptRow, steps: tuple[Step, ...]) -> None:
    places = {}
    for known in session.exec(select(StepRow).where(col(StepRow.attempt_id) == row.id)):
        places[_step_key(Step.model_validate_json(known.body))] = known
    for step in steps:
        key, body = _step_key(step), step.model_dump_json()
        if key in places:
            places[key].body = body
        else:
            places[key] = StepRow(attempt_id=row.id, body=body)
            session.add(places[key])
            session.flush()


def _step_key(step: Step) -> str:
    """By what two steps of an attempt are the same one: name and input, where it says so, else everything."""
    if "input" in step.details:
        return f"{step.name} {step.details['input']}"
    return step.model_dump_json()

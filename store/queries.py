"""All reads, named. Each opens one short transaction and returns values; rows never leave this room."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import product

from sqlalchemy import ColumnElement, and_, case, func, or_, tuple_
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from store.bodies import unpacked
from store.database import Database
from store.errors import NotFound
from store.event import Event
from store.incident import (
    CodeLocation,
    Fingerprint,
    Incident,
    Lane,
    Occurrence,
    Status,
    Step,
    Triage,
    Verdict,
)
from store.narrowing import narrowed
from store.project import Act, Key, Project, Release, RepositoryConfig
from store.repair import Attempt, DraftPullRequest, Ended
from store.tables import (
    ActRow,
    AttemptRow,
    EventRow,
    FacetRow,
    FingerprintRow,
    IncidentRow,
    KeyRow,
    ProjectRow,
    ReleaseRow,
    RepositoryRow,
    StepRow,
    TriageRow,
)

_AT_ONCE = 500  # incidents that one look-up asks for
_LANES = (Lane.FOCUS, Lane.BACKLOG, Lane.NOISE)  # in the order of the list
_RANK = {lane.value: place for place, lane in enumerate(_LANES)}
_ORDER = (col(IncidentRow.priority).desc(), col(IncidentRow.last_seen).desc(), col(IncidentRow.id).desc())


# --- incidents ------------------------------------------------------------------------------------


def incidents(
    db: Database,
    *,
    lane: Lane | None = None,
    project: str | Collection[str] | None = None,
    repo: str | None = None,
    service: str | None = None,
    status: Status | Collection[Status] | None = None,
    since: datetime | None = None,
    query: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> list[Incident]:
    """The list: focus, then backlog, then noise; within a lane by priority, then by what was seen last.

    `since` is about the last event; `query` is looked for in title, culprit and reason, without regard to
    case; `after` is the id of the last incident of the page before. Raises NotFound for an unknown project or
    `after`."""
    with db.read() as session:
        wanted: list[ColumnElement[bool]] = [col(IncidentRow.merged_into).is_(None), *_in_status(status)]
        if project is not None:
            wanted.append(_in_projects(session, project))
        if repo is not None:
            wanted.append(col(IncidentRow.repo) == repo)
        if service is not None:
            wanted.append(_seen_with("service", service))
        if since is not None:
            wanted.append(col(IncidentRow.last_seen) >= since)
        if query:
            texts = (IncidentRow.title, IncidentRow.culprit, IncidentRow.why)
            wanted.append(or_(*(col(text).icontains(query, autoescape=True) for text in texts)))
        numbers = narrowed(session, repo=repo, service=service, since=since, query=query)
        last = None if after is None else incident_row(session, after)
        rows: list[IncidentRow] = []
        for each in [lane] if lane else _LANES:  # lane by lane, so that an index gives the order in each
            room = None if limit is None else limit - len(rows)
            if room == 0 or (last is not None and _RANK[each.value] < _RANK[last.lane]):
                continue
            behind = [_behind(last)] if last is not None and each.value == last.lane else []
            asked = [col(IncidentRow.lane) == each.value, *wanted, *behind]
            if (
                numbers is not None
            ):  # inside a case no index answers what is asked: only these rows are looked at
                asked = [col(IncidentRow.id).in_(numbers), case((and_(*asked), 1), else_=0) == 1]
            statement = select(IncidentRow).where(*asked)
            rows += session.exec(statement.order_by(*_ORDER).limit(room)).all()
        return _values(session, rows)


def incident(db: Database, ref: str) -> Incident:
    """One incident by its id ("INC-42", in any case, or the number alone). Raises NotFound."""
    with db.read() as session:
        return _values(session, [incident_row(session, ref)])[0]


def merged(db: Database, ref: str) -> list[str]:
    """The ids that answer with this incident since they were merged into it. Raises NotFound."""
    with db.read() as session:
        return [f"INC-{number}" for number in sorted(_parts(session, incident_row(session, ref)))]


def incidents_with(db: Database, fingerprint: Fingerprint) -> list[Incident]:
    """The incidents that events of this fingerprint are counted in: one for each project, the one seen last
    at the end."""
    with db.read() as session:
        statement = (
            select(IncidentRow)
            .join(FingerprintRow, col(FingerprintRow.incident_id) == col(IncidentRow.id))
            .where(FingerprintRow.mechanism == fingerprint.mechanism)
            .where(col(FingerprintRow.key).in_((fingerprint.key, *fingerprint.earlier)))
            .distinct()
            .order_by(col(IncidentRow.last_seen), col(IncidentRow.id))
        )
        return _values(session, session.exec(statement).all())


def lane_counts(
    db: Database,
    project: str | Collection[str] | None = None,
    *,
    status: Status | Collection[Status] | None = None,
) -> dict[Lane, int]:
    """How many incidents each lane holds; every lane is in the answer. Raises NotFound for an unknown
    project."""
    with db.read() as session:
        inside = [] if project is None else [_in_projects(session, project)]
        statuses = _statuses(status) or list(Status)
        found = dict.fromkeys(Lane, 0)
        for lane, each in product(Lane, statuses):  # one range of an index each: grouping would sort them all
            statement = select(func.count()).where(
                col(IncidentRow.merged_into).is_(None),
                IncidentRow.status == each.value,
                IncidentRow.lane == lane.value,
                *inside,
            )
            found[lane] += session.exec(statement.select_from(IncidentRow)).one()
    return found


# --- events ---------------------------------------------------------------------------------------


def events(db: Database, incident_id: str, limit: int = 20) -> list[Event]:
    """The newest events of which the body was kept, newest first. Raises NotFound for an unknown incident."""
    with db.read() as session:
        statement = (
            select(EventRow.body)
            .where(
                EventRow.incident_id == incident_row(session, incident_id).id, col(EventRow.body).is_not(None)
            )
            .order_by(col(EventRow.number).desc())
            .limit(limit)
        )
        return [_event(body) for body in session.exec(statement) if body is not None]


def occurrences(db: Database, incident_id: str) -> list[Occurrence]:
    """Every event of an incident, in the order of arrival, body or not. Raises NotFound."""
    with db.read() as session:
        row = incident_row(session, incident_id)
        statement = (
            select(EventRow.event_id, EventRow.seen_at, EventRow.release, EventRow.environment)
            .where(EventRow.incident_id == row.id)
            .order_by(col(EventRow.number))
        )
        found = session.exec(statement).all()
    name = incident_name(row)
    return [
        Occurrence(incident_id=name, event_id=event_id, seen_at=at, release=release, environment=environment)
        for event_id, at, release, environment in found
    ]


def kept_bodies(db: Database, incident_id: str) -> set[str]:
    """The ids of those events of which the body is there. Raises NotFound for an unknown incident."""
    with db.read() as session:
        row = incident_row(session, incident_id)
        statement = select(EventRow.event_id).where(
            EventRow.incident_id == row.id, col(EventRow.body).is_not(None)
        )
        return set(session.exec(statement))


def occurrence_page(
    db: Database, incident_id: str, after: int = 0, limit: int = 100
) -> list[tuple[int, Occurrence, bool]]:
    """A page of an incident's events, in the order of arrival: the place in that order (the `after` of the next
    page), the event, whether its body is there. Raises NotFound."""
    with db.read() as session:
        row = incident_row(session, incident_id)
        there = select(EventRow).where(EventRow.incident_id == row.id, col(EventRow.id) > after)
        found = session.exec(
            there.options(defer(EventRow.body, raiseload=True))  # type: ignore[arg-type]
            .order_by(col(EventRow.id))
            .limit(limit)
        ).all()
        kept = set(
            session.exec(
                select(EventRow.id).where(
                    col(EventRow.id).in_([each.id for each in found]), col(EventRow.body).is_not(None)
                )
            )
        )
    return [(each.id or 0, _occurrence(row, each), each.id in kept) for each in found]


def _occurrence(incident: IncidentRow, row: EventRow) -> Occurrence:
    return Occurrence(
        incident_id=incident_name(incident),
        event_id=row.event_id,
        seen_at=row.seen_at,
        release=row.release,
        environment=row.environment,
    )


def event(db: Database, event_id: str, project: str | None = None) -> Event | None:
    """An event by its id, or None where there is none or its body was not kept. The same id may come from two
    projects: then `project` decides, else the older one is meant."""
    with db.read() as session:
        statement = select(EventRow.body).where(EventRow.event_id == event_id).order_by(col(EventRow.id))
        if project is not None:
            statement = statement.where(EventRow.project_id == project_row(session, project).id)
        body = session.exec(statement).first()
    return None if body is None else _event(body)


def incident_of(db: Database, event_id: str, project: str | None = None) -> str | None:
    """The id of the incident that an event was counted in, or None."""
    with db.read() as session:
        statement = (
            select(EventRow.incident_id).where(EventRow.event_id == event_id).order_by(col(EventRow.id))
        )
        if project is not None:
            statement = statement.where(EventRow.project_id == project_row(session, project).id)
        number = session.exec(statement).first()
    return None if number is None else f"INC-{number}"


# --- records of work ------------------------------------------------------------------------------


def triage(db: Database, incident_id: str) -> Triage | None:
    """The latest triage, or None before the first. Raises NotFound for an unknown incident."""
    with db.read() as session:
        row = incident_row(session, incident_id)
        statement = (
            select(TriageRow.body).where(TriageRow.incident_id == row.id).order_by(col(TriageRow.id).desc())
        )
        body = session.exec(statement).first()
    return None if body is None else Triage.model_validate_json(body)


def attempt(db: Database, attempt_id: str) -> Attempt | None:
    """A repair with the steps that have landed so far, or None."""
    with db.read() as session:
        row = session.get(AttemptRow, attempt_id)
        return None if row is None else attempt_value(session, row)


def drafts(db: Database) -> list[DraftPullRequest]:
    """Every draft of every repair, as its attempt knows it."""
    return [draft for attempt in attempts_with_drafts(db) for draft in attempt.drafts]


def attempts_with_drafts(db: Database) -> list[Attempt]:
    """Every repair that has a draft, without its steps."""
    with db.read() as session:
        some = col(AttemptRow.body).contains('"drafts":[{', autoescape=True)
        return [
            Attempt.model_validate_json(body) for body in session.exec(select(AttemptRow.body).where(some))
        ]


def latest_attempt(db: Database, incident_id: str) -> Attempt | None:
    """The repair that was started last, or None. Raises NotFound for an unknown incident."""
    found = attempts(db, incident_id)
    return found[-1] if found else None


def attempts(db: Database, incident_id: str) -> list[Attempt]:
    """Every repair of an incident, oldest first; those of incidents that were merged into it come before its
    own. Raises NotFound for an unknown incident."""
    with db.read() as session:
        row = incident_row(session, incident_id)
        statement = (
            select(AttemptRow)
            .where(col(AttemptRow.incident_id).in_([row.id, *_parts(session, row)]))
            .order_by(
                col(AttemptRow.incident_id) == row.id, col(AttemptRow.incident_id), col(AttemptRow.number)
            )
        )
        return [attempt_value(session, found) for found in session.exec(statement).all()]


def repair_states(db: Database, incident_ids: Collection[str]) -> dict[str, Ended | None]:
    """How the latest repair of each of these incidents ended; None: it is under way. Those without one are not
    in the answer."""
    numbers = [int(name.removeprefix("INC-")) for name in incident_ids]
    with db.read() as session:
        last = (
            select(AttemptRow.incident_id, func.max(AttemptRow.number).label("number"))
            .where(col(AttemptRow.incident_id).in_(numbers))
            .group_by(col(AttemptRow.incident_id))
            .subquery()
        )
        ended = _ended_word(session)
        statement = select(AttemptRow.incident_id, ended).join(
            last,
            and_(col(AttemptRow.incident_id) == last.c.incident_id, col(AttemptRow.number) == last.c.number),
        )
        return {
            f"INC-{number}": None if value is None else Ended(value)
            for number, value in session.exec(statement)
        }


def _ended_word(session: Session) -> ColumnElement[str | None]:
    """The word of `ended` in the bodies of attempts. PostgreSQL refuses JSON with an escaped NUL anywhere in it, so
    there it is read as text: a quotation mark inside any other text is an escaped one."""
    if session.get_bind().dialect.name == "sqlite":
        return func.json_extract(AttemptRow.body, "$.ended")
    return func.substring(AttemptRow.body, '"ended":"([a-z_]+)"')


def acts(db: Database, subject: str | None = None) -> list[Act]:
    """What was done, oldest first: of everything, or of one subject ("INC-42", "project:default")."""
    with db.read() as session:
        statement = select(ActRow).order_by(col(ActRow.id))
        if subject is not None:
            statement = statement.where(ActRow.subject == subject)
        return [Act(**row.model_dump()) for row in session.exec(statement)]


def act(db: Database, number: int) -> Act | None:
    """What was done under this number; None where nothing was."""
    with db.read() as session:
        row = session.get(ActRow, number)
        return None if row is None else Act(**row.model_dump())


def latest_acts(db: Database, prefixes: Sequence[str], limit: int) -> list[Act]:
    """What was done last to subjects that begin so (`repository:`), newest first."""
    with db.read() as session:
        about = or_(*(col(ActRow.subject).startswith(prefix, autoescape=True) for prefix in prefixes))
        statement = select(ActRow).where(about).order_by(col(ActRow.id).desc()).limit(limit)
        return [Act(**row.model_dump()) for row in session.exec(statement)]


# --- what a team has set up -----------------------------------------------------------------------


def projects(db: Database) -> list[Project]:
    """Every project, oldest first."""
    with db.read() as session:
        return [project_value(row) for row in session.exec(select(ProjectRow).order_by(col(ProjectRow.id)))]


def project(db: Database, ref: str) -> Project:
    """A project by its number or name. Raises NotFound."""
    with db.read() as session:
        return project_value(project_row(session, ref))


def keys(db: Database, project: str) -> list[Key]:
    """Every key of a project, revoked ones too, oldest first. Raises NotFound for an unknown project."""
    with db.read() as session:
        owner = project_row(session, project)
        statement = select(KeyRow).where(KeyRow.project_id == owner.id).order_by(col(KeyRow.id))
        return [key_value(row, owner) for row in session.exec(statement)]


def key(db: Database, secret: str) -> Key | None:
    """The key with this secret, or None where nobody has it or it is out of use.

    Every key is compared, each in constant time: how long the answer takes tells nothing about how near a
    guess was."""
    offered = secret.encode("utf-8", "replace")
    now = datetime.now(UTC)
    with db.read() as session:
        statement = select(KeyRow).where(or_(col(KeyRow.revoked_at).is_(None), col(KeyRow.revoked_at) > now))
        matching = [
            row for row in session.exec(statement).all() if hmac.compare_digest(row.key.encode(), offered)
        ]
        if not matching:
            return None
        return key_value(matching[0], session.get_one(ProjectRow, matching[0].project_id))


def every_key(db: Database) -> list[Key]:
    """The keys of all projects, revoked ones too."""
    with db.read() as session:
        statement = select(KeyRow, ProjectRow).join(ProjectRow, col(ProjectRow.id) == col(KeyRow.project_id))
        return [key_value(row, owner) for row, owner in session.exec(statement)]


def repositories(db: Database, project: str | None = None) -> list[RepositoryConfig]:
    """The repositories of a project or of all, by name. Raises NotFound for an unknown project."""
    with db.read() as session:
        statement = (
            select(RepositoryRow, ProjectRow)
            .join(ProjectRow, col(RepositoryRow.project_id) == col(ProjectRow.id))
            .order_by(col(RepositoryRow.name), col(ProjectRow.id))
        )
        if project is not None:
            statement = statement.where(RepositoryRow.project_id == project_row(session, project).id)
        return [
            RepositoryConfig(name=row.name, project=owner.name, url=row.url, root=row.root, config=row.config)
            for row, owner in session.exec(statement)
        ]


def releases(db: Database, project: str) -> list[Release]:
    """Every version in every environment, in the order in which they became known. Raises NotFound."""
    with db.read() as session:
        owner = project_row(session, project)
        statement = select(ReleaseRow).where(ReleaseRow.project_id == owner.id).order_by(col(ReleaseRow.id))
        return [release_value(row, owner) for row in session.exec(statement)]


def release(db: Database, project: str, version: str, environment: str | None = None) -> Release | None:
    """A version with the commits that are known of it from any environment, or None.

    Without `environment` it is the first deployment that is told: that is when the version was first
    exposed."""
    known = [found for found in releases(db, project) if found.version == version]
    if not known:
        return None
    commits = {repo: sha for found in known for repo, sha in found.commits.items()}
    there = [found for found in known if environment is None or found.environment == environment]
    dated = [found for found in there if found.deployed_at is not None]
    told = min(dated, key=_deployed, default=there[0] if there else None)
    if told is None:
        return Release(project=known[0].project, version=version, commits=commits)
    return told.model_copy(update={"commits": commits})


# --- from rows to values (for `journal` too) ------------------------------------------------------


def incident_name(row: IncidentRow) -> str:
    """ "INC-42"."""
    return f"INC-{row.id}"


def incident_row(session: Session, ref: str) -> IncidentRow:
    """The row that a person's reference means. Raises NotFound."""
    number = ref.strip().upper().removeprefix("INC-")
    row = session.get(IncidentRow, int(number)) if _is_number(number) else None
    if row is None:
        raise NotFound(f"There is no incident {ref[:100]!r}; `nightdesk incidents` lists them.")
    return resolved(session, row)


def resolved(session: Session, row: IncidentRow) -> IncidentRow:
    """The incident that answers for this one: itself, or the one it was merged into."""
    while row.merged_into is not None:
        row = session.get_one(IncidentRow, row.merged_into)
    return row


def _parts(session: Session, row: IncidentRow) -> list[int]:
    """The numbers of all incidents that were merged into this one, also by way of others."""
    found: list[int] = []
    wanted = [row.id or 0]
    while wanted:
        statement = select(IncidentRow.id).where(col(IncidentRow.merged_into).in_(wanted))
        wanted = sorted(number for number in session.exec(statement) if number is not None)
        found += wanted
    return found


def project_row(session: Session, ref: str) -> ProjectRow:
    """The row of a project by number or name. Raises NotFound."""
    row = session.exec(select(ProjectRow).where(ProjectRow.name == ref)).first()
    if row is None and _is_number(ref):
        row = session.get(ProjectRow, int(ref))
    if row is None:
        raise NotFound(f"There is no project {ref[:100]!r}; `nightdesk project list` lists them.")
    return row


def project_value(row: ProjectRow) -> Project:
    """A row as a value."""
    return Project(id=row.id or 0, name=row.name)


def key_value(row: KeyRow, owner: ProjectRow) -> Key:
    """A row as a value."""
    return Key(
        id=row.id or 0,
        project=owner.name,
        key=row.key,
        public=row.public,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


def release_value(row: ReleaseRow, owner: ProjectRow) -> Release:
    """A row as a value."""
    return Release(
        project=owner.name,
        version=row.version,
        commits=row.commits,
        environment=row.environment or None,
        deployed_at=row.deployed_at,
        first_seen=row.first_seen,
    )


def attempt_value(session: Session, row: AttemptRow) -> Attempt:
    """A row and its steps as a value."""
    bodies = session.exec(select(StepRow.body).where(StepRow.attempt_id == row.id).order_by(col(StepRow.id)))
    steps = tuple(Step.model_validate_json(body) for body in bodies)
    return Attempt.model_validate_json(row.body).model_copy(update={"steps": steps})


def _values(session: Session, rows: Sequence[IncidentRow]) -> list[Incident]:
    """Rows as values: the fingerprints of many in one statement, but no more than SQLite takes parameters."""
    prints: dict[int, list[Fingerprint]] = {}
    for start in range(0, len(rows), _AT_ONCE):
        ids = [row.id for row in rows[start : start + _AT_ONCE]]
        statement = select(FingerprintRow).where(col(FingerprintRow.incident_id).in_(ids))
        for found in session.exec(statement.order_by(col(FingerprintRow.id))):
            value = Fingerprint(key=found.key, mechanism=found.mechanism, parts=tuple(found.parts))
            prints.setdefault(found.incident_id, []).append(value)
    names = {row.id: row.name for row in session.exec(select(ProjectRow))}
    return [_incident(row, names[row.project_id], prints.get(row.id or 0, ())) for row in rows]


def _incident(row: IncidentRow, project: str, fingerprints: Iterable[Fingerprint]) -> Incident:
    return Incident(
        id=incident_name(row),
        project=project,
        title=row.title,
        culprit=row.culprit,
        fingerprints=tuple(fingerprints),
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        event_count=row.event_count,
        user_count=row.user_count,
        environments=tuple(row.environments),
        releases=tuple(row.releases),
        status=Status(row.status),
        lane=Lane(row.lane),
        priority=row.priority,
        why=row.why,
        verdict=None if row.verdict is None else Verdict.model_validate(row.verdict),
        location=None if row.location is None else CodeLocation.model_validate(row.location),
        owner=row.owner,
        owner_set_by=row.owner_set_by,
        claimed_by=row.claimed_by,
    )


def _event(body: bytes) -> Event:
    return Event.model_validate_json(unpacked(body))


def _is_number(text: str) -> bool:
    """ASCII digits, few enough for a row number: anything longer overflows SQLite's integers."""
    return text.isascii() and text.isdigit() and len(text) < 19


def _deployed(release: Release) -> datetime:
    assert release.deployed_at is not None  # noqa: S101 - asked for by the caller
    return release.deployed_at


def _in_status(status: Status | Collection[Status] | None) -> list[ColumnElement[bool]]:
    return [] if status is None else [col(IncidentRow.status).in_([each.value for each in _statuses(status)])]


def _statuses(status: Status | Collection[Status] | None) -> list[Status]:
    if status is None:
        return []
    return [status] if isinstance(status, Status) else list(status)


def _in_projects(session: Session, project: str | Collection[str]) -> ColumnElement[bool]:
    """The incidents of one project, or of several. Raises NotFound."""
    names = [project] if isinstance(project, str) else list(project)
    return col(IncidentRow.project_id).in_([project_row(session, name).id for name in names])


def _seen_with(kind: str, value: str) -> ColumnElement[bool]:
    found = select(FacetRow.incident_id).where(
        FacetRow.incident_id == IncidentRow.id, FacetRow.kind == kind, FacetRow.value == value
    )
    return found.exists()


def _behind(last: IncidentRow) -> ColumnElement[bool]:
    """What comes after an incident in its lane: a page starts where the one before ended, even if rows came
    between."""
    place = tuple_(col(IncidentRow.priority), col(IncidentRow.last_seen), col(IncidentRow.id))
    return place < (last.priority, last.last_seen, last.id)

"""The rows. Only `journal`, `queries` and `database` look at them; everybody else speaks in values.

Columns exist for what is searched, sorted or joined by; the rest of a value is small JSON. An event's body is
compressed bytes in its own row, so that it is kept or lost together with the row that counts it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, UniqueConstraint
from sqlmodel import Field

from store.columns import Row as Row  # whoever takes the metadata from here has every table in it
from store.columns import UtcDateTime
from store.work_tables import SubmissionRow as SubmissionRow
from store.work_tables import TaskKind as TaskKind
from store.work_tables import TaskRow as TaskRow


class ProjectRow(Row, table=True):
    __tablename__ = "projects"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)


class KeyRow(Row, table=True):
    __tablename__ = "keys"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="projects.id", index=True)
    key: str = Field(unique=True)
    public: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RepositoryRow(Row, table=True):
    __tablename__ = "repositories"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="projects.id")
    name: str
    url: str
    root: str
    config: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


class ReleaseRow(Row, table=True):
    """One version in one environment; the empty string stands for "none named", so that uniqueness holds."""

    __tablename__ = "releases"
    __table_args__ = (UniqueConstraint("project_id", "version", "environment"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="projects.id")
    version: str
    environment: str = ""
    commits: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    deployed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    first_seen: datetime | None = Field(default=None, sa_type=UtcDateTime)  # of an event that names it


class SourceMapRow(Row, table=True):
    """What a bundle was built from. The empty release stands for every one; `artifact` is the map itself."""

    __tablename__ = "source_maps"
    __table_args__ = (UniqueConstraint("project_id", "release", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="projects.id")
    release: str = ""
    name: str  # of the bundle, as its address ends
    debug_id: str | None = Field(default=None, index=True)
    artifact: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class FlagChangeRow(Row, table=True):
    """A feature flag or a setting that took another value. The empty environment stands for every one."""

    __tablename__ = "flag_changes"
    __table_args__ = (Index(None, "project_id", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="projects.id")
    at: datetime = Field(sa_type=UtcDateTime)
    flag: str
    environment: str = ""
    before: str | None = None
    after: str
    who: str = ""


class IncidentRow(Row, table=True):
    """`id` is the number of "INC-n"; AUTOINCREMENT, so that a number is never given twice.

    With `merged_into` it is an alias: whoever asks for it is answered with the other one. `split_by` is the
    rule by which new events of it go to one of its `branches`."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index(None, "lane", "priority", "last_seen"),
        Index(None, "project_id", "last_seen"),
        Index(None, "last_seen"),
        Index(None, "merged_into", "status", "lane", "project_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="projects.id")
    title: str
    culprit: str
    first_seen: datetime = Field(sa_type=UtcDateTime)
    last_seen: datetime = Field(sa_type=UtcDateTime)
    event_count: int = 0
    user_count: int = 0
    environments: list[str] = Field(default_factory=list, sa_type=JSON)
    releases: list[str] = Field(default_factory=list, sa_type=JSON)
    status: str
    lane: str
    lane_set_by: str | None = None
    priority: float = 0.0
    why: str = ""
    verdict: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    location: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    repo: str | None = Field(default=None, index=True)
    owner: str | None = None
    owner_set_by: str | None = None  # None: suggested by triage, or nobody
    claimed_by: str | None = None
    merged_into: int | None = None
    split_by: str | None = None


class TextRow(Row, table=True):
    """What an incident can be found by, made by `store.searching` and indexed by trigrams (in its migration)."""

    __tablename__ = "incident_texts"
    incident_id: int = Field(foreign_key="incidents.id", primary_key=True, ondelete="CASCADE")
    words: str = ""


class FingerprintRow(Row, table=True):
    __tablename__ = "fingerprints"
    __table_args__ = (UniqueConstraint("project_id", "mechanism", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="projects.id")
    incident_id: int = Field(foreign_key="incidents.id", index=True)
    mechanism: str
    key: str
    parts: list[str] = Field(default_factory=list, sa_type=JSON)


class EventRow(Row, table=True):
    """Every event, for ever; its `body` only where the sampling keeps it. `number` counts within the incident."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("project_id", "event_id"),
        Index(None, "incident_id", "number"),
        Index(None, "project_id", "user_key", "seen_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="projects.id")
    incident_id: int = Field(foreign_key="incidents.id")
    event_id: str = Field(index=True)
    number: int
    received_at: datetime = Field(sa_type=UtcDateTime, index=True)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    release: str | None = None
    environment: str | None = None
    service: str | None = None
    user_key: str | None = None
    transaction: str | None = None
    fingerprint_id: int | None = None
    entity: str | None = None  # the key or the user that a race would be about
    over_at: datetime | None = Field(
        default=None, sa_type=UtcDateTime
    )  # an alert that its sender called over
    body: bytes | None = None


class BlobRow(Row, table=True):
    """What `artifacts` keeps where several hosts have to read it: by the SHA-256 of the content, compressed."""

    __tablename__ = "blobs"

    digest: str = Field(primary_key=True)
    kept_at: datetime = Field(sa_type=UtcDateTime)
    content: bytes


class FacetRow(Row, table=True):
    """One distinct value that an incident was seen with: a user, a release, an environment, a service.

    A table of its own makes "first time in this release" and "how many users" one look-up by key each, always."""

    __tablename__ = "facets"
    __table_args__ = (Index(None, "kind", "value"),)

    incident_id: int = Field(foreign_key="incidents.id", primary_key=True)
    kind: str = Field(primary_key=True)
    value: str = Field(primary_key=True)


class UserSketchRow(Row, table=True):
    """How many users an incident has had, once they are more than are kept by name: `user_counts`."""

    __tablename__ = "user_sketches"

    incident_id: int = Field(foreign_key="incidents.id", primary_key=True)
    registers: bytes


class TriageRow(Row, table=True):
    __tablename__ = "triages"

    id: int | None = Field(default=None, primary_key=True)
    incident_id: int = Field(foreign_key="incidents.id", index=True)
    at: datetime = Field(sa_type=UtcDateTime)
    body: str


class AttemptRow(Row, table=True):
    """`body` is the Attempt without its steps: they are rows of their own, so that each can be seen as it
    lands. `holder` is the run of a worker that may write it; one that was stopped and came back is none any more."""

    __tablename__ = "attempts"

    id: str = Field(primary_key=True)
    incident_id: int = Field(foreign_key="incidents.id", index=True)
    number: int
    body: str
    holder: str | None = None


class StepRow(Row, table=True):
    __tablename__ = "steps"

    id: int | None = Field(default=None, primary_key=True)
    attempt_id: str = Field(foreign_key="attempts.id", index=True)
    body: str


class SwitchRow(Row, table=True):
    """Something that is switched on for the whole installation ("paused"); no row: it is off."""

    __tablename__ = "switches"

    name: str = Field(primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    by: str


class ActRow(Row, table=True):
    __tablename__ = "acts"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    who: str
    what: str
    subject: str = Field(index=True)
    before: Any = Field(default=None, sa_type=JSON, nullable=True)
    after: Any = Field(default=None, sa_type=JSON, nullable=True)
    reason: str = ""


class WatchRow(Row, table=True):
    """A fix that was merged, and is watched: `commits` are what was merged, by repository. `recurred_at` says when an
    event of a build came in that contains it."""

    __tablename__ = "watches"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    incident_id: int = Field(foreign_key="incidents.id", index=True)
    attempt_id: str = Field(unique=True)
    commits: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    merged_at: datetime = Field(sa_type=UtcDateTime)
    recurred_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    recurred_release: str | None = None
    recurred_event: str | None = None


class BuildRow(Row, table=True):
    """Whether a release contains a fix that is watched. `decided_at` None: it is still to be looked up; `contains` None
    after that: nothing tells. `release` is empty for events that name none."""

    __tablename__ = "builds"

    watch_id: int = Field(foreign_key="watches.id", primary_key=True)
    release: str = Field(primary_key=True)
    event_id: str | None = None  # the newest event that made one ask
    contains: bool | None = None
    said: str = ""
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)


class ExposureRow(Row, table=True):
    """How many requests a release has served in an hour, failed or not: what a rate is a share of. The empty string
    stands for "none named", a `transaction` without a name for all of them."""

    __tablename__ = "exposures"

    project_id: int = Field(foreign_key="projects.id", primary_key=True)
    release: str = Field(primary_key=True)
    environment: str = Field(primary_key=True)
    transaction: str = Field(primary_key=True)
    hour: datetime = Field(sa_type=UtcDateTime, primary_key=True)
    count: int = 0


class FollowRow(Row, table=True):
    """A draft that is open on a forge, and when it is looked at next."""

    __tablename__ = "follows"

    attempt_id: str = Field(foreign_key="attempts.id", primary_key=True)
    repo: str = Field(primary_key=True)
    next_at: datetime = Field(sa_type=UtcDateTime, index=True)
    looked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    failures: int = 0
    said: str = ""  # why the last look failed


class FeedbackRow(Row, table=True):
    """What was said of a draft on its forge: a comment, a review, the result of a check. Redacted before it is kept."""

    __tablename__ = "feedback"
    __table_args__ = (
        UniqueConstraint("attempt_id", "repo", "kind", "source"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    incident_id: int = Field(foreign_key="incidents.id", index=True)
    attempt_id: str
    repo: str
    kind: str
    source: str  # what the forge calls it
    at: datetime = Field(sa_type=UtcDateTime)
    who: str = ""
    outcome: str = ""
    text: str = ""
    url: str = ""


class NoticeRow(Row, table=True):
    """Something to tell people or programs, written by the transaction that makes it true. `key` is what it is about:
    the same thing is told once. `spread_at`: its deliveries are written."""

    __tablename__ = "notices"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    incident_id: int = Field(foreign_key="incidents.id", index=True)
    key: str = Field(unique=True)
    said: str = ""
    at: datetime = Field(sa_type=UtcDateTime)
    spread_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)


class DeliveryRow(Row, table=True):
    """A notice on its way to one target (a digest of its address, which may hold a secret). `next_at` None: it has
    arrived, or was given up; `sent_at` says which."""

    __tablename__ = "deliveries"

    notice_id: int = Field(foreign_key="notices.id", primary_key=True)
    target: str = Field(primary_key=True)
    tries: int = 0
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    said: str = ""


class BranchRow(Row, table=True):
    """Where the events of a split incident go that have this value of what it was split by; the empty string
    stands for none."""

    __tablename__ = "branches"

    incident_id: int = Field(foreign_key="incidents.id", primary_key=True)
    value: str = Field(primary_key=True)
    target_id: int = Field(foreign_key="incidents.id")


class MoveRow(Row, table=True):
    """Which events a merge took along: what its undo gives back, exactly."""

    __tablename__ = "moves"

    act_id: int = Field(foreign_key="acts.id", primary_key=True)
    event_id: int = Field(foreign_key="events.id", primary_key=True, index=True)
    from_id: int = Field(foreign_key="incidents.id")


class ImportRow(Row, table=True):
    """Which incident here an incident of another installation became, so that a second import finds it."""

    __tablename__ = "imports"

    source: str = Field(primary_key=True)
    old_id: int = Field(primary_key=True)
    incident_id: int = Field(foreign_key="incidents.id")


class UserRow(Row, table=True):
    """A person; `role` holds in every project. One who was removed keeps the row, for what they did."""

    __tablename__ = "users"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    role: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    password: str | None = None  # Argon2, with its salt and parameters


class MembershipRow(Row, table=True):
    """A person's role in one project."""

    __tablename__ = "memberships"

    user_id: int = Field(foreign_key="users.id", primary_key=True)
    project_id: int = Field(foreign_key="projects.id", primary_key=True)
    role: str


class TokenRow(Row, table=True):
    """A token without its secret: `digest` is the SHA-256 of it, in hexadecimal digits."""

    __tablename__ = "tokens"

    id: str = Field(primary_key=True)
    name: str
    digest: str
    scopes: list[str] = Field(default_factory=list, sa_type=JSON)
    user_id: int | None = Field(default=None, foreign_key="users.id", index=True)
    project_id: int | None = Field(default=None, foreign_key="projects.id")
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LoginLinkRow(Row, table=True):
    """A link that logs somebody in, once. Without `user_id`: the operator."""

    __tablename__ = "login_links"

    digest: str = Field(primary_key=True)
    user_id: int | None = Field(default=None, foreign_key="users.id")
    expires_at: datetime = Field(sa_type=UtcDateTime)


class SessionRow(Row, table=True):
    """Somebody who is logged in with a browser. Without `user_id`: the operator."""

    __tablename__ = "sessions"

    digest: str = Field(primary_key=True)
    user_id: int | None = Field(default=None, foreign_key="users.id", index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class TallyRow(Row, table=True):
    """How often something was done since `since`: what a rate is limited by."""

    __tablename__ = "tallies"

    name: str = Field(primary_key=True)
    since: datetime = Field(sa_type=UtcDateTime, index=True)
    count: int


class RequestRow(Row, table=True):
    """A line of an access log: one request that ended. Kept for days only (`request_lines`)."""

    __tablename__ = "requests"
    __table_args__ = (Index(None, "project_id", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    project_id: int = Field(foreign_key="projects.id")
    at: datetime = Field(sa_type=UtcDateTime)
    method: str
    path: str
    status: int
    client: str | None = None
    seconds: float | None = None
    request_id: str | None = None
    writer: str | None = None


class MinuteRow(Row, table=True):
    """How many requests ended well and badly in one minute (since 1970) of one endpoint, or how many events an
    incident had ("INC-42": all bad)."""

    __tablename__ = "minutes"

    project_id: int = Field(foreign_key="projects.id", primary_key=True)
    endpoint: str = Field(primary_key=True)
    minute: int = Field(primary_key=True)
    good: int = 0
    bad: int = 0


class SketchRow(Row, table=True):
    """How many sampled events of an entry looked so on a day (since 1970), and how many sampled requests that went well
    (`good`); `digest` is of `shapes`: no values."""

    __tablename__ = "sketches"

    project_id: int = Field(foreign_key="projects.id", primary_key=True)
    entry: str = Field(primary_key=True)
    day: int = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    shapes: str
    count: int
    good: int = 0


class ClientRow(Row, table=True):
    """A program that may ask for access. `fetched_until` says that it was read from the document at its id, and
    how long that is good for; without it, it has registered itself."""

    __tablename__ = "oauth_clients"

    id: str = Field(primary_key=True)
    name: str
    redirect_uris: list[str] = Field(default_factory=list, sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # when a person last let it in
    fetched_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class GrantRow(Row, table=True):
    """What a person let a program do, and until when. `used_at` is None until it has fetched its tokens."""

    __tablename__ = "grants"

    id: str = Field(primary_key=True)
    client_id: str
    client_name: str
    user_id: int | None = Field(default=None, foreign_key="users.id", index=True)
    scopes: list[str] = Field(default_factory=list, sa_type=JSON)
    audience: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CodeRow(Row, table=True):
    """An authorization code; one that was used is kept, so that a second use is known for what it is."""

    __tablename__ = "oauth_codes"

    digest: str = Field(primary_key=True)
    grant_id: str = Field(foreign_key="grants.id", index=True)
    redirect_uri: str
    challenge: str
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class GrantTokenRow(Row, table=True):
    """An access token, or (`refresh`) one that gets the next pair; a refresh token that was used is kept."""

    __tablename__ = "grant_tokens"

    digest: str = Field(primary_key=True)
    grant_id: str = Field(foreign_key="grants.id", index=True)
    refresh: bool
    scopes: list[str] = Field(default_factory=list, sa_type=JSON)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

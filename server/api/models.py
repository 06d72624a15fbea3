"""What the endpoints of `/api/v1` take and answer. Their descriptions are the documentation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from server.moments import moment, since_moment
from server.policy import State
from store.errors import BadPayload
from store.incident import Incident, Lane, Occurrence, Status
from store.people import Role, Scope
from store.repair import CandidateChange, DraftPullRequest, Patch, Reproducer, Validation

MOST = 100  # rows of a page


def _time(text: str) -> str:
    """Text that is a time, in UTC. Raises ValueError."""
    try:
        return moment(text).isoformat()
    except BadPayload as error:
        raise ValueError(str(error)) from error


def _age(text: str) -> str:
    try:
        since_moment(text)
    except BadPayload as error:
        raise ValueError(str(error)) from error
    return text


Text = Annotated[str, Field(max_length=200)]
Sha = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{7,64}$")]
Time = Annotated[str, Field(max_length=60), AfterValidator(_time)]


class Taken(BaseModel):
    """Base of what is taken: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Taken):
    """No parameters."""


class IncidentFilter(Taken):
    """Which incidents: as the options of `nightdesk incidents`."""

    lane: Lane | Literal["all"] = Field(default="all", description="Without it: all, focus first.")
    project: Text | None = Field(default=None, description="Number or name of a project.")
    repo: Text | None = Field(default=None, description="Located in this repository.")
    service: Text | None = Field(default=None, description="Seen in this service.")
    since: Annotated[str, Field(max_length=60), AfterValidator(_age)] | None = Field(
        default=None, description="Seen since: an ISO time, or an age such as 30m, 24h, 7d."
    )
    status: Status | Literal["all"] | None = Field(
        default=None, description="Without it: open and regressed."
    )
    query: Text | None = Field(default=None, description="A text in title, culprit or reason.")
    limit: int = Field(default=20, ge=1, le=MOST, description="Rows of a page.")
    cursor: Annotated[str, Field(pattern=r"^INC-[0-9]{1,12}$")] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class Page(Taken):
    """Which page of a list."""

    limit: int = Field(default=MOST, ge=1, le=MOST, description="Rows of a page.")
    cursor: int | None = Field(default=None, ge=0, le=2**62, description="`next_cursor` of the page before.")


class NewRelease(Taken):
    """A version that runs."""

    version: Annotated[str, Field(min_length=1, max_length=200)]
    environment: Text | None = None
    deployed_at: Time | None = Field(default=None, description="Since when (ISO 8601). Without it: now.")
    commits: dict[Text, Sha] = Field(
        default_factory=dict, max_length=100, description="Repository's name -> commit."
    )
    project: Text = Field(default="default", description="Number or name of a project.")


class NewSourceMap(Taken):
    """What a bundle was built from."""

    map: str | dict[str, Any] = Field(description="The map (revision 3), as JSON or as its text.")
    name: Text | None = Field(
        default=None, description="The bundle, as its address ends. Without it: the map's `file`."
    )
    release: Text | None = Field(
        default=None, description="The release that the bundle is of. Without it: any."
    )
    project: Text = Field(default="default", description="Number or name of a project.")


class KeptSourceMap(BaseModel):
    """What is known of it now."""

    name: str
    release: str | None
    debug_id: str | None


class NewFlagChange(Taken):
    """A feature flag or setting that took another value."""

    flag: Annotated[str, Field(min_length=1, max_length=200)]
    after: Text = Field(description="The value that it has now.")
    before: Text | None = None
    environment: Text | None = Field(default=None, description="Where it holds. Without it: everywhere.")
    at: Time | None = Field(default=None, description="Since when (ISO 8601). Without it: now.")
    who: Text = Field(default="", description="Who changed it. Without it: whom the token stands for.")
    project: Text = Field(default="default", description="Number or name of a project.")


class StateChange(Taken):
    """What is said of an incident."""

    state: State
    reason: Annotated[str, Field(max_length=500)] | None = Field(default=None, description="Why; it is kept.")


class RepairWish(Taken):
    """What may help a repair. Kept with it."""

    hypothesis: Annotated[str, Field(max_length=2000)] | None = None
    hint: Annotated[str, Field(max_length=2000)] | None = None


class IncidentPage(BaseModel):
    """A page of the list, most urgent first."""

    incidents: list[Incident]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


class IncidentDetail(BaseModel):
    """Everything known of one incident, as `nightdesk show --json` prints it. Absent parts are null."""

    model_config = ConfigDict(extra="allow")

    id: str
    project: str
    title: str
    culprit: str
    status: Status
    lane: Lane
    priority: float
    first_seen: datetime
    last_seen: datetime
    event_count: int
    user_count: int
    environments: list[str]
    releases: list[str]
    why: str | None
    fingerprint: dict[str, Any] | None
    verdict: dict[str, Any] | None
    location: dict[str, Any] | None
    owner: str | None
    claimed_by: str | None
    hypotheses: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    reproducer: dict[str, Any] | None
    patch: dict[str, Any] | None
    validation: dict[str, Any] | None
    proof: dict[str, Any] | None
    rollback: dict[str, Any] | None
    drafts: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    times: dict[str, datetime | None]
    surroundings: dict[str, Any] | None
    ended: str | None
    said: str | None
    watches: list[dict[str, Any]]
    feedback: list[dict[str, Any]]
    submissions: list[dict[str, Any]]


class KeptEvent(Occurrence):
    """One event of an incident; `body` says whether its body was kept."""

    body: bool


class EventPage(BaseModel):
    """A page of an incident's events, in the order of arrival."""

    events: list[KeptEvent]
    next_cursor: int | None = Field(description="For the next page; null on the last one.")


class Causes(BaseModel):
    """The candidate changes of the latest repair, the likeliest first."""

    id: str
    changes: tuple[CandidateChange, ...]


class TestFound(BaseModel):
    """The failing test of the latest repair; null where it was not reproduced."""

    id: str
    reproducer: Reproducer | None


class Fix(BaseModel):
    """The proposed patch of the latest repair and what the judge said. `ended` is null while it is under way."""

    id: str
    run: str | None
    ended: str | None
    said: str | None
    patch: Patch | None
    validation: Validation | None
    proof: str | None = Field(description="The hash of the proof.")
    drafts: tuple[DraftPullRequest, ...]


class Started(BaseModel):
    """A repair under way. `started` is false where it was under way already."""

    run: str
    started: bool


class ErrorBody(BaseModel):
    """What went wrong: a word for programs, a sentence for people."""

    code: str
    message: str


class Error(BaseModel):
    """Every answer that is no success."""

    error: ErrorBody


class Caller(BaseModel):
    """Whoever the token stands for, and what it may do."""

    name: str
    scopes: list[Scope]
    role: Role | None = Field(description="In every project.")
    roles: dict[str, Role]
    project: str | None = Field(description="The only project that the token is good for.")

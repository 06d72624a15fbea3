"""What happened, as reported, already redacted. Frozen values; no I/O.

Everything here came over the wire and is hostile data: text is to be quoted and bounded wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


class Value(BaseModel):
    """Base of the vocabulary: frozen, strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values in some fields. An event is copied a dozen times on its way in, and pydantic's own
        way to do it goes through the copy protocol three times."""
        if deep:
            return super().model_copy(update=update, deep=True)
        changes = update or {}
        made = object.__new__(type(self))
        put = object.__setattr__
        put(made, "__dict__", {**self.__dict__, **changes})
        put(made, "__pydantic_fields_set__", self.__pydantic_fields_set__.union(changes))
        put(made, "__pydantic_extra__", None)
        put(made, "__pydantic_private__", None)
        return made


class Trust(StrEnum):
    """Who could have written an event: a holder of a secret key, or anybody with a public one."""

    SIGNED = "signed"
    PUBLIC = "public"


class Frame(Value):
    """One call on the stack. `vars` holds what the sender's SDK kept: containers with reprs as leaves."""

    function: str | None = None
    module: str | None = None
    filename: str | None = None
    abs_path: str | None = None
    lineno: int | None = None
    colno: int | None = None
    in_app: bool = False
    pre_context: tuple[str, ...] = ()
    context_line: str | None = None
    post_context: tuple[str, ...] = ()
    vars: dict[str, Any] = Field(default_factory=dict)


class ExceptionValue(Value):
    """One exception; `frames` are oldest first. `chained` says how it hangs on the one before it."""

    type: str
    value: str = ""
    module: str | None = None
    mechanism: str | None = None
    handled: bool | None = None
    frames: tuple[Frame, ...] = ()
    chained: str | None = None  # "cause" | "context" | "group" (those before it are its members) | None


class Request(Value):
    """The HTTP request that was being served."""

    method: str = "GET"
    url: str = ""
    query_string: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    cookies: dict[str, str] = Field(default_factory=dict)
    data: Any = None
    env: dict[str, str] = Field(default_factory=dict)


class Breadcrumb(Value):
    """Something that was logged shortly before."""

    timestamp: datetime | None = None
    category: str | None = None
    level: str | None = None
    message: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class Redaction(Value):
    """One thing taken out before the event was kept: where and what kind, never the value."""

    pointer: str  # JSON pointer into the event
    kind: str  # "email", "card", "secret", …
    rule: str


class Capsule(Value):
    """What the capture client sent beside an event: typed values, and what came in. Its content is an artifact;
    `content` is there on the way in, and where somebody has read it back, and is never kept with the event."""

    artifact: str | None = None  # hash of the redacted content
    content: dict[str, Any] | None = Field(default=None, exclude=True, repr=False)
    size: int = 0  # bytes, as it was sent
    frames: int = 0
    cut: int = 0  # places at which something did not fit
    redacted: tuple[str, ...] = ()  # JSON pointers into the content


class RequestLine(Value):
    """One request that ended, as a line of an access log tells it."""

    method: str
    path: str  # with its query
    status: int
    client: str | None = None
    seconds: float | None = None  # how long it took
    request_id: str | None = None
    writer: str | None = None  # the process or container, where the platform said which

    @property
    def words(self) -> str:
        """It in one line, the same for every server that writes such logs."""
        took = f" in {1000 * self.seconds:.0f} ms" if self.seconds is not None else ""
        asked = f" for {self.client}" if self.client else ""
        named = f", request {self.request_id}" if self.request_id else ""
        there = f", written by {self.writer}" if self.writer else ""
        return f"{self.method} {self.path} {self.status}{took}{asked}{named}{there}"


class Served(Value):
    """Requests or runs that ended, of one endpoint and about one time: well, or not. "" is the whole project.
    `shapes`: what the payload looked like of `alike` of those that went well, as `field_shapes` says it."""

    endpoint: str
    at: datetime
    good: int = 0
    bad: int = 0
    shapes: tuple[tuple[str, str], ...] = ()
    alike: int = 0
    line: RequestLine | None = None  # of an access log


class Over(Value):
    """A sender's word that something it had reported is over. `fingerprint` is the one that its report came with."""

    fingerprint: tuple[str, ...]
    at: datetime

    @property
    def as_event(self) -> Event:
        """An event that would be grouped with what is over; nothing else of it is meant."""
        return Event(
            event_id="",
            project="",
            received_at=self.at,
            timestamp=self.at,
            client_fingerprint=self.fingerprint,
        )


class Event(Value):
    """One report. `exceptions` are in the order of raising: the outermost (what the sender saw) is last."""

    event_id: str
    project: str
    received_at: datetime
    timestamp: datetime
    platform: str = "other"
    level: str = "error"
    environment: str | None = None
    release: str | None = None
    service: str | None = None
    server_name: str | None = None
    transaction: str | None = None
    message: str | None = None
    logger: str | None = None
    exceptions: tuple[ExceptionValue, ...] = ()
    request: Request | None = None
    breadcrumbs: tuple[Breadcrumb, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)
    user: dict[str, Any] = Field(default_factory=dict)
    contexts: dict[str, Any] = Field(default_factory=dict)
    extra: dict[str, Any] = Field(default_factory=dict)
    client_fingerprint: tuple[str, ...] = ()
    trace_id: str | None = None
    span_id: str | None = None
    sdk: str | None = None
    trust: Trust = Trust.SIGNED
    redactions: tuple[Redaction, ...] = ()
    raw: str | None = None  # artifact hash of the redacted payload
    capsule: Capsule | None = None

    @property
    def exception(self) -> ExceptionValue | None:
        """The exception that ended the work: the last one raised."""
        return self.exceptions[-1] if self.exceptions else None

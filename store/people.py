"""Who may do what: people with their roles, the tokens that programs show, and what
persons let programs do. Frozen values; no I/O."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from store.event import Value


class Role(StrEnum):
    """What a person is to a project. Each may do what the ones before it may."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a token is good for. It never does more than the person who stands behind it."""

    READ = "incidents:read"
    FIX = "incidents:fix"
    DRAFT = "incidents:pr"
    STATE = "incidents:state"


class User(Value):
    """A person. `role` holds in every project, `roles` (project's name -> role) in one each; the higher
    counts."""

    name: str
    role: Role | None = None
    roles: dict[str, Role] = Field(default_factory=dict)


class Token(Value):
    """What is known of a token; its secret is not. Without `user` the operator stands behind it."""

    id: str  # is part of the token's text and no secret
    name: str
    scopes: tuple[Scope, ...]
    user: User | None = None
    project: str | None = None  # the only one that it is good for
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None  # to the hour
    revoked_at: datetime | None = None


class Login(Value):
    """Somebody who is logged in with a browser. Without `user`: the operator."""

    user: User | None
    expires_at: datetime


class Client(Value):
    """A program that may ask for access. `name` is what it says of itself."""

    id: str
    name: str
    redirect_uris: tuple[str, ...]
    fetched_until: datetime | None = None  # where it comes from the document at its id: how long that is good


class Grant(Value):
    """What a person let a program do: these scopes, at one address (`audience`), until then."""

    id: str
    client_id: str
    client_name: str
    user: User | None = None  # the operator where there is none
    scopes: tuple[Scope, ...]
    audience: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None  # to the hour; None until the program has fetched its tokens
    revoked_at: datetime | None = None

"""What a team sets up: projects, keys, repositories, releases; and the acts that are remembered of them.
Frozen values; no I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from store.event import Value


class Project(Value):
    """One application, as its team sees it. Routes and commands take the number or the name."""

    id: int
    name: str


class Key(Value):
    """What a sender shows. A `public` one may be read by anybody (browsers, mobile), so its events are not
    trusted."""

    id: int
    project: str  # the project's name
    key: str
    public: bool = False
    created_at: datetime
    revoked_at: datetime | None = None  # from then on it is refused

    def usable(self, now: datetime) -> bool:
        """Whether it still opens the door: a rotated key may have some time left."""
        return self.revoked_at is None or self.revoked_at > now


class RepositoryConfig(Value):
    """A git repository of a project. `root` is the folder inside it that is this project's; `config` its
    `.nightdesk.toml`."""

    name: str
    project: str
    url: str
    root: str = "."
    config: dict[str, Any] = Field(default_factory=dict)


class Release(Value):
    """Which commit of which repository a version is made of, and where and since when it runs."""

    project: str
    version: str
    commits: dict[str, str] = Field(default_factory=dict)  # repository -> sha
    environment: str | None = None
    deployed_at: datetime | None = None
    first_seen: datetime | None = None  # the first event that named it


class Act(Value):
    """Something that somebody did, or a state that changed. Append-only; `before` is what an undo goes back
    to."""

    id: int
    at: datetime
    who: str
    what: str  # "status", "lane", "claim", …
    subject: str  # "INC-42", "project:default", …
    before: Any = None
    after: Any = None
    reason: str = ""

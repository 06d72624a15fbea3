"""What a sender is configured with: the address of a project with a key of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store import queries
from store.project import Key, Project

if TYPE_CHECKING:
    from server.house import House


def project_row(house: House, project: Project) -> dict[str, object]:
    """`{id, name, key, dsn}` with the newest key in use, secret ones before public ones."""
    usable = [key for key in queries.keys(house.database, project.name) if key.revoked_at is None]
    key = max(usable, key=lambda key: (not key.public, key.created_at, key.id), default=None)
    return {
        "id": project.id,
        "name": project.name,
        "key": key.key if key else None,
        "dsn": dsn(house, project, key) if key else None,
    }


def dsn(house: House, project: Project, key: Key) -> str:
    """The address a sender is configured with: `http://KEY@HOST:PORT/ID`."""
    scheme, _, rest = house.config.address.partition("://")
    return f"{scheme}://{key.key}@{rest}/{project.id}"

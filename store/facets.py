"""What incidents are counted by: who was touched, where, in which release."""

from __future__ import annotations

from store.acts import plain
from store.event import Event


def facets_of(event: Event, user: str | None) -> list[tuple[str, str]]:
    """(kind, value) of what an incident is seen with in one event; `user` is its `user_key`."""
    named = (
        ("environment", event.environment), ("release", event.release), ("service", event.service),
    )  # fmt: skip
    found = [(kind, plain(value)) for kind, value in named if value]
    return [("user", user), *found] if user else found


def user_key(event: Event) -> str | None:
    """By what one user is told from another: the first of id, e-mail and address that the event has."""
    for kind in ("id", "email", "ip_address"):
        value = event.user.get(kind)
        if isinstance(value, str | int) and value != "":
            return plain(f"{kind}:{value}")
    return None

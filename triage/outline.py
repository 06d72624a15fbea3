"""What a group, its rows and its name are made of, without the rest of an event.

Of most events of a storm no body is kept: what nobody keeps need not be read for secrets either. An outline has nothing
that its event has not, and groups, counts and names as its event does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from store.event import Event, ExceptionValue, Frame

CONTEXTS = ("database", "logentry")  # an entity, a template
Sketch: TypeAlias = tuple[str | None, ...]


@dataclass(frozen=True)
class Glimpse:
    """An event of which only what an outline is made of was read. `whole` reads all of it, and may raise BadPayload."""

    event: Event
    whole: Callable[[], Event]


def sketched(event: Event) -> Sketch:
    """What an error looks like at a glance: types, and where each was raised. Events without a stack all look alike."""
    found: list[str | None] = [event.project]
    for raised in event.exceptions:
        if raised.frames:
            innermost = raised.frames[-1]
            found += (raised.type, innermost.module, innermost.function)
    return tuple(found)


def outline(event: Event) -> Event:
    """The event without source, locals, request, breadcrumbs, tags and what else only its body shows."""
    return event.model_copy(
        update={
            "exceptions": tuple([_raised(raised) for raised in event.exceptions]),
            "contexts": {name: event.contexts[name] for name in CONTEXTS if name in event.contexts},
            "request": None,
            "user": _counted(event.user),
            "breadcrumbs": (),
            "tags": {},
            "extra": {},
            "server_name": None,
            "capsule": None,
        }
    )


def _counted(user: dict[str, Any]) -> dict[str, Any]:
    """Of a user what users are told apart by (`facets.user_key`)."""
    for kind in ("id", "email", "ip_address"):
        value = user.get(kind)
        if isinstance(value, str | int) and value != "":
            return {kind: value}
    return {}


def _raised(raised: ExceptionValue) -> ExceptionValue:
    bare = tuple([bare_frame(frame) for frame in raised.frames])
    return raised.model_copy(update={"frames": bare})


def bare_frame(frame: Frame) -> Frame:
    """Where a frame is."""
    return _bare(frame.function, frame.module, frame.filename, frame.abs_path, frame.in_app)


@lru_cache(maxsize=4096)
def _bare(
    function: str | None, module: str | None, filename: str | None, abs_path: str | None, in_app: bool
) -> Frame:
    """Where a frame is; the very same object for the same place, by which redaction knows it again."""
    return Frame(function=function, module=module, filename=filename, abs_path=abs_path, in_app=in_app)

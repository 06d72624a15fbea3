"""What a group, its rows and its name are made of, without the rest of an event.

Of most events of a storm no body is kept: what nobody keeps need not be read for secrets either. An outline has nothing
that its event has not, and groups, counts and names as its event does.
"""

from __future__ import annotations

from functools import lru_cache

from store.event import Event, ExceptionValue, Frame

_CONTEXTS = ("database", "logentry")  # an entity, a template


def outline(event: Event) -> Event:
    """The event without source, locals, request, breadcrumbs, tags and what else only its body shows."""
    return event.model_copy(
        update={
            "exceptions": tuple([_raised(raised) for raised in event.exceptions]),
            "contexts": {name: event.contexts[name] for name in _CONTEXTS if name in event.contexts},
            "request": None,
            "breadcrumbs": (),
            "tags": {},
            "extra": {},
            "server_name": None,
            "capsule": None,
        }
    )


def _raised(raised: ExceptionValue) -> ExceptionValue:
    bare = tuple(
        [
            _bare(frame.function, frame.module, frame.filename, frame.abs_path, frame.in_app)
            for frame in raised.frames
        ]
    )
    return raised.model_copy(update={"frames": bare})


@lru_cache(maxsize=4096)
def _bare(
    function: str | None, module: str | None, filename: str | None, abs_path: str | None, in_app: bool
) -> Frame:
    """Where a frame is; the very same object for the same place, by which redaction knows it again."""
    return Frame(function=function, module=module, filename=filename, abs_path=abs_path, in_app=in_app)

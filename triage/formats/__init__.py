"""Wire formats: one module each, registered here in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from store.errors import BadPayload
from triage.formats.error_json import ErrorJson
from triage.formats.sentry import Sentry
from triage.formats.traceback_text import TracebackText

if TYPE_CHECKING:
    from triage import Format

FORMATS: Sequence[Format] = (Sentry(), ErrorJson(), TracebackText())


def detect(body: bytes, headers: Mapping[str, str]) -> Format:
    """The first format that recognises the body (header names in lower case). Raises BadPayload where none
    does."""
    for candidate in FORMATS:
        if candidate.recognises(body, headers):
            return candidate
    raise BadPayload(
        "This is none of the known formats: Sentry event or envelope, JSON with a traceback, "
        "text with a traceback."
    )


def by_name(name: str) -> Format:
    """The format of that name. Raises BadPayload, naming the known ones."""
    for candidate in FORMATS:
        if candidate.name == name:
            return candidate
    raise BadPayload(f"There is no format {name!r}; known are {', '.join(known.name for known in FORMATS)}.")

"""Wire formats: one module each. The built-in ones are asked in the order of `BUILT_IN`, plug-ins before them.

What is plugged in holds for the process, as codecs do: installing a package is what brings a plug-in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from store.errors import BadPayload
from triage.formats.alerts import Alertmanager, PagerDuty, Sns
from triage.formats.bugsnag import Bugsnag
from triage.formats.error_json import ErrorJson
from triage.formats.honeybadger import Honeybadger
from triage.formats.kubernetes import Kubernetes
from triage.formats.otlp import Otlp
from triage.formats.rollbar import Rollbar
from triage.formats.sentry import Sentry
from triage.formats.traceback_text import TracebackText
from triage.formats.tracker_hooks import RollbarHook, SentryHook

if TYPE_CHECKING:
    from triage import Format

# Those that know a mark of their own come before those that take whatever looks like it.
BUILT_IN: Sequence[Format] = (
    Otlp(), Bugsnag(), Honeybadger(), Rollbar(), RollbarHook(), SentryHook(), Alertmanager(), PagerDuty(), Sns(),
    Kubernetes(), Sentry(), ErrorJson(), TracebackText(),
)  # fmt: skip
_plugged: tuple[Format, ...] = ()


def plug(formats: Sequence[Format]) -> None:
    """These are the formats of others from now on. They know something special, and the built-in ones take
    whatever looks like it: so they are asked first."""
    global _plugged
    _plugged = tuple(formats)


def plugged() -> tuple[Format, ...]:
    """The formats of others."""
    return _plugged


def known() -> tuple[Format, ...]:
    """All formats, in the order in which they are asked."""
    return (*_plugged, *BUILT_IN)


def detect(body: bytes, headers: Mapping[str, str]) -> Format:
    """The first format that recognises the body (header names in lower case). Raises BadPayload where none
    does."""
    for candidate in known():
        if candidate.recognises(body, headers):
            return candidate
    others = "".join(f", {each.name}" for each in _plugged)
    raise BadPayload(
        "This is none of the known formats: Sentry event or envelope, OTLP, an item of Rollbar, Bugsnag or "
        f"Honeybadger, a known webhook, JSON with a traceback, text with a trace{others}."
    )


def by_name(name: str) -> Format:
    """The format of that name. Raises BadPayload, naming the known ones."""
    for candidate in known():
        if candidate.name == name:
            return candidate
    raise BadPayload(f"There is no format {name!r}; known are {', '.join(each.name for each in known())}.")

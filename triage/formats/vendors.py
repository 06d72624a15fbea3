"""What the formats of other error trackers share: they are told in Sentry's words, and read by its one reader."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any

from store.event import Event
from triage import languages
from triage.formats.sentry_event import event_of
from triage.formats.shapes import clean, integer, text

CONTEXT_LINES = 20
Sent = dict[str, Any]
_DOTTED = re.compile(r"^(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*$")
_PLATFORM = re.compile(r"^[a-z#+]+", re.IGNORECASE)


def mapping_of(value: Any) -> Sent:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def platform_of(named: Any) -> str:
    """A platform's name without its version: "python 3.11.7" is python; what we know under another name has ours."""
    match = _PLATFORM.match(str(named or ""))
    name = match[0].lower() if match else "other"
    language = languages.by_name(name)
    return language.name if language else name


def typed(name: Any) -> Sent:
    """`type` and `module` of an exception's name: senders differ in whether they write the module before it."""
    whole = text(name, 500) or "Error"
    if not _DOTTED.match(whole):
        return {"type": whole}
    module, _, kind = whole.rpartition(".")
    return {"type": kind, "module": module}


def code_around(code: Any, line: Any) -> Sent:
    """Lines of source by their numbers (`{"20": "raise …"}`) as the line, those before and those after it."""
    number = integer(line)
    numbered = {
        n: clean(str(row), 1024) for key, row in mapping_of(code).items() if (n := integer(key)) is not None
    }
    if number is None or number not in numbered:
        return {}
    ordered = sorted(numbered)
    return {
        "context_line": numbered[number].rstrip("\n"),
        "pre_context": [numbered[n].rstrip("\n") for n in ordered if n < number][-CONTEXT_LINES:],
        "post_context": [numbered[n].rstrip("\n") for n in ordered if n > number][:CONTEXT_LINES],
    }


def told(sent: Sent, *, project: str, received_at: datetime, exceptions: Any = None) -> Event:
    """The event that a sender's report comes to; without an id of its own it has one by its content."""
    event = event_of(
        {key: value for key, value in sent.items() if value is not None},
        project=project,
        received_at=received_at,
    )
    return event if exceptions is None else event.model_copy(update={"exceptions": tuple(exceptions)})


def identity(*parts: Any) -> str:
    """An event id by content: the same report sent twice is one event."""
    return hashlib.sha256(
        json.dumps(parts, sort_keys=True, default=str).encode("utf-8", "replace")
    ).hexdigest()[:32]

"""The integration of sentry-sdk: an error that is sent takes its capsule along, as an attachment.

As an attachment, because that is what survives: contexts and extra are cut to five levels and ten items by the SDK
and are bounded by every tracker, attachments are sent as they are, beside the event. The bytes are a function, which
the SDK calls after sampling and `before_send`: a dropped event costs nothing, and `before_send` may take the attachment
out of `hint["attachments"]`. While the application runs without an error nothing of this runs at all.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from functools import partial
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Union

import sentry_sdk
from sentry_sdk.attachments import Attachment
from sentry_sdk.integrations import Integration
from sentry_sdk.scope import add_global_event_processor

from nightdesk_capture import hooks, surroundings
from nightdesk_capture.capsule import CONTENT_TYPE, FAILED, FILENAME, build
from nightdesk_capture.forward import Forward
from nightdesk_capture.limits import BUDGET, SECONDS
from nightdesk_capture.rules.capsule_walk import CapsuleRedactor
from nightdesk_capture.settings import settings
from nightdesk_capture.trail import current

AT_ONCE = 5  # capsules of one place in the code before it has to wait, and …
PAUSE = 60.0  # … the seconds between those that follow
PLACES = 256  # that are counted
HINT = "debug-replay-hint"  # of a span: "off" for no capsule, "more" for all that can be had


class NightdeskCapture(Integration):
    """`sentry_sdk.init(..., integrations=[NightdeskCapture()])`.

    `dsn`: where errors go in addition, with their capsules; without it capsules go where the errors go.
    `deny`: patterns of names of variables, attributes and keys that are never looked at.
    `off`: patterns `module:function` of frames of which nothing is sent, or a part as a whole ("request", "locals",
    "exchanges", …); nothing is hooked for a part that is off.
    `more`: as after a server has asked: four times the budget, no pause between capsules of one place.
    `rules`: the server's rules of redaction (`redaction.json`) as a path or a mapping. `budget` is in bytes, `seconds`
    is what building one may take. Raises BadRules (a ValueError) for settings that cannot be right.
    """

    identifier = "nightdesk_capture"

    def __init__(
        self,
        dsn: Optional[str] = None,
        *,
        deny: Sequence[str] = (),
        off: Sequence[str] = (),
        rules: Union[str, Mapping[str, Any], None] = None,
        budget: int = BUDGET,
        seconds: float = SECONDS,
        more: bool = False,
    ) -> None:
        self._settings = settings(budget, seconds, deny, off, rules)
        self._more = more
        hooks.install(self._settings.parts_off)
        self._forward = Forward(dsn) if dsn else None
        self._recent: Dict[Tuple[str, int], Tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._owner = 0
        self._redactor = CapsuleRedactor(b"")
        self._fresh_key()

    def _fresh_key(self) -> None:
        """A key that lives as long as the process: tokens of two processes cannot be compared."""
        self._owner = os.getpid()
        self._lock = (
            threading.Lock()
        )  # one that another thread held when the process was forked is never freed
        self._redactor = CapsuleRedactor(secrets.token_bytes(32), self._settings.rules)

    @staticmethod
    def setup_once() -> None:
        """Called by the SDK, once in a process."""
        add_global_event_processor(_attach)

    def attach(self, event: Dict[str, Any], hint: Dict[str, Any]) -> None:
        """Put a capsule that is still to be built beside an error."""
        trace = _trace_of(hint)
        if trace is None or event.get("type") not in (None, "event"):
            return
        if self._owner != os.getpid():
            self._fresh_key()
        if self._forward is not None:
            self._forward.watch(sentry_sdk.get_client())
        hint_of_span = str(surroundings.hints(event).get(HINT, ""))
        more = self._more or hint_of_span == "more"
        if hint_of_span == "off" or not (more or self._may(trace)):
            return
        chosen = self._settings.all_of_it() if more else self._settings
        make = partial(_built, trace, event, chosen, self._redactor, current())
        attachments = list(hint.get("attachments") or ())
        attachments.append(Attachment(bytes=make, filename=FILENAME, content_type=CONTENT_TYPE))
        hint["attachments"] = attachments

    def _may(self, trace: Any) -> bool:
        """Whether the place that failed has a capsule to spare: a storm of one error needs no thousand of them."""
        while trace.tb_next is not None:
            trace = trace.tb_next
        place, now = (trace.tb_frame.f_code.co_filename, trace.tb_lineno), time.monotonic()
        with self._lock:
            made, last = self._recent.get(place, (0, 0.0))
            if made >= AT_ONCE and now - last < PAUSE:
                return False
            if place not in self._recent and len(self._recent) >= PLACES:
                self._recent.pop(next(iter(self._recent)))
            self._recent[place] = (made + 1, now)
        return True


def _built(*about: Any) -> bytes:
    """The capsule, or one that says that there is none: the SDK has the event in its hands while this is called."""
    try:
        return build(*about)
    except Exception:  # then the event is sent as it would be without us
        return FAILED


def _trace_of(hint: Mapping[str, Any]) -> Any:
    found = hint.get("exc_info")
    return found[2] if isinstance(found, tuple) and len(found) == 3 else None


def _attach(event: Any, hint: Any) -> Any:
    """The event processor: it gives back the event that it was given, whatever happens."""
    try:
        chosen = sentry_sdk.get_client().get_integration(NightdeskCapture)
        if chosen is not None:
            chosen.attach(event, hint)
    except Exception:  # an error report without a capsule is better than none
        return event
    return event

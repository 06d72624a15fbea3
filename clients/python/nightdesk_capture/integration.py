"""The integration of sentry-sdk: an error that is sent takes its capsule along, as an attachment.

As an attachment, because that is what survives: contexts and extra are cut to five levels and ten items by the SDK
and are bounded by every tracker, attachments are sent as they are, beside the event. The bytes are a function, which
the SDK calls after sampling and `before_send`: a dropped event costs nothing, and `before_send` may take the attachment
out of `hint["attachments"]`. While the application runs without an error only short notes are made of
what it asks of others (see `trail`).
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Any, Dict, Mapping, Optional, Sequence, Union

import sentry_sdk
from sentry_sdk.attachments import Attachment
from sentry_sdk.integrations import Integration
from sentry_sdk.scope import add_global_event_processor

from nightdesk_capture import hooks, surroundings
from nightdesk_capture.asked import LASTS, Asked
from nightdesk_capture.calls import CALLS_OF_THE_PROCESS
from nightdesk_capture.capsule import CONTENT_TYPE, FAILED, FILENAME, build
from nightdesk_capture.counts import COUNTS_OF_THE_PROCESS, item_of
from nightdesk_capture.forward import Forward
from nightdesk_capture.limits import BUDGET, SECONDS
from nightdesk_capture.pace import Pace
from nightdesk_capture.purse import PURSE_OF_THE_PROCESS
from nightdesk_capture.settings import settings
from nightdesk_capture.trail import of_failure


class NightdeskCapture(Integration):
    """`sentry_sdk.init(..., integrations=[NightdeskCapture()])`.

    `dsn`: where errors go in addition, with their capsules; without it capsules go where the errors go.
    `deny`: patterns of names of variables, attributes and keys that are never looked at.
    `off`: patterns `module:function` of frames of which nothing is sent, or a part as a whole ("request", "locals",
    "exchanges", …); nothing is hooked for a part that is off.
    `more`: as after a server has asked: four times the budget and the time, and what memory holds.
    `counts`: requests that went well are counted, and what their bodies looked like, without values (see `counts`).
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
        counts: bool = False,
    ) -> None:
        self._settings = settings(budget, seconds, deny, off, rules)
        self._more = more
        if more:
            PURSE_OF_THE_PROCESS.open(inf)
        hooks.install(self._settings.parts_off.union(() if counts else ("counts",)))
        self._forward = Forward(dsn) if dsn else None
        self._pace = Pace(self._settings.rules)
        self._asked = Asked()
        if counts:
            COUNTS_OF_THE_PROCESS.denies, COUNTS_OF_THE_PROCESS.send = self._settings.denies, self._tell

    @staticmethod
    def setup_once() -> None:
        """Called by the SDK, once in a process."""
        add_global_event_processor(_attach)

    def _tell(self, told: Dict[str, Any]) -> None:
        """Send what was counted, to where capsules go."""
        client = sentry_sdk.get_client()
        if self._forward is not None:
            self._forward.watch(client)
        transport = self._forward.second if self._forward is not None else client.transport
        if transport is not None:
            transport.capture_envelope(item_of(told, self._pace.redactor()))

    def attach(self, event: Dict[str, Any], hint: Dict[str, Any]) -> None:
        """Put a capsule that is still to be built beside an error."""
        trace = _trace_of(hint)
        if trace is None or event.get("type") not in (None, "event"):
            return
        client = sentry_sdk.get_client()
        if self._forward is not None:
            self._forward.watch(client)
        self._asked.listen(self._forward.second if self._forward is not None else client.transport)
        CALLS_OF_THE_PROCESS.failed(trace)
        trail = of_failure()
        hint_of_span = str(surroundings.hints(event).get(surroundings.HINT, ""))
        if hint_of_span == "off" or not (hint_of_span == "more" or self._pace.may(trace)):
            return
        more = self._more or self._asked.more or hint_of_span == "more"
        if more:
            CALLS_OF_THE_PROCESS.watch(LASTS)
            PURSE_OF_THE_PROCESS.open(LASTS)
        chosen = self._settings.all_of_it() if more else self._settings
        make = partial(_built, trace, event, chosen, self._pace.redactor(), trail)
        attachments = list(hint.get("attachments") or ())
        attachments.append(Attachment(bytes=make, filename=FILENAME, content_type=CONTENT_TYPE))
        hint["attachments"] = attachments
        COUNTS_OF_THE_PROCESS.tell()


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

"""For applications with OpenTelemetry and without sentry-sdk's own reports: the capsule on the span that failed.

    provider.add_span_processor(NightdeskSpans())

An exception that is recorded on a span brings its capsule as an attribute of that event. An ended span is read-only, so
a span is given its recorder when it starts. Nothing of OpenTelemetry is imported here: a span processor is what has
these methods.
"""

from __future__ import annotations

import base64
from math import inf
from typing import Any, Dict, Mapping, Optional, Sequence, Union

from nightdesk_capture import hooks, surroundings
from nightdesk_capture.asked import LASTS
from nightdesk_capture.calls import CALLS_OF_THE_PROCESS
from nightdesk_capture.capsule import FAILED, build
from nightdesk_capture.limits import BUDGET, SECONDS
from nightdesk_capture.pace import Pace
from nightdesk_capture.purse import PURSE_OF_THE_PROCESS
from nightdesk_capture.settings import settings
from nightdesk_capture.trail import begin, of_failure

ATTRIBUTE = "nightdesk.capsule"


class NightdeskSpans:
    """A span processor. The settings are those of `NightdeskCapture`."""

    def __init__(
        self,
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
        if more:
            PURSE_OF_THE_PROCESS.open(inf)
        self._pace = Pace(self._settings.rules)
        hooks.install(self._settings.parts_off.union(("counts",)))

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """A span begins: one without a parent here begins a request."""
        try:
            parent = getattr(span, "parent", None)
            if parent is None or parent.is_remote:
                begin()
            span.record_exception = self._recording(span, span.record_exception)
        except Exception:  # then its errors have no capsule
            return

    def _on_ending(self, span: Any) -> None:
        """Nothing is left to do when a span ends."""

    def on_end(self, span: Any) -> None:
        """Nothing is left to do when a span has ended."""

    def shutdown(self) -> None:
        """Nothing is kept that would have to be sent."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept that would have to be sent."""
        return True

    def _recording(self, span: Any, record: Any) -> Any:
        def record_exception(
            exception: BaseException, attributes: Optional[Mapping[str, Any]] = None, *args: Any, **words: Any
        ) -> Any:
            __tracebackhide__ = True
            found = self._capsule(span, exception)
            more = {**(attributes or {}), ATTRIBUTE: found} if found else attributes
            return record(exception, more, *args, **words)

        return record_exception

    def _capsule(self, span: Any, error: BaseException) -> Optional[str]:
        try:
            if not span.is_recording() or error.__traceback__ is None:
                return None
            event, trail = _event(span), of_failure()
            hint = str(surroundings.hints(event).get(surroundings.HINT, ""))
            more = self._more or hint == "more"
            if hint == "off" or not (more or self._pace.may(error.__traceback__)):
                return None
            CALLS_OF_THE_PROCESS.failed(error.__traceback__)
            if more:
                CALLS_OF_THE_PROCESS.watch(LASTS)
                PURSE_OF_THE_PROCESS.open(LASTS)
            chosen = self._settings.all_of_it() if more else self._settings
            made = build(error.__traceback__, event, chosen, self._pace.redactor(), trail)
            return None if made is FAILED else base64.b64encode(made).decode()
        except Exception:  # the exception is recorded as it would be without us
            return None


def _event(span: Any) -> Dict[str, Any]:
    """What a span says, as an event of sentry-sdk would: the request, and what it says of its replay."""
    said = dict(span.attributes or {})
    url = said.get("url.full") or said.get("http.url") or said.get("url.path") or said.get("http.target")
    method = said.get("http.request.method") or said.get("http.method")
    request = {"method": method, "url": url, "query_string": said.get("url.query")}
    found: Dict[str, Any] = {
        "release": span.resource.attributes.get("service.version"),
        "contexts": {"trace": {"data": said}},
    }
    if method and url:
        found["request"] = {name: value for name, value in request.items() if value}
    return found

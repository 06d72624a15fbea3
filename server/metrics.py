"""The product's own figures, as text that Prometheus reads."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from server.access import allowed, authenticate
from server.http.answers import refusal
from server.ingest.senders import bearer_key
from server.operating.product import product, product_text
from server.policy import OPERATOR, Action, Principal
from server.web.guard import only_loopback
from store.errors import NightdeskError, NotAllowed
from store.figures import Figures, figures
from store.repair import Ended
from store.tracks import tracks

if TYPE_CHECKING:
    from server.house import House

FRESH = 60.0  # seconds that the figures of the product are good for
_TYPE = "text/plain; version=0.0.4"


class Metrics:
    """`/metrics`, for this machine or for a token that reads every project."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lock, self._read_at, self._said = Lock(), -FRESH, ""

    async def answer(self, request: Request) -> Response:
        """The figures; 401 or 403 for whoever is elsewhere and shows no token that is good for them."""
        try:
            found = await to_thread.run_sync(self._figures, request)
        except NightdeskError as error:
            return refusal(error)
        return PlainTextResponse(found, media_type=_TYPE)

    def _figures(self, request: Request) -> str:
        allowed(self._principal(request), Action.READ, None)
        return metrics_text(figures(self._house.database)) + self._of_the_product()

    def _of_the_product(self) -> str:
        """Read at most once a minute: it goes over every repair."""
        with self._lock:
            if monotonic() >= self._read_at + FRESH:
                self._said = product_text(product(tracks(self._house.database)))
                self._read_at = monotonic()
            return self._said

    def _principal(self, request: Request) -> Principal:
        try:
            only_loopback(request.client.host if request.client else None, request.headers)
        except NotAllowed:
            return authenticate(self._house, request.headers)
        return authenticate(self._house, request.headers) if bearer_key(request.headers) else OPERATOR


def metrics_text(found: Figures) -> str:
    """Every figure by its name; every word of a label is there, also with 0."""
    ends = [end.value for end in Ended] + ["running"]
    return "\n".join(
        [
            "# HELP nightdesk_events_total Events counted.",
            "# TYPE nightdesk_events_total counter",
            f"nightdesk_events_total {found.events}",
            "# HELP nightdesk_incidents Open incidents.",
            "# TYPE nightdesk_incidents gauge",
            *(f'nightdesk_incidents{{lane="{lane}"}} {number}' for lane, number in found.incidents.items()),
            "# HELP nightdesk_repairs Repairs by how they ended.",
            "# TYPE nightdesk_repairs gauge",
            *(f'nightdesk_repairs{{ended="{end}"}} {found.repairs.get(end, 0)}' for end in ends),
            "# HELP nightdesk_waiting What is to be done, or at work.",
            "# TYPE nightdesk_waiting gauge",
            *(f'nightdesk_waiting{{kind="{kind.value}"}} {number}' for kind, number in found.waiting.items()),
            "",
        ]
    )

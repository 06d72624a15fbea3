"""What a sender or a browser is told when something is refused: the right status and one sentence."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from store.errors import BadPayload, NightdeskError, NotAllowed, NotFound, OverLimit, Unavailable

RETRY_AFTER = 5  # seconds


class NoKey(NotAllowed):
    """No key came with the request at all."""


class Full(OverLimit):
    """Too many requests at the same time: the same request will be fine a little later."""


_STATUS: tuple[tuple[type[NightdeskError], int], ...] = (
    (NoKey, 401), (NotAllowed, 403), (NotFound, 404), (BadPayload, 400), (Full, 429), (OverLimit, 413),
    (Unavailable, 503),
)  # fmt: skip


def status_of(error: NightdeskError) -> int:
    """The HTTP status for an error of the house; what has no status of its own is 400, never a 5xx."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def waiting(error: NightdeskError) -> int:
    """Seconds after which it is worth another try."""
    return int(getattr(error, "wait", RETRY_AFTER))


def refusal(error: NightdeskError) -> Response:
    """The JSON answer to a sender: `{"detail": "one sentence"}`, with the time to wait where waiting helps.

    SDKs obey X-Sentry-Rate-Limits at any status and throw away what another failure answers; without categories a
    bare 429 would silence them for a minute.
    """
    status = status_of(error)
    headers = {}
    if status in {429, 503}:
        wait = waiting(error)
        headers["Retry-After"] = str(wait)
        headers["X-Sentry-Rate-Limits"] = f"{wait}:error:{getattr(error, 'scope', 'organization')}"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)


async def refused(request: Request, error: Exception) -> Response:
    """Starlette's exception handler for errors of the house."""
    assert isinstance(error, NightdeskError)  # noqa: S101 - registered for this type only
    return refusal(error)

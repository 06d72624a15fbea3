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


def refusal(error: NightdeskError) -> Response:
    """The JSON answer to a sender: `{"detail": "one sentence"}`, with the time to wait where waiting helps.

    SDKs obey X-Sentry-Rate-Limits at any status; without categories a bare 429 would silence them for a
    minute.
    """
    status = status_of(error)
    headers = {}
    if status in {429, 503}:
        headers["Retry-After"] = str(RETRY_AFTER)
    if status == 429:
        headers["X-Sentry-Rate-Limits"] = f"{RETRY_AFTER}:error:organization"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)


async def refused(request: Request, error: Exception) -> Response:
    """Starlette's exception handler for errors of the house."""
    assert isinstance(error, NightdeskError)  # noqa: S101 - registered for this type only
    return refusal(error)

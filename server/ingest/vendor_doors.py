"""The doors that speak other senders' protocols: where their key is, which format it is, how they are answered.

A door is a row of a table. What it does with a request is the same for all: `server.ingest.doors` reads, authenticates,
parses, keeps and only then answers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from server.http.answers import Full, status_of, waiting
from server.ingest.senders import bearer_key
from store.errors import NightdeskError, NotAllowed
from store.event import Event

PROTOBUF = "application/x-protobuf"
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Door:
    """One address of one protocol. `key` finds the sender's key in headers, query or body."""

    path: str
    format: str
    key: Callable[[Headers, Mapping[str, str], bytes], str | None]
    accepted: Callable[[Sequence[Event], Headers], Response]
    refused: Callable[[NightdeskError, Headers], Response]
    key_said: str  # where the key is expected, in words


def any_key(headers: Headers, query: Mapping[str, str], body: bytes) -> str | None:
    """A key in our own header, in Authorization (Bearer, or Basic in either half), or in the query."""
    if own := headers.get("x-nightdesk-key") or bearer_key(headers):
        return own
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
        return password or user or None
    return query.get("key")


def _named_key(header: str, field: str) -> Callable[[Headers, Mapping[str, str], bytes], str | None]:
    """The key in a header of that name, else in a field of the body."""

    def find(headers: Headers, query: Mapping[str, str], body: bytes) -> str | None:
        if sent := headers.get(header):
            return sent
        try:
            found = json.loads(body) if body else None
        except (ValueError, RecursionError):
            return None
        value = found.get(field) if isinstance(found, dict) else None
        return value if isinstance(value, str) else any_key(headers, query, body)

    return find


def _first_id(events: Sequence[Event]) -> str | None:
    return events[0].event_id if events else None


def _rollbar_accepted(events: Sequence[Event], headers: Headers) -> Response:
    return JSONResponse({"err": 0, "result": {"id": None, "uuid": _first_id(events)}})


def _rollbar_refused(error: NightdeskError, headers: Headers) -> Response:
    return _with_wait(error, JSONResponse({"err": 1, "message": str(error)}, status_code=status_of(error)))


def _bugsnag_accepted(events: Sequence[Event], headers: Headers) -> Response:
    return JSONResponse({"id": _first_id(events), "status": "OK"})


def _honeybadger_accepted(events: Sequence[Event], headers: Headers) -> Response:
    return JSONResponse({"id": _first_id(events)}, status_code=201)


def _hook_accepted(events: Sequence[Event], headers: Headers) -> Response:
    return JSONResponse({"id": _first_id(events), "ids": [event.event_id for event in events]})


def _plain_refused(error: NightdeskError, headers: Headers) -> Response:
    status = status_of(error)
    return _with_wait(error, JSONResponse({"detail": str(error), "error": str(error)}, status_code=status))


def _with_wait(error: NightdeskError, answer: Response) -> Response:
    if isinstance(error, Full) or answer.status_code in (429, 503):
        answer.headers["Retry-After"] = str(waiting(error))
    return answer


def _otlp_accepted(events: Sequence[Event], headers: Headers) -> Response:
    """The empty message says that everything was taken."""
    if PROTOBUF in headers.get("content-type", ""):
        return Response(b"", media_type=PROTOBUF)
    return JSONResponse({})


def _otlp_refused(error: NightdeskError, headers: Headers) -> Response:
    """A google.rpc.Status. Exporters come back after 503 and not after 429."""
    status = 503 if status_of(error) == 429 else status_of(error)
    if PROTOBUF in headers.get("content-type", ""):
        answer = Response(_status_message(str(error)), status_code=status, media_type=PROTOBUF)
    else:
        answer = JSONResponse({"code": 3, "message": str(error)}, status_code=status)
    return _with_wait(error, answer)


def _status_message(message: str) -> bytes:
    """google.rpc.Status by hand: field 1 the code (3, invalid argument), field 2 the message."""
    text = message.encode("utf-8")[:4000]
    length, size = b"", len(text)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return b"\x08\x03\x12" + length + bytes([size]) + text


DOORS: tuple[Door, ...] = (
    Door("/api/1/item", "rollbar", _named_key("x-rollbar-access-token", "access_token"), _rollbar_accepted,
         _rollbar_refused, "X-Rollbar-Access-Token"),
    Door("/notify", "bugsnag", _named_key("bugsnag-api-key", "apiKey"), _bugsnag_accepted, _plain_refused,
         "Bugsnag-Api-Key"),
    Door("/v1/notices", "honeybadger", _named_key("x-api-key", "api_key"), _honeybadger_accepted, _plain_refused,
         "X-Api-Key"),
    Door("/v1/traces", "otlp", any_key, _otlp_accepted, _otlp_refused, "x-nightdesk-key"),
    Door("/v1/logs", "otlp", any_key, _otlp_accepted, _otlp_refused, "x-nightdesk-key"),
)  # fmt: skip

# Source in `/hooks/{project}/{source}`: the format that reads it.
HOOKS: Mapping[str, str] = {
    "sentry": "sentry_hook", "rollbar": "rollbar_hook", "pagerduty": "pagerduty", "alertmanager": "alertmanager",
    "sns": "sns", "kubernetes": "kubernetes",
}  # fmt: skip
HOOK = Door("/hooks/{project}/{source}", "", any_key, _hook_accepted, _plain_refused,
            "Authorization: Bearer KEY, Basic, ?key=KEY, or the sender's own signature")  # fmt: skip


def hook_signature(source: str, headers: Headers) -> list[str]:
    """The HMAC-SHA256 signatures of the body that a sender of webhooks gives, hexadecimal; none: it signs nothing."""
    if source == "sentry":
        given = headers.get("sentry-hook-signature", "")
        return [given] if given else []
    if source == "github":
        given = headers.get("x-hub-signature-256", "")
        return [given.removeprefix("sha256=")] if given.startswith("sha256=") else []
    if source == "pagerduty":
        parts = headers.get("x-pagerduty-signature", "").split(",")
        return [part.strip().removeprefix("v1=") for part in parts if part.strip().startswith("v1=")]
    return []


def signed_with(signatures: Sequence[str], body: bytes, secrets: Sequence[str]) -> str:
    """The secret with which one of the signatures was made of the body. Raises NotAllowed where none was."""
    for secret in secrets:
        wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        if any(
            hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")) for given in signatures
        ):
            return secret
    raise NotAllowed(
        "The signature was not made with a key of this project; use one as the webhook's secret."
    )

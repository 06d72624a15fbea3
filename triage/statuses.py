"""HTTP statuses by the names that web frameworks give their exceptions."""

from __future__ import annotations

import re
from http import HTTPStatus

PHRASES = {status.phrase.lower(): status.value for status in HTTPStatus if status.value >= 400}
_NAMES = """
    BadRequestKeyError 400, SecurityError 400, HTTPBadRequest 400, ValidationError 400, ParseError 400,
    MissingArgumentError 400, NotAuthenticated 401, AuthenticationFailed 401, HTTPUnauthorized 401,
    PermissionDenied 403, HTTPForbidden 403, AccessDenied 403, Http404 404, HTTPNotFound 404, NoRoute 404,
    HTTPMethodNotAllowed 405, NotAcceptable 406, RequestEntityTooLarge 413, UnsupportedMediaType 415, ImATeapot 418,
    RequestValidationError 422, WebSocketRequestValidationError 422, Throttled 429, RequestThrottled 429,
    RateLimitExceeded 429, TooManyRequests 429, UnprocessableEntity 422, UnprocessableContent 422,
    ContentTooLarge 413, PayloadTooLarge 413, InvalidUsage 400, InvalidHeader 400, MethodNotSupported 405,
    NotAuthorized 401, Validation 400, ClientDisconnected 400, NotSupported 405
"""
_STATUS_OF = {"".join(part for part in phrase if part.isalnum()): code for phrase, code in PHRASES.items()}
_ENDINGS = re.compile(r"(?:http)?(?:exception|error|problem)$")
_STATUS_OF.update((name.lower(), int(code)) for name, code in map(str.split, _NAMES.split(",")))


def status_named(name: str) -> int | None:
    """The status that a class is named after: `NotFoundHttpException` is 404, `HTTPForbidden` 403."""
    lowered = name.lower()
    plain = _ENDINGS.sub("", lowered.removeprefix("http"))
    return _STATUS_OF.get(lowered, _STATUS_OF.get(plain))

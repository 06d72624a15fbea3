"""Who is sending: a key in one of the places where senders put it, or a signature made with one."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from store.errors import NotAllowed

SKEW = 300  # seconds that a signature's time may differ from ours


def sentry_key(headers: Mapping[str, str], query: Mapping[str, str], body: bytes = b"") -> str | None:
    """The public part of the DSN: from X-Sentry-Auth, Authorization, the query, or the envelope's own
    header."""
    for name in ("x-sentry-auth", "authorization"):
        if found := re.search(r"\bsentry_key=([^,\s]+)", headers.get(name, "")):
            return found.group(1)
    return query.get("sentry_key") or _dsn_key(body)


def bearer_key(headers: Mapping[str, str]) -> str | None:
    """The key in `Authorization: Bearer …`."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None


def check_signature(header: str, body: bytes, secrets: Sequence[str], now: float) -> str:
    """The secret that made `X-Nightdesk-Signature: t=SECONDS,v1=HEX`, where v1 is HMAC-SHA256 of
    `SECONDS.BODY`.

    The body is the one on the wire. Raises NotAllowed when no secret fits or the time is more than `SKEW`
    off.
    """
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    sent_at, given = parts.get("t", ""), parts.get("v1", "")
    if not re.fullmatch(r"\d{1,12}", sent_at) or not given:
        raise NotAllowed("X-Nightdesk-Signature must read t=SECONDS,v1=HEX.")
    if abs(now - int(sent_at)) > SKEW:
        raise NotAllowed(f"The signature's time is more than {SKEW} seconds from ours; check the clock.")
    signed = sent_at.encode() + b"." + body
    for secret in secrets:
        wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        if hmac.compare_digest(wanted.encode(), given.encode()):
            return secret
    raise NotAllowed("The signature was not made with a key of this project.")


def _dsn_key(body: bytes) -> str | None:
    """The key in the `dsn` of an envelope's first line; browsers behind a tunnel send it there and nowhere
    else."""
    try:
        header = json.loads(body.partition(b"\n")[0][: 16 << 10])
    except (ValueError, RecursionError):
        return None
    dsn = header.get("dsn") if isinstance(header, dict) else None
    try:
        return urlsplit(dsn).username if isinstance(dsn, str) else None
    except ValueError:
        return None

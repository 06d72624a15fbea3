"""The headers that every answer carries, and whether a browser is on this machine: then the connection comes from
loopback, no proxy stands in between, and the name in the address is loopback's (else a web site could point its own
name here)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from store.errors import NotAllowed


def policy(nonce: str = "", form_to: str = "") -> str:
    """The content security policy of an answer: scripts with this nonce and no others, forms to us and to `form_to`."""
    scripts = f"script-src 'nonce-{nonce}'; connect-src 'self'; " if nonce else ""
    forms = f"form-action 'self' {form_to}".strip()
    return (
        f"default-src 'none'; {scripts}style-src 'self'; img-src 'self' data:; {forms}; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


RawHeaders: TypeAlias = Sequence[tuple[bytes, bytes]]  # names in small letters, as ASGI has them
_RAW = tuple((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items())


def secured(headers: RawHeaders) -> RawHeaders:
    """An answer's headers with those of SECURITY_HEADERS that it does not have."""
    there = {name for name, _ in headers}
    return [*headers, *(header for header in _RAW if header[0] not in there)]


_HOST = re.compile(rb"[A-Za-z0-9._~-]*(?::[0-9]{0,5})?")


def _is_host(named: bytes) -> bool:
    """Whether a Host header can be read as one: what takes an address apart raises for `[::1` and the like."""
    if _HOST.fullmatch(named):
        return True
    try:
        parts = urlsplit(f"//{named.decode('ascii')}")
        return named.startswith(b"[") and parts.hostname is not None and (parts.port or 0) >= 0
    except ValueError:
        return False


class SecurityHeaders:
    """Pure ASGI middleware that adds SECURITY_HEADERS to every HTTP answer, and turns down a Host that is none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; the start of an answer gets the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = secured(message.get("headers", ()))
            await send(message)

        if not all(_is_host(value) for name, value in scope["headers"] if name == b"host"):
            await PlainTextResponse("The Host header names no host.", status_code=400)(
                scope, receive, with_headers
            )
            return
        await self.app(scope, receive, with_headers)


def only_loopback(peer: str | None, headers: Mapping[str, str]) -> None:
    """Raise NotAllowed unless the request was made on this machine, directly and under a loopback name."""
    proxied = any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip"))
    named = urlsplit(f"//{headers.get('host', '')}").hostname
    if not _is_loopback(peer) or proxied or not (named == "localhost" or _is_loopback(named)):
        raise NotAllowed(
            "Pages are shown to a browser on the same machine only: open http://127.0.0.1 there."
        )


def only_own_forms(headers: Mapping[str, str]) -> None:
    """Raise NotAllowed unless a form of one of our own pages was sent: a browser says where a form stood."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    own = site == "same-origin" if site else origin == f"http://{headers.get('host', '')}"
    if not own:
        raise NotAllowed(
            "This form was not sent from a page of Nightdesk; open the page and press its button."
        )


def _is_loopback(address: str | None) -> bool:
    try:
        return address is not None and ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False

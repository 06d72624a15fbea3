"""Where the answer to a program may be sent: pure. A mistake here gives codes to strangers, so nothing is guessed:
addresses are compared as they are written, but for the port on loopback (RFC 8252, 7.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, urlencode, urlsplit

LONGEST = 1000  # characters
_PLAIN = re.compile(r"[!#-;=?-\[\]_a-z~]+")  # visible ASCII without quotes, <, >, \, ^, `, {, |, }
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HOST = re.compile(r"[a-z0-9][a-z0-9.-]*")
_NEVER = frozenset(
    {
        "about", "blob", "chrome", "data", "file", "filesystem", "ftp", "ftps", "intent", "javascript", "jar",
        "mailto", "resource", "sms", "tel", "urn", "vbscript", "view-source", "ws", "wss",
    }
)  # fmt: skip


def refused(uri: str) -> str | None:
    """Why a program may not name this address; None where it may: https, http on loopback, or a scheme of its
    own."""
    if len(uri) > LONGEST or not _PLAIN.fullmatch(uri):
        return "A redirect address is too long or has characters that do not belong in one."
    parts = _split(uri)
    if parts is None or not parts.scheme:
        return "A redirect address must be absolute."
    if "#" in uri or "@" in parts.netloc:
        return "A redirect address must have no fragment and no user name."
    if parts.scheme in {"http", "https"} and not parts.hostname:
        return "A redirect address must name a host."
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        return "A redirect address with http must be on loopback; use https."
    if parts.scheme in _NEVER:
        return "A redirect address cannot have this scheme."
    return None


def registered(asked: str, known: Sequence[str]) -> bool:
    """Whether an address is one of those that a program has named. On loopback any port will do."""
    return any(asked == one or _same_but_port(asked, one) for one in known) and refused(asked) is None


def answered(uri: str, fields: Mapping[str, str]) -> str:
    """The address with the answer in its query."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(fields)}"


def is_loopback(uri: str) -> bool:
    """Whether an address leads to a program on the person's own computer by way of loopback."""
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def place(uri: str) -> str:
    """Where an address leads, in words for the person who decides."""
    parts = urlsplit(uri)
    if parts.hostname in _LOOPBACK:
        return f"a program on your own computer ({parts.hostname})"
    return parts.hostname or f"the program that opens {parts.scheme}: addresses on your computer"


def source(uri: str) -> str:
    """The address as a source expression of a content security policy, for `form-action`."""
    parts = urlsplit(uri)
    if parts.scheme in {"http", "https"} and _HOST.fullmatch(parts.hostname or ""):
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    return f"{parts.scheme}:"  # such a policy has no words for IPv6 addresses and no hosts for other schemes


def _same_but_port(asked: str, known: str) -> bool:
    one, other = _split(asked), _split(known)
    if one is None or other is None or one.scheme != "http" or one.hostname not in _LOOPBACK:
        return False
    return (one.scheme, one.hostname, one.path, one.query) == (
        other.scheme,
        other.hostname,
        other.path,
        other.query,
    )


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port, parts.hostname  # both are read when they are asked for
    except ValueError:
        return None
    return parts

"""Fetch a document from an address that a stranger has named, so that nothing inside can be reached by it.

https on its own port only; the name is resolved once, every address it has must be public, and the connection goes
to one of these and nowhere else, so a name cannot change its mind in between. No redirects, no proxies, no
credentials, no compression; little, and not for long.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from urllib.parse import SplitResult, urlsplit

import httpx

from store.errors import BadPayload, OverLimit, Unavailable

LARGEST = 16 << 10  # bytes
PATIENCE = 5.0  # seconds for all of it
_SHORTEST, _USUAL, _LONGEST = 300, 3600, 86400  # seconds that a document is kept
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HOST = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]+")

Resolve = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Fetched:
    """A document, and for how many seconds it is good."""

    body: bytes
    seconds: int


def resolved(host: str) -> Sequence[str]:
    """The addresses of a name, as this machine resolves it. Raises Unavailable."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable("The host of this client id cannot be found.") from error
    return [str(row[4][0]) for row in found]


def fetch(url: str, *, resolve: Resolve = resolved, transport: httpx.BaseTransport | None = None) -> Fetched:
    """The JSON document at an address. Blocking, for about `PATIENCE` seconds at most. Raises BadPayload for an
    address or an answer that is not taken, OverLimit, Unavailable."""
    parts = checked(url)
    host = parts.hostname or ""
    pinned = _public(resolve(host))
    target = httpx.URL(url).copy_with(host=pinned)
    headers = {"Host": host, "Accept": "application/json", "Accept-Encoding": "identity"}
    limits = httpx.Timeout(PATIENCE)
    try:
        with (
            httpx.Client(transport=transport, trust_env=False, timeout=limits, headers=headers) as http,
            http.stream("GET", target, extensions={"sni_hostname": host}) as answer,
        ):
            return Fetched(_body(answer), _seconds(answer.headers.get("cache-control", "")))
    except httpx.HTTPError as error:
        raise Unavailable("The document at this client id cannot be fetched.") from error


def checked(url: str) -> SplitResult:
    """The parts of an address that may be fetched. Raises BadPayload."""
    try:
        parts = urlsplit(url)
        plain = parts.port is None and parts.scheme == "https" and parts.netloc == parts.hostname
    except ValueError:
        plain = False
    if not plain or len(url) > 500 or not _HOST.fullmatch(parts.netloc):
        raise BadPayload("A client id that is an address must be https, with a host's name and no port.")
    steps = parts.path.split("/")
    if not _PATH.fullmatch(parts.path) or "." in steps or ".." in steps or "?" in url or "#" in url:
        raise BadPayload("A client id that is an address must have a plain path, and no query or fragment.")
    return parts


def _public(addresses: Sequence[str]) -> str:
    """One of the addresses, all of which must be public. Raises BadPayload."""
    if not addresses or not all(_is_public(address) for address in addresses):
        raise BadPayload("The host of this client id is not on the public internet.")
    return addresses[0]


def _is_public(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None,))[0]
        if inner is not None or address in _NAT64:
            return False
    return address.is_global and not address.is_multicast


def _body(answer: httpx.Response) -> bytes:
    """What was answered, within the bound and the time. Raises BadPayload, OverLimit, Unavailable."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status_code != 200 or not (kind == "application/json" or kind.endswith("+json")):
        raise BadPayload("The address of this client id does not answer with a JSON document.")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadPayload("The document at this client id is compressed, which was not asked for.")
    until, kept = monotonic() + PATIENCE, bytearray()
    for piece in answer.iter_raw():
        kept += piece
        if len(kept) > LARGEST:
            raise OverLimit(f"The document at this client id is larger than {LARGEST} bytes.")
        if monotonic() > until:
            raise Unavailable("The document at this client id takes too long.")
    return bytes(kept)


def _seconds(cache_control: str) -> int:
    found = re.search(r"\bmax-age=(\d{1,9})", cache_control)
    wanted = int(found.group(1)) if found else _USUAL
    return min(max(wanted, _SHORTEST), _LONGEST)

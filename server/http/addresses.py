"""Under which addresses this server answers. A web site may point a name of its own here (DNS rebinding), and a
program insists on the name that it was given; so it matters which ones are ours."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from server.config import Config
from store.errors import NotAllowed

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def addresses_of(config: Config) -> frozenset[str]:
    """Every address that stands for us, without a slash at the end: the configured one; where none is configured,
    each name of loopback."""
    own = [] if config.public_url else [f"http://{name}:{config.port}" for name in LOOPBACK]
    return frozenset([config.address, *own])


def origin(config: Config, headers: Mapping[str, str]) -> str:
    """The address under which we answer this request: the one that it was sent to where that is ours, else the
    configured one."""
    asked = f"http://{headers.get('host', '').lower()}"
    return asked if asked in addresses_of(config) else config.address


def only_trusted(headers: Mapping[str, str], config: Config) -> None:
    """Raise NotAllowed for a request under a name that is neither loopback's nor the configured one."""
    host = headers.get("host", "").lower()
    trusted = {urlsplit(config.address).netloc.lower(), *LOOPBACK}
    if host not in trusted and host.rpartition(":")[0] not in LOOPBACK:
        raise NotAllowed("This server is not reached under that name; `public_url` says which is its own.")

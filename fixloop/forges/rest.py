"""A forge's REST API: asked with bounds, and what it answers put into words that say what to do.

The token goes to the forge's own address and nowhere else (no redirect is followed); it is in no message.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from store.errors import NightdeskError, NotAllowed, NotFound, Unavailable

PATIENCE = 20.0  # seconds for one answer
LARGEST = 8 << 20  # bytes of one answer
PAGES = 10  # of a list that are read
_PAGE = 100  # entries of one
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Place:
    """A repository on a forge: the forge's own address, without a slash at the end, and `owner/name`."""

    site: str
    path: str

    @property
    def host(self) -> str:
        """Host, with the port where one is given: the key of the setting `forges`."""
        return urlsplit(self.site).netloc


def place_of(address: str) -> Place | None:
    """Where a clone address points: `https://host/owner/name.git`, `git@host:owner/name`, `ssh://…`; None where it is
    none of these. What it carries of a user or a password is left out."""
    if "://" not in address:
        user, at, rest = address.partition("@")
        host, colon, path = rest.partition(":")
        if not (at and colon) or "/" in user or not _plain(host):
            return None
        return _place("https", host, path)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https", "ssh", "git"} or not _plain(host):
        return None
    scheme = "http" if parts.scheme == "http" else "https"
    named = f"{host}:{port}" if port and parts.scheme in {"http", "https"} else host
    return _place(scheme, named, parts.path)


def _place(scheme: str, host: str, path: str) -> Place | None:
    clean = path.strip("/").removesuffix(".git")
    parts = clean.split("/")
    if len(parts) < 2 or not all(_plain(part) and part not in {".", ".."} for part in parts):
        return None
    return Place(f"{scheme}://{host.lower()}", clean)


def _plain(text: str) -> bool:
    return bool(text) and all(each.isalnum() or each in "._-" for each in text)


class Api:
    """One forge's API below `base`. Blocking; a connection for each call, for calls are few."""

    def __init__(self, name: str, base: str, headers: Mapping[str, str]) -> None:
        host = urlsplit(base).hostname or ""
        if base.startswith("http://") and host not in _LOCAL:
            raise NotAllowed(f"{host} is addressed without encryption: no token is sent there; use https.")
        self.name, self._base, self._headers = name, base, dict(headers)

    def get(self, path: str, **query: str) -> Any:
        """The JSON at a path. Raises NotFound, NotAllowed, Unavailable."""
        return self._ask("GET", path, query, None)

    def pages(self, path: str, key: str | None = None, **query: str) -> list[dict[str, Any]]:
        """Everything that a list at a path has, a hundred at a time and at most PAGES times; `key` is where the list
        stands in the answer. Raises as `get` does."""
        found: list[dict[str, Any]] = []
        for number in range(1, PAGES + 1):
            answer = self.get(path, **query, per_page=str(_PAGE), page=str(number))
            rows = answer[key] if key else answer
            found += rows
            if len(rows) < _PAGE:
                break
        return found

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON, get JSON. Raises as `get` does."""
        return self._ask(method, path, {}, body)

    def _ask(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None) -> Any:
        try:
            with httpx.Client(timeout=PATIENCE, headers=self._headers, follow_redirects=False) as client:
                answer = client.request(method, self._base + path, params=query or None, json=body)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{self.name} does not answer ({type(error).__name__}); it is tried again.", retry=True
            ) from error
        if answer.status_code >= 400 or answer.is_redirect:
            raise self._worded(method, path, answer)
        if len(answer.content) > LARGEST:
            raise Unavailable(f"{self.name} answered with more than {LARGEST >> 20} MiB to {method} {path}.")
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise Unavailable(f"{self.name} did not answer {method} {path} with JSON.", retry=True) from error

    def _worded(self, method: str, path: str, answer: httpx.Response) -> NightdeskError:
        status = answer.status_code
        if status == 401:
            return NotAllowed(f"{self.name} does not take the token: renew it ({token_names(self.name)}).")
        if status == 429 or (status == 403 and answer.headers.get("x-ratelimit-remaining") == "0"):
            return Unavailable(f"{self.name} asks for patience (its rate limit is used up).", retry=True)
        if status == 403:
            return NotAllowed(
                f"{self.name} does not let this token do it ({method} {path}): give it the right to."
            )
        if status == 404:
            return NotFound(f"{self.name} knows nothing at {path}, or the token may not see it.")
        if status >= 500:
            return Unavailable(f"{self.name} is ill ({status}); it is tried again.", retry=True)
        return Refused(f"{self.name} refused {method} {path} with {status}.", said(answer))


class Refused(Unavailable):
    """The forge understood and said no; `said` is what it said, a stranger's text."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


def first_merged(requests: Iterable[tuple[str, str | None]]) -> tuple[str, int] | None:
    """Of (name, moment of merging): the one that was merged first, in seconds since 1970; None where none was."""
    merged = [(int(datetime.fromisoformat(at).timestamp()), name) for name, at in requests if at]
    return None if not merged else (min(merged)[1], min(merged)[0])


def moment(text: object) -> datetime | None:
    """A point in time as forges write it: ISO 8601, GitLab's webhooks with `UTC` at the end. None for what is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.strip().replace(" UTC", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def said(answer: httpx.Response) -> str:
    """What an answer says of an error, bounded."""
    return answer.text[:500]


TOKENS: Mapping[str, Sequence[str]] = {
    "github": ("NIGHTDESK_GITHUB_TOKEN", "GITHUB_TOKEN"),
    "gitlab": ("NIGHTDESK_GITLAB_TOKEN", "GITLAB_TOKEN"),
}


def token_names(forge: str) -> str:
    """Where the token of a forge is looked for, in words."""
    return " or ".join(TOKENS[forge]) + " in the environment"


def token(forge: str) -> str:
    """The token of a forge, from the environment. Raises NotAllowed where there is none."""
    for name in TOKENS[forge]:
        if os.environ.get(name):
            return os.environ[name]
    raise NotAllowed(
        f"No token for {forge}: set {token_names(forge)}, with the right to push and to open drafts."
    )

"""What a program asks a person for: read out of the query of `/authorize`, twice (before the person is shown it and
when they have decided), because nothing is kept in between."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from server.config import Config
from server.oauth import redirects
from server.oauth.metadata import AUDIENCES, audience_of
from store.errors import BadPayload
from store.people import Client, Scope

LONGEST = 8000  # characters of a query
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_KNOWN = frozenset(
    {
        "client_id", "redirect_uri", "response_type", "code_challenge", "code_challenge_method", "state", "scope",
        "resource",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """Who asks, for what, and where the answer goes. `scopes` is what may be ticked."""

    client: Client
    redirect_uri: str
    challenge: str
    scopes: tuple[Scope, ...]
    audience: str
    state: str | None
    base: str  # our own address, as the program knows it: the `iss` of the answer

    def answered(self, **fields: str) -> str:
        """The address to which the person is sent back with this answer."""
        return _back(self.redirect_uri, self.state, self.base, fields)


class SentBack(BadPayload):
    """The program itself is told what is wrong: the person is sent back to it, to `location`."""

    def __init__(self, message: str, location: str) -> None:
        super().__init__(message)
        self.location = location


def read_ask(query: str, config: Config, base: str, client_of: Callable[[str], Client | None]) -> Ask:
    """What a query asks for. Raises SentBack where the program is at fault, and BadPayload where it is not known
    who asks or where an answer may go: then nobody is sent anywhere."""
    given = _fields(query)
    client = client_of(given.get("client_id", ""))
    if client is None:
        raise BadPayload(
            "This program is not known here, or was not used for so long that it was forgotten. Let it forget its "
            "login and connect it again: in Claude Code `/mcp`, clear authentication; in Codex `codex mcp logout`."
        )
    redirect_uri = _redirect(given, client)

    def refuse(error: str, sentence: str) -> SentBack:
        fields = {"error": error, "error_description": sentence}
        return SentBack(sentence, _back(redirect_uri, given.get("state"), base, fields))

    if given.get("response_type") != "code":
        raise refuse("unsupported_response_type", "response_type must be code.")
    challenge = given.get("code_challenge", "")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise refuse("invalid_request", "PKCE is needed: code_challenge with code_challenge_method S256.")
    audience = audience_of(config, given["resource"]) if "resource" in given else "/mcp"
    if audience is None:
        raise refuse("invalid_target", f"resource must be {' or '.join(base + path for path in AUDIENCES)}.")
    offered = AUDIENCES[audience]
    named = given["scope"].split() if given.get("scope", "").strip() else [scope.value for scope in offered]
    wanted = tuple(scope for scope in offered if scope.value in named)
    if not wanted:
        raise refuse("invalid_scope", f"Known here: {', '.join(offered)}.")
    return Ask(client, redirect_uri, challenge, wanted, audience, given.get("state"), base)


def _fields(query: str) -> dict[str, str]:
    """The parameters that we know, each at most once. Raises BadPayload."""
    if len(query) > LONGEST:
        raise BadPayload(f"What the program asks is longer than {LONGEST} characters.")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError as error:
        raise BadPayload("What the program asks cannot be read.") from error
    names = [name for name, _ in pairs if name in _KNOWN]
    if len(names) != len(set(names)):
        raise BadPayload("The program asks one thing twice; nobody can tell which is meant.")
    return {name: value for name, value in pairs if name in _KNOWN}


def _redirect(given: Mapping[str, str], client: Client) -> str:
    """Where the answer goes. Raises BadPayload: to an address that is not the program's, nobody is sent."""
    if "redirect_uri" not in given and len(client.redirect_uris) == 1:
        return client.redirect_uris[0]
    asked = given.get("redirect_uri", "")
    if not redirects.registered(asked, client.redirect_uris):
        raise BadPayload(
            "The program wants the answer at an address that it has not named as its own. Nothing was sent there."
        )
    return asked


def _back(redirect_uri: str, state: str | None, base: str, fields: Mapping[str, str]) -> str:
    stated = {} if state is None else {"state": state}
    return redirects.answered(redirect_uri, {**fields, **stated, "iss": base})

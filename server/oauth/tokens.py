"""`/register`, `/token` and `/revoke`: what programs do by themselves, without the person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.http.answers import Full
from server.moments import Clock
from server.oauth import protocol
from server.oauth.documents import described_client
from server.oauth.metadata import audience_of
from server.oauth.protocol import Refused
from store import clients, grants, logins
from store.errors import BadPayload
from store.grants import Pair, Refusal

if TYPE_CHECKING:
    from server.config import Config
    from server.house import House

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_HOUR = timedelta(hours=1)
_MOST_FROM_ONE, _MOST = 60, 300  # registrations in an hour: from one address, and in all
_AGAIN = "connect the assistant again."
_SENTENCES: Mapping[Refusal, tuple[str, str]] = {
    Refusal.UNKNOWN: ("invalid_grant", f"This is not known here; {_AGAIN}"),
    Refusal.ENDED: ("invalid_grant", f"This has expired or was revoked; {_AGAIN}"),
    Refusal.REPLAYED: ("invalid_grant", f"This was used before, so all it gave is revoked now; {_AGAIN}"),
    Refusal.OTHER_CLIENT: ("invalid_grant", f"This was given to another program; {_AGAIN}"),
    Refusal.OTHER_REDIRECT: (
        "invalid_grant",
        "redirect_uri is not the one that the code was asked for with.",
    ),
    Refusal.WRONG_VERIFIER: ("invalid_grant", "code_verifier does not fit the code_challenge."),
    Refusal.WRONG_AUDIENCE: ("invalid_target", "resource is not the one that was granted."),
    Refusal.WRONG_SCOPE: ("invalid_scope", f"scope is more than was granted; for more, {_AGAIN}"),
}


class TokenDoors:
    """The endpoints of programs, over one house."""

    def __init__(self, house: House, clock: Clock) -> None:
        self._house = house
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """The three endpoints; each takes POST and nothing else."""
        doors = {"/register": self._register, "/token": self._token, "/revoke": self._revoke}
        config = self._house.config
        return [
            Route(path, protocol.answering(config, work), methods=["POST"]) for path, work in doors.items()
        ]

    async def _register(self, request: Request) -> Response:
        """RFC 7591. A program gets an id and no secret: on a person's computer a secret is none."""
        described = await protocol.object_of(request)
        peer = request.client.host if request.client else "nowhere"
        return protocol.said(await to_thread.run_sync(self._registered, described, peer), 201)

    def _registered(self, described: dict[str, Any], peer: str) -> dict[str, Any]:
        now, database = self._clock(), self._house.database
        counts = {f"registrations from {peer[:64]}": _MOST_FROM_ONE, "registrations": _MOST}
        if any(logins.counted(database, name, _HOUR, now) > most for name, most in counts.items()):
            raise Full("Too many programs have registered in this hour; try again later.")
        try:
            fields = described_client(described)
        except BadPayload as error:
            name = "invalid_redirect_uri" if "redirect_uris" in str(error) else "invalid_client_metadata"
            raise Refused(name, str(error)) from error
        client = clients.register(database, fields["name"], fields["redirect_uris"], now)
        return {
            "client_id": client.id,
            "client_id_issued_at": int(now.timestamp()),
            "client_name": client.name,
            "redirect_uris": list(client.redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }

    async def _token(self, request: Request) -> Response:
        """RFC 6749 (3.2) for public clients: a code with its verifier, or a refresh token, for a pair."""
        given = await protocol.form_of(request)
        pair = await to_thread.run_sync(self._exchanged, given)
        return protocol.said(
            {
                "access_token": pair.access,
                "token_type": "Bearer",
                "expires_in": pair.seconds,
                "refresh_token": pair.refresh,
                "scope": " ".join(pair.scopes),
            }
        )

    def _exchanged(self, given: dict[str, str]) -> Pair:
        ways = {"authorization_code": self._redeemed, "refresh_token": self._renewed}
        if (kind := given.get("grant_type", "")) not in ways:
            raise Refused("unsupported_grant_type", f"grant_type must be {' or '.join(ways)}.")
        if not given.get("client_id"):
            raise Refused("invalid_request", "client_id is missing.")
        outcome = ways[kind](given)
        if isinstance(outcome, Refusal):
            raise Refused(*_SENTENCES[outcome])
        return outcome

    def _redeemed(self, given: dict[str, str]) -> Pair | Refusal:
        verifier = given.get("code_verifier", "")
        if not _VERIFIER.fullmatch(verifier):
            raise Refused("invalid_request", "code_verifier must be 43 to 128 characters, as PKCE has it.")
        return grants.redeem(
            self._house.database,
            given.get("code", ""),
            given["client_id"],
            verifier=verifier,
            redirect_uri=given.get("redirect_uri"),
            audience=_audience(self._house.config, given),
            now=self._clock(),
        )

    def _renewed(self, given: dict[str, str]) -> Pair | Refusal:
        return grants.renew(
            self._house.database,
            given.get("refresh_token", ""),
            given["client_id"],
            scopes=given["scope"].split() if "scope" in given else None,
            audience=_audience(self._house.config, given),
            now=self._clock(),
        )

    async def _revoke(self, request: Request) -> Response:
        """RFC 7009. Whoever has a token may give it back; a client id has to fit where one is given."""
        given = await protocol.form_of(request)
        if not given.get("token"):
            raise Refused("invalid_request", "token is missing.")
        done = await to_thread.run_sync(
            grants.revoke_by_token,
            self._house.database,
            given["token"],
            given.get("client_id") or None,
            self._clock(),
        )
        if not done:
            raise Refused("invalid_client", "This token was given to another program.")
        return protocol.said({})


def _audience(config: Config, given: dict[str, str]) -> str | None:
    """The address that a resource indicator names; None where there is none, and none of ours is no address."""
    return None if "resource" not in given else audience_of(config, given["resource"]) or ""

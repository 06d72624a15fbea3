"""Logins that somebody else vouches for: an OpenID Connect provider, or the proxy in front of this server, which names
in a header whoever it has let through. Either way it becomes a session like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server.http.addresses import origin
from server.moments import Clock
from server.web.forms import Fields, form_page
from server.web.oidc import Asked, Provider
from server.web.sessions import FORM_HEADERS, Sessions, local_path
from store import accounts, logins
from store.errors import NotAllowed
from store.people import Role

if TYPE_CHECKING:
    from server.house import House

BEGIN, DONE = "/login/oidc", "/login/oidc/done"


class SingleSignOn:
    """The doors of an OpenID Connect provider over one house; none where no provider is set."""

    def __init__(self, house: House, sessions: Sessions, clock: Clock) -> None:
        self._house = house
        self._sessions = sessions
        self._clock = clock
        self._provider = Provider(house.config)

    def routes(self) -> list[BaseRoute]:
        """Where a login begins, and where it comes back to."""
        config = self._house.config
        if not config.oidc_issuer:
            return []
        return [
            Route(BEGIN, form_page(config, self._begin), methods=["GET"]),
            Route(DONE, form_page(config, self._done), methods=["GET"]),
        ]

    def _begin(self, request: Request, fields: Fields) -> Response:
        asked = Asked.fresh()
        then = local_path(request.query_params.get("next", ""))
        answer = _to(self._provider.address(asked, self._back(request)))
        kept = urlencode(
            {"state": asked.state, "nonce": asked.nonce, "verifier": asked.verifier, "next": then}
        )
        return self._sessions.before_sign_on(answer, kept)

    def _done(self, request: Request, fields: Fields) -> Response:
        kept = dict(parse_qsl(self._sessions.sign_on(request)))
        if not {"state", "nonce", "verifier"} <= kept.keys():
            raise NotAllowed("This login was not begun in this browser, or is too old. Begin again.")
        asked = Asked(kept["state"], kept["nonce"], kept["verifier"])
        name = self._provider.name(asked, self._back(request), dict(request.query_params))
        secret = session_for(self._house, name, self._clock)
        answer = self._sessions.begin(_to(local_path(kept.get("next", ""))), secret)
        return self._sessions.after_sign_on(answer)

    def _back(self, request: Request) -> str:
        return origin(self._house.config, request.headers) + DONE


def session_for(house: House, name: str, clock: Clock) -> str:
    """The secret of a new session of somebody whom another door has vouched for. Raises NotAllowed."""
    wanted = house.config.sign_on_role
    user = accounts.admit(house.database, name, Role(wanted) if wanted else None)
    return logins.start_session(house.database, user.name, clock())


def _to(address: str) -> Response:
    return RedirectResponse(address, status_code=303, headers=dict(FORM_HEADERS))

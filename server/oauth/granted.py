"""`/settings/grants`: what assistants were let do, and taking it back. For whoever is logged in: their own; for an
admin: everybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server.http.addresses import origin
from server.moments import Clock
from server.oauth.words import SCOPES, is_live, state_of
from server.policy import Action, may
from server.web.forms import Fields, form_page
from server.web.rendering import page
from server.web.sessions import FORM_HEADERS, Sessions, Visitor, check_mark, check_origin
from store import grants
from store.errors import NotFound

if TYPE_CHECKING:
    from server.house import House

PATH = "/settings/grants"


class Granted:
    """The page over one house."""

    def __init__(self, house: House, sessions: Sessions, clock: Clock) -> None:
        self._house = house
        self._sessions = sessions
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """The list, and its one button."""
        config = self._house.config
        return [
            Route(PATH, form_page(config, self._show), methods=["GET"]),
            Route(f"{PATH}/{{id}}/revoke", form_page(config, self._revoke), methods=["POST"]),
        ]

    def _show(self, request: Request, fields: Fields) -> Response:
        visitor = self._sessions.visitor(request)
        if visitor is None:
            return RedirectResponse(f"/login?next={PATH}", status_code=303)
        now = self._clock()
        rows = [
            {
                "grant": grant,
                "words": [SCOPES[scope] for scope in grant.scopes],
                "live": is_live(grant, now),
                "state": state_of(grant, now),
                "csrf": visitor.mark(f"revoke {grant.id}"),
            }
            for grant in grants.grants(self._house.database, self._only(visitor))
        ]
        return page(
            "grants.html",
            headers=FORM_HEADERS,
            rows=rows,
            visitor=visitor.name,
            leave=visitor.mark("logout"),
            address=origin(self._house.config, request.headers),
        )

    def _revoke(self, request: Request, fields: Fields) -> Response:
        check_origin(request, origin(self._house.config, request.headers))
        visitor = self._sessions.visitor(request)
        if visitor is None:
            return RedirectResponse(f"/login?next={PATH}", status_code=303)
        identity = request.path_params["id"]
        check_mark(visitor.secret, f"revoke {identity}", dict(fields).get("csrf", ""))
        found = grants.grant(self._house.database, identity)
        only = self._only(visitor)
        if only is not None and (found.user is None or found.user.name != only):
            raise NotFound("There is no such grant of yours.")
        grants.revoke_grant(self._house.database, identity, self._clock(), visitor.name)
        return RedirectResponse(PATH, status_code=303)

    def _only(self, visitor: Visitor) -> str | None:
        """Whose grants somebody sees; None for everybody's."""
        everybody = may(visitor.principal, Action.ADMIN, None).allowed
        return None if everybody or visitor.login.user is None else visitor.login.user.name

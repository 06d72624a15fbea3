"""`/login` and `/logout`: by a one-time link, or by name and password."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server.http.addresses import origin
from server.http.answers import Full, status_of
from server.moments import Clock
from server.web import passwords
from server.web.forms import Fields, form_page
from server.web.rendering import page
from server.web.sessions import (
    FORM_HEADERS,
    Sessions,
    check_mark,
    check_origin,
    local_path,
    mark,
)
from server.web.single_sign_on import session_for
from store import logins
from store.errors import NightdeskError, NotAllowed

if TYPE_CHECKING:
    from server.house import House

_WINDOW = timedelta(minutes=15)
_FOR_A_NAME, _FROM_A_PLACE = 10, 50  # tries in a window
_PURPOSE = "login"


class LoginPages:
    """The login over one house."""

    def __init__(self, house: House, sessions: Sessions, clock: Clock) -> None:
        self._house = house
        self._sessions = sessions
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """The form, what it sends, and the way out."""
        config = self._house.config
        return [
            Route("/login", form_page(config, self._show), methods=["GET"]),
            Route("/login", form_page(config, self._log_in), methods=["POST"]),
            Route("/logout", form_page(config, self._log_out), methods=["POST"]),
        ]

    def _show(self, request: Request, fields: Fields) -> Response:
        then = local_path(request.query_params.get("next", ""))
        named = self._sessions.vouched(request)
        if named is not None and request.method == "GET":
            return self._sessions.begin(_to(then), session_for(self._house, named, self._clock))
        link = request.query_params.get("link")
        if link is None:
            return self._form(request, then)
        if _may_be_unmeant(request):
            return self._form(request, then, link=link)
        return self._by_link(link, then)

    def _log_in(self, request: Request, fields: Fields) -> Response:
        given = dict(fields)
        check_origin(request, origin(self._house.config, request.headers))
        check_mark(self._sessions.form_secret(request), _PURPOSE, given.get("csrf", ""))
        then = local_path(given.get("next", ""))
        if "link" in given:
            return self._by_link(given["link"], then)
        name = given.get("name", "").strip()[:100]
        try:
            self._checked(request, name, given.get("password", ""))
        except NightdeskError as error:
            return self._form(request, then, name=name, sentence=str(error), status=status_of(error))
        secret = logins.start_session(self._house.database, name, self._clock())
        return self._sessions.begin(_to(then), secret)

    def _by_link(self, link: str, then: str) -> Response:
        secret = logins.use_link(self._house.database, link, self._clock())
        if secret is None:
            raise NotAllowed(
                "This link was used before or is too old. `nightdesk user link` makes a new one, on the server's "
                "machine."
            )
        return self._sessions.begin(_to(then), secret)

    def _checked(self, request: Request, name: str, password: str) -> None:
        """Raise NotAllowed, or Full after too many tries, unless this is somebody's name and password."""
        database, now = self._house.database, self._clock()
        place = request.client.host if request.client else "nowhere"
        for tally, most in ((f"logins from {place[:64]}", _FROM_A_PLACE), (f"logins as {name}", _FOR_A_NAME)):
            if logins.counted(database, tally, _WINDOW, now) > most:
                raise Full("There were too many tries; wait a quarter of an hour, or use a link.")
        if not passwords.fits(logins.password_of(database, name), password):
            raise NotAllowed("The name or the password is not right.")
        logins.forget_count(database, f"logins as {name}")

    def _form(
        self,
        request: Request,
        then: str,
        *,
        name: str = "",
        link: str | None = None,
        sentence: str = "",
        status: int = 200,
    ) -> Response:
        visitor = self._sessions.visitor(request)
        secret = self._sessions.form_secret(request) or secrets.token_urlsafe(32)
        answer = page(
            "login.html",
            status=status,
            headers=FORM_HEADERS,
            csrf=mark(secret, _PURPOSE),
            then=then,
            name=name,
            link=link,
            sentence=sentence,
            visitor=visitor.name if visitor else None,
            leave=visitor.mark("logout") if visitor else "",
            provider=urlsplit(self._house.config.oidc_issuer).hostname,
        )
        return self._sessions.before_login(answer, secret)

    def _log_out(self, request: Request, fields: Fields) -> Response:
        check_origin(request, origin(self._house.config, request.headers))
        visitor = self._sessions.visitor(request)
        if visitor is None:
            return _to("/login")
        check_mark(visitor.secret, "logout", dict(fields).get("csrf", ""))
        return self._sessions.end(request, _to("/login"))


def _may_be_unmeant(request: Request) -> bool:
    """Whether another site has led here, or nobody has yet: then a button lets the person say that they mean it."""
    headers = request.headers
    elsewhere = headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    return elsewhere or request.method == "HEAD" or "prefetch" in headers.get("sec-purpose", "")


def _to(path: str) -> Response:
    return RedirectResponse(path, status_code=303, headers=dict(FORM_HEADERS))

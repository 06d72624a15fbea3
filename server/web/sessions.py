"""Who is logged in with a browser: the cookie, whoever stands behind it, and the marks that forms carry.

A session is kept as a digest in the database, so every process of a server knows it. The mark of a form is made
from the session's secret and from what the form is for: no other site can make one, and none fits another form.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from server.http.bodies import Incoming
from server.moments import Clock
from server.policy import Principal, principal_of_person
from store import logins
from store.errors import BadPayload, NotAllowed
from store.people import Login

if TYPE_CHECKING:
    from server.house import House

LARGEST = 64 << 10  # bytes of a form
FORM_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Referrer-Policy": "same-origin",  # with no-referrer a browser hides from us that the form is our own
}
_LOCAL = re.compile(
    r"/(?![/\\])[!-\[\]-~]*"
)  # a path of ours: visible ASCII, and no second slash to make it a host


@dataclass(frozen=True)
class Visitor:
    """Somebody who is logged in."""

    login: Login
    secret: str

    @property
    def name(self) -> str:
        """Under what name they are known and what they do is kept."""
        return self.login.user.name if self.login.user else "operator"

    @property
    def principal(self) -> Principal:
        """Who they are to the policy."""
        return principal_of_person(self.login.user)

    def mark(self, purpose: str) -> str:
        """The mark of a form with this purpose."""
        return mark(self.secret, purpose)


class Sessions:
    """The sessions of one house. Blocking where it asks the database."""

    def __init__(self, house: House, clock: Clock) -> None:
        self._house = house
        self._clock = clock
        self._secure = house.config.address.startswith("https:")
        port = house.config.port  # browsers do not tell cookies of two servers on one machine apart by it
        self._cookie = "__Host-nightdesk" if self._secure else f"nightdesk_{port}"

    def visitor(self, request: Request) -> Visitor | None:
        """Who is logged in with the browser that sent this; None for nobody."""
        secret = request.cookies.get(self._cookie, "")
        login = logins.session_of(self._house.database, secret, self._clock()) if secret else None
        if login is None or not self._still_vouched(request, login):
            return None
        return Visitor(login, secret)

    def vouched(self, request: Request) -> str | None:
        """Whom the proxy in front of this server names with this request; None where none is set, and for what came
        past it."""
        config, peer = self._house.config, request.client.host if request.client else None
        if not config.proxy_header or peer not in config.proxy_addresses:
            return None
        return request.headers.get(config.proxy_header, "").strip() or None

    def _still_vouched(self, request: Request, login: Login) -> bool:
        """Whether the proxy, if it names anybody, names the same person as the session."""
        named = self.vouched(request)
        return named is None or (login.user is not None and login.user.name == named)

    def begin(self, answer: Response, secret: str) -> Response:
        """The answer, with the cookie of a new session."""
        answer.set_cookie(
            self._cookie,
            secret,
            max_age=int(logins.SESSION.total_seconds()),
            httponly=True,
            secure=self._secure,
            samesite="lax",  # an assistant's web site sends people here, and they are to be known then
        )
        return answer

    def end(self, request: Request, answer: Response) -> Response:
        """The answer that logs out, once the session is over in the database as well."""
        logins.end_session(self._house.database, request.cookies.get(self._cookie, ""))
        answer.delete_cookie(self._cookie, httponly=True, secure=self._secure, samesite="lax")
        return answer

    def before_sign_on(self, answer: Response, kept: str) -> Response:
        """The answer that leads to another door, with what has to come back from there in the same browser."""
        answer.set_cookie(
            f"{self._cookie}_sign_on", kept, max_age=600, httponly=True, secure=self._secure, samesite="lax"
        )
        return answer

    def sign_on(self, request: Request) -> str:
        """What `before_sign_on` has kept in the browser; empty where there is nothing."""
        return request.cookies.get(f"{self._cookie}_sign_on", "")

    def after_sign_on(self, answer: Response) -> Response:
        """The answer, once that is used up."""
        answer.delete_cookie(f"{self._cookie}_sign_on", httponly=True, secure=self._secure, samesite="lax")
        return answer

    def before_login(self, answer: Response, secret: str) -> Response:
        """The answer, with a secret for the form of somebody who has no session yet."""
        name = f"{self._cookie}_form"
        answer.set_cookie(name, secret, httponly=True, secure=self._secure, samesite="lax")
        return answer

    def form_secret(self, request: Request) -> str:
        """The secret of `before_login` that the browser sends back; empty where there is none."""
        return request.cookies.get(f"{self._cookie}_form", "")


def mark(secret: str, purpose: str) -> str:
    """What a form carries to show that it is ours, for this purpose and for whoever has the secret."""
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def check_mark(secret: str, purpose: str, given: str) -> None:
    """Raise NotAllowed unless a form carries the mark that it was given."""
    if not secret or not hmac.compare_digest(mark(secret, purpose).encode(), given.encode()):
        raise NotAllowed("This form was not made for you here, or is too old. Open the page again.")


def check_origin(request: Request, base: str) -> None:
    """Raise NotAllowed where the browser says that another site sends this form."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site != "same-origin" and (site is not None or origin not in {None, base}):
        raise NotAllowed("This form was sent by another site. Nothing was done.")


async def form_fields(request: Request) -> list[tuple[str, str]]:
    """The fields of an encoded form, in their order. Raises BadPayload, OverLimit."""
    if (
        request.headers.get("content-type", "").partition(";")[0].lower()
        != "application/x-www-form-urlencoded"
    ):
        raise BadPayload("This is no form.")
    body = await Incoming(request.receive).read(LARGEST)
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError as error:
        raise BadPayload("The form cannot be read.") from error


def local_path(given: str) -> str:
    """Where to go after the login: a path of ours, else the first page. Never to another host."""
    return given if _LOCAL.fullmatch(given) else "/"

"""Who looks at a page: somebody who is logged in, or, while the server is reached on this machine only, the operator.

Every page goes through `Doorman.page`: it says who asks, narrows the house to what exists for them, and turns errors
of the house into a page with one sentence. A form of somebody without a session is taken where the browser says that it
stood on a page of ours; a form of a session carries a mark made from its secret besides.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from server.access import allowed, seen_by
from server.config import Config
from server.http.addresses import LOOPBACK, only_trusted, origin
from server.http.answers import status_of
from server.policy import OPERATOR, Action, Principal, may
from server.web.guard import only_loopback, only_own_forms
from server.web.rendering import page
from server.web.sessions import FORM_HEADERS, Sessions, Visitor, check_mark, check_origin, form_fields
from store.errors import BadPayload, NightdeskError, NotAllowed

if TYPE_CHECKING:
    from server.house import House

Fields = Sequence[tuple[str, str]]
_ACTS = "acts"  # the purpose of the forms of a page; which act it is stands in the address and in the fields


@dataclass(frozen=True)
class Visit:
    """One request for a page, by somebody who may see it. `house` is as far as they may."""

    request: Request
    house: House
    principal: Principal
    visitor: Visitor | None  # None: the operator at this machine, who has not logged in
    given: Fields = ()  # what a form sent

    @property
    def name(self) -> str:
        """Under what name they are known and what they do is kept."""
        return self.principal.name

    @property
    def is_operator(self) -> bool:
        """Whether they sit at the server itself."""
        return self.principal is OPERATOR

    @property
    def csrf(self) -> str:
        """The mark of this page's forms."""
        return self.visitor.mark(_ACTS) if self.visitor else ""

    @property
    def leave(self) -> str:
        """The mark of the form that logs out."""
        return self.visitor.mark("logout") if self.visitor else ""

    def field(self, name: str, most: int = 500) -> str:
        """A field of the form, or of the query where none was sent; without blanks around it and not longer than
        this."""
        fields = dict(self.given) or self.request.query_params
        return fields.get(name, "").strip()[:most]

    def can(self, word: str, project: str | None = None) -> bool:
        """Whether they may do this (a word of `Action`), in a project or in all."""
        return may(self.principal, Action(word), project).allowed

    def require(self, action: Action, project: str | None) -> None:
        """Raise NotAllowed, with the policy's sentence, unless they may."""
        allowed(self.principal, action, project)

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page for them."""
        return page(template, status=status, headers=FORM_HEADERS, visit=self, **values)


Work = Callable[[Visit], Response]


class Doorman:
    """Lets people in, over one house."""

    def __init__(self, house: House, sessions: Sessions) -> None:
        self._house = house
        self._sessions = sessions

    def page(self, work: Work) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that answers in a thread, for whoever may read anything here."""

        async def endpoint(request: Request) -> Response:
            try:
                given = await form_fields(request) if "content-type" in request.headers else ()
                return await to_thread.run_sync(self._answer, work, request, given)
            except NightdeskError as error:
                return page("error.html", status=status_of(error), headers=FORM_HEADERS, sentence=str(error))
            except ClientDisconnect:
                return Response(status_code=400)  # nobody is there to read it

        return endpoint

    def _answer(self, work: Work, request: Request, given: Fields) -> Response:
        visit = self.visit(request, given)
        if visit is None:
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            then = urlencode({"next": "/" if request.method == "POST" else asked})
            return RedirectResponse(f"/login?{then}", status_code=303, headers=dict(FORM_HEADERS))
        if request.method == "POST":
            self._own_form(visit)
        return work(visit)

    def visit(self, request: Request, given: Fields = ()) -> Visit | None:
        """Who asks; None for somebody who has to log in first. Raises NotAllowed for a name that is not ours, and
        for somebody who may see nothing."""
        only_trusted(request.headers, self._house.config)
        visitor = self._sessions.visitor(request)
        if visitor is None and not self._is_operator(request):
            return None
        principal = visitor.principal if visitor else OPERATOR
        return Visit(request, seen_by(principal, self._house), principal, visitor, given)

    def _is_operator(self, request: Request) -> bool:
        """Whether whoever asks sits at this machine, and the server is there for this machine only."""
        if not is_private(self._house.config):
            return False
        try:
            only_loopback(request.client.host if request.client else None, request.headers)
        except NotAllowed:
            return False
        return True

    def _own_form(self, visit: Visit) -> None:
        if visit.visitor is None:
            only_own_forms(visit.request.headers)
            return
        check_origin(visit.request, origin(self._house.config, visit.request.headers))
        check_mark(visit.visitor.secret, _ACTS, visit.field("csrf"))


def is_private(config: Config) -> bool:
    """Whether the server listens on loopback, is reached under no other name and has no proxy before it."""
    if config.public_url or config.proxy_header:
        return False
    try:
        return ipaddress.ip_address(config.host).is_loopback
    except ValueError:
        return config.host in LOOPBACK


def number(text: str) -> int:
    """A field that is a number. Raises BadPayload."""
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise BadPayload("That is no number.")
    return int(text)

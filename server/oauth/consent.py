"""`/authorize` and `/consent`: a person who is logged in sees who asks and for what, and decides.

Nothing is kept between the two: the form carries what was asked, under a mark made from the person's session, and it
is read and checked again when it comes back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server.http.addresses import origin
from server.moments import Clock
from server.oauth import redirects
from server.oauth.asking import Ask, SentBack, read_ask
from server.oauth.documents import is_address
from server.oauth.knowing import Clients, Stranger
from server.oauth.words import LIFETIMES, SCOPES, USUAL
from server.policy import scopes_of
from server.web.forms import Fields, Work, form_page
from server.web.rendering import page
from server.web.sessions import FORM_HEADERS, Sessions, Visitor, check_mark, check_origin
from store import grants, queries
from store.errors import BadPayload, NotAllowed
from store.people import Scope

if TYPE_CHECKING:
    from server.house import House


@dataclass(frozen=True)
class Choice:
    """One scope on the page."""

    scope: Scope
    words: str
    allowed: bool
    ticked: bool


class Consent:
    """The two addresses at which a person decides, over one house."""

    def __init__(self, house: House, sessions: Sessions, clients: Clients, clock: Clock) -> None:
        self._house = house
        self._sessions = sessions
        self._clients = clients
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """Where a program sends the person, what the person sees, and what they send."""
        return [
            Route("/authorize", self._page(self._authorize), methods=["GET"]),
            Route("/consent", self._page(self._show), methods=["GET"]),
            Route("/consent", self._page(self._decide), methods=["POST"]),
        ]

    def _page(self, work: Work) -> Callable[[Request], Awaitable[Response]]:
        def sending(request: Request, fields: Fields) -> Response:
            try:
                return work(request, fields)
            except SentBack as error:
                return _sent_back(error)

        return form_page(self._house.config, sending)

    def _authorize(self, request: Request, fields: Fields) -> Response:
        """What is wrong is said at once; what a stranger wants is looked at once somebody has logged in."""
        with suppress(Stranger):
            self._ask(request, request.url.query, fetching=False)
        return _away(f"/consent?{request.url.query}")

    def _show(self, request: Request, fields: Fields) -> Response:
        visitor = self._sessions.visitor(request)
        query = request.url.query
        if visitor is None:
            return _away("/login?" + urlencode({"next": f"/consent?{query}"}))
        return self._form(visitor, self._ask(request, query, fetching=True), query)

    def _decide(self, request: Request, fields: Fields) -> Response:
        check_origin(request, origin(self._house.config, request.headers))
        given = dict(fields)
        query = given.get("request", "")
        visitor = self._sessions.visitor(request)
        if visitor is None:
            raise NotAllowed("You are not logged in any more. Let the assistant ask once more.")
        check_mark(visitor.secret, _purpose(query), given.get("csrf", ""))
        ask = self._ask(request, query, fetching=True)
        if given.get("go") != "allow":
            sentence = "The person has refused."
            return _away(ask.answered(error="access_denied", error_description=sentence))
        ticked = frozenset(value for name, value in fields if name == "scope")
        lifetime = given.get("lifetime", "")
        if lifetime not in LIFETIMES:
            raise BadPayload(f"lifetime must be one of {', '.join(LIFETIMES)}.")
        if Scope.READ.value not in ticked:
            sentence = "Without reading an assistant can do nothing here. Tick it, or refuse."
            return self._form(visitor, ask, query, ticked=ticked, lifetime=lifetime, sentence=sentence)
        return _away(ask.answered(code=self._granted(visitor, ask, ticked, lifetime)))

    def _granted(self, visitor: Visitor, ask: Ask, ticked: frozenset[str], lifetime: str) -> str:
        """The code for what was ticked. Raises NotAllowed for more than was asked, or than the person may do."""
        allowed = self._allowed(visitor)
        wanted = [scope for scope in ask.scopes if scope.value in ticked]
        if len(wanted) != len(ticked) or not set(wanted) <= allowed:
            raise NotAllowed(
                "That is more than was asked for, or than your role reaches. Nothing was granted."
            )
        return grants.open_grant(
            self._house.database,
            ask.client,
            visitor.login.user.name if visitor.login.user else None,
            scopes=wanted,
            audience=ask.audience,
            lifetime=LIFETIMES[lifetime][1],
            redirect_uri=ask.redirect_uri,
            challenge=ask.challenge,
            now=self._clock(),
        )

    def _form(
        self,
        visitor: Visitor,
        ask: Ask,
        query: str,
        *,
        ticked: frozenset[str] = frozenset({Scope.READ.value}),
        lifetime: str = USUAL,
        sentence: str = "",
    ) -> Response:
        allowed = self._allowed(visitor)
        choices = [
            Choice(scope, SCOPES[scope], scope in allowed, scope in allowed and scope.value in ticked)
            for scope in ask.scopes
        ]
        return page(
            "consent.html",
            status=400 if sentence else 200,
            headers=FORM_HEADERS,
            form_to=redirects.source(ask.redirect_uri),  # browsers hold to it what follows a form, too
            ask=ask,
            query=query,
            csrf=visitor.mark(_purpose(query)),
            place=redirects.place(ask.redirect_uri),
            vouched=urlsplit(ask.client.id).hostname if is_address(ask.client.id) else None,
            visitor=visitor.name,
            choices=choices,
            lifetimes=[(value, words) for value, (words, _) in LIFETIMES.items()],
            lifetime=lifetime,
            sentence=sentence,
        )

    def _ask(self, request: Request, query: str, *, fetching: bool) -> Ask:
        config, now = self._house.config, self._clock()
        base = origin(config, request.headers)
        return read_ask(query, config, base, lambda one: self._clients.find(one, now, fetching=fetching))

    def _allowed(self, visitor: Visitor) -> frozenset[Scope]:
        return scopes_of(visitor.principal, [one.name for one in queries.projects(self._house.database)])


def _purpose(query: str) -> str:
    return f"consent to {query}"


def _sent_back(error: SentBack) -> Response:
    """The program is told what it did wrong. On loopback it waits for it; anywhere else the person decides whether
    to go there, because anybody may register, and we would send people wherever somebody wants them."""
    if redirects.is_loopback(error.location):
        return _away(error.location)
    return page(
        "back.html",
        status=400,
        headers=FORM_HEADERS,
        sentence=str(error),
        location=error.location,
        place=redirects.place(error.location),
    )


def _away(location: str) -> Response:
    return RedirectResponse(location, status_code=302, headers=dict(FORM_HEADERS))

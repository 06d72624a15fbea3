"""From what comes to a door to whoever has sent it, and what exists for them. Blocking."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from server.http.answers import NoKey
from server.incidents.lookup import incident_by_id
from server.ingest.senders import bearer_key
from server.policy import Action, Principal, may, principal_of, reach
from store import accounts, queries
from store.errors import NotAllowed, Unavailable
from store.people import Scope, Token

if TYPE_CHECKING:
    from server.house import House

_COARSE = timedelta(hours=1)  # how exactly it is kept when a token was used last


class NotInScope(NotAllowed):
    """The token is good, and not for this. `scope` is what it would take."""

    def __init__(self, message: str, scope: Scope) -> None:
        super().__init__(message)
        self.scope = scope


def authenticate(house: House, headers: Mapping[str, str]) -> Principal:
    """Whoever shows the token in `Authorization: Bearer nd_…`. Raises NoKey, without saying what is wrong with
    a token that is not good."""
    text = bearer_key(headers)
    if not text:
        raise NoKey("No token came with this request; send Authorization: Bearer nd_….")
    now = datetime.now(UTC)
    token = accounts.token(house.database, text, now)
    if token is None:
        raise NoKey(
            "This token is not known here, was revoked or has expired; `nightdesk token create` makes a new one."
        )
    _remember_use(house, token, now)
    return principal_of(token)


def _remember_use(house: House, token: Token, now: datetime) -> None:
    if token.last_used_at is None or now - token.last_used_at >= _COARSE:
        try:
            accounts.touch_token(house.database, token.id, now)
        except Unavailable:  # a reader must not fail because somebody writes
            return


def allowed(principal: Principal, action: Action, project: str | None) -> None:
    """Raise NotInScope or NotAllowed, with the policy's sentence, where it says no."""
    decision = may(principal, action, project)
    if not decision.allowed:
        raise NotInScope(decision.why, decision.scope) if decision.scope else NotAllowed(decision.why)


def reached(principal: Principal, action: Action, house: House) -> frozenset[str] | None:
    """The projects in which somebody may do this; None for all. Raises NotInScope, or NotAllowed, for none."""
    projects = [project.name for project in queries.projects(house.database)]
    found = reach(principal, action, projects)
    if found is not None and not found:
        allowed(principal, action, principal.project)
    return found


def seen_by(principal: Principal, house: House) -> House:
    """The house as far as somebody may read it. Raises NotInScope, or NotAllowed where that is nothing."""
    return house.confined_to(reached(principal, Action.READ, house))


def check(principal: Principal, action: Action, house: House, ref: str) -> None:
    """Raise unless somebody may do this to an incident: NotFound where it does not exist for them, NotInScope,
    NotAllowed."""
    incident = incident_by_id(seen_by(principal, house), ref)
    allowed(principal, action, incident.project)

"""From an access token to whoever let an assistant in; and what a message would take that it does not have."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from server.http.answers import NoKey
from server.policy import Action, Principal, State, action_of, principal_of_grant, scope_of
from store import grants
from store.errors import Unavailable
from store.people import Scope

if TYPE_CHECKING:
    from server.house import House

LARGEST = 1 << 20  # bytes of a message that is looked into; the tool itself refuses what is in a larger one
_ACTIONS = {"start_repair": Action.FIX, "submit_patch": Action.FIX, "open_draft": Action.DRAFT}
_COARSE = timedelta(hours=1)  # how exactly it is kept when a grant was used last


def is_granted(token: str) -> bool:
    """Whether a token is one that an assistant got by a person's consent, by the look of it."""
    return token.startswith(grants.ACCESS_MARK)


def granted(house: House, token: str, audience: str, now: datetime) -> Principal:
    """Whoever stands behind an access token at this address. Raises NoKey for one that is not good here."""
    found = grants.access(house.database, token, now)
    if found is None:
        raise NoKey("This access has expired or was taken back; connect the assistant again.")
    if found.audience != audience:
        raise NoKey(
            f"This access was granted for {found.audience}; connect the assistant to {audience} for this."
        )
    if found.used_at is None or now - found.used_at >= _COARSE:
        with suppress(Unavailable):  # a reader must not fail because somebody writes
            grants.touch(house.database, found.id, now)
    return principal_of_grant(found)


def missing_scope(principal: Principal, body: bytes) -> Scope | None:
    """The scope that the message in this body needs and its sender has not; None where there is none, or where the
    body is not understood: then the tool says it."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("method") != "tools/call":
        return None
    action = _action(message.get("params"))
    needed = scope_of(action) if action else None
    return needed if needed and needed not in (principal.scopes or ()) else None


def _action(params: Any) -> Action | None:
    """What a call of a tool does."""
    if not isinstance(params, dict) or not isinstance(name := params.get("name"), str):
        return None
    if name != "set_state":
        return _ACTIONS.get(name)
    arguments = params.get("arguments")
    state: Any = arguments.get("state") if isinstance(arguments, dict) else None
    if state == "kept":  # an unknown trace becomes an incident
        return Action.STATE
    return action_of(state) if state in get_args(State) else None

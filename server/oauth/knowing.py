"""From a client id to the program behind it: built in, registered, or described by the document at its id."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from server.http.answers import Full
from server.oauth.documents import PINNED, is_address, read_document
from server.oauth.fetching import Fetched, fetch
from store import clients, logins
from store.errors import NightdeskError, Unavailable
from store.people import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.house import House

_MOST_FETCHES = 30  # in an hour


class Stranger(NightdeskError):
    """A program whose document would have to be fetched first, which is done for nobody who is not logged in."""


class Clients:
    """The programs that this house knows, and how it comes to know more."""

    def __init__(self, house: House, fetching: Callable[[str], Fetched] = fetch) -> None:
        self._house = house
        self._fetching = fetching

    def find(self, client_id: str, now: datetime, *, fetching: bool) -> Client | None:
        """The program of an id; None for one that is not known. Raises Stranger without `fetching`, else what is
        wrong with its document. Blocking."""
        if client_id in PINNED:
            return PINNED[client_id]
        found = clients.client(self._house.database, client_id) if 0 < len(client_id) <= 500 else None
        if not is_address(client_id):
            return found
        if found is not None and found.fetched_until is not None and found.fetched_until > now:
            return found
        if not fetching:
            raise Stranger("Log in first.")
        return self._fetched(client_id, now)

    def _fetched(self, client_id: str, now: datetime) -> Client:
        database = self._house.database
        if not self._house.config.client_documents:
            raise Unavailable(
                "This installation fetches no descriptions of programs (client_documents is off)."
            )
        if logins.counted(database, "documents", timedelta(hours=1), now) > _MOST_FETCHES:
            raise Full("Too many descriptions of programs were fetched in this hour; try again later.")
        fetched = self._fetching(client_id)
        described = read_document(client_id, fetched.body)
        return clients.keep_document(
            database,
            client_id,
            described.name,
            described.redirect_uris,
            now + timedelta(seconds=fetched.seconds),
            now,
        )

"""Programs that may ask for access: those that registered themselves, and documents that were fetched. Each
function is one transaction.

Anybody may register, so what nobody ever let in goes again: after a day, and the oldest where there are too many.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from store.database import Database
from store.people import Client
from store.tables import ClientRow

MOST = 1000  # clients that nobody has let in yet
_UNUSED = timedelta(days=1)  # how long such a client is kept
_USED = timedelta(days=180)  # how long one is kept after somebody let it in


def register(db: Database, name: str, redirect_uris: Sequence[str], now: datetime) -> Client:
    """Keep a program that describes itself, under a new id."""
    with db.write() as session:
        _prune(session, now)
        row = ClientRow(
            id=f"nightdesk-{secrets.token_hex(12)}",
            name=name,
            redirect_uris=list(redirect_uris),
            created_at=now,
        )
        session.add(row)
        return _client(row)


def keep_document(
    db: Database, identity: str, name: str, redirect_uris: Sequence[str], until: datetime, now: datetime
) -> Client:
    """Keep what the document at a program's id says of it, for as long as that is good."""
    with db.write() as session:
        _prune(session, now)
        row = session.get(ClientRow, identity)
        if row is None:
            row = ClientRow(id=identity, name=name, created_at=now)
            session.add(row)
        row.name, row.redirect_uris, row.fetched_until = name, list(redirect_uris), until
        return _client(row)


def client(db: Database, identity: str) -> Client | None:
    """The program of an id; None where it is not known, or was not used and is gone."""
    with db.read() as session:
        row = session.get(ClientRow, identity)
        return None if row is None else _client(row)


def mark_used(session: Session, identity: str, now: datetime) -> None:
    """Somebody has let this program in: it is kept. Inside the transaction that writes down what for."""
    row = session.get(ClientRow, identity)
    if row is not None:
        row.used_at = now


def _prune(session: Session, now: datetime) -> None:
    unused = select(ClientRow).where(col(ClientRow.used_at).is_(None)).order_by(col(ClientRow.created_at))
    waiting = list(session.exec(unused).all())
    old = [row for row in waiting if row.created_at <= now - _UNUSED]
    fresh = waiting[len(old) :]
    left = select(ClientRow).where(col(ClientRow.used_at) <= now - _USED)
    for row in (*old, *fresh[: max(0, len(fresh) - MOST + 1)], *session.exec(left).all()):
        session.delete(row)
    session.flush()


def _client(row: ClientRow) -> Client:
    return Client(
        id=row.id, name=row.name, redirect_uris=tuple(row.redirect_uris), fetched_until=row.fetched_until
    )

"""Which incidents a list can be about at all, where few can: then those are looked at, and not the whole list.

A filter that many incidents pass needs no help: the list is walked in its order, and a page is soon full.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from store.tables import FacetRow, IncidentRow

FEW = 500  # incidents that are looked at one by one; with more, a page is full before long
_SHORTEST = 3  # characters of a word that the index of words can find
_WORDS = {
    "sqlite": text("SELECT rowid FROM incident_words WHERE incident_words MATCH :words LIMIT :most"),
    "postgresql": text(
        "SELECT incident_id FROM incident_words "
        "WHERE nightdesk_trigrams(words) @> nightdesk_trigrams(lower(:words)) LIMIT :most"
    ),
}


def narrowed(
    session: Session, *, repo: str | None, service: str | None, since: datetime | None, query: str | None
) -> list[int] | None:
    """The numbers of all incidents that pass one of these filters, by the filter that the fewest pass; None where
    each is passed by many. The others still have to be asked."""
    found = [
        _few(session, select(IncidentRow.id).where(IncidentRow.repo == repo)) if repo else None,
        _few(session, _with_service(service)) if service else None,
        _few(session, select(IncidentRow.id).where(col(IncidentRow.last_seen) >= since)) if since else None,
        _with_words(session, query) if query else None,
    ]
    return min((numbers for numbers in found if numbers is not None), key=len, default=None)


def _few(session: Session, statement: SelectOfScalar[Any]) -> list[int] | None:
    numbers = list(session.exec(statement.limit(FEW + 1)))
    return numbers if len(numbers) <= FEW else None


def _with_service(service: str) -> SelectOfScalar[int]:
    return select(FacetRow.incident_id).where(FacetRow.kind == "service", FacetRow.value == service)


def _with_words(session: Session, query: str) -> list[int] | None:
    """Those in whose words the query may stand; None where the index cannot tell, or is not there."""
    if len(query) < _SHORTEST or not query.isprintable() or not _has_words(session):
        return None
    connection = session.connection()
    dialect = connection.dialect.name
    words = '"' + query.replace('"', '""') + '"' if dialect == "sqlite" else query
    numbers = list(connection.execute(_WORDS[dialect], {"words": words, "most": FEW + 1}).scalars())
    return numbers if len(numbers) <= FEW else None


def _has_words(session: Session) -> bool:
    """A SQLite without FTS5 has no index of words; PostgreSQL always has."""
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        return True
    there = text("SELECT 1 FROM sqlite_master WHERE name = 'incident_words'")
    return connection.execute(there).first() is not None

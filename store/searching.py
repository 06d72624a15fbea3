"""The search over all incidents: what they can be found by is kept beside each, under an index of its trigrams.

Words are looked for anywhere, without regard to case: in the title, the message, the files and functions of the trace,
the place in the code and its commit, the reason, and in the commits and titles of the changes that a repair has
looked at. Where an index cannot tell (a SQLite without FTS5, words of one or two characters), rows are walked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, TextClause, text
from sqlmodel import Session, and_, col, func, or_, select

from store.acts import plain
from store.bodies import unpacked
from store.database import Database
from store.tables import AttemptRow, EventRow, IncidentRow, ProjectRow, TextRow

FEW = 500  # incidents that are looked at one by one; where more have the words, a page of them is soon found
_SHORTEST = 3  # characters of a word that an index of trigrams can find
_MOST = 6000  # characters that one incident can be found by
_FRAMES = 40  # innermost own frames whose file and function are among them
_MESSAGE = 1000  # characters of one
_EVENT = re.compile(r"[0-9a-f]{32}")
_INDEXES = (
    "incident_words_all",
    "incident_words",
)  # everything once triaged; from the first event on, the title
_POSTGRES = {
    "incident_words_all": "SELECT incident_id FROM incident_texts "
    "WHERE nightdesk_trigrams(lower(words)) @> nightdesk_trigrams(lower(:{0}))",
    "incident_words": "SELECT incident_id FROM incident_words "
    "WHERE nightdesk_trigrams(words) @> nightdesk_trigrams(lower(:{0}))",
}


def note_texts(session: Session, row: IncidentRow) -> None:
    """Keep what an incident can be found by, as it stands in the caller's transaction."""
    number = row.id or 0
    kept = session.get(TextRow, number)
    if kept is None:
        kept = TextRow(incident_id=number)
        session.add(kept)
    parts = dict.fromkeys(part for part in (*_of_incident(row), *_of_repairs(session, number),
                                            *_of_event(session, number)) if part)  # fmt: skip
    kept.words = plain("\n".join(parts))[:_MOST]


def search(
    db: Database, words: Sequence[str], limit: int, projects: Collection[str] | None = None
) -> list[str]:
    """The ids of the incidents in which each of these words stands, or which an event id is of; the one seen last
    first."""
    with db.read() as session:
        wanted: list[ColumnElement[bool]] = [col(IncidentRow.merged_into).is_(None)]
        if projects is not None:
            names = select(ProjectRow.id).where(col(ProjectRow.name).in_(list(projects)))
            wanted.append(col(IncidentRow.project_id).in_(names))
        wanted += [_stands(word) for word in words]
        numbers = _by_event(session, words)
        if numbers is None:
            numbers = _by_index(session, [word for word in words if len(word) >= _SHORTEST])
        if numbers is not None:
            wanted.append(col(IncidentRow.id).in_(numbers))
        statement = (
            select(IncidentRow.id)
            .outerjoin(TextRow, and_(col(TextRow.incident_id) == col(IncidentRow.id)))
            .where(*wanted)
            .order_by(col(IncidentRow.last_seen).desc())
        )
        return [f"INC-{number}" for number in session.exec(statement.limit(limit))]


def _stands(word: str) -> ColumnElement[bool]:
    """That a word stands in what an incident can be found by."""
    own = (IncidentRow.title, IncidentRow.culprit, IncidentRow.why)
    everything = func.coalesce(TextRow.words, "")
    places = [each.icontains(word, autoescape=True) for each in (everything, *map(col, own))]
    if _EVENT.fullmatch(word.lower()):
        places.append(
            col(IncidentRow.id).in_(select(EventRow.incident_id).where(EventRow.event_id == word.lower()))
        )
    return or_(*places)


def _by_event(session: Session, words: Sequence[str]) -> list[int] | None:
    """The incidents of the events that are named; None where none is."""
    ids = [word.lower() for word in words if _EVENT.fullmatch(word.lower())]
    found = session.exec(select(EventRow.incident_id).where(col(EventRow.event_id).in_(ids))) if ids else ()
    return list(found) or None


def _by_index(session: Session, words: Sequence[str]) -> list[int] | None:
    """The incidents that may have all of these words; None where they are many or no index can tell."""
    if not words or not all(word.isprintable() for word in words):
        return None
    dialect = session.connection().dialect.name
    if dialect == "sqlite" and not _is_indexed(session):
        return None
    found: set[int] = set()
    for index in _INDEXES:
        statement, values = _asked(dialect, index, words)
        found |= set(session.connection().execute(statement, {**values, "most": FEW + 1}).scalars())
    return sorted(found) if len(found) <= FEW else None


def _asked(dialect: str, index: str, words: Sequence[str]) -> tuple[TextClause, dict[str, Any]]:
    """The look-up of all of these words in an index."""
    if dialect == "sqlite":
        quoted = " AND ".join('"' + word.replace('"', '""') + '"' for word in words)
        return text(f"SELECT rowid FROM {index} WHERE {index} MATCH :words LIMIT :most"), {"words": quoted}  # noqa: S608
    each = [_POSTGRES[index].format(f"word_{place}") for place in range(len(words))]
    values = {f"word_{place}": word for place, word in enumerate(words)}
    return text(" INTERSECT ".join(each) + " LIMIT :most"), values


def _is_indexed(session: Session) -> bool:
    """A SQLite without FTS5 has no index of words."""
    there = text("SELECT 1 FROM sqlite_master WHERE name = 'incident_words_all'")
    return session.connection().execute(there).first() is not None


def _of_incident(row: IncidentRow) -> Iterator[str]:
    yield from (row.title, row.culprit, row.why)
    place = row.location or {}
    yield from (str(place.get(name) or "") for name in ("repo", "path", "function", "commit"))


def _of_repairs(session: Session, number: int) -> Iterator[str]:
    """The commits and titles of the changes that the last repair has looked at."""
    statement = select(AttemptRow.body).where(AttemptRow.incident_id == number)
    body = session.exec(statement.order_by(col(AttemptRow.number).desc())).first()
    for change in json.loads(body).get("changes", ()) if body else ():
        yield from (change["commit"], change["title"], change.get("pull_request") or "")


def _of_event(session: Session, number: int) -> Iterator[str]:
    """What the newest event with a body says, and the own files and functions of its trace, the innermost first."""
    statement = select(EventRow.body).where(EventRow.incident_id == number, col(EventRow.body).is_not(None))
    body = session.exec(statement.order_by(col(EventRow.number).desc())).first()
    event = json.loads(unpacked(body)) if body else {}
    yield (event.get("message") or "")[:_MESSAGE]
    raised = event.get("exceptions") or ()
    for one in raised:
        yield f"{one.get('type') or ''}: {(one.get('value') or '')[:_MESSAGE]}"
    frames = [frame for one in raised for frame in reversed(one.get("frames") or ())]
    own = [frame for frame in frames if frame.get("in_app")] or frames
    for frame in own[:_FRAMES]:
        yield from (frame.get("filename") or "", frame.get("function") or "")

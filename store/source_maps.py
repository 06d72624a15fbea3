"""Source maps that a team has uploaded: which bundle of which release, and where the map itself is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import col, select

from store.acts import note_act, plain
from store.database import Database
from store.queries import project_row
from store.tables import SourceMapRow


@dataclass(frozen=True)
class KeptMap:
    """One map. `name` is the bundle's, as its address ends; `release` None: of any."""

    name: str
    release: str | None
    debug_id: str | None
    artifact: str
    created_at: datetime | None = None  # None: not yet


def add(db: Database, project: str, kept: KeptMap, by: str) -> None:
    """Keep a map, in place of the one that this bundle of this release had. Raises NotFound for an unknown project."""
    with db.write() as session:
        owner = project_row(session, project)
        place = (
            SourceMapRow.project_id == owner.id,
            SourceMapRow.release == plain(kept.release or ""),
            SourceMapRow.name == plain(kept.name),
        )
        row = session.exec(select(SourceMapRow).where(*place)).first()
        if row is None:
            row = SourceMapRow(
                project_id=owner.id or 0, release=plain(kept.release or ""), name=plain(kept.name),
                artifact="", created_at=datetime.now(UTC),
            )  # fmt: skip
            session.add(row)
        if row.artifact != kept.artifact:
            told = {"name": row.name, "release": kept.release}
            before = {**told, "artifact": row.artifact} if row.artifact else None
            note_act(session, by, "source map", f"project:{owner.name}", before, told)
        row.artifact, row.debug_id, row.created_at = kept.artifact, kept.debug_id, datetime.now(UTC)


def of_release(db: Database, project: str, release: str | None) -> list[KeptMap]:
    """The maps of a release, and after them those of any. Raises NotFound for an unknown project."""
    with db.read() as session:
        owner = project_row(session, project)
        wanted = col(SourceMapRow.release).in_({plain(release or ""), ""})
        statement = select(SourceMapRow).where(SourceMapRow.project_id == owner.id, wanted)
        return [_kept(row) for row in session.exec(statement.order_by(col(SourceMapRow.release).desc()))]


def of_debug_id(db: Database, project: str, debug_id: str) -> KeptMap | None:
    """The map that a bundler gave this id, whatever the release, the newest one."""
    with db.read() as session:
        owner = project_row(session, project)
        statement = (
            select(SourceMapRow)
            .where(SourceMapRow.project_id == owner.id, SourceMapRow.debug_id == debug_id)
            .order_by(col(SourceMapRow.id).desc())
        )
        row = session.exec(statement).first()
        return _kept(row) if row else None


def all_of(db: Database, project: str) -> list[KeptMap]:
    """Every map of a project, in the order in which they came. Raises NotFound for an unknown project."""
    with db.read() as session:
        owner = project_row(session, project)
        statement = select(SourceMapRow).where(SourceMapRow.project_id == owner.id)
        return [_kept(row) for row in session.exec(statement.order_by(col(SourceMapRow.id)))]


def _kept(row: SourceMapRow) -> KeptMap:
    return KeptMap(row.name, row.release or None, row.debug_id, row.artifact, row.created_at)

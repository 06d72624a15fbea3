"""What is to be told to people and programs, kept beside what it is about: at least once, and once if all goes well.

A notice is written by the transaction that makes it true, so none is forgotten; its `key` says what it is about, so
none is written twice. It becomes one delivery for each target. A delivery is claimed before it is sent, for a while:
whoever dies in between leaves it to the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session, col, select, update

from store.database import Database
from store.tables import DeliveryRow, NoticeRow

CLAIM = timedelta(minutes=5)  # how long whoever took a delivery has for it
STALE = timedelta(days=3)  # a notice that is older is told to nobody any more


class Telling(StrEnum):
    """What is worth telling somebody who does not look."""

    FOCUS = "focus"  # an incident came into focus
    PROVEN = "proven"  # a fix is proven: its draft is open, or waits for a person
    RECURRENCE = "recurrence"  # an incident that was resolved is back


@dataclass(frozen=True)
class Notice:
    """One thing to tell. `said` is our own sentence; who sends it looks up how the incident stands by then."""

    id: int
    kind: Telling
    incident_id: str
    said: str
    at: datetime


@dataclass(frozen=True)
class Delivery:
    """A notice on its way to one target; `tries` counts this one."""

    notice: Notice
    target: str
    tries: int


@dataclass(frozen=True)
class Sent:
    """How one delivery stands: for people who ask."""

    notice: Notice
    target: str
    tries: int
    next_at: datetime | None
    sent_at: datetime | None
    said: str


def note(session: Session, kind: Telling, incident: int, key: str, said: str, at: datetime) -> None:
    """Write a notice, inside the transaction of what it tells; a second one of the same key adds nothing."""
    if session.exec(select(NoticeRow.id).where(NoticeRow.key == key)).first() is None:
        session.add(NoticeRow(kind=kind.value, incident_id=incident, key=key, said=said, at=at))
        session.flush()


def unspread(db: Database, limit: int = 100) -> list[Notice]:
    """Notices of which nobody has decided yet to whom they go, oldest first."""
    with db.read() as session:
        statement = select(NoticeRow).where(col(NoticeRow.spread_at).is_(None)).order_by(col(NoticeRow.id))
        return [_notice(row) for row in session.exec(statement.limit(limit))]


def spread(db: Database, notice: Notice, targets: Mapping[str, datetime], now: datetime) -> None:
    """Say to which targets a notice goes, and from when on each. Twice is the same as once."""
    with db.write() as session:
        row = session.get(NoticeRow, notice.id)
        if row is None or row.spread_at is not None:
            return
        row.spread_at = now
        for target, start in targets.items():
            session.add(DeliveryRow(notice_id=notice.id, target=target, next_at=start))


def due(db: Database, target: str, now: datetime) -> bool:
    """Whether something is due for a target: asked often, and without writing."""
    with db.read() as session:
        wanted = (DeliveryRow.target == target, col(DeliveryRow.next_at) <= now)
        return session.exec(select(DeliveryRow.notice_id).where(*wanted)).first() is not None


def claim(db: Database, target: str, now: datetime, limit: int = 50) -> list[Delivery]:
    """Take what is due for a target, oldest first; nobody else gets it for a while."""
    with db.write() as session:
        due = (col(DeliveryRow.target) == target, col(DeliveryRow.next_at) <= now)
        rows = session.exec(
            select(DeliveryRow, NoticeRow)
            .join(NoticeRow, col(NoticeRow.id) == col(DeliveryRow.notice_id))
            .where(*due)
            .order_by(col(DeliveryRow.notice_id))
            .limit(limit)
        ).all()
        taken = []
        for row, told in rows:
            row.tries += 1
            row.next_at = now + CLAIM
            taken.append(Delivery(_notice(told), row.target, row.tries))
        return taken


def arrived(db: Database, found: Collection[Delivery], now: datetime) -> None:
    """Say that they got there."""
    _settle(db, found, sent_at=now, next_at=None, said="")


def dropped(db: Database, found: Collection[Delivery], why: str) -> None:
    """Say that they go nowhere any more, and why."""
    _settle(db, found, next_at=None, said=why[:500])


def later(db: Database, found: Collection[Delivery], at: datetime, why: str) -> None:
    """Have them sent again."""
    _settle(db, found, next_at=at, said=why[:500])


def deliveries(db: Database, limit: int = 50) -> list[Sent]:
    """How the newest deliveries stand, newest first."""
    with db.read() as session:
        statement = (
            select(DeliveryRow, NoticeRow)
            .join(NoticeRow, col(NoticeRow.id) == col(DeliveryRow.notice_id))
            .order_by(col(DeliveryRow.notice_id).desc(), col(DeliveryRow.target))
            .limit(limit)
        )
        return [
            Sent(_notice(told), row.target, row.tries, row.next_at, row.sent_at, row.said)
            for row, told in session.exec(statement)
        ]


def _settle(db: Database, found: Collection[Delivery], **values: object) -> None:
    with db.write() as session:
        for each in found:
            place = (col(DeliveryRow.notice_id) == each.notice.id, col(DeliveryRow.target) == each.target)
            statement = update(DeliveryRow).where(*place).values(**values)
            session.execute(statement.execution_options(synchronize_session=False))


def _notice(row: NoticeRow) -> Notice:
    return Notice(row.id or 0, Telling(row.kind), f"INC-{row.incident_id}", row.said, row.at)

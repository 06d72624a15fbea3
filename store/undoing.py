"""Take back an act: what was said of an incident's status, lane, owner or claim, a merge, a split.

The acts are append-only: an undo is an act of its own that names the one it took back. Acts are taken back in
the reverse of their order wherever one builds on another.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlmodel import Session, col, delete, select

from store.acts import note_act
from store.database import Database
from store.errors import BadPayload, NotFound
from store.project import Act
from store.queries import incident_name
from store.regrouping import move_all, move_events, recount
from store.tables import ActRow, BranchRow, EventRow, FingerprintRow, IncidentRow, MoveRow

_VALUES = ("status", "lane", "owner", "claimed_by")
_REGROUPING = ("merge", "split")
UNDOABLE = (*_VALUES, *_REGROUPING)
_OURSELVES = ("triage", "ingest")  # what the product does by itself is taken back only by its number
_SET_BY = {"lane": "lane_set_by", "owner": "owner_set_by"}


def undo(db: Database, by: str, act_id: int | None = None, reason: str = "") -> Act:
    """Take back the act of this number, or the last one that a person or an assistant did; returns that act.

    Raises NotFound where there is none; BadPayload for one that was taken back already, that cannot be, or on
    which a later one builds."""
    with db.write() as session:
        act = take_back(session, by, act_id, reason)
        return Act(**act.model_dump())


def take_back(session: Session, by: str, act_id: int | None, reason: str = "") -> ActRow:
    """What `undo` does, inside the caller's transaction."""
    undone = taken_back(session)
    act = _last(session, undone) if act_id is None else _named(session, act_id, undone)
    if act.what in _VALUES:
        told = _restore(session, act, undone)
    else:
        _in_order(session, act, undone)
        told = _rejoin(session, act) if act.what == "split" else _part_again(session, act)
    note_act(session, by, "undo", act.subject, {"act": act.id, **told}, act.before, reason)
    return act


def taken_back(session: Session) -> set[int]:
    """The numbers of the acts that were undone."""
    told = session.exec(select(ActRow.before).where(ActRow.what == "undo"))
    return {before["act"] for before in told}


def _last(session: Session, undone: Collection[int]) -> ActRow:
    statement = select(ActRow).where(
        col(ActRow.what).in_(UNDOABLE), col(ActRow.who).not_in(_OURSELVES), col(ActRow.id).not_in(undone)
    )
    act = session.exec(statement.order_by(col(ActRow.id).desc())).first()
    if act is None:
        raise NotFound("There is nothing to undo.")
    return act


def _named(session: Session, number: int, undone: Collection[int]) -> ActRow:
    act = session.get(ActRow, number)
    if act is None:
        raise NotFound(f"There is no act {number}; `nightdesk undo --list` shows those there are.")
    if act.id in undone:
        raise BadPayload(f"Act {number} was taken back already.")
    if act.what not in UNDOABLE:
        raise BadPayload(f"Act {number} ({act.what}) cannot be taken back; do the opposite instead.")
    return act


def _row(session: Session, subject: str) -> IncidentRow:
    """The incident itself, even where it is an alias now."""
    return session.get_one(IncidentRow, int(subject.removeprefix("INC-")))


def _restore(session: Session, act: ActRow, undone: Collection[int]) -> dict[str, Any]:
    """Put one column back, and with it who had set it."""
    same = select(ActRow).where(
        ActRow.subject == act.subject, ActRow.what == act.what, col(ActRow.id).not_in(undone)
    )
    later = session.exec(same.where(col(ActRow.id) > act.id)).first()
    if later is not None:
        raise BadPayload(f"Act {later.id} changed the {act.what} after act {act.id}; undo {later.id} first.")
    row = _row(session, act.subject)
    now = getattr(row, act.what)
    setattr(row, act.what, act.before)
    if act.what in _SET_BY:
        earlier = same.where(col(ActRow.id) < act.id, col(ActRow.who).not_in(_OURSELVES))
        person = session.exec(earlier.order_by(col(ActRow.id).desc())).first()
        setattr(row, _SET_BY[act.what], person.who if person and act.before is not None else None)
    return {"value": now}


def _in_order(session: Session, act: ActRow, undone: Collection[int]) -> None:
    """Refuse where a later merge or split touched the same incidents."""
    later = select(ActRow).where(
        col(ActRow.what).in_(_REGROUPING), col(ActRow.id) > act.id, col(ActRow.id).not_in(undone)
    )
    for other in session.exec(later.order_by(col(ActRow.id).desc())):
        if _touched(act) & _touched(other):
            raise BadPayload(f"Act {other.id} ({other.what}) builds on act {act.id}; undo {other.id} first.")


def _touched(act: ActRow) -> set[int]:
    """The numbers of the incidents that a merge or split was about."""
    made = act.after.get("made", {}).values()
    return {act.before["incident"], *made, *([act.after["into"]] if "into" in act.after else [])}


def _part_again(session: Session, act: ActRow) -> dict[str, Any]:
    """Undo a merge: give back the fingerprints, the events that came along, and those that came in since by these
    fingerprints."""
    gone = session.get_one(IncidentRow, act.before["incident"])
    kept = session.get_one(IncidentRow, act.after["into"])
    prints = act.before["fingerprints"]
    mine = col(EventRow.incident_id) == kept.id
    came = col(EventRow.id).in_(select(MoveRow.event_id).where(MoveRow.act_id == act.id))
    since = (col(EventRow.id) > act.before["last_event"]) & col(EventRow.fingerprint_id).in_(prints)
    move_events(session, mine & (came | since), gone)
    for row in session.exec(
        select(FingerprintRow).where(
            col(FingerprintRow.id).in_(prints), FingerprintRow.incident_id == kept.id
        )
    ):
        row.incident_id = gone.id or 0
    gone.merged_into = None
    recount(session, gone)
    recount(session, kept)
    return {"parted": [incident_name(gone), incident_name(kept)]}


def _rejoin(session: Session, act: ActRow) -> dict[str, Any]:
    """Undo a split: the parts, also those that its rule has made since, become aliases of the whole."""
    whole = session.get_one(IncidentRow, act.before["incident"])
    made = set(act.after["made"].values())
    if act.after["by"] != "fingerprint":
        branches = select(BranchRow.target_id).where(BranchRow.incident_id == whole.id)
        made |= set(session.exec(branches)) - {whole.id}
        session.exec(delete(BranchRow).where(col(BranchRow.incident_id) == whole.id))
        whole.split_by = None
    parts = [session.get_one(IncidentRow, number) for number in sorted(made)]
    joined = [part for part in parts if part.merged_into is None]
    for part in joined:
        move_all(session, part, whole)
    return {"joined": [incident_name(part) for part in joined]}

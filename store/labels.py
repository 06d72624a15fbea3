"""What an assistant says of an incident is a label only once a person has confirmed it.

Its word takes effect at once and is kept as an act like anybody's; beside it a proposal is kept, which a person
confirms, or dismisses: then the word is taken back. All of it is in the append-only table of acts.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from store.acts import note_act
from store.database import Database
from store.errors import BadPayload, NotFound
from store.event import Value
from store.queries import incident_name, incident_row
from store.tables import ActRow
from store.undoing import take_back, taken_back

_PROPOSED, _DECIDED = "label_proposed", "label_decided"


class Proposal(Value):
    """A label that waits for a person. `act` is the number of the act that it came with."""

    act: int
    incident: str
    label: str  # noise, not_noise, resolved
    said_by: str
    said_at: datetime
    reason: str = ""


def propose(session: Session, act: ActRow, label: str) -> None:
    """Keep, in the transaction of an assistant's act, that it is no label yet."""
    session.flush()
    note_act(session, act.who, _PROPOSED, act.subject, {"act": act.id}, label, act.reason)


def pending(db: Database, incident_id: str | None = None) -> list[Proposal]:
    """The labels that wait for a person, oldest first: all, or an incident's. Raises NotFound."""
    with db.read() as session:
        subject = None if incident_id is None else incident_name(incident_row(session, incident_id))
        return _pending(session, subject)


def decide(db: Database, incident_id: str, by: str, *, confirmed: bool, reason: str = "") -> list[Proposal]:
    """A person's word on what waits for one of an incident: from now on it is a label, or it is taken back
    together with what it changed. Raises NotFound where nothing waits."""
    with db.write() as session:
        name = incident_name(incident_row(session, incident_id))
        waiting = _pending(session, name)
        if not waiting:
            raise NotFound(f"Nothing that was said of {name} waits for a person.")
        for proposal in reversed(waiting):
            if not confirmed and proposal.act not in taken_back(session):
                _take_back(session, proposal, by, reason)
            told = {"label": proposal.label, "confirmed": confirmed}
            note_act(session, by, _DECIDED, name, {"act": proposal.act}, told, reason)
        return waiting


def _take_back(session: Session, proposal: Proposal, by: str, reason: str) -> None:
    try:
        take_back(session, by, proposal.act, reason)
    except BadPayload:  # somebody has said something else since, which stays
        return


def _pending(session: Session, subject: str | None) -> list[Proposal]:
    statement = select(ActRow).where(col(ActRow.what).in_([_PROPOSED, _DECIDED])).order_by(col(ActRow.id))
    if subject is not None:
        statement = statement.where(ActRow.subject == subject)
    waiting: dict[int, Proposal] = {}
    for row in session.exec(statement):
        number = row.before["act"]
        if row.what == _DECIDED:
            waiting.pop(number, None)
        else:
            waiting[number] = Proposal(
                act=number, incident=row.subject, label=row.after, said_by=row.who, said_at=row.at,
                reason=row.reason,
            )  # fmt: skip
    undone = taken_back(session)
    return [proposal for proposal in waiting.values() if proposal.act not in undone]

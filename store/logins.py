"""Logins: one-time links, sessions and passwords; and how often something was tried. Each function is one
transaction.

Links and sessions are 256 random bits of which only the SHA-256 is kept. Passwords come here encoded already.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlmodel import Session, col, delete, select

from store.accounts import digest, user_row, user_value
from store.acts import note_act
from store.database import Database
from store.people import Login, User
from store.tables import LoginLinkRow, SessionRow, TallyRow, UserRow

LINK = timedelta(hours=1)  # how long a link is good
SESSION = timedelta(days=14)  # how long a login lasts, whatever is done in it
_OPERATOR = "operator"


def create_link(db: Database, user: str | None, now: datetime, by: str = _OPERATOR) -> str:
    """The secret of a link that logs `user` in once; None is the operator. Raises NotFound."""
    secret = secrets.token_urlsafe(32)
    with db.write() as session:
        session.exec(delete(LoginLinkRow).where(col(LoginLinkRow.expires_at) <= now))
        row = None if user is None else user_row(session, user)
        session.add(
            LoginLinkRow(digest=digest(secret), user_id=row.id if row else None, expires_at=now + LINK)
        )
        note_act(session, by, "login link", f"user:{row.name if row else _OPERATOR}", None, None)
    return secret


def use_link(db: Database, secret: str, now: datetime) -> str | None:
    """Start a session with a link and use the link up; None where it is not known, used or expired."""
    with db.write() as session:
        link = session.get(LoginLinkRow, digest(secret))
        if link is None:
            return None
        session.delete(link)
        return _started(session, link.user_id, now) if link.expires_at > now else None


def start_session(db: Database, user: str, now: datetime) -> str:
    """The secret of a new session of somebody who has shown who they are. Raises NotFound."""
    with db.write() as session:
        return _started(session, user_row(session, user).id, now)


def session_of(db: Database, secret: str, now: datetime) -> Login | None:
    """Who is logged in with this secret; None where it is not known or over, or they were removed."""
    with db.read() as session:
        row = session.get(SessionRow, digest(secret))
        if row is None or row.expires_at <= now:
            return None
        user = _person(session, row.user_id)
        if row.user_id is not None and user is None:
            return None
        return Login(user=user, expires_at=row.expires_at)


def end_session(db: Database, secret: str) -> None:
    """Log out; twice is the same as once."""
    with db.write() as session:
        session.exec(delete(SessionRow).where(col(SessionRow.digest) == digest(secret)))


def set_password(db: Database, name: str, encoded: str, by: str = _OPERATOR) -> None:
    """Keep an encoded password; whoever is logged in as this person is logged out. Raises NotFound."""
    with db.write() as session:
        row = user_row(session, name)
        row.password = encoded
        session.exec(delete(SessionRow).where(col(SessionRow.user_id) == row.id))
        note_act(session, by, "password", f"user:{row.name}", None, None)


def password_of(db: Database, name: str) -> str | None:
    """The encoded password of somebody; None where there is nobody of this name, or no password."""
    with db.read() as session:
        found = select(UserRow).where(UserRow.name == name, col(UserRow.removed_at).is_(None))
        row = session.exec(found).first()
        return row.password if row else None


def counted(db: Database, name: str, window: timedelta, now: datetime) -> int:
    """Count one more of `name`; how many there were in this window with it."""
    with db.write() as session:
        session.exec(delete(TallyRow).where(col(TallyRow.since) <= now - timedelta(days=1)))
        row = session.get(TallyRow, name)
        if row is None:
            row = TallyRow(name=name, since=now, count=0)
            session.add(row)
        if row.since <= now - window:
            row.since, row.count = now, 0
        row.count += 1
        return row.count


def forget_count(db: Database, name: str) -> None:
    """Begin to count `name` anew."""
    with db.write() as session:
        session.exec(delete(TallyRow).where(col(TallyRow.name) == name))


def _started(session: Session, user_id: int | None, now: datetime) -> str:
    secret = secrets.token_urlsafe(32)
    session.exec(delete(SessionRow).where(col(SessionRow.expires_at) <= now))
    session.add(SessionRow(digest=digest(secret), user_id=user_id, created_at=now, expires_at=now + SESSION))
    return secret


def _person(session: Session, user_id: int | None) -> User | None:
    row = None if user_id is None else session.get(UserRow, user_id)
    return None if row is None or row.removed_at else user_value(session, row)

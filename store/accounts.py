"""Users and tokens: kept, looked up, taken away. Each function is one transaction.

A token reads `nd_ID_SECRET`. Of the secret, 256 random bits, only the SHA-256 is kept: nothing that the database
holds opens a door.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, delete, select

from store.acts import note_act
from store.database import Database
from store.errors import BadPayload, NotAllowed, NotFound
from store.people import Role, Scope, Token, User
from store.queries import project_row
from store.tables import (
    GrantRow,
    LoginLinkRow,
    MembershipRow,
    ProjectRow,
    SessionRow,
    TokenRow,
    UserRow,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_TOKEN = re.compile(r"nd_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODYS = hashlib.sha256(b"").hexdigest()
_OPERATOR = "operator"
# Who is named so in the record of acts is no person: the server's own parts, and whoever sits at it.
_RESERVED = frozenset({_OPERATOR, "policy", "ingest", "triage", "worker"})


# --- users ----------------------------------------------------------------------------------------


def add_user(db: Database, name: str, role: Role, project: str | None = None, by: str = _OPERATOR) -> User:
    """Give a person a role, in one project or (None) in all; the role they have there is replaced.

    Raises BadPayload for a name that cannot be one, NotFound for an unknown project."""
    if not _NAME.fullmatch(name):
        raise BadPayload(
            f"{name[:100]!r} cannot be a user's name: it has letters, digits and '.', '_', '@', '+', '-', "
            "at most 64 of them."
        )
    if name.lower() in _RESERVED:
        raise BadPayload(
            f"{name!r} cannot be a user's name: a part of the server is called so in the record."
        )
    with db.write() as session:
        row = session.exec(select(UserRow).where(UserRow.name == name)).first()
        if row is None:
            row = UserRow(name=name, created_at=datetime.now(UTC))
            session.add(row)
            session.flush()
        before = None if row.removed_at else user_value(session, row).model_dump(mode="json")
        row.removed_at = None
        if project is None:
            row.role = role.value
        else:
            place = (row.id or 0, project_row(session, project).id or 0)
            member = session.get(MembershipRow, place) or MembershipRow(
                user_id=place[0], project_id=place[1], role=""
            )
            member.role = role.value
            session.add(member)
        session.flush()
        after = user_value(session, row)
        note_act(session, by, "user", f"user:{name}", before, after.model_dump(mode="json"))
        return after


def admit(db: Database, name: str, role: Role | None) -> User:
    """Somebody for whom another door has vouched. Who is new gets `role` everywhere.

    Raises NotAllowed for somebody who was removed, and where whoever is new has to be added first (no `role`);
    BadPayload for a name that cannot be one."""
    with db.read() as session:
        row = session.exec(select(UserRow).where(UserRow.name == name)).first()
        if row is not None and row.removed_at is None:
            return user_value(session, row)
    if row is not None or role is None:
        raise NotAllowed(f"{name[:100]!r} may not come in here yet: an admin adds them in the settings.")
    return add_user(db, name, role, by="single sign-on")


def remove_user(db: Database, name: str, project: str | None = None, by: str = _OPERATOR) -> User:
    """Take a person's role in one project away, or (None) all of them together with their tokens.

    Returns who they were before. Raises NotFound for an unknown user, project or role."""
    with db.write() as session:
        row = user_row(session, name)
        before = user_value(session, row)
        members = select(MembershipRow).where(MembershipRow.user_id == row.id)
        if project is not None:
            members = members.where(MembershipRow.project_id == project_row(session, project).id)
        found = session.exec(members).all()
        if project is not None and not found:
            raise NotFound(
                f"{name!r} has no role in {project[:100]!r}; `nightdesk user list` shows the roles."
            )
        for member in found:
            session.delete(member)
        if project is None:
            row.role, row.removed_at = None, datetime.now(UTC)
            _revoke_all(session, row)
        note_act(session, by, "user", f"user:{row.name}", before.model_dump(mode="json"), None)
        return before


def users(db: Database) -> list[User]:
    """Everybody, by name."""
    with db.read() as session:
        statement = select(UserRow).where(col(UserRow.removed_at).is_(None)).order_by(col(UserRow.name))
        return [user_value(session, row) for row in session.exec(statement).all()]


# --- tokens ---------------------------------------------------------------------------------------


def create_token(
    db: Database,
    *,
    name: str = "",
    scopes: Sequence[Scope] = (Scope.READ,),
    days: int = 90,
    user: str | None = None,
    project: str | None = None,
    by: str = _OPERATOR,
) -> tuple[str, Token]:
    """Make a token; its text is returned here and never again. Raises NotFound for an unknown user or
    project."""
    identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    with db.write() as session:
        row = TokenRow(
            id=identity,
            name=name or identity,
            digest=digest(secret),
            scopes=[scope.value for scope in dict.fromkeys(scopes)],
            user_id=None if user is None else user_row(session, user).id,
            project_id=None if project is None else project_row(session, project).id,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        session.add(row)
        session.flush()
        token = _token(session, row)
        note_act(session, by, "token", f"token:{identity}", None, {"name": row.name, "scopes": row.scopes})
        return f"nd_{identity}_{secret}", token


def tokens(db: Database) -> list[Token]:
    """Every token, those out of use too, oldest first."""
    with db.read() as session:
        statement = select(TokenRow).order_by(col(TokenRow.created_at), col(TokenRow.id))
        return [_token(session, row) for row in session.exec(statement).all()]


def token(db: Database, text: str, now: datetime) -> Token | None:
    """The token that reads like this, or None where it is not known, was revoked or has expired.

    The part that finds the row is no secret; the secret is compared in constant time, and also where there is
    no such row: how long the answer takes tells nothing."""
    given = _TOKEN.fullmatch(text)
    identity, secret = given.groups() if given else ("", "")
    with db.read() as session:
        row = session.get(TokenRow, identity)
        fits = hmac.compare_digest(digest(secret), row.digest if row else _NOBODYS)
        if row is None or not given or not fits or row.revoked_at or row.expires_at <= now:
            return None
        return _token(session, row)


def touch_token(db: Database, identity: str, now: datetime) -> None:
    """Remember that a token was used, to the hour: reading must not cost a write each time."""
    with db.write() as session:
        row = session.get(TokenRow, identity)
        if row is not None:
            row.last_used_at = now.replace(minute=0, second=0, microsecond=0)


def revoke_token(db: Database, ref: str, by: str = _OPERATOR) -> Token:
    """Take a token out of use, for ever, by its id or its whole text; twice is the same as once. Raises
    NotFound."""
    whole = _TOKEN.fullmatch(ref)
    with db.write() as session:
        row = session.get(TokenRow, whole.group(1) if whole else ref)
        if row is None:
            raise NotFound("There is no token with this id; `nightdesk token list` shows the ids.")
        if row.revoked_at is None:
            row.revoked_at = datetime.now(UTC)
            note_act(session, by, "token", f"token:{row.id}", {"revoked": False}, {"revoked": True})
        return _token(session, row)


# --- rows and values ------------------------------------------------------------------------------


def digest(secret: str) -> str:
    """What is kept of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def user_row(session: Session, name: str) -> UserRow:
    """The row of somebody who was not removed. Raises NotFound."""
    row = session.exec(select(UserRow).where(UserRow.name == name, col(UserRow.removed_at).is_(None))).first()
    if row is None:
        raise NotFound(f"There is no user {name[:100]!r}; `nightdesk user list` shows them.")
    return row


def user_value(session: Session, row: UserRow) -> User:
    """A person with all their roles."""
    statement = (
        select(ProjectRow.name, MembershipRow.role)
        .join(MembershipRow, col(MembershipRow.project_id) == col(ProjectRow.id))
        .where(MembershipRow.user_id == row.id)
        .order_by(col(ProjectRow.id))
    )
    roles = {name: Role(role) for name, role in session.exec(statement)}
    return User(name=row.name, role=None if row.role is None else Role(row.role), roles=roles)


def _token(session: Session, row: TokenRow) -> Token:
    user = None if row.user_id is None else user_value(session, session.get_one(UserRow, row.user_id))
    project = None if row.project_id is None else session.get_one(ProjectRow, row.project_id).name
    return Token(
        id=row.id,
        name=row.name,
        scopes=tuple(Scope(scope) for scope in row.scopes),
        user=user,
        project=project,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def _revoke_all(session: Session, user: UserRow) -> None:
    """Nothing that somebody who is removed has given away or holds is good any more."""
    now = datetime.now(UTC)
    theirs = select(TokenRow).where(TokenRow.user_id == user.id, col(TokenRow.revoked_at).is_(None))
    for row in session.exec(theirs).all():
        row.revoked_at = now
    granted = select(GrantRow).where(GrantRow.user_id == user.id, col(GrantRow.revoked_at).is_(None))
    for grant in session.exec(granted).all():
        grant.revoked_at = now
    user.password = None
    session.exec(delete(SessionRow).where(col(SessionRow.user_id) == user.id))
    session.exec(delete(LoginLinkRow).where(col(LoginLinkRow.user_id) == user.id))

"""What persons let programs do: granted, fetched as tokens, renewed, taken away. Each function is one
transaction that holds the write lock from its start, so two who bring the same code cannot both be first.

Codes and tokens are 256 random bits of which only the SHA-256 is kept. All that a grant gave ends with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session, col, delete, select

from store.accounts import digest, user_row, user_value
from store.acts import note_act
from store.clients import mark_used
from store.database import Database
from store.errors import NotFound
from store.people import Client, Grant, Scope
from store.tables import CodeRow, GrantRow, GrantTokenRow, UserRow

CODE = timedelta(minutes=5)  # how long a code can be brought
ACCESS = timedelta(hours=1)  # how long an access token is good at most
GRACE = timedelta(seconds=30)  # how long a refresh token may be used once more: two of one client at a time
ACCESS_MARK, REFRESH_MARK, CODE_MARK = "nda_", "ndr_", "ndc_"
_KEPT = timedelta(days=30)  # how long a grant that has ended is listed
_OPERATOR = "operator"


class Refusal(StrEnum):
    """Why a code or a refresh token gets nothing."""

    UNKNOWN = "unknown"
    ENDED = "ended"  # expired, or its grant was revoked
    REPLAYED = "replayed"  # used before: its grant is revoked now
    OTHER_CLIENT = "other client"
    OTHER_REDIRECT = "other redirect"
    WRONG_VERIFIER = "wrong verifier"
    WRONG_AUDIENCE = "wrong audience"
    WRONG_SCOPE = "wrong scope"


@dataclass(frozen=True)
class Pair:
    """What a program gets: an access token, the token that gets the next pair, and what they are good for."""

    access: str
    refresh: str
    scopes: tuple[Scope, ...]
    seconds: int  # how long the access token is good


def open_grant(
    db: Database,
    client: Client,
    user: str | None,
    *,
    scopes: Sequence[Scope],
    audience: str,
    lifetime: timedelta,
    redirect_uri: str,
    challenge: str,
    now: datetime,
) -> str:
    """Write down what `user` (None: the operator) lets a program do; the code with which it fetches that.
    `challenge` is the S256 one of PKCE. Raises NotFound for an unknown user."""
    code = CODE_MARK + secrets.token_urlsafe(32)
    with db.write() as session:
        _prune(session, now)
        row = GrantRow(
            id=secrets.token_hex(6),
            client_id=client.id,
            client_name=client.name,
            user_id=None if user is None else user_row(session, user).id,
            scopes=[scope.value for scope in scopes],
            audience=audience,
            created_at=now,
            expires_at=now + lifetime,
        )
        session.add(row)
        session.flush()
        session.add(
            CodeRow(
                digest=digest(code),
                grant_id=row.id,
                redirect_uri=redirect_uri,
                challenge=challenge,
                expires_at=now + CODE,
            )
        )
        mark_used(session, client.id, now)
        said = {"client": client.name, "scopes": row.scopes, "until": row.expires_at.isoformat()}
        note_act(session, user or _OPERATOR, "grant", f"grant:{row.id}", None, said)
    return code


def redeem(
    db: Database,
    code: str,
    client_id: str,
    *,
    verifier: str,
    redirect_uri: str | None,
    audience: str | None,
    now: datetime,
) -> Pair | Refusal:
    """The first pair of tokens for a code. `redirect_uri` and `audience` count where they are given. A code that
    comes twice takes back all that it gave."""
    with db.write() as session:
        row = session.get(CodeRow, digest(code))
        grant = None if row is None else session.get_one(GrantRow, row.grant_id)
        if row is None or grant is None:
            return Refusal.UNKNOWN
        if grant.client_id != client_id:
            return Refusal.OTHER_CLIENT
        if row.used_at is not None:
            _revoke(session, grant, now)
            return Refusal.REPLAYED
        if row.expires_at <= now or _over(grant, now):
            return Refusal.ENDED
        if redirect_uri not in {None, row.redirect_uri}:
            return Refusal.OTHER_REDIRECT
        if not hmac.compare_digest(_challenge(verifier), row.challenge):
            return Refusal.WRONG_VERIFIER
        if audience not in {None, grant.audience}:
            return Refusal.WRONG_AUDIENCE
        row.used_at = now
        grant.used_at = _hour(now)
        return _pair(session, grant, grant.scopes, now)


def renew(
    db: Database,
    token: str,
    client_id: str,
    *,
    scopes: Iterable[str] | None,
    audience: str | None,
    now: datetime,
) -> Pair | Refusal:
    """The next pair for a refresh token, which is used up. `scopes` narrows the access token. One that comes
    again after `GRACE` was stolen by somebody: all that its grant gave is taken back."""
    with db.write() as session:
        row = _token_row(session, token, refresh=True)
        grant = None if row is None else session.get_one(GrantRow, row.grant_id)
        if row is None or grant is None:
            return Refusal.UNKNOWN
        if grant.client_id != client_id:
            return Refusal.OTHER_CLIENT
        if _over(grant, now):
            return Refusal.ENDED
        if row.used_at is not None and row.used_at + GRACE <= now:
            _revoke(session, grant, now)
            return Refusal.REPLAYED
        if audience not in {None, grant.audience}:
            return Refusal.WRONG_AUDIENCE
        wanted = grant.scopes if scopes is None else list(dict.fromkeys(scopes))
        if not wanted or not set(wanted) <= set(grant.scopes):
            return Refusal.WRONG_SCOPE
        row.used_at = row.used_at or now
        grant.used_at = _hour(now)
        return _pair(session, grant, wanted, now)


def access(db: Database, token: str, now: datetime) -> Grant | None:
    """The grant behind an access token, with the token's scopes; None where it is not known, or over."""
    with db.read() as session:
        row = _token_row(session, token, refresh=False)
        grant = None if row is None else session.get_one(GrantRow, row.grant_id)
        if row is None or grant is None or row.expires_at <= now or _over(grant, now):
            return None
        found = _grant(session, grant)
        return found.model_copy(update={"scopes": tuple(Scope(scope) for scope in row.scopes)})


def touch(db: Database, identity: str, now: datetime) -> None:
    """Remember that a grant was used, to the hour: reading must not cost a write each time."""
    with db.write() as session:
        row = session.get(GrantRow, identity)
        if row is not None:
            row.used_at = _hour(now)


def grants(db: Database, user: str | None = None) -> list[Grant]:
    """What was granted and fetched, newest first, what has ended lately too; with `user` by this person only."""
    with db.read() as session:
        statement = select(GrantRow).where(col(GrantRow.used_at).is_not(None))
        if user is not None:
            statement = statement.where(GrantRow.user_id == user_row(session, user).id)
        statement = statement.order_by(col(GrantRow.created_at).desc(), col(GrantRow.id))
        return [_grant(session, row) for row in session.exec(statement).all()]


def grant(db: Database, identity: str) -> Grant:
    """One grant. Raises NotFound."""
    with db.read() as session:
        return _grant(session, _grant_row(session, identity))


def revoke_grant(db: Database, identity: str, now: datetime, by: str = _OPERATOR) -> Grant:
    """End a grant with all it gave, at once and for ever; twice is the same as once. Raises NotFound."""
    with db.write() as session:
        row = _grant_row(session, identity)
        _revoke(session, row, now, by)
        return _grant(session, row)


def revoke_by_token(db: Database, token: str, client_id: str | None, now: datetime) -> bool:
    """A program gives a token back: with a refresh token its whole grant, with an access token that one. False
    where the token is another client's, which stays as it is; one that nobody has is given back already."""
    with db.write() as session:
        row = session.get(GrantTokenRow, digest(token))
        if row is None:
            return True
        found = session.get_one(GrantRow, row.grant_id)
        if client_id not in {None, found.client_id}:
            return False
        if row.refresh:
            _revoke(session, found, now, found.client_name)
        else:
            session.delete(row)
        return True


def _token_row(session: Session, token: str, *, refresh: bool) -> GrantTokenRow | None:
    row = session.get(GrantTokenRow, digest(token))
    return row if row is not None and row.refresh is refresh else None


def _pair(session: Session, grant: GrantRow, scopes: Sequence[str], now: datetime) -> Pair:
    access, refresh = (mark + secrets.token_urlsafe(32) for mark in (ACCESS_MARK, REFRESH_MARK))
    until = min(now + ACCESS, grant.expires_at)
    session.exec(
        delete(GrantTokenRow).where(
            col(GrantTokenRow.grant_id) == grant.id,
            col(GrantTokenRow.refresh).is_(False),
            col(GrantTokenRow.expires_at) <= now,
        )
    )
    session.add(
        GrantTokenRow(
            digest=digest(access), grant_id=grant.id, refresh=False, scopes=list(scopes), expires_at=until
        )
    )
    session.add(
        GrantTokenRow(
            digest=digest(refresh),
            grant_id=grant.id,
            refresh=True,
            scopes=grant.scopes,
            expires_at=grant.expires_at,
        )
    )
    seconds = int((until - now).total_seconds())
    return Pair(access, refresh, tuple(Scope(scope) for scope in scopes), seconds)


def _revoke(session: Session, grant: GrantRow, now: datetime, by: str = _OPERATOR) -> None:
    if grant.revoked_at is None:
        grant.revoked_at = now
        note_act(session, by, "grant", f"grant:{grant.id}", {"revoked": False}, {"revoked": True})


def _over(grant: GrantRow, now: datetime) -> bool:
    return grant.revoked_at is not None or grant.expires_at <= now


def _prune(session: Session, now: datetime) -> None:
    """What ended a month ago, and what was never fetched."""
    stale = select(GrantRow).where(
        (col(GrantRow.expires_at) <= now - _KEPT)
        | (col(GrantRow.revoked_at) <= now - _KEPT)
        | (col(GrantRow.used_at).is_(None) & (col(GrantRow.created_at) <= now - timedelta(days=1)))
    )
    for row in session.exec(stale).all():
        session.exec(delete(CodeRow).where(col(CodeRow.grant_id) == row.id))
        session.exec(delete(GrantTokenRow).where(col(GrantTokenRow.grant_id) == row.id))
        session.delete(row)
    session.flush()


def _grant_row(session: Session, identity: str) -> GrantRow:
    row = session.get(GrantRow, identity)
    if row is None:
        raise NotFound("There is no grant with this id; `nightdesk grants list` shows the ids.")
    return row


def _grant(session: Session, row: GrantRow) -> Grant:
    user = None if row.user_id is None else user_value(session, session.get_one(UserRow, row.user_id))
    return Grant(
        id=row.id,
        client_id=row.client_id,
        client_name=row.client_name,
        user=user,
        scopes=tuple(Scope(scope) for scope in row.scopes),
        audience=row.audience,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        revoked_at=row.revoked_at,
    )


def _challenge(verifier: str) -> str:
    """The S256 challenge of PKCE."""
    hashed = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)

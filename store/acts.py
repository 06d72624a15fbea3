"""What was done is written down beside it; and text as a database takes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from store.tables import ActRow

_TEXT = 500  # characters of a title, a culprit, a name


def act_values(
    who: str, what: str, subject: str, before: Any, after: Any, reason: str = ""
) -> dict[str, Any]:
    """The columns of an act that happens now."""
    return {
        "at": datetime.now(UTC), "who": plain(who), "what": what, "subject": subject, "before": before,
        "after": after, "reason": plain(reason),
    }  # fmt: skip


def note_act(
    session: Session, who: str, what: str, subject: str, before: Any, after: Any, reason: str = ""
) -> ActRow:
    """Append to the acts, inside the transaction that does what they tell of."""
    act = ActRow(**act_values(who, what, subject, before, after, reason))
    session.add(act)
    return act


def plain(text: str) -> str:
    """Hostile text as a database takes it: bounded, without NULs and without half characters."""
    text = text[:_TEXT]
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")

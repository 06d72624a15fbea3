"""What a person is asked, in plain words: scopes and lifetimes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from store.people import Grant, Scope

SCOPES: Mapping[Scope, str] = {
    Scope.READ: "Read incidents, their events and the source lines around them; claim an incident",
    Scope.FIX: "Start repairs, and have patches judged in the sandbox",
    Scope.DRAFT: "Open drafts of fixes that are proven, where the policy lets them open by themselves",
    Scope.STATE: "Say that incidents are resolved, muted, noise, or open again",
}
LIFETIMES: Mapping[str, tuple[str, timedelta]] = {
    "1h": ("1 hour", timedelta(hours=1)),
    "8h": ("8 hours", timedelta(hours=8)),
    "30d": ("30 days", timedelta(days=30)),
    "90d": ("90 days", timedelta(days=90)),
}
USUAL = "8h"


def state_of(grant: Grant, now: datetime) -> str:
    """Whether a grant is good, in words."""
    if grant.revoked_at is not None:
        return f"taken back on {grant.revoked_at:%Y-%m-%d}"
    verb = "ended" if grant.expires_at <= now else "ends"
    return f"{verb} on {grant.expires_at:%Y-%m-%d %H:%M} UTC"


def is_live(grant: Grant, now: datetime) -> bool:
    """Whether a grant is good."""
    return grant.revoked_at is None and grant.expires_at > now

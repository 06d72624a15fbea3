"""Passwords: Argon2id, with the parameters that its library recommends. Slow on purpose, so two at a time."""

from __future__ import annotations

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from store.errors import BadPayload

SHORTEST, LONGEST = 12, 256  # characters
_HASHER = PasswordHasher()
_AT_ONCE = threading.Semaphore(2)  # each takes 64 MiB while it is at work


def encoded(password: str) -> str:
    """What is kept of a password. Raises BadPayload for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadPayload(f"A password has {SHORTEST} to {LONGEST} characters; several words do well.")
    with _AT_ONCE:
        return _HASHER.hash(password)


def fits(kept: str | None, password: str) -> bool:
    """Whether this is the password. Takes the same time where there is none: it tells nothing of who exists."""
    with _AT_ONCE:
        try:
            _HASHER.verify(kept or _nobodys(), password[: LONGEST + 1])
        except (VerifyMismatchError, InvalidHashError):
            return False
    return kept is not None


@cache
def _nobodys() -> str:
    """What a password is compared with where there is none."""
    return _HASHER.hash("the password of nobody")

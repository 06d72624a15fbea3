"""The errors of the house. Each one's text is shown to a person: it says what happened and what to do next.

    NightdeskError
    ├── BadPayload       what was sent is not what it says it is          (HTTP 400, exit 1)
    ├── NotAllowed       a key, token or policy says no                   (401/403)
    ├── OverLimit        too large or too many                            (413/429)
    ├── NotFound         no such incident, project, repository, release   (404)
    ├── Unavailable      something we rely on is not there right now; `retry` says whether trying again helps
    ├── SandboxRefused   no sandbox passed its self-test: nothing of the application is run
    └── BudgetSpent      time, steps, tokens or money of this attempt are used up

An *outcome* is a value, not an exception: "not reproduced", "undetermined", "needs a decision" are results.
"""

from __future__ import annotations


class NightdeskError(Exception):
    """Root of every error that Nightdesk raises on purpose."""


class BadPayload(NightdeskError):
    """The body is not what it says it is."""


class NotAllowed(NightdeskError):
    """The key, token or policy does not permit this."""


class OverLimit(NightdeskError):
    """A bound was exceeded."""


class NotFound(NightdeskError):
    """There is no such thing."""


class Unavailable(NightdeskError):
    """Something we rely on does not answer or is not installed."""

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.retry = retry


class SandboxRefused(NightdeskError):
    """No sandbox passed its self-test."""


class BudgetSpent(NightdeskError):
    """The attempt has used what it was given."""

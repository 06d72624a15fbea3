"""The sandbox of a machine that has none: it refuses, and says why."""

from __future__ import annotations

from fixloop import Job, Result, SelfTest, Session
from store.errors import SandboxRefused


class Refuse:
    """`fixloop.Sandbox` that runs nothing. `reason`: one sentence, with what to do."""

    name = "refuse"

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def self_test(self) -> SelfTest:
        """Never ok."""
        return SelfTest(self.name, False, self._reason)

    def run(self, job: Job, stdin: bytes = b"") -> Result:
        """Always raises SandboxRefused."""
        raise SandboxRefused(self._reason)

    def open(self, job: Job) -> Session:
        """Always raises SandboxRefused."""
        raise SandboxRefused(self._reason)

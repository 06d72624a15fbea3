"""Who may write what a repair found: one run of one worker at a time.

A worker that was stopped for longer than its lease goes on when it is woken, while another one is steps ahead or done.
The engine refuses what it says then; what it writes into the main database has to be refused there, or an old state
takes the place of the end. So each run says in the database that it is the one, and only then asks the engine whether
that is true: whoever takes the work over says so later, and the one before is refused from that moment on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fixloop.stopping import Stopped
from store import journal
from store.database import Database
from store.repair import Attempt


@dataclass(frozen=True)
class Hold:
    """The right of `run` (a name that no other has) to write a repair. `ours` asks the engine whether this run still
    has it."""

    database: Database
    attempt_id: str
    run: str
    ours: Callable[[], bool]

    def take(self) -> None:
        """Be the one that writes. Raises Stopped where the repair was given up or is somebody else's by now."""
        if not journal.hold_attempt(self.database, self.attempt_id, self.run) or not self.ours():
            raise Stopped

    def keep(self, attempt: Attempt) -> None:
        """Keep what was found. Raises Stopped as `take` does, and nothing is kept then.

        One that woke late may have said that it is the one before it knew better: who has the work says it again."""
        while not journal.keep_attempt(self.database, attempt, self.run):
            self.take()

"""What a step of a repair asks of a model, written down before each request goes out, and after its answer.

A step that is killed is done again. What the killed one had paid counts, the request that was under way as dear as it
can have been, and its transcript is the beginning of that of the next.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fixloop.agent.desk import Desk
from fixloop.agent.purse import Spent
from fixloop.models import Exchange
from server.house import House
from server.repairs.hold import Hold
from server.repairs.models import record
from store import journal, queries
from store.errors import NotFound
from store.incident import Step

UNDER_WAY = "under_way"  # in the details of a step that has not come to its end


class Ledger:
    """Of one step of one attempt, on one input (by which its line in the log is known)."""

    def __init__(self, house: House, attempt_id: str, step: str, given: str, hold: Hold | None) -> None:
        self._house, self._attempt, self._step, self._input = house, attempt_id, step, given
        self._hold, self._began = hold, datetime.now(UTC)
        told = self._left_behind()
        self.before = Spent.model_validate(told.get("spent", {}))
        self._transcript = self._read(told.get("transcript"))

    def keep(self, desk: Desk, spent: Spent, under_way: tuple[str, Exchange] | None) -> None:
        """Write down what was asked so far. Raises Stopped where another worker has the repair by now: nothing more is
        paid for then."""
        if self._hold is not None:
            self._hold.take()
        number = len(desk.exchanges) + (under_way is not None)
        took = (datetime.now(UTC) - self._began).total_seconds()
        details = {"input": self._input, UNDER_WAY: True, "model": self.told(desk, spent, under_way)}
        step = Step(
            name=self._step, started_at=self._began, took=round(took, 3), details=details,
            said=f"under way: a model was asked {number} time(s)",
        )  # fmt: skip
        journal.note_step(self._house.database, self._attempt, step)

    def told(
        self, desk: Desk, spent: Spent | None = None, under_way: tuple[str, Exchange] | None = None
    ) -> dict[str, Any]:
        """What the record of the step keeps: this run's, and what those before it that were killed had used."""
        used = self.before.plus(spent or desk.purse.now)
        return record(self._house, desk, used, under_way, self._transcript)

    def _left_behind(self) -> dict[str, Any]:
        attempt = queries.attempt(self._house.database, self._attempt)
        for step in attempt.steps if attempt else ():
            same = (step.name, step.details.get("input")) == (self._step, self._input)
            if same and step.details.get(UNDER_WAY):
                told: dict[str, Any] = step.details.get("model") or {}
                return told
        return {}

    def _read(self, digest: object) -> bytes:
        try:
            return self._house.artifacts.get(digest) if isinstance(digest, str) else b""
        except NotFound:
            return b""


def spent_with(known: Spent, ledger: Ledger) -> Spent:
    """What an incident has used before this run of a step."""
    return known.plus(ledger.before)

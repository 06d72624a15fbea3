"""Which repairs may begin now, and in which order: focus first, and no repository takes everything for itself.

What may not begin yet stays a task and waits; nothing is lost by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from store import queries, tasks
from store.incident import Incident, Lane
from store.tasks import Task

if TYPE_CHECKING:
    from server.house import House

DAY = timedelta(days=1)
LOOK_AGAIN = 60.0  # seconds that a sum of what was spent is believed
_STEP = 1000  # between two lanes; an incident's priority decides within one
_LANES = (Lane.FOCUS, Lane.BACKLOG, Lane.NOISE)


def urgency(incident: Incident) -> int:
    """A number for the queue: the smallest is taken first."""
    within = _STEP - 1 - max(0, min(_STEP - 1, int(incident.priority)))
    return 1 + _LANES.index(incident.lane) * _STEP + within


class Order:
    """Decides for one house. The leading worker asks it twice a second."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._spent: dict[str, float] = {}
        self._looked = -LOOK_AGAIN

    def admitted(self, repairs: Sequence[Task], under_way: Collection[str]) -> list[tuple[Task, int]]:
        """Those of the repairs that are not under way and may begin, each with its urgency, the most urgent first."""
        fresh = [task for task in repairs if task.name not in under_way]
        if not fresh:
            return []
        known = {task.name: queries.incident(self._house.database, task.incident_id) for task in repairs}
        busy = Counter(_owner(known[task.name]) for task in repairs if task.name in under_way)
        chosen = []
        for task in sorted(fresh, key=lambda task: (urgency(known[task.name]), task.id)):
            owner = _owner(known[task.name])
            if busy[owner] < self._house.config.repairs_per_repository and not self._spent_out(owner):
                busy[owner] += 1
                chosen.append((task, urgency(known[task.name])))
        return chosen

    def _spent_out(self, owner: str) -> bool:
        """Whether a repository has used its share of the day."""
        allowed = self._house.config.repair_minutes_per_day * 60
        if not allowed:
            return False
        if monotonic() > self._looked + LOOK_AGAIN:
            self._spent = tasks.seconds_spent(self._house.database, datetime.now(UTC) - DAY)
            self._looked = monotonic()
        return self._spent.get(owner, 0.0) >= allowed


def _owner(incident: Incident) -> str:
    """Whose share a repair takes: of the repository where the failure is, or of the project where none is known."""
    return f"repository:{incident.location.repo}" if incident.location else f"project:{incident.project}"

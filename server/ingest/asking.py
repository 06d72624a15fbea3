"""Whether senders are asked for more: where a failure could not be brought back, the next one shall bring more."""

from __future__ import annotations

from time import monotonic

from store import queries
from store.database import Database
from store.incident import Status
from store.repair import Ended

HEADER = "X-Nightdesk-Capture"  # of an answer to a sender; the capture client knows it
_STANDS = 60.0  # seconds for which an answer is not looked up again
_NEWEST = 100  # incidents of a project that are looked at


class Asking:
    """Remembers for a minute what it found out for a project: it is asked for every event."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, bool]] = {}

    def headers(self, project: str) -> dict[str, str]:
        """What an answer to a sender of this project says."""
        now = monotonic()
        until, wanted = self._known.get(project, (0.0, False))
        if now >= until:
            wanted = self._look(project)
            self._known[project] = (now + _STANDS, wanted)
        return {HEADER: "more"} if wanted else {}

    def _look(self, project: str) -> bool:
        still = queries.incidents(
            self._database, project=project, status=(Status.OPEN, Status.REGRESSED), limit=_NEWEST
        )
        ended = queries.repair_states(self._database, [incident.id for incident in still])
        return Ended.NOT_REPRODUCED in ended.values()

"""From parsed events to kept ones: bundles told as their originals, redact, group, record. Nothing unredacted touches
the disk."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence

from server.redaction import Redaction
from store import journal
from store.artifacts import Artifacts
from store.database import Database
from store.errors import BadPayload
from store.event import Event, Served
from store.recording import Recorded, Report
from triage.database_details import with_database_details
from triage.fingerprint import fingerprint
from triage.title import culprit, title

log = logging.getLogger("nightdesk.intake")

Restore = Callable[[Event], Event]


class Intake:
    """Keeps events. Safe to use from several threads."""

    def __init__(
        self, database: Database, artifacts: Artifacts, redaction: Redaction, restored: Restore
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._redaction = redaction
        self._restored = restored

    def keep(self, events: Iterable[Event]) -> list[Recorded]:
        """Redact, group and record events in one transaction; when this returns they are on disk.

        Raises BadPayload for an event that cannot be redacted or grouped: then none of them is kept."""
        ready = [self._ready(event) for event in events]
        return journal.record(self._database, self._artifacts, ready) if ready else []

    def keep_all(self, parcels: Sequence[Sequence[Event]]) -> list[list[Recorded] | Exception]:
        """`keep` for several senders at once: for each what became of its events, or why none of them was kept."""
        answers: list[list[Recorded] | Exception] = [[] for _ in parcels]
        ready: dict[int, list[Report]] = {}
        for place, events in enumerate(parcels):
            try:
                ready[place] = [self._ready(event) for event in events]
            except BadPayload as error:
                answers[place] = error
        wanted = [place for place, reports in ready.items() if reports]
        kept = journal.record_all(self._database, self._artifacts, [ready[place] for place in wanted])
        for place, answer in zip(wanted, kept, strict=True):
            answers[place] = answer
        return answers

    def clean_names(self, told: Sequence[tuple[int, Sequence[Served]]]) -> list[tuple[int, Sequence[Served]]]:
        """Requests that ended, their endpoints without secrets and personal data."""

        def clean(project: int, one: Served) -> Served:
            return one.model_copy(update={"endpoint": self._redaction.name(project, one.endpoint)})

        return [(project, [clean(project, one) for one in each]) for project, each in told]

    def _ready(self, event: Event) -> Report:
        try:
            clean = self._redaction.redact(with_database_details(self._restored(event)))
            ready = fingerprint(clean), title(clean), culprit(clean)
        except (
            Exception
        ) as error:  # what an event makes these steps raise is in the event, so the sender is told
            log.exception("Event %s could not be redacted or grouped.", event.event_id)
            raise BadPayload(f"Event {event.event_id} cannot be read; it was not kept.") from error
        return (self._with_capsule(clean), *ready)

    def _with_capsule(self, event: Event) -> Event:
        """The event with its capsule in the artifacts. Raises Unavailable."""
        if event.capsule is None or event.capsule.content is None:
            return event
        body = json.dumps(event.capsule.content, ensure_ascii=False, separators=(",", ":"))
        held = self._artifacts.put(body.encode("utf-8", "replace"))
        kept = event.capsule.model_copy(update={"artifact": held, "content": None})
        return event.model_copy(update={"capsule": kept})

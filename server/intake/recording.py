"""From parsed events to kept ones: bundles told as their originals, redact, group, record. Nothing unredacted touches
the disk. Of a storm only what is kept is redacted: of most events that is an outline."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from server.intake.redaction import Redaction
from server.intake.storms import Storms
from store import journal
from store.artifacts import Artifacts
from store.database import Database
from store.errors import BadPayload
from store.event import Event, Served
from store.incident import Fingerprint
from store.recording import Outlined, Recorded, Report
from triage.database_details import with_database_details
from triage.fingerprint import fingerprint
from triage.outline import Glimpse, Sketch, outline, sketched
from triage.title import culprit, title
from triage.trace_context import with_trace_context

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
        self.storms = Storms()

    def keep(self, events: Iterable[Event]) -> list[Recorded]:
        """Redact, group and record events in one transaction; when this returns they are on disk.

        Raises BadPayload for an event that cannot be redacted or grouped: then none of them is kept."""
        ready: list[Report] = [self._ready(event) for event in events]
        return journal.record(self._database, self._artifacts, ready) if ready else []

    def keep_all(self, parcels: Sequence[Sequence[Event | Glimpse]]) -> list[list[Recorded] | Exception]:
        """`keep` for several senders at once: for each what became of its events, or why none of them was kept."""
        answers: list[list[Recorded] | Exception] = [[] for _ in parcels]
        ready: dict[int, list[Report]] = {}
        come_later: set[Sketch] = set()  # of an error, the body of the newest of a batch is kept
        for place in reversed(range(len(parcels))):
            try:
                ready[place] = [self._report(event, come_later) for event in parcels[place]]
            except BadPayload as error:
                answers[place] = error
        wanted = [place for place in sorted(ready) if ready[place]]
        kept = journal.record_all(self._database, self._artifacts, [ready[place] for place in wanted])
        for place, answer in zip(wanted, kept, strict=True):
            answers[place] = answer
            if not isinstance(answer, Exception):
                self.storms.count([_seen(one) for one in parcels[place]], answer)
        return answers

    def clean_names(self, told: Sequence[tuple[int, Sequence[Served]]]) -> list[tuple[int, Sequence[Served]]]:
        """Requests that ended, their lines, endpoints and names of fields without secrets and personal data."""

        def clean(project: int, one: Served) -> Served:
            shapes = tuple((self._redaction.name(project, field), shape) for field, shape in one.shapes)
            cleaned: dict[str, Any] = {
                "endpoint": self._redaction.name(project, one.endpoint),
                "shapes": shapes,
            }
            if one.line is not None:
                said = {
                    name: self._redaction.name(project, text)
                    for name, text in one.line
                    if isinstance(text, str)
                }
                cleaned["line"] = one.line.model_copy(update=said)
            return one.model_copy(update=cleaned)

        return [(project, [clean(project, one) for one in each]) for project, each in told]

    def _report(self, one: Event | Glimpse, come_later: set[Sketch]) -> Report:
        """The event ready to be recorded; of one whose body will hardly be kept, its outline."""
        event = _seen(one)
        sketch = sketched(event)
        if sketch not in come_later or event.capsule is not None or not self.storms.rages(sketch):
            come_later.add(sketch)
            return self._ready(_whole(one))
        told = self._told(event)
        if isinstance(one, Glimpse):
            return Outlined(*self._grouped(outline(told)), lambda: self._redacted(self._told(_whole(one))))
        return Outlined(*self._grouped(outline(told)), lambda: self._redacted(told))

    def _ready(self, event: Event) -> Report:
        clean, group, name, place = self._grouped(self._told(event))
        return self._with_capsule(clean), group, name, place

    def _told(self, event: Event) -> Event:
        with _readable(event):
            return with_database_details(with_trace_context(self._restored(event)))

    def _redacted(self, told: Event) -> Event:
        with _readable(told):
            return self._redaction.redact(told)

    def _grouped(self, told: Event) -> tuple[Event, Fingerprint, str, str]:
        with _readable(told):
            clean = self._redaction.redact(told)
            return clean, fingerprint(clean), title(clean), culprit(clean)

    def _with_capsule(self, event: Event) -> Event:
        """The event with its capsule in the artifacts. Raises Unavailable."""
        if event.capsule is None or event.capsule.content is None:
            return event
        body = json.dumps(event.capsule.content, ensure_ascii=False, separators=(",", ":"))
        held = self._artifacts.put(body.encode("utf-8", "replace"))
        kept = event.capsule.model_copy(update={"artifact": held, "content": None})
        return event.model_copy(update={"capsule": kept})


def _seen(one: Event | Glimpse) -> Event:
    return one.event if isinstance(one, Glimpse) else one


def _whole(one: Event | Glimpse) -> Event:
    """All of an event. Raises BadPayload."""
    if not isinstance(one, Glimpse):
        return one
    with _readable(one.event):
        return one.whole()


@contextmanager
def _readable(event: Event) -> Iterator[None]:
    """What an event makes the steps in this block raise is in the event, so its sender is told. Raises BadPayload."""
    try:
        yield
    except Exception as error:
        log.exception("Event %s could not be redacted or grouped.", event.event_id)
        raise BadPayload(f"Event {event.event_id} cannot be read; it was not kept.") from error

"""Reading what is kept of a failure: fields of its events, lines that were logged near, spans, documents, incidents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fixloop.investigate.checker import field_at
from fixloop.investigate.pack import Pack
from fixloop.tools import NoSuch, Tool

NEAR = 60  # lines of one answer


class EvidenceTools:
    """The tools over one pack."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack

    def all(self) -> list[Tool]:
        """Every one of them."""
        return [
            Tool("event_field", "What an event says at a JSON pointer, such as /exceptions/-1/frames/-1/vars.",
                 {"event": ("integer", "number of the occurrence, from 0"),
                  "pointer": ("string", "JSON pointer; empty: the names of its fields")}, self._field),
            Tool("logs", "Lines that were logged near the occurrences, with their ids, in the order of time.",
                 {"from_ms": ("integer", "milliseconds from the first occurrence; may be negative"),
                  "to_ms": ("integer", "up to"), "contains": ("string?", "only lines with this text")}, self._logs),
            Tool("spans", "The spans in which the occurrences happened.", {}, self._spans),
            Tool("past_incidents", "Earlier incidents in the same lines, and how their repairs ended.", {}, self._past),
            Tool("runbook", "A document of the team by its path; empty: which there are.",
                 {"path": ("string", "its path")}, self._runbook),
        ]  # fmt: skip

    def _field(self, given: Mapping[str, Any]) -> str:
        number, pointer = given["event"], given["pointer"]
        if not 0 <= number < len(self._pack.events):
            raise NoSuch(f"there are {len(self._pack.events)} occurrences, from 0")
        event = self._pack.events[number]
        if not pointer:
            return ", ".join(name for name, value in event if value)
        found, value = field_at(event, pointer)
        if not found:
            raise NoSuch(f"the event has nothing at {pointer[:80]!r}")
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)

    def _logs(self, given: Mapping[str, Any]) -> str:
        wanted = (given["contains"] or "").lower()
        rows = [
            f"{moment.id} {moment.offset:+} ms {moment.source}: {moment.text}"
            for moment in self._pack.moments
            if given["from_ms"] <= moment.offset <= given["to_ms"] and wanted in moment.text.lower()
        ]
        return (
            "\n".join(rows[:NEAR])
            or "no line is kept of that time: no data, and no proof that nothing happened"
        )

    def _spans(self, given: Mapping[str, Any]) -> str:
        rows = []
        for number, event in enumerate(self._pack.events):
            trace = event.contexts.get("trace")
            if event.span_id or isinstance(trace, dict):
                rows.append(
                    f"{number}: trace {event.trace_id} span {event.span_id} {json.dumps(trace, default=str)}"
                )
        return "\n".join(rows[:NEAR]) or "no span is kept"

    def _past(self, given: Mapping[str, Any]) -> str:
        rows = [
            f"{one.incident} ({one.status}) {one.place} {one.title}: {one.said}" for one in self._pack.earlier
        ]
        return "\n".join(rows) or "none in these lines"

    def _runbook(self, given: Mapping[str, Any]) -> str:
        for document in self._pack.documents:
            if document.path == given["path"]:
                return document.text
        known = "\n".join(f"{one.kind}: {one.repo}/{one.path}" for one in self._pack.documents)
        if given["path"]:
            raise NoSuch(f"there is no document of that path; there are\n{known or 'none'}")
        return known or "there are none"

"""What the schemas of a team say of an event: tagged values out, each with its audit row, before all other rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from store.event import Event, ExceptionValue, Frame, Redaction
from triage.redaction_rules import Schema, SchemaWalk
from triage.tokens import Tokens, is_stand_in

_QUOTES = "'\""


class Tagger:
    """One event under the schemas of its parts. `rows` is the audit."""

    def __init__(self, tokens: Tokens, schemas: Mapping[str, SchemaWalk]) -> None:
        self._tokens = tokens
        self._schemas = schemas
        self.rows: list[Redaction] = []

    def event(self, event: Event) -> Event:
        """The event without what is tagged."""
        changes: dict[str, Any] = {}
        for part in ("extra", "user", "contexts", "tags"):
            if (schema := self._schemas.get(part)) is not None:
                changes[part] = self._value(getattr(event, part), schema, schema.start, f"/{part}")
        body = self._schemas.get("request")
        if body is not None and event.request is not None:
            found = self._value(event.request.data, body, body.start, "/request/data")
            changes["request"] = event.request.model_copy(update={"data": found})
        if (schema := self._schemas.get("vars")) is not None:
            changes["exceptions"] = tuple(
                self._exception(raised, schema, f"/exceptions/{place}")
                for place, raised in enumerate(event.exceptions)
            )
        return event.model_copy(update=changes) if self.rows else event

    def _exception(self, raised: ExceptionValue, schema: SchemaWalk, path: str) -> ExceptionValue:
        def frame(each: Frame, place: int) -> Frame:
            found = self._value(each.vars, schema, schema.start, f"{path}/frames/{place}/vars")
            return each if found == each.vars else each.model_copy(update={"vars": found})

        frames = tuple(frame(each, place) for place, each in enumerate(raised.frames))
        return raised.model_copy(update={"frames": frames})

    def _value(self, value: Any, schema: SchemaWalk, nodes: list[Schema], path: str) -> Any:
        if not nodes:
            return value
        kind = schema.kind(nodes)
        if isinstance(value, dict):
            below = {key: nodes if kind else schema.below(nodes, key) for key in value}
            return {
                key: self._value(
                    item, schema, below[key], f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
                )
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [
                self._value(item, schema, nodes if kind else schema.items(nodes, place), f"{path}/{place}")
                for place, item in enumerate(value)
            ]
        if kind is None or value is None or isinstance(value, bool):
            return value
        return self._taken(str(value), kind, path)

    def _taken(self, value: str, kind: str, path: str) -> str:
        """The token, inside of the quotes where the value is a repr. What is a token already stays."""
        quoted = len(value) > 1 and value[0] in _QUOTES and value[0] == value[-1]
        inner = value[1:-1] if quoted else value
        if not inner or is_stand_in(inner, kind) or self._tokens.allows(inner):
            return value
        self.rows.append(Redaction(pointer=path[:500], kind=kind, rule="schema"))
        token = self._tokens.of_kind(inner, kind)
        return f"{value[0]}{token}{value[0]}" if quoted else token

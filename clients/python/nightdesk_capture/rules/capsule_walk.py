# Written by write_rules.py from the server's triage/capsule_walk.py: change it there.
# ruff: noqa
"""Secrets and personal data out of a replay capsule: the same rules as for an event, over typed nodes.

This module and the rules that it stands on are also in the capture client (`clients/python/nightdesk_capture/rules/`,
written by `write_rules.py` and compared by a test): what leaves an application and what is kept here went through the
same tables, under different keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nightdesk_capture.rules import sensitive
from nightdesk_capture.rules.detectors import QUOTED, Detector, Hit, detectors, secret_token, wanted
from nightdesk_capture.rules.redaction_rules import NO_RULES, Rules, Schema, SchemaWalk
from nightdesk_capture.rules.sensitive import looks_secret, name_strength
from nightdesk_capture.rules.tokens import Tokens, is_stand_in

ROWS = 1000  # of the audit of one capsule; beyond it values are still taken out
ROUNDS = 4  # a text is read again until nothing more is found
DEEPEST = 200  # nested nodes
# What a request met, and what stood around it: parts of a capsule beside its entry and its frames.
WORLD = frozenset({
    "exchanges", "statements", "draws", "environment", "flags", "files", "cache", "clock", "manifest", "hints",
    "together", "memory",
})  # fmt: skip
# Parts of a frame that have values by name: its variables, and the arguments that it changed, as they were.
FRAME = frozenset({"vars", "called"})
_LONG_NUMBER = 10**13  # a number beyond may be a card's
_NAMED = ("state", "kwargs")  # parts of a node that are mappings of names
_WORDS = frozenset({"$", "why", "class", "module", "name", "how"})  # parts that say what a node is
_PARTS = frozenset({"of", "items", "args", "text", "like"})  # parts with the values of a node

Row = "tuple[str, str, str]"  # pointer, kind, rule


class CapsuleRedactor:
    """Takes capsules apart under one key. Safe to share between threads: a call keeps its own state."""

    def __init__(self, key: bytes, rules: Rules = NO_RULES, *, renews: bool = False) -> None:
        """With `renews` tokens that somebody else made are replaced by tokens of this key."""
        self._rules, self._tokens, self._every = rules, Tokens(key, rules), detectors(rules)
        self._renews = renews
        self._schemas = {part: SchemaWalk(schema) for part, schema in rules.schemas.items()}

    def redact(
        self, content: dict[str, Any], expired: Callable[[], bool] = lambda: False
    ) -> tuple[dict[str, Any], list[Row]]:
        """The capsule without secrets and personal data, and where something was. Once `expired` says so, what would
        still have to be read is left out instead. Raises ValueError for one that is nested too deeply."""
        texts: list[str] = []
        _collect(content, texts, 0)
        walk = _Walk(
            self._tokens, self._rules, self._every, wanted(texts, self._every), self._renews, expired
        )
        entry, frames = content.get("entry"), content.get("frames")
        found = dict(content)
        if isinstance(entry, dict):
            found["entry"] = {
                name: walk.at(
                    ("entry", name), value, self._schema("request") if name == "data" else None, name
                )
                for name, value in entry.items()
            }
        if isinstance(frames, list):
            found["frames"] = [self._frame(frame, place, walk) for place, frame in enumerate(frames)]
        for part in WORLD.intersection(content):
            value = content[part]
            if part == "statements" and isinstance(value, list):
                found[part] = [walk.statement(one, place) for place, one in enumerate(value)]
            else:
                found[part] = walk.at((part,), value, None)
        rows = list(walk.rows)
        for part in ("cut", "redacted"):  # places in the values: keys may be people
            if part in content:
                found[part] = walk.plain(content[part])
        return found, rows

    def _schema(self, part: str) -> SchemaWalk | None:
        return self._schemas.get(part)

    def _frame(self, frame: Any, place: int, walk: _Walk) -> Any:
        if not isinstance(frame, dict):
            return frame
        found = dict(frame)
        for part in FRAME.intersection(frame):
            if isinstance(frame[part], dict):
                found[part] = walk.at(("frames", str(place), part), frame[part], self._schema("vars"))
        return found


def _collect(node: Any, texts: list[str], depth: int) -> None:
    """Every text of a node, names included."""
    if depth > DEEPEST:
        raise ValueError("The capsule is nested too deeply.")
    if isinstance(node, str):
        texts.append(node)
    elif isinstance(node, dict):
        for key, item in node.items():
            texts.append(key)
            _collect(item, texts, depth + 1)
    elif isinstance(node, list):
        for item in node:
            _collect(item, texts, depth + 1)
    elif isinstance(node, int) and node > _LONG_NUMBER:
        texts.append(str(node))


class _Walk:
    """One pass over one capsule."""

    def __init__(
        self,
        tokens: Tokens,
        rules: Rules,
        every: list[Detector],
        chosen: dict[str, list[Detector]],
        renews: bool,
        expired: Callable[[], bool],
    ) -> None:
        self._renews, self._expired = renews, expired
        self._tokens, self._rules, self._every, self._wanted = tokens, rules, every, chosen
        self._path: list[str] = []
        self._schema: SchemaWalk | None = None
        self._known: dict[str, tuple[str, list[Hit]]] = {}
        self.rows: list[Row] = []

    def at(self, path: Sequence[str], node: Any, schema: SchemaWalk | None, name: str = "") -> Any:
        """A part of the capsule at its place, under the schema that is for it."""
        self._path, self._schema = list(path), schema
        return self._node(node, self._strength(name) if name else 0, schema.start if schema else [])

    def statement(self, statement: Any, place: int) -> Any:
        """A statement with the rows that were read: each value under the name of its column."""
        rows, columns = (
            statement.get(part) if isinstance(statement, dict) else None for part in ("rows", "columns")
        )
        if not isinstance(rows, list) or not isinstance(columns, list):
            return self.at(("statements", str(place)), statement, None)
        found = self.at(("statements", str(place)), {**statement, "rows": []}, None)
        at = ("statements", str(place), "rows")
        found["rows"] = [self._row(row, columns, (*at, str(number))) for number, row in enumerate(rows)]
        return found

    def _row(self, row: Any, columns: list[Any], at: tuple[str, ...]) -> Any:
        if not isinstance(row, list) or len(row) != len(columns):
            return self.at(at, row, None)
        return [
            self.at((*at, str(name)), item, None, str(name))
            for name, item in zip(columns, row)  # noqa: B905 - also runs on 3.9
        ]

    def plain(self, value: Any) -> Any:
        """JSON in which no name tells anything, only shapes do."""
        if isinstance(value, dict):
            return {self._text(key): self.plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _note(self, kind: str, rule: str) -> None:
        if len(self.rows) < ROWS:
            pointer = "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in self._path)
            self.rows.append((pointer[:500], kind, rule))

    def _strength(self, name: str) -> int:
        return 0 if name.lower() in self._rules.allow_names else name_strength(name)

    def _below(self, part: str, work: Callable[..., Any], *arguments: Any) -> Any:
        self._path.append(part)
        try:
            return work(*arguments)
        finally:
            self._path.pop()

    # --- nodes ---

    def _node(self, node: Any, strength: int, schema: list[Schema]) -> Any:
        kind = self._schema.kind(schema) if self._schema is not None and schema else None
        if isinstance(node, str):
            if node in self._wanted and self._expired():
                return {"$": "cut", "why": "time"}
            return self._tagged(node, kind) if kind else self._named(node, strength)
        if isinstance(node, bool) or node is None:
            return node
        if isinstance(node, (int, float)):
            return self._number(node, strength, kind)
        if isinstance(node, list):
            return self._list(node, strength, schema, kind)
        return (
            self._mapping(node, strength, schema, kind)
            if "$" not in node
            else self._tag(node, strength, schema, kind)
        )

    def _list(self, node: list[Any], strength: int, schema: list[Schema], kind: str | None) -> list[Any]:
        return [
            self._below(
                str(place), self._node, item, strength, schema if kind else self._items(schema, place)
            )
            for place, item in enumerate(node)
        ]

    def _items(self, schema: list[Schema], place: int) -> list[Schema]:
        return self._schema.items(schema, place) if self._schema is not None and schema else []

    def _mapping(
        self, node: dict[str, Any], strength: int, schema: list[Schema], kind: str | None
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in node.items():
            name = self._text(key)
            found[name] = self._entry(key, name, item, strength, schema, kind)
        return found

    def _entry(
        self, key: str, name: str, item: Any, strength: int, schema: list[Schema], kind: str | None
    ) -> Any:
        inner = (
            schema if kind else self._schema.below(schema, key) if self._schema is not None and schema else []
        )
        return self._below(name, self._node, item, max(strength, self._strength(key)), inner)

    def _tag(
        self, node: dict[str, Any], strength: int, schema: list[Schema], kind: str | None
    ) -> dict[str, Any]:
        """A node that is more than JSON. A known value whose name gives it away goes as a whole."""
        if (strength == 2 or kind) and (node["$"] == "call" or "base64" in node):
            self._note(kind or "secret", "schema" if kind else "name")
            return {"$": "redacted", "why": kind or "secret"}
        found: dict[str, Any] = {}
        for part, inner in node.items():
            if part in _WORDS and isinstance(inner, str):
                found[part] = self._text(inner)
            elif node["$"] == "dict" and part == "of" and isinstance(inner, list):
                found[part] = [self._pair(pair, strength, schema, kind) for pair in inner]
            elif part in _NAMED and isinstance(inner, dict):
                found[part] = self._mapping(inner, strength, schema, kind)
            elif part in _PARTS:
                found[part] = self._node(inner, strength, schema)
            else:
                found[part] = self._entry(part, part, inner, strength, schema, kind)
        return found

    def _pair(self, pair: Any, strength: int, schema: list[Schema], kind: str | None) -> Any:
        if not (isinstance(pair, list) and len(pair) == 2):
            return self._node(pair, strength, schema)
        key, item = pair
        if isinstance(key, str):
            name = self._text(key)
            return [name, self._entry(key, name, item, strength, schema, kind)]
        return [self._node(key, 0, []), self._node(item, strength, schema if kind else [])]

    # --- leaves ---

    def _number(self, value: float, strength: int, kind: str | None) -> Any:
        if strength == 2 or kind:
            self._note(kind or "secret", "schema" if kind else "name")
            return self._tokens.of_kind(str(value), kind or "secret")
        if isinstance(value, int) and value > _LONG_NUMBER and sensitive.is_card(str(value)):
            self._note("card", "shape:card")
            return int(self._tokens.card(str(value)))
        return value

    def _tagged(self, value: str, kind: str) -> str:
        if not value or is_stand_in(value, kind) or self._tokens.allows(value):
            return value
        self._note(kind, "schema")
        return self._tokens.of_kind(value, kind)

    def _named(self, value: str, strength: int) -> str:
        """A text under a name of that strength."""
        if strength == 2 or (strength == 1 and looks_secret(value)):
            outer = QUOTED.match(value)
            inner = outer["value"] if outer else value
            token = None if self._tokens.allows(inner) else secret_token(inner, self._tokens)
            if token is not None:
                self._note("secret", "name")
                return f"{outer['open']}{token}{outer['end']}" if outer else token
        return self._text(value)

    def _text(self, value: str) -> str:
        """A text without what its shape or a name in it gives away."""
        if self._renews:
            value = self._tokens.renewed(value)
        first = self._wanted.get(value)
        if first is None or len(value) < 6:
            return value
        if value not in self._known:
            if self._expired():
                return "cut"
            self._known[value] = self._read(value, first)
        found, hits = self._known[value]
        for kind, rule in hits:
            self._note(kind, rule)
        return found

    def _read(self, value: str, chosen: list[Detector]) -> tuple[str, list[Hit]]:
        hits: list[Hit] = []
        for _ in range(ROUNDS):
            before = value
            for detector in chosen:
                value = detector.replace(value, self._tokens, hits, False)
            if value == before:
                break
            chosen = self._every
        return value, hits

# Written by write_rules.py from the server's triage/redaction_rules.py: change it there.
# ruff: noqa
"""What a team adds to redaction: schemas with tags, a dictionary, an allow-list, network addresses if asked.

A schema is a JSON Schema whose nodes may carry `x-redact`: the kind of what stands there (`secret`, `email`, `card`,
`phone`, `ssn`, `iban`, `ip`, `name`), or true for a secret. It is for one part of an event: `request` (the body),
`extra`, `user`, `contexts`, `tags`, or `vars` (the locals of each frame).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nightdesk_capture.errors import BadRules as BadPayload

KINDS = frozenset({"secret", "email", "card", "phone", "ssn", "iban", "ip", "name"})
PARTS = frozenset({"request", "extra", "user", "contexts", "tags", "vars"})
_TAGS = ("x-redact", "x-pii", "x-sensitive")
_LISTS = ("allOf", "anyOf", "oneOf")
_HOPS = 20  # references that are followed from one node
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Rules:
    """All of it, checked. `dictionary` are phrases that are taken out of any text, whatever their case."""

    schemas: Mapping[str, Schema] = field(default_factory=dict)
    dictionary: tuple[str, ...] = ()
    allow: frozenset[str] = frozenset()
    allow_names: frozenset[str] = frozenset()
    addresses: bool = False  # IP addresses too

    def allows(self, value: str) -> bool:
        """Whether a value is on the allow-list: by itself, or an address by its domain (`@acme.example`)."""
        if not self.allow:
            return False
        value = value.strip().lower()
        return value in self.allow or ("@" in value and value[value.rindex("@") :] in self.allow)

    @property
    def phrases(self) -> re.Pattern[str] | None:
        """One pattern for the dictionary, the longest phrase first; None where it is empty."""
        if not self.dictionary:
            return None
        words = sorted(self.dictionary, key=len, reverse=True)
        joined = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in words)
        return re.compile(rf"(?i)(?<!\w)(?:{joined})(?!\w)")


NO_RULES = Rules()


def read_rules(document: Any) -> Rules:
    """Rules from JSON: `{"schemas": {part: schema}, "dictionary": […], "allow": […], "allow_names": […],
    "addresses": bool}`. Raises BadPayload with one sentence that names what is wrong."""
    if not isinstance(document, dict):
        raise BadPayload("The rules of redaction are not a JSON object.")
    known = {"schemas", "dictionary", "allow", "allow_names", "addresses"}
    if unknown := sorted(set(document) - known):
        raise BadPayload(
            f"The rules of redaction have no {unknown[0]!r}; known are {', '.join(sorted(known))}."
        )
    schemas = document.get("schemas", {})
    if not isinstance(schemas, dict) or not all(isinstance(each, dict) for each in schemas.values()):
        raise BadPayload('"schemas" of the rules of redaction is not an object of JSON Schemas.')
    if wrong := sorted(set(schemas) - PARTS):
        raise BadPayload(
            f"There is no part {wrong[0]!r} of an event; schemas are for {', '.join(sorted(PARTS))}."
        )
    for part, schema in schemas.items():
        _check(schema, part)
    return Rules(
        schemas=schemas,
        dictionary=tuple(phrase for phrase in _strings(document, "dictionary") if phrase.strip()),
        allow=frozenset(value.strip().lower() for value in _strings(document, "allow")),
        allow_names=frozenset(name.lower() for name in _strings(document, "allow_names")),
        addresses=document.get("addresses") is True,
    )


def _strings(document: Mapping[str, Any], name: str) -> list[str]:
    value = document.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadPayload(f'"{name}" of the rules of redaction is not a list of texts.')
    return value


def _check(node: Any, where: str) -> None:
    """Refuse a kind that nobody knows: a tag that does nothing is worse than none."""
    if isinstance(node, dict):
        tag = node.get("x-redact")
        if isinstance(tag, str) and tag not in KINDS:
            raise BadPayload(
                f"x-redact {tag!r} in the schema for {where}; known are {', '.join(sorted(KINDS))}."
            )
        for value in node.values():
            _check(value, where)
    elif isinstance(node, list):
        for value in node:
            _check(value, where)


class SchemaWalk:
    """Which nodes of one schema a value is described by, step by step."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self.start: list[Schema] = self._whole([root])

    def kind(self, nodes: Sequence[Schema]) -> str | None:
        """The kind that a tag of these nodes gives, None without one."""
        for node in nodes:
            for tag in _TAGS:
                said = node.get(tag)
                if said is True:
                    return "email" if node.get("format") == "email" else "secret"
                if isinstance(said, str) and said in KINDS:
                    return said
        return None

    def below(self, nodes: Sequence[Schema], name: str) -> list[Schema]:
        """The nodes for a property of that name."""
        found: list[Schema] = []
        for node in nodes:
            properties = node.get("properties")
            patterns = node.get("patternProperties")
            named = [properties[name]] if isinstance(properties, dict) and name in properties else []
            if isinstance(patterns, dict):
                named += [each for pattern, each in patterns.items() if _matches(pattern, name)]
            if not named and isinstance(node.get("additionalProperties"), dict):
                named = [node["additionalProperties"]]
            found += [each for each in named if isinstance(each, dict)]
        return self._whole(found)

    def items(self, nodes: Sequence[Schema], place: int) -> list[Schema]:
        """The nodes for an entry of a list."""
        found: list[Schema] = []
        for node in nodes:
            first = node.get("prefixItems")
            if isinstance(first, list) and place < len(first):
                found += [first[place]] if isinstance(first[place], dict) else []
            elif isinstance(node.get("items"), dict):
                found.append(node["items"])
        return self._whole(found)

    def _whole(self, nodes: Sequence[Schema]) -> list[Schema]:
        """The nodes with those that they refer to or are put together from."""
        found: list[Schema] = []
        waiting = list(nodes)
        while waiting and len(found) < _HOPS:
            node = waiting.pop(0)
            found.append(node)
            for name in _LISTS:
                if isinstance(parts := node.get(name), list):
                    waiting += [each for each in parts if isinstance(each, dict)]
            if (
                isinstance(reference := node.get("$ref"), str)
                and (target := self._target(reference)) is not None
            ):
                waiting.append(target)
        return found

    def _target(self, reference: str) -> Schema | None:
        """A node of the same document (`#/$defs/person`)."""
        if not reference.startswith("#"):
            return None
        node: Any = self._root
        for part in reference[1:].strip("/").split("/"):
            if part:
                part = part.replace("~1", "/").replace("~0", "~")
                node = node.get(part) if isinstance(node, dict) else None
        return node if isinstance(node, dict) else None


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name[:200]) is not None
    except re.error:
        return False

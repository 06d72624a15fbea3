"""What a model may do: read. A tool is a name, a schema and a function that changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 8_000  # characters of one answer


class Refused(Exception):
    """What was asked for is not allowed. `rule` names why; it goes into the record."""

    def __init__(self, rule: str, said: str) -> None:
        super().__init__(said)
        self.rule = rule


class NoSuch(Exception):
    """There is nothing of that name: no attempt at anything, only a wrong guess."""


@dataclass(frozen=True)
class Tool:
    """`parameters` maps a name to its JSON type ("string", "integer", or with "?" behind it: may be null) and what it
    means. All are required."""

    name: str
    says: str
    parameters: Mapping[str, tuple[str, str]]
    run: Callable[[Mapping[str, Any]], str]

    def definition(self) -> dict[str, Any]:
        """As the Messages API takes it."""
        properties = {
            name: {"type": [kind[:-1], "null"] if kind.endswith("?") else kind, "description": says}
            for name, (kind, says) in self.parameters.items()
        }
        schema = {"type": "object", "properties": properties, "required": list(properties),
                  "additionalProperties": False}  # fmt: skip
        return {"name": self.name, "description": self.says, "input_schema": schema, "strict": True}

    def fault(self, given: Any) -> str | None:
        """What is wrong with the arguments of a call; None where nothing is. What may be null may be left out."""
        if not isinstance(given, dict):
            return "the arguments are not an object"
        unknown = sorted(str(name) for name in given if name not in self.parameters)
        if unknown:
            return f"there is no argument {unknown[0][:40]!r}; there are {', '.join(self.parameters)}"
        for name, (kind, _) in self.parameters.items():
            value = given.get(name)
            if value is None and kind.endswith("?"):
                continue
            wanted = str if kind.startswith("string") else int
            if not isinstance(value, wanted) or isinstance(value, bool):
                return f"the argument {name!r} has to be a {kind.rstrip('?')}"
        return None

    def answer(self, given: Mapping[str, Any]) -> str:
        """What the call gives, bounded. Raises Refused, NoSuch."""
        text = self.run({name: given.get(name) for name in self.parameters})
        if len(text) <= LONGEST:
            return text or "(nothing)"
        return f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} more characters: ask for less at once"

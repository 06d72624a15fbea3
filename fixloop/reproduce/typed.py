"""A value that an event has with its type: a node of a replay capsule (`docs/reference/capsule.md`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Typed:
    """What stands in a frame's variables where a capsule has the variable. `shown` is what the SDK kept of it, if it
    did; `shared` are the nodes of the capsule that others refer to, by their ids."""

    node: Any
    shown: Any = None
    shared: Mapping[int, Any] = field(default_factory=dict, repr=False, compare=False)
    circular: frozenset[int] = field(
        default=frozenset(), repr=False, compare=False
    )  # those that are parts of themselves
    redacted: tuple[str, ...] = ()  # pointers below the variable

    @property
    def says_nothing(self) -> bool:
        """Whether the node only says that there was something."""
        return isinstance(self.node, dict) and self.node.get("$") in ("opaque", "cut", "redacted")

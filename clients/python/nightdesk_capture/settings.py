"""What an application sets about its capsules, checked once when the integration is made."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from dataclasses import dataclass, field, replace
from typing import Any, Dict, Mapping, Pattern, Sequence, Union

from nightdesk_capture.errors import BadRules
from nightdesk_capture.limits import BUDGET, SECONDS
from nightdesk_capture.rules.redaction_rules import NO_RULES, Rules, read_rules

MOST = 1 << 20  # bytes of a capsule that a server takes
_PARTS = frozenset({
    "request", "locals", "entry", "exchanges", "statements", "draws", "environment", "flags", "files", "cache", "clock",
    "manifest", "hints", "together", "memory",
})  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """`deny`: names whose values are never looked at. `off`: `module:function` patterns of frames, or whole parts."""

    budget: int = BUDGET
    seconds: float = SECONDS
    deny: "Pattern[str]" = field(default_factory=lambda: re.compile(r"(?!)"))
    off: "Pattern[str]" = field(default_factory=lambda: re.compile(r"(?!)"))
    parts_off: "frozenset[str]" = frozenset()
    rules: Rules = NO_RULES
    more: bool = False  # the server, the application or a span has asked for all that can be had

    def all_of_it(self) -> Settings:
        """The same with four times the room and the time, for a failure that could not be brought back before."""
        return replace(self, budget=min(self.budget * 4, MOST), seconds=self.seconds * 4, more=True)

    def denies(self, name: str) -> bool:
        """Whether what stands under a name is not to be looked at."""
        return self.deny.fullmatch(name[:200].lower()) is not None

    def is_off(self, place: str) -> bool:
        """Whether nothing of a frame (`module:function`) is to be sent."""
        return self.off.fullmatch(place[:400].lower()) is not None


def settings(
    budget: int,
    seconds: float,
    deny: Sequence[str],
    off: Sequence[str],
    rules: Union[str, Mapping[str, Any], None],
) -> Settings:
    """The settings, checked. Raises BadRules."""
    for name, patterns in (("deny", deny), ("off", off)):
        if isinstance(patterns, str) or not all(isinstance(pattern, str) for pattern in patterns):
            raise BadRules(f"{name} is not a list of texts.")
    if not 1024 <= budget <= MOST:
        raise BadRules("budget is not between 1 KB and 1 MB.")
    return Settings(
        budget=budget,
        seconds=seconds,
        deny=_any_of(deny),
        off=_any_of(pattern for pattern in off if pattern not in _PARTS),
        parts_off=_PARTS.intersection(off),
        rules=_rules(rules),
    )


def _any_of(patterns: Any) -> "Pattern[str]":
    found = [fnmatch.translate(pattern.lower()) for pattern in patterns]
    return re.compile("|".join(found) if found else r"(?!)")


def _rules(rules: Union[str, Mapping[str, Any], None]) -> Rules:
    if rules is None:
        return NO_RULES
    if isinstance(rules, str):
        try:
            with open(os.path.expanduser(rules), encoding="utf-8") as file:
                document: Dict[str, Any] = json.load(file)
        except (OSError, ValueError) as error:
            raise BadRules(f"The rules of redaction {rules} cannot be read: {str(error)[:120]}.") from error
        return read_rules(document)
    return read_rules(dict(rules))

"""The model's desk: every request goes over it. Redacted again, within the budget, written down byte for byte.

It has no hands: what a model asks for beyond the tools that it is given is refused, and named in the record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fixloop.agent.purse import Purse, Spent
from fixloop.models import Exchange, Model
from store.errors import BudgetSpent

ANSWER = 6_000  # tokens of one answer
REFUSALS = 40  # that are kept by name

# What the desk has used by then, and the request that is just going out (role, exchange), if one is.
Keep = Callable[["Desk", Spent, tuple[str, Exchange] | None], None]


@dataclass
class Desk:
    """`clean` takes secrets and personal data out of a text; `model` is asked under the name `speaks`."""

    model: Model
    speaks: str
    purse: Purse = field(default_factory=Purse)
    clean: Callable[[str], str] = lambda text: text
    exchanges: list[tuple[str, Exchange]] = field(default_factory=list)  # (role, exchange)
    refused: list[str] = field(default_factory=list)
    missing: list[str] = field(
        default_factory=list
    )  # what the model says would settle what it left undetermined
    said: list[str] = field(default_factory=list)  # why it was given up, where it was
    keep: Keep = lambda desk, spent, under_way: None  # called before a request goes out, and after its answer
    _known: dict[str, str] = field(default_factory=dict)

    def ask(self, role: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The message that answers. Raises BudgetSpent, Unavailable."""
        whole = self._cleaned({"model": self.speaks, "max_tokens": ANSWER, **body})
        size = len(json.dumps(whole, ensure_ascii=False))
        self.purse.check(size, ANSWER)
        seconds = self.purse.seconds
        if seconds <= 0:
            raise BudgetSpent("the model's budget is used up (model_minutes)")
        foreseen = self.purse.foreseen(size, ANSWER)
        sent = json.dumps(whole, sort_keys=True).encode("utf-8", "surrogateescape")
        self.keep(self, foreseen, (role, Exchange(datetime.now(UTC), sent, None, b"", 0.0)))
        tries: list[Exchange] = []

        def record(exchange: Exchange) -> None:
            tries.append(exchange)
            self.exchanges.append((role, exchange))

        usage: Mapping[str, Any] | None = None
        try:
            message = self.model.ask(whole, seconds=seconds, record=record)
            told = message.get("usage")
            usage = told if isinstance(told, Mapping) else None
        finally:
            answered = any(exchange.status == 200 for exchange in tries)
            took = sum(exchange.took for exchange in tries)
            # What was refused costs nothing; what was answered without a word of its cost may have cost all of it.
            self.purse.charge(
                usage if answered else {"input_tokens": 0, "output_tokens": 0}, size, ANSWER, took
            )
        self.keep(self, self.purse.now, None)
        return message

    def refuse(self, rule: str, what: str) -> None:
        """Name an attempt at something that is not allowed."""
        line = f"{rule}: {what}"[:300]
        if line not in self.refused and len(self.refused) < REFUSALS:
            self.refused.append(line)

    def transcript(self, under_way: tuple[str, Exchange] | None = None) -> bytes:
        """Every exchange, one JSON object a line: role, time, the exact bytes sent and received (as UTF-8 text); the
        one that is `under_way` last."""
        told = [*self.exchanges, *([under_way] if under_way else [])]
        rows = [
            {
                "n": number, "role": role, "at": each.at.isoformat(), "status": each.status,
                "took": round(each.took, 3),
                "sent": each.sent.decode("utf-8", "surrogateescape"),
                "received": each.received.decode("utf-8", "surrogateescape"),
            }
            for number, (role, each) in enumerate(told, 1)
        ]  # fmt: skip
        return "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows).encode()

    def _cleaned(self, value: Any, name: str = "") -> Any:
        """Every text of a request redacted again: what a tool has read from the code was never an event's. Ids that
        pair calls with results, and our own schema words, are not texts."""
        if isinstance(value, str):
            if name in {"id", "tool_use_id", "type", "role", "model", "name"}:
                return value
            if value not in self._known:
                self._known[value] = self.clean(value)
            return self._known[value]
        if isinstance(value, dict):
            return {key: self._cleaned(item, key) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._cleaned(item, name) for item in value]
        return value

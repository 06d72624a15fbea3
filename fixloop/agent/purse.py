"""What a model may cost: tokens, money, requests and minutes of one incident, tokens and money of a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from store.errors import BudgetSpent
from store.event import Value

_CACHE_READ, _CACHE_WRITE = 0.1, 1.25  # of the price of an input token
_CHARACTERS = 3  # of a token, at the least: for what is not counted by the API


class Spent(Value):
    """What was used. Money is in US dollars."""

    tokens: int = 0
    money: float = 0.0
    requests: int = 0
    seconds: float = 0.0

    def plus(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(
            tokens=self.tokens + other.tokens,
            money=round(self.money + other.money, 6),
            requests=self.requests + other.requests,
            seconds=round(self.seconds + other.seconds, 3),
        )


@dataclass(frozen=True)
class Limits:
    """The settings of the same names. Prices are US dollars for a million tokens."""

    tokens: int = 400_000
    money: float = 2.0
    requests: int = 60
    minutes: float = 10.0
    day_tokens: int = 4_000_000
    day_money: float = 20.0
    price_in: float = 5.0
    price_out: float = 25.0


@dataclass
class Purse:
    """One incident's. `before` is what its earlier steps used, `today` what all incidents used before this step."""

    limits: Limits = field(default_factory=Limits)
    before: Spent = field(default_factory=Spent)
    today: Spent = field(default_factory=Spent)
    now: Spent = field(default_factory=Spent)
    started: float = field(default_factory=monotonic)

    @property
    def used(self) -> Spent:
        """By this incident, the time since this purse was opened included."""
        return Spent(
            tokens=self.before.tokens + self.now.tokens,
            money=round(self.before.money + self.now.money, 6),
            requests=self.before.requests + self.now.requests,
            seconds=round(self.before.seconds + self.now.seconds, 3),
        )

    @property
    def seconds(self) -> float:
        """That are left for requests."""
        return max(0.0, self.limits.minutes * 60 - self.used.seconds)

    def check(self, characters: int = 0, answer: int = 0) -> None:
        """Raise BudgetSpent where a request of so many characters, with an answer of so many tokens, would go over."""
        limits, used = self.limits, self.used
        tokens = characters // _CHARACTERS + answer
        money = (characters // _CHARACTERS * limits.price_in + answer * limits.price_out) / 1e6
        for name, value, most in (
            ("model_tokens", used.tokens + tokens, limits.tokens),
            ("model_money", used.money + money, limits.money),
            ("model_requests", used.requests + 1, limits.requests),
            ("model_minutes", used.seconds / 60, limits.minutes),
            ("model_day_tokens", self.today.tokens + self.now.tokens + tokens, limits.day_tokens),
            ("model_day_money", self.today.money + self.now.money + money, limits.day_money),
        ):
            if value > most:
                raise BudgetSpent(f"the model's budget is used up ({name} = {most:g})")

    def foreseen(self, characters: int, answer: int) -> Spent:
        """What will be used by then, where the next request is as dear as it can be."""
        after = Purse(self.limits, now=self.now)
        after.charge(None, characters, answer, 0.0)
        return after.now

    def charge(self, usage: Mapping[str, Any] | None, characters: int, answer: int, took: float) -> None:
        """Count a request; one that says nothing of its cost is counted as dear as it can have been."""
        told = usage if isinstance(usage, Mapping) else {}
        fresh = _count(told, "input_tokens", characters // _CHARACTERS)
        out = _count(told, "output_tokens", answer)
        read = _count(told, "cache_read_input_tokens", 0)
        wrote = _count(told, "cache_creation_input_tokens", 0)
        paid = fresh + read * _CACHE_READ + wrote * _CACHE_WRITE
        money = (paid * self.limits.price_in + out * self.limits.price_out) / 1e6
        self.now = Spent(
            tokens=self.now.tokens + fresh + read + wrote + out,
            money=round(self.now.money + money, 6),
            requests=self.now.requests + 1,
            seconds=round(self.now.seconds + took, 3),
        )


def _count(told: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = told.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise

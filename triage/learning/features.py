"""Which part of the model an event is for, and its features there."""

from __future__ import annotations

from enum import StrEnum

from store.event import Event
from triage.learning import alerts, text


class Domain(StrEnum):
    """What an event is, as far as learning goes: nothing learnt in one says anything about another."""

    ALERT = "alert"  # a monitor's rule fired
    MESSAGE = "message"  # something was logged; the work went on
    REPORT = "report"  # a person wrote it
    CRASH = "crash"  # an exception that nobody caught: rules decide, the shipped model abstains


def domain(event: Event) -> Domain:
    """The domain of an event."""
    if alerts.is_alert(event):
        return Domain.ALERT
    if "report" in event.contexts:
        return Domain.REPORT
    raised = event.exception
    if raised is not None and raised.frames and raised.handled is not True and not event.message:
        return Domain.CRASH
    return Domain.MESSAGE


def features(event: Event, past: alerts.Past, kind: Domain | None = None) -> dict[str, float]:
    """The features of an event in its domain, by readable names."""
    kind = kind or domain(event)
    if kind is Domain.ALERT:
        return alerts.behaviour(event, past)
    if kind is Domain.REPORT:
        return text.report_features(event)
    return text.features(event)


SHIPPED = "the shipped model"


def team_features(
    event: Event, past: alerts.Past, rule: str, cause: str, shipped: float | None
) -> dict[str, float]:
    """What a team's own model also sees: names that mean something in one team only, what rules said, and the
    margin of the shipped model where it has an opinion."""
    kind = domain(event)
    found = features(event, past, kind)
    if kind is Domain.ALERT:
        found.update(text.features(event))
    named = {
        "rule": rule, "cause": cause, "level": event.level, "service": event.service,
        "logger": event.logger, "environment": event.environment,
    }  # fmt: skip
    found.update({f"{name} is {value}": 1.0 for name, value in named.items() if value})
    if shipped is not None:
        found[SHIPPED] = shipped
    return found

"""The model of an installation: which one, under which budget, with what redaction; none without a key."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import reduce
from importlib import import_module
from typing import Any

from fixloop.agent.desk import Desk
from fixloop.agent.purse import Limits, Purse, Spent
from fixloop.agent.roles import Role, cast
from fixloop.models import Exchange, Model
from server import plugins
from server.house import House
from store.repair import Attempt
from store.spending import model_steps

log = logging.getLogger("nightdesk.models")

KEY = "ANTHROPIC_API_KEY"
_LIMITS = ("tokens", "money", "requests", "minutes", "day_tokens", "day_money", "price_in", "price_out")


def desk_for(
    house: House, project: str, before: Spent, environ: Mapping[str, str] = os.environ
) -> Desk | None:
    """The desk at which a model is asked about an incident of a project; None where there is no model. `before` is
    what the incident's earlier steps used."""
    model = _model(house, environ)
    if model is None:
        return None
    limits = Limits(**{name: getattr(house.config, f"model_{name}") for name in _LIMITS})
    purse = Purse(limits, before, spent_today(house))
    return Desk(model, house.config.model, purse, house.redaction.of_project(project).text)


def _model(house: House, environ: Mapping[str, str]) -> Model | None:
    source = house.config.model_from
    if source == "anthropic":
        # Loaded only where there is a key: its client takes seconds to import.
        made: Model | None = (
            import_module("fixloop.models.anthropic").Anthropic() if environ.get(KEY) else None
        )
        return made
    found: Model | None = next((part for part in plugins.parts("models") if part.name == source), None)
    if found is None and source != "none":
        log.warning("There is no model source %r: no model is asked.", source)
    return found


def is_asked(house: House, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a model is asked at all, by the settings and the key that is there."""
    source = house.config.model_from
    return bool(environ.get(KEY)) if source == "anthropic" else source != "none"


def roles() -> tuple[Role, ...]:
    """The roles in force: ours, and those of plug-ins."""
    return cast(plugins.parts("roles"))


def spent_on(attempt: Attempt) -> Spent:
    """What the steps of a repair used so far, by their records."""
    told = (step.details.get("model") for step in attempt.steps)
    every = (Spent.model_validate(one["spent"]) for one in told if isinstance(one, dict) and "spent" in one)
    return reduce(Spent.plus, every, Spent())


def spent_today(house: House) -> Spent:
    """What the steps of all repairs used since midnight (UTC)."""
    since = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    told = [step.details["model"].get("spent", {}) for step in model_steps(house.database, since)]
    return Spent(
        tokens=sum(int(one.get("tokens", 0)) for one in told),
        money=sum(float(one.get("money", 0)) for one in told),
    )


def record(
    house: House, desk: Desk, spent: Spent | None = None, under_way: tuple[str, Exchange] | None = None,
    before: bytes = b"",
) -> dict[str, Any]:  # fmt: skip
    """What a step's record keeps of a desk: what was used, what was refused by name, and the transcript, which begins
    with what stands in `before`."""
    if not (desk.exchanges or under_way or before):
        return {"said": desk.said} if desk.said else {}
    used = (spent or desk.purse.now).model_dump()
    return {
        "source": desk.model.name, "model": desk.speaks, "spent": used,
        "transcript": house.artifacts.put(before + desk.transcript(under_way)),
        "refused": desk.refused, "missing": desk.missing, "said": desk.said,
    }  # fmt: skip

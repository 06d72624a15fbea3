"""Triage with a model's second opinion beside it, where there is a model: asked once for each question, kept with what
it cost and its transcript."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from time import perf_counter

from fixloop.agent.purse import Spent
from fixloop.agent.second_opinion import Opinion, opinion, question, with_opinion
from server.house import House
from server.repairs.models import desk_for, record
from store import journal, queries
from store.errors import BudgetSpent, Unavailable
from store.event import Event
from store.incident import Incident, Step, Triage
from store.tasks import Task
from triage.fingerprint import fingerprint

log = logging.getLogger("nightdesk.opinions")

STEP = "opinion"


def triaged(
    house: House, incident_id: str, task: Task | None = None, environ: Mapping[str, str] = os.environ
) -> Triage:
    """Triage an incident, keep that, then let a model have its say; `task` is done with the triage. What goes wrong
    with the model leaves the triage as it is. Raises NotFound."""
    before = queries.triage(house.database, incident_id)
    result = house.triage_incident(incident_id, task)
    if not house.config.model_triage:
        return result
    incident = queries.incident(house.database, incident_id)
    (event, *_) = queries.events(house.database, incident.id, limit=1)
    told = _remembered(before, result, event) or _asked(house, incident, event, result, before, environ)
    if told is None:
        return result
    step, said = told
    whole = result.model_copy(update={"steps": (*result.steps, step)})
    if said is not None:
        whole = with_opinion(whole, said)
    journal.keep_triage(house.database, incident.id, whole)
    return whole


def _remembered(before: Triage | None, result: Triage, event: Event) -> tuple[Step, Opinion | None] | None:
    """What was said to the same question before; None where it is a new one."""
    step = _step(before)
    if before is None or step is None or step.details.get("question") != _question(result, event):
        return None
    said = before.facts.get("opinion")
    return (step, Opinion.model_validate(said)) if said else None


def _asked(
    house: House, incident: Incident, event: Event, result: Triage, before: Triage | None,
    environ: Mapping[str, str],
) -> tuple[Step, Opinion | None] | None:  # fmt: skip
    """Ask; None where there is no model."""
    desk = desk_for(house, incident.project, _spent(before), environ)
    if desk is None:
        return None
    started, clock = datetime.now(UTC), perf_counter()
    said: Opinion | None = None
    try:
        said = opinion(desk, result, event)
    except (BudgetSpent, Unavailable) as problem:
        desk.said.append(str(problem))
    except Exception:  # whatever a model's part does, an incident was triaged without it
        log.exception("The second opinion on %s failed.", incident.id)
        desk.said.append("the second opinion failed; see the log")
    shown = _shown(said, result) if said else "; ".join(desk.said) or "The model said nothing."
    details = {"question": _question(result, event), "model": record(house, desk)}
    step = Step(name=STEP, started_at=started, took=perf_counter() - clock, said=shown, details=details)
    return step, said


def _shown(said: Opinion, result: Triage) -> str:
    if said.raises(result.lane):
        held = f"The model would look sooner ({said.lane.value}): {said.because}"
    elif said.lane is result.lane:
        held = "The model agrees with the lane."
    else:
        held = f"The model says {said.lane.value}, which changes nothing: {_unheard(said, result)}."
    return f"A model's summary: {said.summary} {held}"


def _unheard(said: Opinion, result: Triage) -> str:
    return "it can only raise a lane" if said.quotes else "no quotation of it holds"


def _question(result: Triage, event: Event) -> str:
    return question(result, fingerprint(event).key)


def _step(triage: Triage | None) -> Step | None:
    return next((step for step in triage.steps if step.name == STEP), None) if triage else None


def _spent(before: Triage | None) -> Spent:
    """What the last opinion on this incident cost."""
    step = _step(before)
    told = step.details.get("model") if step else None
    return Spent.model_validate(told["spent"]) if isinstance(told, dict) and "spent" in told else Spent()

"""A repair at a terminal: made here, by the same workflow as every other, or followed where it is made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.repairs.progress import Note, follow
from server.repairs.workbench import prepare
from server.work.worker import Worker
from store import queries, tasks
from store.errors import NotAllowed, NotFound
from store.repair import Attempt
from store.tasks import TaskKind

if TYPE_CHECKING:
    from server.house import House


def repair_here(house: House, ref: str, note: Note) -> Attempt:
    """Repair an incident to the end; `note` is told each step as it lands. One that was left half done goes on
    at its step. Interrupted, a repair that was begun here is given up.

    Raises NightdeskError before the first step only; NotAllowed while repairs are paused."""
    incident = queries.incident(house.database, ref)
    if tasks.paused(house.database):
        raise NotAllowed("All repairs are paused; `nightdesk resume` lets them go on.")
    if tasks.of_incident(house.database, incident.id, TaskKind.REPAIR) is None:
        prepare(house, incident.id)
    begun, fresh = tasks.request_repair(house.database, incident.id)
    task = tasks.of_incident(house.database, incident.id, TaskKind.REPAIR)
    try:
        if task is not None:  # else another worker was so fast that it is done
            with Worker(house, only=task):
                follow(house, begun.id, note)
    except KeyboardInterrupt:
        if fresh:
            tasks.cancel_repair(house.database, begun.id, "operator", "it was stopped before its end")
        raise
    attempt = queries.attempt(house.database, begun.id)
    if attempt is None:
        raise NotFound(f"There is no attempt {begun.id} any more.")
    return attempt

"""Work at a terminal: done here, by the same workflow as every other, or followed where it is done elsewhere."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from server.repairs.progress import Note, follow
from server.repairs.submitting import hand_in
from server.repairs.workbench import prepare
from server.work.detached import GLANCE
from server.work.worker import Worker
from store import queries, submissions, tasks
from store.errors import NotAllowed, NotFound
from store.repair import Attempt, Submission
from store.tasks import TaskKind

if TYPE_CHECKING:
    from server.house import House


def repair_here(house: House, ref: str, note: Note, until: str | None = None) -> Attempt:
    """Repair an incident to the end, or up to a step (one of `store.tasks.BOUNDS`); `note` is told each step as it
    lands. One that was left half done goes on at its step. Interrupted, a repair that was begun here is given up.

    Raises NightdeskError before the first step only; NotAllowed while repairs are paused."""
    incident = queries.incident(house.database, ref)
    if tasks.paused(house.database):
        raise NotAllowed("All repairs are paused; `nightdesk resume` lets them go on.")
    if tasks.of_incident(house.database, incident.id, TaskKind.REPAIR) is None:
        prepare(house, incident.id)
    begun, fresh = tasks.request_repair(house.database, incident.id, until)
    task = tasks.of_incident(house.database, incident.id, TaskKind.REPAIR)
    if task is not None:  # else another worker was so fast that it is done
        with _interrupts() as asked, Worker(house, only=task):
            try:
                follow(house, begun.id, note, asked)
            except KeyboardInterrupt:  # before the worker ends: until then the repair could come to its end
                if fresh:
                    tasks.cancel_repair(house.database, begun.id, "operator", "it was stopped before its end")
                raise
    attempt = queries.attempt(house.database, begun.id)
    if attempt is None:
        raise NotFound(f"There is no attempt {begun.id} any more.")
    return attempt


@contextmanager
def _interrupts() -> Iterator[set[int]]:
    """The interrupts that have come, for whoever looks. The usual exception may be raised anywhere: in a callback that
    ignores it, or where a worker is half started. Only the main thread hears signals."""
    asked: set[int] = set()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, lambda number, _: asked.add(number))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def judge_here(house: House, ref: str, diff: str, repo: str | None, by: str, note: Note) -> Submission:
    """Have a patch judged, after the test that judges it is made where there is none. What was taken in outlives
    this process: asked for again, it goes on, or its verdict is found. Raises NotFound without a test, BadPayload."""
    incident = queries.incident(house.database, ref)
    attempt = queries.latest_attempt(house.database, incident.id)
    if attempt is None or attempt.reproducer is None:
        repair_here(house, incident.id, note, until="minimise")
    return judge_handed_in(house, hand_in(house, incident.id, diff, repo, by, keep=False))


def judge_handed_in(house: House, submission: Submission) -> Submission:
    """Do what was handed in, here, or follow it where a worker is at it; until it has ended."""
    task = tasks.of_incident(house.database, submission.incident_id, TaskKind.JUDGE)
    submission = _as_it_stands(house, submission)  # read after the task: without one it has ended
    if submission.ended_at is None and task is not None:
        with Worker(house, only=task):
            pause = threading.Event()
            while submission.ended_at is None:
                pause.wait(GLANCE)
                submission = _as_it_stands(house, submission)
    return submission


def _as_it_stands(house: House, submission: Submission) -> Submission:
    return submissions.submission(house.database, submission.id) or submission

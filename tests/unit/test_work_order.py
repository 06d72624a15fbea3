"""Which repairs begin first, how many at a time, what is done now and then, and how a worker ends."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from server.house import House
from server.work import schedule, worker
from server.work.order import Order, urgency
from server.work.schedule import JOBS, Job, Schedule
from server.work.threads import Threads
from store import journal, queries, tasks
from store.event import ExceptionValue
from store.incident import Lane, Step
from store.tasks import TaskKind
from tests.journeys import mcp_samples as samples


def waiting(house: House, lanes: dict[int, Lane]) -> list[tasks.Task]:
    """A repair asked for of each of some incidents, in this order."""
    for number in lanes:
        (kept,) = house.receive(
            [
                samples.event(
                    number, exceptions=(ExceptionValue(type=f"Error{chr(64 + number)}", value="it broke"),)
                )
            ]
        )
        journal.set_lane(house.database, kept.incident_id, lanes[number], "ann", "so it is")
        tasks.request_repair(house.database, kept.incident_id)
    return tasks.waiting(house.database, TaskKind.REPAIR)


def with_settings(house: House, **changed: object) -> House:
    other = house.confined_to(None)
    other.config = house.config.model_copy(update=changed)
    return other


def test_focus_comes_first_then_backlog_then_noise_whoever_asked_first(house: House) -> None:
    repairs = waiting(house, {1: Lane.NOISE, 2: Lane.BACKLOG, 3: Lane.FOCUS})
    chosen = Order(with_settings(house, repairs_per_repository=9)).admitted(repairs, {})
    assert [task.incident_id for task, _ in chosen] == ["INC-3", "INC-2", "INC-1"]
    assert [number for _, number in chosen] == sorted(number for _, number in chosen)
    assert all(number >= 1 for _, number in chosen)


def test_no_more_of_one_repository_are_at_work_than_the_setting_allows(house: House) -> None:
    repairs = waiting(house, {1: Lane.FOCUS, 2: Lane.FOCUS, 3: Lane.FOCUS})
    order = Order(with_settings(house, repairs_per_repository=2))
    first = [task for task, _ in order.admitted(repairs, {})]
    assert len(first) == 2
    busy = {task.name for task in first}
    assert order.admitted(repairs, busy) == []
    left = [task for task in repairs if task.name != first[0].name]
    assert len(order.admitted(left, busy)) == 1


def test_a_repository_that_has_used_its_share_of_the_day_waits(house: House) -> None:
    repairs = waiting(house, {1: Lane.FOCUS})
    started = datetime.now(UTC) - timedelta(hours=1)
    step = Step(name="causes", started_at=started, took=200.0, said="s")
    journal.note_step(house.database, repairs[0].subject, step)
    old = step.model_copy(update={"started_at": started - timedelta(days=2), "took": 10_000.0})
    journal.note_step(house.database, repairs[0].subject, old)
    (spent,) = tasks.seconds_spent(house.database, datetime.now(UTC) - timedelta(days=1)).values()
    assert spent == 200.0
    assert Order(with_settings(house, repair_minutes_per_day=3.0)).admitted(repairs, {}) == []
    assert len(Order(with_settings(house, repair_minutes_per_day=4.0)).admitted(repairs, {})) == 1


def test_the_priority_of_an_incident_decides_within_its_lane(house: House) -> None:
    waiting(house, {1: Lane.FOCUS})
    incident = queries.incident(house.database, "INC-1")
    numbers = [urgency(incident.model_copy(update={"priority": each})) for each in (-5.0, 0.0, 50.0, 1e9)]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] == 1


def test_a_job_is_done_when_it_is_due_and_a_failure_ends_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(schedule, "monotonic", lambda: clock[0])
    done: list[str] = []

    def fail(_: House, now: datetime) -> None:
        done.append("fails")
        raise RuntimeError("not today")

    jobs = [
        Job("leader", lambda _: 10.0, lambda *_: done.append("leader")),
        Job("everywhere", lambda _: 10.0, lambda *_: done.append("everywhere"), everywhere=True),
        Job("fails", lambda _: 10.0, fail, everywhere=True),
        Job("soon", lambda _: 10.0, lambda *_: done.append("soon"), everywhere=True, at_once=True),
        Job("never", lambda _: 0.0, lambda *_: done.append("never"), everywhere=True),
    ]
    planned = Schedule(house, lambda: False, jobs)
    assert [job.name for job in jobs if planned.consider(job)] == ["soon"]
    done.clear()
    clock[0] = 11.0
    for _ in range(2):
        for job in jobs:
            planned.consider(job)
    assert done == ["everywhere", "fails", "soon"]


def test_events_older_than_the_setting_go_and_incidents_stay(house: House) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=40)
    house.receive([samples.event(1, received_at=long_ago, timestamp=long_ago), samples.event(2)])
    retention = next(job for job in JOBS if job.name == "retention")
    assert retention.every(house) == 0
    kept = with_settings(house, retention_days=30)
    assert retention.every(kept) > 0
    retention.run(kept, datetime.now(UTC))
    retention.run(kept, datetime.now(UTC))
    assert len(queries.occurrences(house.database, "INC-1")) == 1
    assert queries.incident(house.database, "INC-1").event_count == 2
    assert [act.who for act in queries.acts(house.database, "events")] == ["retention"]


def test_draining_lets_a_step_end_begins_no_other_and_is_bounded() -> None:
    threads, entered, gate = Threads(), threading.Event(), threading.Event()
    begun: list[int] = []

    def step() -> str:
        entered.set()
        assert gate.wait(20)
        return "done"

    async def scene() -> tuple[bool, bool, str, bool]:
        first = asyncio.create_task(threads.run("first", step))
        await asyncio.to_thread(entered.wait, 10)
        early = await asyncio.to_thread(threads.drain, 0.2)
        second = asyncio.create_task(threads.run("second", lambda: begun.append(1)))
        gate.set()
        late = await asyncio.to_thread(threads.drain, 10)
        said = await first
        parked = not second.done()
        second.cancel()
        await asyncio.wait({second}, timeout=5)
        return early, late, said, parked

    began = monotonic()
    assert asyncio.run(scene()) == (False, True, "done", True)
    assert begun == []
    assert monotonic() - began < 15


def test_work_stands_still_by_how_long_it_was_watched_whatever_clocks_say(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(worker, "monotonic", lambda: clock[0])
    watching = worker.Worker(house)

    def run(executor: str, dequeued_at: int) -> Any:
        return SimpleNamespace(
            workflow_id="INC-1-1", name="repair", executor_id=executor, dequeued_at=dequeued_at
        )

    assert not watching._stands_still(run("a", 1))  # taken long ago, by whatever clock
    clock[0] = worker.GRACE + 2 * house.config.repair_seconds + 1
    assert watching._stands_still(run("a", 1))
    assert not watching._stands_still(run("b", 2))


def test_what_ended_while_the_list_was_read_is_not_said_to_have_ended_without_a_result(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.keep([samples.event(1), samples.event(2, exceptions=(ExceptionValue(type="Other", value="x"),))])
    settled, forgotten = tasks.waiting(house.database, TaskKind.TRIAGE)
    watching, ended = worker.Worker(house), SimpleNamespace(status="SUCCESS", workflow_id="x")
    tasks.settle(house.database, settled)

    for task in (settled, forgotten):
        watching._see_to(task, ended, {}, held=False)  # type: ignore[arg-type]

    assert [record.getMessage() for record in caplog.records if record.name == "nightdesk.work"] == [
        f"{forgotten.name} ended as SUCCESS without a result."
    ]
    assert tasks.waiting(house.database, TaskKind.TRIAGE) == []

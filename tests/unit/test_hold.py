"""A worker that was stopped and comes back late writes nothing over what was done without it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixloop.stopping import Stopped
from server.config import load
from server.house import House
from server.repairs.hold import Hold
from server.repairs.progress import Progress, Steps
from store import queries, tasks
from store.event import Event, ExceptionValue
from store.incident import Step
from store.repair import Attempt, Ended

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Engine:
    """Who has the work, as the durable engine would say."""

    def __init__(self) -> None:
        self.owner = ""

    def hold(self, house: House, attempt: Attempt, run: str) -> Hold:
        return Hold(house.database, attempt.id, run, lambda: self.owner == run)


class OneStep(Steps):
    """A step that finds nothing and, where told, the end."""

    def find(self, progress: Progress, name: str, hold: Hold, ended: Ended | None = None) -> Progress:
        known = progress.known.model_copy(update={"ended": ended, "said": hold.run})
        step = Step(name=name, started_at=NOW, took=0.1, said=hold.run, details={"input": name})
        self._keep(progress, known, step, lambda step: None, hold)
        return progress.after(known)


def repair_of(house: House) -> Attempt:
    error = ExceptionValue(type="KeyError", value="it broke")
    event = Event(
        event_id="a" * 32, project="default", received_at=NOW, timestamp=NOW, platform="python", exceptions=(error,)
    )  # fmt: skip
    house.keep([event])
    return tasks.request_repair(house.database, "INC-1")[0]


def kept(house: House, attempt: Attempt) -> Attempt:
    found = queries.attempt(house.database, attempt.id)
    assert found is not None
    return found


def test_a_worker_that_wakes_after_the_end_leaves_the_end_as_it_is(tmp_path: Path) -> None:
    with House.open(load(tmp_path)) as house:
        attempt, engine = repair_of(house), Engine()
        begun, steps = Progress(attempt_id=attempt.id, incident_id="INC-1"), OneStep(house)
        engine.owner = "first"
        first = engine.hold(house, attempt, "first")
        first.take()

        engine.owner = "second"  # the first one is stopped in its step
        second = engine.hold(house, attempt, "second")
        second.take()
        steps.find(steps.find(begun, "gather", second), "reproduce", second, Ended.NOT_REPRODUCED)
        with pytest.raises(Stopped):
            steps.find(begun, "gather", first)

        found = kept(house, attempt)
    assert found.ended is Ended.NOT_REPRODUCED
    assert [(step.name, step.said) for step in found.steps] == [("gather", "second"), ("reproduce", "second")]


def test_a_worker_that_wakes_before_it_said_who_it_is_does_not_keep_the_other_from_writing(
    tmp_path: Path,
) -> None:
    with House.open(load(tmp_path)) as house:
        attempt, engine = repair_of(house), Engine()
        begun, steps = Progress(attempt_id=attempt.id, incident_id="INC-1"), OneStep(house)
        engine.owner = "second"
        second = engine.hold(house, attempt, "second")
        second.take()

        with pytest.raises(Stopped):
            engine.hold(house, attempt, "first").take()
        steps.find(begun, "gather", second)

        found = kept(house, attempt)
    assert [step.said for step in found.steps] == ["second"]


def test_what_is_found_after_a_repair_was_given_up_is_not_kept(tmp_path: Path) -> None:
    with House.open(load(tmp_path)) as house:
        attempt, engine = repair_of(house), Engine()
        engine.owner = "first"
        first = engine.hold(house, attempt, "first")
        first.take()
        before = kept(house, attempt)

        tasks.cancel_repair(house.database, attempt.id, "ada", "not now")
        with pytest.raises(Stopped):
            first.keep(before.model_copy(update={"said": "done"}))

        found = kept(house, attempt)
    assert (found.ended, found.said) == (Ended.CANCELLED, "not now")

"""What we rely on of DBOS 3.4, pinned: a new version that changes any of it is seen here and not in production."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID

from server.repairs.progress import Progress
from server.work.engine import HERE, REPAIRS, TRIAGES, VERSION, Engine
from server.work.leases import FILE
from store.repair import Ended
from store.tasks import TaskKind

PATIENCE = 30.0  # seconds that anything here may take


class Desk:
    """What the engine calls, and what it was called with. Steps wait at `gate` where one is given."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.settled: list[str] = []
        self.entered, self.done, self.gate = threading.Event(), threading.Event(), threading.Event()
        self.gate.set()
        self.fails: Exception | None = None

    def advance(self, step: str, progress: Progress) -> Progress:
        self.steps.append(step)
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        if self.fails is not None:
            raise self.fails
        known = progress.known.model_copy(update={"ended": Ended.UNDETERMINED, "said": "½ \ud800"})
        return progress.after(known) if step == "gather" else progress

    def triage(self, incident_id: str, number: int) -> None:
        self.steps.append(f"{incident_id} {number}")
        self.done.set()

    def judge(self, incident_id: str, number: int) -> bool:
        self.steps.append(f"judge {incident_id} {number}")
        return len(self.steps) < 3

    def settle(self, attempt_id: str) -> None:
        self.settled.append(attempt_id)
        self.done.set()


@contextmanager
def engine(
    folder: Path, desk: Desk, name: str = "w1", queues: tuple[str, ...] = (REPAIRS, TRIAGES)
) -> Iterator[Engine]:
    opened = Engine(folder / FILE, name, queues, desk.advance, desk.triage, desk.settle, desk.judge)
    opened.start()
    try:
        yield opened
    finally:
        stop_threads = opened.threads.stop

        def let_go() -> bool:  # a step at the gate must not come to its end while the engine could record it
            desk.gate.set()
            return stop_threads()

        opened.threads.stop = let_go
        opened.stop()


def until_status(running: Engine, name: str, *wanted: str) -> str:
    """Wait until a workflow has one of these statuses."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        found = running.known([name]).get(name)
        if found is not None and found.status in wanted:
            return str(found.status)
        pause.wait(0.05)
    raise AssertionError(f"{name} did not become {wanted}: {running.known([name])}")


def test_the_version_is_the_one_that_was_measured() -> None:
    assert version("dbos").startswith("3.4.")


def test_the_engines_file_is_set_up_to_be_shared_and_holds_no_pickle(tmp_path: Path) -> None:
    desk = Desk()
    with engine(tmp_path, desk) as running:
        running.enqueue(TaskKind.REPAIR, "INC-1-1", "INC-1", 1, REPAIRS)
        assert desk.done.wait(PATIENCE)
        until_status(running, "INC-1-1", "SUCCESS")
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        kinds = connection.execute("SELECT DISTINCT serialization FROM operation_outputs").fetchall()
        versions = connection.execute("SELECT DISTINCT application_version FROM workflow_status").fetchall()
    assert kinds == [("portable_json",)]
    assert versions == [(VERSION,)]


def test_what_is_recorded_is_not_done_again_and_half_characters_survive(tmp_path: Path) -> None:
    desk = Desk()
    with engine(tmp_path, desk) as running:
        for _ in range(2):  # a name that is known is not done twice
            running.enqueue(TaskKind.REPAIR, "INC-1-1", "INC-1", 1, REPAIRS)
        assert desk.done.wait(PATIENCE)
        until_status(running, "INC-1-1", "SUCCESS")
        assert running.known(["INC-1-1"])["INC-1-1"].executor_id == "w1"
    assert desk.steps == ["prepare", "gather"]
    assert desk.settled == ["INC-1-1"]


def test_another_worker_takes_up_what_one_left_at_the_step_it_was_in(tmp_path: Path) -> None:
    first, second = Desk(), Desk()
    first.gate.clear()
    with engine(tmp_path, first, "w1") as running:
        running.enqueue(TaskKind.REPAIR, "INC-1-1", "INC-1", 1, REPAIRS)
        assert first.entered.wait(PATIENCE)
        assert until_status(running, "INC-1-1", "PENDING") == "PENDING"
    with engine(tmp_path, second, "w2") as running:
        assert running.known(["INC-1-1"])["INC-1-1"].status == "PENDING"  # nobody takes it up by itself
        running.take_up("INC-1-1", REPAIRS)
        assert second.done.wait(PATIENCE)
        until_status(running, "INC-1-1", "SUCCESS")
    assert first.steps == ["prepare"]
    assert second.steps[0] == "prepare"
    assert second.settled == ["INC-1-1"]


def test_a_cancelled_step_is_stopped_and_goes_on_when_it_is_taken_up(tmp_path: Path) -> None:
    desk = Desk()
    desk.gate.clear()
    with engine(tmp_path, desk) as running:
        running.enqueue(TaskKind.REPAIR, "INC-1-1", "INC-1", 1, REPAIRS)
        assert desk.entered.wait(PATIENCE)
        running.cancel("INC-1-1")
        until_status(running, "INC-1-1", "CANCELLED")
        desk.gate.set()
        running.take_up("INC-1-1", REPAIRS)
        assert desk.done.wait(PATIENCE)
        until_status(running, "INC-1-1", "SUCCESS")
    assert desk.steps == ["prepare", "prepare", "gather"]


def test_an_exception_in_a_step_is_recorded_without_a_pickle_and_ends_the_workflow(tmp_path: Path) -> None:
    desk = Desk()
    desk.fails = RuntimeError("broken")
    with engine(tmp_path, desk) as running:
        running.enqueue(TaskKind.REPAIR, "INC-1-1", "INC-1", 1, REPAIRS)
        assert until_status(running, "INC-1-1", "ERROR") == "ERROR"


def test_a_workflow_that_ended_by_an_exception_goes_on_at_the_step_that_raised_it(tmp_path: Path) -> None:
    class Later(Desk):
        def advance(self, step: str, progress: Progress) -> Progress:
            if step == "gather" and self.fails is not None:
                self.steps.append(step)
                raise self.fails
            self.steps.append(step)
            ended = Ended.UNDETERMINED if step == "gather" else None
            return progress.after(progress.known.model_copy(update={"ended": ended}))

    desk = Later()
    desk.fails = RuntimeError("the connection is closed")
    with engine(tmp_path, desk) as running:
        running.enqueue(TaskKind.REPAIR, "INC-1-1", "INC-1", 1, REPAIRS)
        until_status(running, "INC-1-1", "ERROR")
        before = list(desk.steps)
        desk.fails = None
        running.again("INC-1-1", REPAIRS)
        until_status(running, "INC-1-1", "SUCCESS")
    assert before[-1] == "gather"
    assert desk.steps == [*before, "gather"]
    assert desk.settled == ["INC-1-1"]


def test_work_can_be_moved_from_the_queue_to_a_terminal_that_listens_to_its_own_only(tmp_path: Path) -> None:
    desk = Desk()
    with engine(tmp_path, desk, "w1", queues=(HERE,)) as running:
        running.enqueue(TaskKind.REPAIR, "INC-1-1", "INC-1", 1, REPAIRS)
        running.enqueue(TaskKind.TRIAGE, "triage-7", "INC-1", 7, TRIAGES)
        assert running.known(["INC-1-1"])["INC-1-1"].status == "ENQUEUED"
        running.take_up("INC-1-1", HERE)
        assert desk.done.wait(PATIENCE)
        until_status(running, "INC-1-1", "SUCCESS")
        assert running.known(["triage-7"])["triage-7"].status == "ENQUEUED"


def test_the_serializer_keeps_what_we_give_it_and_refuses_what_is_not_json() -> None:
    serializer = DBOSPortableJSONSerializer()
    text = Progress(attempt_id="INC-1-1", incident_id="INC-1").model_dump_json()
    assert serializer.deserialize(serializer.serialize(text)) == text
    with pytest.raises(TypeError):
        serializer.serialize(object())


def test_the_names_we_call_are_there() -> None:
    assert {"listen_queues", "register_queue", "enqueue_workflow", "resume_workflow"} <= set(dir(DBOS))
    assert SetWorkflowID("x") is not None
    assert asyncio.iscoroutinefunction(DBOS.resume_workflow_async)


def test_the_server_of_an_assistant_starts_without_the_engine() -> None:
    code = (
        "import sys, server.cli.mcp, server.work.detached, server.mcp.writing; print('dbos' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"

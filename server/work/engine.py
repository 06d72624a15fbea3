"""DBOS as we run it. The only module that knows it; `tests/contracts/test_engine.py` pins what is relied on.

Everything here was measured (docs/decisions/0011): a file of its own, the busy timeout before the write-ahead
log, JSON instead of pickles, a version that is bumped by hand, a name for each process that no other has.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetEnqueueOptions,
    SetWorkflowID,
    WorkflowStatus,
)
from sqlalchemy import URL, create_engine, event
from sqlalchemy import Engine as SqlEngine
from sqlalchemy.engine.interfaces import DBAPIConnection

from server.repairs.progress import STEPS, Progress
from server.work.leases import SCHEMA
from server.work.threads import Threads
from store.errors import Unavailable
from store.postgres import IDLE
from store.tasks import TaskKind

VERSION = "1"  # bumped by hand when a workflow's steps change: the work of another version is left alone
REPAIRS, TRIAGES, JUDGES, HERE = (
    "repair",
    "triage",
    "judge",
    "here",
)  # queues; `here` is for work at a terminal
POLL = 0.25  # seconds between two looks at a queue
AT_ONCE = {REPAIRS: 1, TRIAGES: 4, JUDGES: 1, HERE: 1}  # workflows of a queue that one worker has at a time

RECORDING = 0.3  # seconds that the engine has to record a step whose work has just ended
POOL = 6  # connections of one worker to PostgreSQL

ACTIVE = ("PENDING", "ENQUEUED")

Advance = Callable[[str, Progress], Progress]
Triage = Callable[[str, int], None]
Judge = Callable[[str, int], bool]
Settle = Callable[[str], None]


class Engine:
    """One worker's connection to the durable engine; one at a time in a process, because DBOS is.

    `place` is its file, or the database on PostgreSQL that has its schema.

    `advance` does a step of a repair, `triage` the task of that number for an incident, `settle` says that the
    repair of this attempt is done; `judge` does one step of what was handed in for an incident, and says whether
    anything is left. All are blocking and are called in threads of their own."""

    def __init__(
        self,
        place: Path | URL,
        name: str,
        queues: Sequence[str],
        advance: Advance,
        triage: Triage,
        settle: Settle,
        judge: Judge,
    ) -> None:
        self._place = place
        self._name, self._queues = name, queues
        self._sql: SqlEngine | None = None
        self.advance, self.triage, self.settle, self.judge = advance, triage, settle, judge
        self.threads = Threads()

    def start(self) -> None:
        """Open what the engine keeps and begin to take work from the queues. Raises Unavailable where the database is
        away: nothing of the engine is left then, and it may be started again."""
        logging.getLogger("dbos").addHandler(logging.NullHandler())  # else it writes to stderr by itself
        config: DBOSConfig = {
            "name": "nightdesk",
            "serializer": DBOSPortableJSONSerializer(),
            "application_version": VERSION,
            "executor_id": self._name,
            "enable_otlp": False,
            "log_level": "WARNING",
            **self._where(),
        }
        DBOS(config=config)
        _bound.append(self)
        try:
            DBOS.listen_queues(self._queues)
            DBOS.launch()
            for queue, at_once in AT_ONCE.items():
                DBOS.register_queue(queue, worker_concurrency=at_once, polling_interval_sec=POLL)
        except Exception as error:  # its threads would keep a process alive that does nothing
            self.stop()
            said = " ".join(str(error).split())[:300]
            raise Unavailable(f"The durable engine does not start: {said}", retry=True) from error

    def _where(self) -> DBOSConfig:
        """Where the engine keeps what it knows."""
        if isinstance(self._place, Path):
            self._sql = _sql_engine(self._place)
            return {"system_database_url": f"sqlite:///{self._place}", "system_database_engine": self._sql}
        return {
            "system_database_url": self._place.render_as_string(hide_password=False),
            "dbos_system_schema": SCHEMA,
            "sys_db_pool_size": POOL,
            "sys_db_idle_transaction_timeout_sec": float(IDLE),
        }

    def stop(self, patience: float = 0.0) -> None:
        """Take no more work, give the steps that are at work `patience` seconds, then stop them. What was not done is
        taken up again by another worker at the step it was in: nothing is recorded of a step that did not come to its
        end."""
        if patience and self.threads.drain(patience):
            time.sleep(RECORDING)
        # a second for the thread that takes from the queues: what it takes while the loop closes only makes noise
        DBOS.destroy(workflow_completion_timeout_sec=0 if self._queues == [HERE] else 1)
        self.threads.stop()
        _bound.remove(self)
        if self._sql is not None:
            self._sql.dispose()

    def enqueue(
        self, kind: TaskKind, name: str, incident_id: str, number: int, queue: str, urgency: int = 1
    ) -> None:
        """Have a task done, those of a smaller `urgency` first. One that is known by this name already is not done
        twice."""
        with SetWorkflowID(name), SetEnqueueOptions(priority=urgency):
            if kind is TaskKind.REPAIR:
                DBOS.enqueue_workflow(queue, repair_workflow, name, incident_id)
            elif kind is TaskKind.JUDGE:
                DBOS.enqueue_workflow(queue, judge_workflow, incident_id, number)
            else:
                DBOS.enqueue_workflow(queue, triage_workflow, incident_id, number)

    def known(self, names: Sequence[str]) -> dict[str, WorkflowStatus]:
        """What the engine knows of these tasks, and of all that are at work or wait."""
        found = DBOS.list_workflows(status=list(ACTIVE), load_input=False, load_output=False)
        if names:
            found += DBOS.list_workflows(workflow_ids=list(names), load_input=False, load_output=False)
        return {workflow.workflow_id: workflow for workflow in found}

    def run_of(self, name: str) -> str:
        """Which run of this worker has a task: the same name for as long as nobody takes it up anew. Empty where this
        worker has it no more. Not to be called inside of a workflow."""
        found = DBOS.list_workflows(
            workflow_ids=[name], status="PENDING", executor_id=self._name, load_input=False, load_output=False
        )
        return f"{self._name}@{found[0].dequeued_at}" if found else ""

    def take_up(self, name: str, queue: str) -> None:
        """Have a task go on at the step it was in, whoever had it; that one's further steps are refused."""
        DBOS.resume_workflow(name, queue_name=queue)

    def again(self, name: str, queue: str) -> None:
        """Have a task that ended by an exception go on at the step that raised it."""
        failed = 1
        for step in DBOS.list_workflow_steps(name):
            failed = step["function_id"] if step["error"] is not None else step["function_id"] + 1
            if step["error"] is not None:
                break
        DBOS.rewind_workflow(name, start_step=failed, queue_name=queue)

    def cancel(self, name: str) -> None:
        """Stop a task. What runs for it is killed within about a second."""
        DBOS.cancel_workflow(name)


_bound: list[Engine] = []  # the engine of this process, while one is started


@DBOS.workflow(name="repair")
async def repair_workflow(attempt_id: str, incident_id: str) -> str:
    """One repair. Which steps are done follows from what is recorded and from nothing else."""
    progress = Progress(attempt_id=attempt_id, incident_id=incident_id)
    for step in STEPS:
        if progress.wants(step):
            progress = Progress.model_validate_json(await repair_step(step, progress.model_dump_json()))
    await settle_step(attempt_id)
    return str(progress.known.ended)


@DBOS.workflow(name="triage")
async def triage_workflow(incident_id: str, number: int) -> None:
    """One triage."""
    await triage_step(incident_id, number)


@DBOS.workflow(name="judge")
async def judge_workflow(incident_id: str, number: int) -> None:
    """Everything that was handed in for an incident, step by step, until nothing is left."""
    while await judge_step(incident_id, number):
        pass


@DBOS.step(name="repair step", preemptible=True)
async def repair_step(step: str, progress: str) -> str:
    """A step of the loop, between values."""
    engine, before = _bound[-1], Progress.model_validate_json(progress)
    after = await engine.threads.run(step, lambda: engine.advance(step, before))
    return after.model_dump_json()


@DBOS.step(name="settle", preemptible=True)
async def settle_step(attempt_id: str) -> None:
    """The repair is done; nothing of it waits any more."""
    engine = _bound[-1]
    await engine.threads.run("settle", lambda: engine.settle(attempt_id))


@DBOS.step(name="triage step", preemptible=True)
async def triage_step(incident_id: str, number: int) -> None:
    """Triage an incident for the task of this number."""
    engine = _bound[-1]
    await engine.threads.run("triage", lambda: engine.triage(incident_id, number))


@DBOS.step(name="judge step", preemptible=True)
async def judge_step(incident_id: str, number: int) -> bool:
    """One step of what was handed in, for the task of this number; whether anything is left."""
    engine = _bound[-1]
    return await engine.threads.run("judge", lambda: engine.judge(incident_id, number))


def _sql_engine(path: Path) -> SqlEngine:
    """SQLite so that several workers share it: the busy timeout first, or setting up the log fails at once."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        cursor = connection.cursor()
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine

"""A worker: takes what waits, and sees to it that what another worker left behind goes on.

Everything it does about tasks is one comparison, made twice a second by the oldest living worker: what is to be
done (`store.tasks`) against what the engine knows. So it does not matter who died when, or which of the two
was forgotten.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from fixloop import stopping
from server.drafts.approvals import go_on
from server.operating.logs import about
from server.repairs.hold import Hold
from server.repairs.progress import Progress, Steps
from server.work.engine import ACTIVE, HERE, JUDGES, REPAIRS, TRIAGES, Engine
from server.work.judging import advanced
from server.work.leases import BEAT, LEAVING, ONE, QUEUES, Leases, new_name, place_of
from server.work.mirroring import Mirroring
from server.work.order import Order
from server.work.schedule import Schedule
from server.work.triaging import triage
from store import submissions, tasks
from store.database import in_words
from store.errors import NightdeskError, Unavailable
from store.tasks import Task, TaskKind

if TYPE_CHECKING:
    from dbos import WorkflowStatus

    from server.house import House

log = logging.getLogger("nightdesk.work")

P = ParamSpec("P")
T = TypeVar("T")

TICK = 0.5  # seconds between two comparisons
FORGES = 60.0  # seconds between two tries to open drafts whose forge did not answer
TRIES, BETWEEN = 5, 2.0  # to start the engine, and seconds between two
AGAIN = 3  # times that a task goes on at a step that failed from outside, before it is given up
AWAY = 120.0  # seconds that the database may be away before a step fails
GRACE = 600.0  # seconds that work may take beyond its own bounds before it is believed to stand still
FORGET = 86_400.0  # seconds after which nothing is watched any more
_QUEUE = {TaskKind.REPAIR: REPAIRS, TaskKind.TRIAGE: TRIAGES, TaskKind.JUDGE: JUDGES}


def patient(work: Callable[P, T]) -> Callable[P, T]:
    """The same work, done again while what it needs (the database) is away for a moment: a step that fails is over for
    the engine, and a restart of the database should not be the end of a repair. Twice is the same as once."""

    @wraps(work)
    def again(*given: P.args, **named: P.kwargs) -> T:
        until = monotonic() + AWAY
        while True:
            try:
                return work(*given, **named)
            except Unavailable as problem:
                if not problem.retry or monotonic() > until:
                    raise
                log.warning("%s It is tried again.", problem)
                pause = monotonic() + BETWEEN
                while monotonic() < pause:
                    stopping.current()
                    sleep(0.1)

    return again


class Worker:
    """Works as long as the block lasts. `only` is a repair that is made here, at a terminal, and nothing else.

    `name` is the one that was reserved for it, where somebody started it on purpose."""

    def __init__(self, house: House, *, only: Task | None = None, name: str | None = None) -> None:
        self._house, self._only = house, only
        self.name = name or new_name()
        self._takes = ONE if only else QUEUES
        self._leases = Leases.of(house.config)
        self._steps = Steps(house)
        queues = [HERE] if only else [REPAIRS, TRIAGES, JUDGES]
        self._engine = Engine(
            place_of(house.config), self.name, queues, self._advance, self._triage, self._settle,
            self._judge,
        )  # fmt: skip
        self._asked = -FORGES  # when forges were asked last, by the monotonic clock
        self._order, self._mirroring = Order(house), Mirroring(house)
        self._schedule = Schedule(house, self._leads)
        self._leading = False
        self._watched: dict[
            str, tuple[tuple[str, int], float]
        ] = {}  # who has it since when, and since when we know
        self._failed: dict[str, int] = {}  # how often a task ended by an exception
        self._tick, self._stopping, self._gone = threading.Event(), threading.Event(), threading.Event()
        self._beating = threading.Thread(target=self._beat, name="nightdesk-beat", daemon=True)
        self._comparing = threading.Thread(target=self._compare, name="nightdesk-work", daemon=True)

    def __enter__(self) -> Self:
        try:
            with in_words(self._house.database.backend):
                self._leases.renew(self.name, self._takes)
        except BaseException:
            self._leases.close()
            raise
        self._start()
        if self._only is not None:
            self._take_here(self._only)
        self._beating.start()
        self._comparing.start()
        if self._only is None:
            self._schedule.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._tick.set()
        self._comparing.join(timeout=30)
        if self._only is None:
            self._schedule.stop()
            self._takes = LEAVING  # still alive, so that nobody takes up what may yet come to its end here
            self._sign()
        self._engine.stop(0.0 if self._only else self._house.config.drain_seconds)
        self._gone.set()
        self._beating.join(timeout=30)
        self._leases.leave(self.name)
        self._leases.close()

    def _start(self) -> None:
        """Start the engine; a database that is just being restarted is waited for."""
        for again in range(TRIES, 0, -1):
            try:
                self._engine.start()
                return
            except Unavailable as problem:
                if again == 1:
                    self._leases.leave(self.name)
                    raise
                log.warning("%s It is tried again.", problem)
                self._stopping.wait(BETWEEN)

    def wake(self, incident_ids: Iterable[str] = ()) -> None:
        """Something is to be done: look now instead of in half a second."""
        self._tick.set()

    def idle(self) -> bool:
        """Whether nothing is to be done that could be done now."""
        waiting = [task for task in tasks.waiting(self._house.database) if task.kind in _QUEUE]
        if waiting and tasks.paused(self._house.database):
            waiting = [task for task in waiting if task.kind is not TaskKind.REPAIR]
        return not waiting

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until nothing is to be done; False when `timeout` seconds were not enough."""
        until = monotonic() + timeout
        while not self.idle():
            if monotonic() > until or self._stopping.wait(0.05):
                return False
        return True

    def work_until_idle(self, asked: threading.Event) -> None:
        """Work until nothing is to be done, or it is asked to end. Whoever asks for something afterwards starts
        another worker, and is never left between the two: the lease is given back first, and then it is looked
        once more."""
        while not asked.wait(0.1):
            if not self.idle():
                continue
            self._schedule.round()
            self._leases.leave(self.name)
            if self.idle():
                return
            self._leases.renew(self.name, self._takes)

    # --- what the engine calls ------------------------------------------------------------------------------

    @patient
    def _advance(self, step: str, progress: Progress) -> Progress:
        with about(step, incident=progress.incident_id, attempt=progress.attempt_id):
            hold = self._hold(progress.attempt_id)
            hold.take()
            self._mirroring.complete()
            self._house.sandbox.self_test()  # once in a process, and not as something that a cancelled step kills
            after = self._steps.advance(step, progress, hold=hold)
            return after.model_copy(
                update={"until": tasks.bound_of(self._house.database, progress.attempt_id)}
            )

    def _hold(self, attempt_id: str) -> Hold:
        run = self._engine.run_of(attempt_id)
        if not run:
            raise stopping.Stopped
        return Hold(self._house.database, attempt_id, run, lambda: self._engine.run_of(attempt_id) == run)

    @patient
    def _triage(self, incident_id: str, number: int) -> None:
        task = tasks.of_incident(self._house.database, incident_id, TaskKind.TRIAGE)
        if task is None or task.id != number:
            return  # done by somebody else, or asked for anew since
        with about("triage", incident=incident_id):
            self._try_triage(task)
        tasks.settle(self._house.database, task)
        self._tick.set()

    def _try_triage(self, task: Task) -> None:
        self._house.rush.give_way(self._stopping.is_set)
        try:
            self._mirroring.complete()
            triage(self._house, task)
        except NightdeskError as problem:
            if isinstance(problem, Unavailable) and problem.retry:
                raise
            log.warning("%s was not triaged: %s", task.incident_id, problem)
        except Exception:  # it stays without a verdict; the others must not wait for it
            log.exception("Triage of %s failed.", task.incident_id)

    @patient
    def _settle(self, attempt_id: str) -> None:
        tasks.finish_repair(self._house.database, attempt_id)
        self._tick.set()

    @patient
    def _judge(self, incident_id: str, number: int) -> bool:
        """The next step of what was handed in for an incident; False where nothing is left."""
        task = tasks.of_incident(self._house.database, incident_id, TaskKind.JUDGE)
        if task is None or task.id != number:
            return False
        run = self._engine.run_of(task.name)
        submission = submissions.take(self._house.database, incident_id, run) if run else None
        if not run or self._engine.run_of(task.name) != run:
            raise stopping.Stopped
        if submission is None:
            submissions.finish(self._house.database, task)
            self._tick.set()
            return False
        with about("judge", incident=incident_id, attempt=submission.id):
            self._mirroring.complete()
            self._house.sandbox.self_test()
            after = advanced(self._house, submission)
        if not submissions.keep(self._house.database, after, run):
            raise stopping.Stopped
        return True

    # --- signs of life, and the comparison ------------------------------------------------------------------

    def _beat(self) -> None:
        while not self._gone.wait(BEAT):
            self._sign()

    def _sign(self) -> None:
        try:
            self._leases.renew(self.name, self._takes)
        except Exception:  # the disk may be full or the server away for a while: the next beat may succeed
            log.exception("A sign of life could not be written.")

    def _leads(self) -> bool:
        return self._leading

    def _compare(self) -> None:
        while not self._stopping.is_set():
            self._tick.clear()
            self._house.rush.give_way(self._stopping.is_set)
            try:
                self._look()
            except Exception:  # the thread must outlive any one failure; it looks again
                log.exception("Looking for work failed; it is tried again.")
            self._tick.wait(TICK)

    def _look(self) -> None:
        alive = self._leases.alive()
        leader = min(alive, key=lambda name: (alive[name] != QUEUES, name), default=self.name)
        self._leading = leader == self.name
        if not self._leading:
            self._see_to_own(alive)
            return
        self._watched = {name: seen for name, seen in self._watched.items() if monotonic() - seen[1] < FORGET}
        active = self._engine.known([])  # read first: what is asked for from here on cannot look forgotten
        every = tasks.waiting(self._house.database)
        waiting = {task.name: task for task in every if task.kind in _QUEUE}
        self._forges([task for task in every if task.kind is TaskKind.DRAFT])
        held = tasks.paused(self._house.database)
        known = self._engine.known(list(waiting)) if waiting else {}
        for name, task in waiting.items():
            if name in known or task.kind is not TaskKind.REPAIR or self._is_here(task, alive):
                self._see_to(task, known.get(name), alive, held and task.kind is TaskKind.REPAIR)
        if not held:
            self._begin([task for task in waiting.values() if task.kind is TaskKind.REPAIR], known)
        for name, workflow in active.items():
            if name not in waiting and workflow.name == REPAIRS:
                self._engine.cancel(name)

    def _begin(self, repairs: Sequence[Task], known: Mapping[str, WorkflowStatus]) -> None:
        """Hand the engine the repairs that may begin now."""
        for task, urgency in self._order.admitted(repairs, known):
            self._engine.enqueue(task.kind, task.name, task.incident_id, task.id, REPAIRS, urgency)

    def _forges(self, waiting: Sequence[Task]) -> None:
        """Try the drafts that wait for a forge again, now and then; in this thread, for each try is bounded."""
        if not waiting or monotonic() < self._asked + FORGES:
            return
        self._asked = monotonic()
        for task in waiting:
            try:
                go_on(self._house, task)
            except NightdeskError as problem:
                log.warning("The draft of %s waits on: %s", task.incident_id, problem)

    def _see_to_own(self, alive: dict[str, str]) -> None:
        """A repair at a terminal whose former worker was still believed alive when it came: nobody else can bring
        it here."""
        if self._only is None or QUEUES in alive.values():
            return
        task, name = self._only, self._only.name
        workflow = self._engine.known([name]).get(name)
        if workflow is not None and tasks.is_waiting(self._house.database, task.subject):
            self._see_to(task, workflow, alive, held=False)

    def _see_to(self, task: Task, workflow: WorkflowStatus | None, alive: dict[str, str], held: bool) -> None:
        """Bring what the engine knows of one task to what it should be."""
        here = self._is_here(task, alive)
        queue, status = HERE if here else _QUEUE[task.kind], workflow.status if workflow else None
        if held:
            if status in ACTIVE:
                self._engine.cancel(task.name)
        elif workflow is None:
            self._engine.enqueue(task.kind, task.name, task.incident_id, task.id, queue)
        elif status == "CANCELLED" or (status == "PENDING" and workflow.executor_id not in alive):
            self._engine.take_up(task.name, queue)
        elif status == "PENDING" and self._stands_still(workflow):
            log.error("%s has stood still for too long; it is begun again at its step.", task.name)
            self._engine.cancel(task.name)  # the next look takes it up
        elif status == "ENQUEUED" and workflow.queue_name == HERE and ONE not in alive.values():
            self._engine.take_up(task.name, queue)  # whoever had it at a terminal is gone
        elif status not in ACTIVE and tasks.is_open(
            self._house.database, task
        ):  # not settled since the list was read
            self._again(task, queue, str(status))

    def _stands_still(self, workflow: WorkflowStatus) -> bool:
        """Whether it is at work for longer than its bounds can explain, by how long this worker has watched it: clocks
        of hosts may differ."""
        run = (workflow.executor_id or "", workflow.dequeued_at or 0)
        known, since = self._watched.get(workflow.workflow_id, (run, monotonic()))
        if known != run:
            since = monotonic()
        self._watched[workflow.workflow_id] = run, since
        most = GRACE + (2 * self._house.config.repair_seconds if workflow.name != TRIAGES else 0.0)
        return monotonic() - since > most

    def _is_here(self, task: Task, alive: dict[str, str]) -> bool:
        """Whether it is the repair of this terminal, and nobody else could make it."""
        return self._only is not None and task.name == self._only.name and QUEUES not in alive.values()

    def _again(self, task: Task, queue: str, status: str) -> None:
        """The engine says that it is over, and the task is still there. What a step finds out is a result, so an
        exception came from around it: from a database that was restarted under it, or from a mistake of ours. It goes
        on at that step, a few times."""
        failures = self._failed.get(task.name, 0) + 1
        if status != "ERROR" or failures > AGAIN:
            self._failed.pop(task.name, None)
            self._give_up(task, status)
            return
        self._failed[task.name] = failures
        log.warning("A step of %s failed from outside; it is done again.", task.name)
        self._engine.again(task.name, queue)

    def _give_up(self, task: Task, status: str) -> None:
        """The engine says that it is over and the task is still there: say so, rather than wait for ever."""
        log.error("%s ended as %s without a result.", task.name, status)
        said = f"it ended inside Nightdesk as {status}; the log of the worker says why"
        if task.kind is TaskKind.REPAIR:
            tasks.cancel_repair(self._house.database, task.subject, "worker", said)
        elif task.kind is TaskKind.JUDGE:
            submissions.finish(self._house.database, task, said=said)
        else:
            tasks.settle(self._house.database, task)

    def _take_here(self, task: Task) -> None:
        """Make this repair here, unless a living worker is at it already."""
        workflow = self._engine.known([task.name]).get(task.name)
        if workflow is None:
            self._engine.enqueue(task.kind, task.name, task.incident_id, task.id, HERE)
        elif workflow.status != "PENDING" or workflow.executor_id not in self._leases.alive():
            self._engine.take_up(task.name, HERE)

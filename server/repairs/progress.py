"""One repair, step by step, between values: what is known after a step is all that the next one needs.

Who drives the steps (the durable engine, or a command that wants only some) is not said here. Each writes its
line of the log and what is known by then in one transaction, and doing one twice is the same as once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Self

from fixloop import loop
from fixloop.agent.inquiry import ModelInvestigator
from fixloop.bench import Budget
from fixloop.findings import Findings, input_hash
from fixloop.fixers.model import ModelFixer
from fixloop.loop import FIXERS, INVESTIGATORS, Repair, recorded
from server import plugins
from server.drafts.approvals import decide, open_drafts
from server.house import House
from server.incidents.evidence import REMARK
from server.repairs.drilling import drills
from server.repairs.hold import Hold
from server.repairs.ledger import UNDER_WAY, Ledger, spent_with
from server.repairs.models import desk_for, roles
from server.repairs.trials import keep_proof
from server.repairs.workbench import Basis, Prepared, choose, prepare
from store import journal, queries, tasks
from store.errors import NightdeskError, Unavailable
from store.event import Value
from store.incident import Step
from store.repair import Attempt, Ended

log = logging.getLogger("nightdesk.repair")

PREPARE, DRAFT = "prepare", "draft"
STEPS = (PREPARE, *loop.STEPS, DRAFT)

Note = Callable[[Step], None]


class Progress(Value):
    """How far a repair has come. `findings` is the JSON of fixloop's Findings; `until` is the step it ends with, where
    no more was asked for."""

    attempt_id: str
    incident_id: str
    until: str | None = None
    basis: Basis | None = None
    findings: str = Findings().to_json()

    @property
    def known(self) -> Findings:
        """What has been found."""
        return Findings.from_json(self.findings)

    def wants(self, step: str) -> bool:
        """Whether this step is to be done: those of the loop until there is a result, a draft of a proven fix."""
        ended = self.known.ended
        if self.until is not None and STEPS.index(step) > STEPS.index(self.until):
            return False
        return ended is Ended.PROVEN if step == DRAFT else ended is None

    def after(self, known: Findings) -> Self:
        """The same repair, further on."""
        return self.model_copy(update={"findings": known.to_json()})


class Steps:
    """Does the steps of repairs in one house. The workbench of the last one is kept at hand."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._prepared: tuple[str, Prepared] | None = None

    def advance(
        self, step: str, progress: Progress, note: Note = lambda step: None, hold: Hold | None = None
    ) -> Progress:
        """Do one of STEPS. What goes wrong in it is a result, in words. Blocking. With a `hold`, Stopped is raised
        where it is lost, and nothing is kept."""
        try:
            if step == PREPARE:
                return progress.model_copy(update={"basis": choose(self._house, progress.incident_id)})
            if step == DRAFT:
                return self._draft(progress, note)
            return self._loop(step, progress, note, hold)
        except NightdeskError as problem:
            if isinstance(problem, Unavailable) and problem.retry:
                raise  # not over: whoever drives the steps tries again
            said = str(problem)
        except Exception as error:
            log.exception("The step %s of %s failed.", step, progress.attempt_id)
            said = f"the step {step} failed inside Nightdesk ({type(error).__name__}); its log says where"
        known = progress.known.model_copy(update={"ended": Ended.NOT_RUNNABLE, "said": said})
        moment = datetime.now(UTC)
        self._keep(progress, known, Step(name=step, started_at=moment, took=0.0, said=said), note, hold)
        return progress.after(known)

    def _loop(self, name: str, progress: Progress, note: Note, hold: Hold | None) -> Progress:
        prepared = self._bench(progress)
        attempt = Attempt(
            id=progress.attempt_id, incident_id=progress.incident_id, started_at=prepared.bench.now()
        )
        known = progress.known
        left = Budget(self._house.config.repair_seconds - known.spent)
        knowledge = replace(prepared.bench.knowledge, hints=self._hints(progress.attempt_id))
        bench = replace(prepared.bench, budget=left, knowledge=knowledge)
        ledger = Ledger(self._house, progress.attempt_id, name, input_hash(name, known), hold)
        asked = desk_for(self._house, prepared.incident.project, spent_with(known.model, ledger))
        if asked is not None:
            asked.keep = ledger.keep
        work = Repair(
            attempt, prepared.events, prepared.sources, bench,
            fixers=(*FIXERS, *plugins.parts("fixers"), *([ModelFixer(asked, roles())] if asked else [])),
            investigators=(
                *INVESTIGATORS, *plugins.parts("investigators"),
                *([ModelInvestigator(asked, roles(), bench, drills(self._house))] if asked else []),
            ),
        )  # fmt: skip
        after, step = work.advance(name, known)
        if asked is not None and (told := ledger.told(asked)):
            step = step.model_copy(update={"details": {**step.details, "model": told}})
            after = after.model_copy(update={"model": asked.purse.used})
        self._keep(progress, after, step, note, hold)
        kept = queries.attempt(self._house.database, progress.attempt_id)
        if kept is not None and after.ended is not None:
            keep_proof(self._house, prepared, kept, hold.run if hold else None)
        return progress.after(after)

    def _hints(self, attempt_id: str) -> tuple[str, ...]:
        """What whoever started the repair has said of it."""
        attempt = queries.attempt(self._house.database, attempt_id)
        told = [step.details for step in attempt.steps if step.name == REMARK] if attempt else []
        return tuple(str(each[name]) for each in told for name in ("hypothesis", "hint") if name in each)

    def _bench(self, progress: Progress) -> Prepared:
        if self._prepared is None or self._prepared[0] != progress.attempt_id:
            self._prepared = progress.attempt_id, prepare(self._house, progress.incident_id, progress.basis)
        return self._prepared[1]

    def _keep(self, progress: Progress, known: Findings, step: Step, note: Note, hold: Hold | None) -> None:
        """The line of the log and what is known by now, in one transaction; nothing of one that was given up."""
        attempt = queries.attempt(self._house.database, progress.attempt_id)
        if attempt is None or attempt.ended is Ended.CANCELLED:
            return
        kept = recorded(attempt, known, datetime.now(UTC)).model_copy(update={"steps": (step,)})
        if hold is None:
            journal.keep_attempt(self._house.database, kept)
        else:
            hold.keep(kept)
        note(step)

    def _draft(self, progress: Progress, note: Note) -> Progress:
        started, clock = datetime.now(UTC), perf_counter()
        attempt = queries.attempt(self._house.database, progress.attempt_id)
        if attempt is None or attempt.ended is Ended.CANCELLED:
            return progress
        said = self._drafted(attempt)
        took = round(perf_counter() - clock, 3)
        step = Step(name=DRAFT, started_at=started, took=took, said=said, details={"input": attempt.id})
        journal.note_step(self._house.database, attempt.id, step)
        note(step)
        return progress

    def _drafted(self, attempt: Attempt) -> str:
        """Open the draft where the policy lets it, and say what came of it."""
        incident = queries.incident(self._house.database, attempt.incident_id)
        if not attempt.drafts:
            decision = decide(self._house, incident, attempt)
            if not decision.opens:
                return f"the draft waits for a person: {decision.why}"
        try:
            drafts = attempt.drafts or open_drafts(self._house, incident.id)
        except NightdeskError as problem:
            return f"the draft could not be opened: {problem}"
        return "; ".join(f"{draft.branch} in {draft.repo}" for draft in drafts)


def follow(house: House, attempt_id: str, note: Note, stop: Collection[int] = ()) -> None:
    """Tell of each step of a repair as it lands, until it is done. Raises KeyboardInterrupt once something is in
    `stop`."""
    told, pause = 0, threading.Event()
    while True:
        at_work = tasks.is_waiting(house.database, attempt_id)
        attempt = queries.attempt(house.database, attempt_id)
        for step in attempt.steps[told:] if attempt else ():
            if at_work and step.details.get(UNDER_WAY):
                break  # its place is taken by the whole step
            note(step)
            told += 1
        if not at_work:
            return
        if stop:
            raise KeyboardInterrupt
        pause.wait(0.2)

"""Work that outlives whoever asked for it: it is written down, and where no worker is alive, one is started.

Nothing here imports the durable engine: an assistant's server over stdio asks for a repair without it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from server.repairs.submitting import hand_in
from server.work.leases import Leases, new_name
from store import queries, submissions, tasks
from store.errors import NotFound
from store.repair import Submission

if TYPE_CHECKING:
    from server.house import House

PATIENCE = 900.0  # seconds that a caller waits for a verdict; judging goes on without them
GLANCE = 0.1  # seconds between two looks at it
_LAUNCHER = Path(__file__).resolve().parents[2] / "nightdesk.py"


@dataclass(frozen=True)
class Started:
    """A repair under way. `fresh` is False where it was under way already."""

    attempt_id: str
    fresh: bool


def start_repair(house: House, incident_id: str) -> Started:
    """Have an incident repaired by whoever works, or name the repair that is under way; a worker is started
    where none is alive. Raises NotFound where there is nothing to run, NotAllowed while repairs are paused."""
    if tasks.of_incident(house.database, incident_id, tasks.TaskKind.REPAIR) is None:
        _check(house, incident_id)
    attempt, fresh = tasks.request_repair(house.database, incident_id)
    ensure_worker(house)
    return Started(attempt.id, fresh)


def judged(
    house: House, ref: str, diff: str, repo: str | None, by: str, patience: float = PATIENCE
) -> Submission:
    """Have a patch judged by whoever works, and wait for the verdict: the submission, which has not ended where
    `patience` seconds were not enough, and goes on by itself. Raises NotFound, BadPayload."""
    submission = hand_in(house, ref, diff, repo, by, keep=True)
    if submission.ended_at is None:
        ensure_worker(house)
    deadline, pause = time.monotonic() + patience, threading.Event()
    while submission.ended_at is None and time.monotonic() < deadline:
        pause.wait(GLANCE)
        submission = submissions.submission(house.database, submission.id) or submission
    return submission


def ensure_worker(house: House, argv: Sequence[str] | None = None) -> bool:
    """See to it that somebody works: start `nightdesk worker --until-idle` where nobody does. Whether it did."""
    name = new_name()
    if not Leases.of(house.config).reserve(name):
        return False
    folder = house.config.data / "running"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "worker.log").open("ab") as output:
        started = subprocess.Popen(
            argv or command(house, name), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
            start_new_session=True,
        )  # fmt: skip
    threading.Thread(target=started.wait, name="nightdesk-reap", daemon=True).start()
    return True


def command(house: House, name: str) -> list[str]:
    """How a worker of this name is started, whatever folder the asker stands in."""
    launch = [sys.executable, "-P", str(_LAUNCHER), "worker", "--until-idle", "--name", name]
    return [*launch, "--data", str(house.config.data)]


def _check(house: House, incident_id: str) -> None:
    """What can be known to be missing before anything is started. Raises NotFound."""
    incident = queries.incident(house.database, incident_id)
    if not queries.events(house.database, incident.id, limit=1):
        raise NotFound(f"No event of {incident.id} is kept with its body: there is nothing to run again.")
    if not queries.repositories(house.database, incident.project):
        raise NotFound(
            f"Project {incident.project!r} has no repository: connect one with "
            f"`nightdesk repo add NAME PATH --project {incident.project}`."
        )

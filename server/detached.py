"""Repairs that outlive whoever asked for them: a process of its own for each, one at a time for an incident.

A file lock that the child inherits says that it is alive: it goes when the child goes, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from server.quoting import Quoter
from store import queries
from store.errors import Unavailable
from store.repair import Attempt

if TYPE_CHECKING:
    from server.house import House

STARTING = 20.0  # seconds that anybody waits for the first row of a repair
_SILENT = timedelta(minutes=15)  # after which a repair that somebody else started counts as dead
_LAUNCHER = Path(__file__).resolve().parents[1] / "nightdesk.py"


@dataclass(frozen=True)
class Started:
    """A repair under way. `fresh` is False where it was under way already; `recorded` is False while it is
    still being prepared (dependencies are fetched, mirrors read) and has no row yet."""

    attempt_id: str
    fresh: bool
    recorded: bool = True


def command(house: House, incident_id: str) -> list[str]:
    """How the repair of an incident is started, whatever folder the asker stands in."""
    return [
        sys.executable,
        "-P",
        str(_LAUNCHER),
        "repair",
        incident_id,
        "--json",
        "--data",
        str(house.config.data),
    ]


def start_repair(house: House, incident_id: str, argv: Sequence[str] | None = None) -> Started:
    """Start `nightdesk repair` and return once its attempt is on record or it takes long to prepare; or name
    the one under way.

    Raises Unavailable, with what it said and where its log is, when the process ends without a record."""
    known = queries.attempts(house.database, incident_id)
    folder = house.config.data / "running"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock(folder / f"{incident_id}.lock") as lock:
        if lock is None or (known and _alive(known[-1])):
            return _under_way(incident_id, known)
        log = folder / f"{incident_id}.log"
        process = _launch(argv or command(house, incident_id), lock, log)
        recorded = _wait_for_row(house, incident_id, len(known), process, log)
        return Started(_next_id(incident_id, known), fresh=True, recorded=recorded)


def _under_way(incident_id: str, known: Sequence[Attempt]) -> Started:
    if not known or known[-1].ended is not None:
        return Started(_next_id(incident_id, known), fresh=False, recorded=False)
    return Started(known[-1].id, fresh=False)


def _next_id(incident_id: str, known: Sequence[Attempt]) -> str:
    """The id of the attempt that comes after these: they are numbered from one."""
    return f"{incident_id}-{len(known) + 1}"


def _alive(attempt: Attempt) -> bool:
    """Whether a repair that we hold no lock for (started at a terminal) may still be at work."""
    last = attempt.steps[-1].started_at if attempt.steps else attempt.started_at
    return attempt.ended is None and datetime.now(UTC) - last < _SILENT


@contextmanager
def _lock(path: Path) -> Iterator[int | None]:
    """The descriptor of a lock held by us and whoever inherits it; None while another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held: int | None = descriptor
    except BlockingIOError:
        held = None
    try:
        yield held
    finally:
        os.close(descriptor)  # the child's copy keeps the lock


def _launch(argv: Sequence[str], lock: int, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
            start_new_session=True, pass_fds=(lock,),
        )  # fmt: skip
    threading.Thread(target=process.wait, name="nightdesk-reap", daemon=True).start()
    return process


def _wait_for_row(
    house: House, incident_id: str, before: int, process: subprocess.Popen[bytes], log: Path
) -> bool:
    """Wait for the attempt that the process puts on record. False: it is alive and still without one."""
    deadline = monotonic() + STARTING
    while True:
        ended = _ended_within(process, 0.1)
        if len(queries.attempts(house.database, incident_id)) > before:
            return True
        if ended:
            raise Unavailable(
                f"The repair of {incident_id} did not start{_last_words(log)}; its log is {log}."
            )
        if monotonic() > deadline:
            return False


def _last_words(log: Path) -> str:
    """The sentence that the command ended with, quoted: it may repeat names out of events."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("nightdesk: ")]
    return f": {Quoter().inline(lines[-1].removeprefix('nightdesk: '), 300)}" if lines else ""


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True

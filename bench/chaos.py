"""Workers that are killed, stopped, cut off and lied to about the time, again and again: what is lost?

    uv run python -m bench.chaos [--database sqlite|postgresql] [--trouble NAME …] [--times N] [--write docs/reliability.md]

Real processes, the real durable engine, leases and store; what a step does is a stand-in that takes a tenth of a second
and writes its line, so that hundreds of kills fit into minutes (`bench.kill_table` has real repairs). Meanwhile events
are sent; one that was refused is sent again, as a sender does. In the end every repair has to have ended with each of
its steps once, and every event that was answered for has to be counted.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import string
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import OperationalError

import bench.shifting_clock  # noqa: F401 - before anything that asks for the time
from bench.cut_namespace import Namespace, NoNamespace
from bench.cut_wire import Wire
from bench.postgres_server import PostgresServer
from fixloop import stopping
from server.config import load
from server.house import House
from server.repairs.hold import Hold
from server.repairs.progress import STEPS, Note, Progress, Steps
from server.work.leases import Leases
from server.work.worker import Worker
from store import queries, tasks
from store.errors import NightdeskError
from store.event import Event, ExceptionValue
from store.incident import Step
from store.repair import Ended

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 3
PATIENCE = 300.0  # seconds that the rest of the work may take when the trouble is over
MARK = "<!-- chaos -->"
NAMESPACE = "namespace cut 6 s"
RUNS = "runs"  # the file in which each run of a step leaves a line


# --- a worker whose steps are stand-ins -------------------------------------------------------------------


class StandIns(Steps):
    """Steps that take a moment and write their line, as real ones do."""

    def advance(
        self, step: str, progress: Progress, note: Note = lambda step: None, hold: Hold | None = None
    ) -> Progress:
        with (self._house.config.data / RUNS).open("a") as runs:
            runs.write(f"{progress.attempt_id} {step}\n")
        pause, until = threading.Event(), time.monotonic() + random.uniform(0.05, 0.2)  # noqa: S311
        while time.monotonic() < until:
            stopping.current()
            pause.wait(0.02)
        ended = Ended.UNDETERMINED if step == STEPS[-2] else None
        known = progress.known.model_copy(update={"ended": ended, "said": step})
        line = Step(name=step, started_at=datetime.now(UTC), took=0.1, said=step, details={"input": step})
        self._keep(progress, known, line, note, hold)
        return progress.after(known)


class NoSandbox:
    """Nothing is run here."""

    def self_test(self) -> None:
        """There is nothing to test."""


def work(data: Path) -> None:
    """A worker, until a signal comes."""
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    with House.open(load(data)) as house:
        house.__dict__["sandbox"] = NoSandbox()
        worker = Worker(house)
        worker._steps = StandIns(house)
        with worker:
            asked.wait()


# --- trouble ----------------------------------------------------------------------------------------------


class Scene:
    """Workers on one installation, and what can be done to them."""

    def __init__(
        self,
        house: House,
        server: PostgresServer | None,
        wire: Wire | None,
        space: Namespace | None,
        stack: ExitStack,
    ) -> None:
        self.data, self._leases = house.config.data, Leases.of(house.config)
        self.server, self.wire, self.space, self._stack = server, wire, space, stack
        self.workers = [self._start() for _ in range(WORKERS)]

    def _start(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "bench.chaos", "--work", str(self.data)]
        argv = self.space.inside(argv) if self.space else argv
        log = self._stack.enter_context((self.data / "workers.log").open("ab"))
        started = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log, env=dict(os.environ))
        self._stack.callback(_end, started)
        return started

    def told(self) -> str:
        """What the workers said last, and how they ended."""
        ended = [worker.poll() for worker in self.workers]
        return f"Workers ended: {ended}.\n{(self.data / 'workers.log').read_text()[-6000:]}"

    def whole(self) -> bool:
        """Whether all workers live; one that has ended by itself is started again, as a supervisor does."""
        for place, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[place] = self._start()
        return len(self._leases.alive()) >= WORKERS

    def _any(self) -> int:
        return random.randrange(WORKERS)  # noqa: S311

    def kill(self) -> None:
        """Gone without a word; another one is started."""
        place = self._any()
        self.workers[place].kill()
        self.workers[place].wait()
        self.workers[place] = self._start()

    def end(self) -> None:
        """Told to end; another one is started."""
        place = self._any()
        self.workers[place].terminate()
        self.workers[place].wait(60)
        self.workers[place] = self._start()

    def stop(self) -> None:
        """Stopped for longer than its lease, then it goes on as if nothing had been."""
        worker = self.workers[self._any()]
        worker.send_signal(signal.SIGSTOP)
        threading.Event().wait(5)
        worker.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """The database ends without goodbyes, and comes back."""
        assert self.server is not None
        self.server.halt()
        threading.Event().wait(0.5)
        self.server.launch()

    def cut(self) -> None:
        """No byte passes between the workers and the database, for longer than a lease."""
        assert self.wire is not None
        with self.wire.cut():
            threading.Event().wait(6)

    def pull(self) -> None:
        """The namespace of the workers has no cable any more, for longer than a lease."""
        assert self.space is not None
        with self.space.cut():
            threading.Event().wait(6)

    def jump(self) -> None:
        """The clock of a worker jumps by an hour."""
        self.workers[self._any()].send_signal(signal.SIGUSR1)


TROUBLES: dict[str, Callable[[Scene], None]] = {
    "kill -9": Scene.kill,
    "SIGTERM": Scene.end,
    "SIGSTOP 5 s": Scene.stop,
    "clock jump 1 h": Scene.jump,
    "database restart": Scene.restart,
    "network cut 6 s": Scene.cut,
    NAMESPACE: Scene.pull,
}
SERVER_ONLY = ("database restart", "network cut 6 s", NAMESPACE)


# --- one run ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What came of one run."""

    database: str
    trouble: str
    times: int
    repairs: int
    steps: int
    again: int  # runs of steps beyond the first
    events: int
    refused: int  # sent again, because the answer was no
    lost: int  # repairs that did not end, steps that are missing or there twice, events that are not counted
    seconds: float


def _event(name: str, kind: str) -> Event:
    now = datetime.now(UTC)
    error = ExceptionValue(type=kind, value="it broke")
    return Event(
        event_id=name,
        project="default",
        received_at=now,
        timestamp=now,
        platform="python",
        exceptions=(error,),
    )


class Sender:
    """Sends events until it is told to end; each until it is answered for."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.kept: list[str] = []
        self.refused = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join(120)

    def _run(self) -> None:
        while not self._done.wait(0.1):
            name = f"{len(self.kept):032x}"
            try:
                self._house.keep([_event(name, "Steady")])
            except NightdeskError:
                self.refused += 1
            else:
                self.kept.append(name)


def run(database: str, trouble: str, times: int, repairs: int) -> Outcome:
    """Make an installation with work, make trouble so many times, wait for the work, look what is there."""
    began = time.monotonic()
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nd-chaos-"))) / "data"
        server = wire = space = None
        if database == "postgresql":
            space = stack.enter_context(Namespace.made()) if trouble == NAMESPACE else None
            server = stack.enter_context(PostgresServer.start(durable=True))
            wire = Wire(server.socket, space.address) if space else Wire(server.socket)
            stack.callback(wire.close)
            name = server.new_database().partition("?")[0].rpartition("/")[2]
            os.environ["NIGHTDESK_DATABASE"] = f"postgresql://postgres@{wire.host}:{wire.port}/{name}"
        else:
            os.environ.pop("NIGHTDESK_DATABASE", None)
        house = stack.enter_context(House.open(load(data)))
        asked = _ask(house, repairs)
        sender = Sender(house)
        stack.callback(sender.stop)
        scene = Scene(house, server, wire, space, stack)
        for _ in range(times):
            _wait(scene.whole, scene.told)
            threading.Event().wait(random.uniform(0.3, 1.5))  # noqa: S311
            TROUBLES[trouble](scene)
            if _quietly(lambda: not tasks.waiting(house.database, tasks.TaskKind.REPAIR)):
                asked += _ask(house, repairs)
        sender.stop()
        _wait(lambda: scene.whole() and not tasks.waiting(house.database), scene.told)
        lost, steps = _missing(house, asked, sender.kept)
        runs = Counter((data / RUNS).read_text().splitlines())
        again = sum(count - 1 for count in runs.values())
    seconds = round(time.monotonic() - began, 1)
    events = len(sender.kept)
    return Outcome(database, trouble, times, len(asked), steps, again, events, sender.refused, lost, seconds)


def _ask(house: House, repairs: int) -> list[str]:
    """Repairs of as many incidents."""
    made = []
    for _ in range(repairs):
        name = f"{random.getrandbits(128):032x}"
        kind = "".join(random.choices(string.ascii_letters, k=12))  # noqa: S311
        (kept,) = house.keep([_event(name, kind)])
        made.append(tasks.request_repair(house.database, kept.incident_id)[0].id)
    return list(dict.fromkeys(made))


def _missing(house: House, asked: Sequence[str], kept: Sequence[str]) -> tuple[int, int]:
    """How much is lost, and how many steps are there."""
    lost = steps = 0
    for name in dict.fromkeys(asked):
        attempt = queries.attempt(house.database, name)
        lines = tuple(step.name for step in attempt.steps) if attempt else ()
        steps += len(lines)
        if attempt is None or attempt.ended is not Ended.UNDETERMINED or lines != STEPS[:-1]:
            lost += 1
            print(f"{name}: {attempt.ended if attempt else 'gone'}, {', '.join(lines)}", file=sys.stderr)
    there = {
        found.event_id
        for incident in queries.incidents(house.database)
        for found in queries.occurrences(house.database, incident.id)
    }
    return lost + len(set(kept) - there), steps


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


def _wait(until: Callable[[], bool], told: Callable[[], str] = str) -> None:
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while not _quietly(until):
        if time.monotonic() > deadline:
            raise SystemExit("What was waited for did not happen in time. " + told())
        pause.wait(0.2)


def _quietly(until: Callable[[], bool]) -> bool:
    try:
        return until()
    except (NightdeskError, OperationalError):  # the database is away for a moment
        return False


# --- the table --------------------------------------------------------------------------------------------

HEAD = (
    "| database | trouble | times | repairs | steps | steps run again | events | refused and sent again | lost |",
    "|---|---|---|---|---|---|---|---|---|",
)


def line(found: Outcome) -> str:
    """An outcome as a row."""
    cells = (found.database, found.trouble, found.times, found.repairs, found.steps, found.again, found.events,
             found.refused, found.lost)  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def put(page: Path, new: str) -> None:
    """Put a row into the table of a page, in the place of the one of the same database and trouble."""
    before, _, rest = page.read_text(encoding="utf-8").partition(MARK)
    known, _, after = rest.partition(MARK)
    lines = {
        tuple(row.split("|")[1:3]): row
        for row in known.splitlines()
        if row.startswith("|") and row not in HEAD
    }
    lines[tuple(new.split("|")[1:3])] = new
    body = "\n".join((*HEAD, *(lines[key] for key in sorted(lines, reverse=True))))
    page.write_text(f"{before}{MARK}\n{body}\n{MARK}{after}", encoding="utf-8")


def main() -> int:
    """Print the table; 1 where anything is lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", action="append", choices=("sqlite", "postgresql"))
    parser.add_argument("--trouble", action="append", choices=TROUBLES)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--repairs", type=int, default=20)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work)
        return 0
    lost = 0
    print("\n".join(HEAD), flush=True)
    for database in given.database or ("sqlite", "postgresql"):
        for trouble in given.trouble or TROUBLES:
            if database == "sqlite" and trouble in SERVER_ONLY:
                continue
            try:
                found = run(database, trouble, given.times, given.repairs)
            except NoNamespace as why:
                print(f"{trouble}: {why}", file=sys.stderr)
                continue
            lost += found.lost
            print(line(found), f"{found.seconds} s", flush=True)
            if given.write:
                put(given.write, line(found))
    return int(lost > 0)


if __name__ == "__main__":
    raise SystemExit(main())

"""Kill a repair in each of its steps and see it go on: step, signal, who takes it up. Real git, real sandbox.

    uv run python -m bench.kill_table [--write docs/reliability.md] [--step STEP …]

For each row a small repository with a planted fault is made, its crash is taken in, and a worker repairs it. In the
chosen step it is held: in a step that runs code while its sandbox is open, in the others when all is done and nothing
is recorded yet, which is the worst moment. Then it gets the signal. Either a second worker was there already, or one
is started afterwards.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fixloop import Job, Session, stopping
from server.config import load
from server.house import House
from server.repairs.hold import Hold
from server.repairs.progress import STEPS, Note, Progress, Steps
from server.work.leases import FILE, Leases
from server.work.worker import Worker
from store import journal, queries, tasks
from store.event import Event, ExceptionValue, Frame
from store.incident import Step
from store.project import RepositoryConfig
from store.repair import Attempt

ROOT = Path(__file__).resolve().parents[1]
SANDBOXED = ("reproduce", "causes", "minimise", "repair")
PATIENCE = 240.0  # seconds that one row may take
SIGNALS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM}
WHO = ("another worker, alive", "a worker started afterwards")
MARK = "<!-- kill table -->"

_OLD = 'def off(order):\n    return order.get("coupon", 0)\n'
_NEW = 'def off(order):\n    return order["coupon"]\n'
_TOTAL = "from till.coupons import off\n\n\ndef total(order):\n    return 100 * order['count'] - off(order)\n"
_TEST = "from till.totals import total\n\n\ndef test_total():\n    assert total({'count': 2, 'coupon': 50}) == 150\n"
_REPORT = 'def given(orders):\n    return sum(order.get("coupon", 0) for order in orders)\n'


# --- a small world ----------------------------------------------------------------------------------------


def make_world(folder: Path) -> Path:
    """A data folder whose one incident, INC-1, is triaged and has a repository. No repair is asked for yet."""
    origin = folder / "till"
    origin.mkdir(parents=True)
    base = {
        "till/__init__.py": "",
        "till/coupons.py": _OLD,
        "till/totals.py": _TOTAL,
        "till/report.py": _REPORT,
    }
    _git(origin, "init", "-q", "-b", "main")
    _commit(origin, "The till opens", {**base, "tests/test_totals.py": _TEST})
    _commit(origin, "Look coupons up directly", {"till/coupons.py": _NEW})
    _commit(origin, "Say what it is", {"README.md": "A till.\n"})
    data = folder / "data"
    with House.open(load(data, {})) as house:
        house.mirrors.add("till", str(origin))
        row = RepositoryConfig(
            name="till", project="default", url=str(origin), config={"source_roots": ["."]}
        )
        journal.add_repository(house.database, row)
        house.receive([_crash()])
    return data


def _git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "core.hooksPath=/dev/null"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, timeout=60, capture_output=True)


def _commit(folder: Path, subject: str, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", subject)


def _crash() -> Event:
    order = {"count": "2"}

    def frame(path: str, function: str, line: int, text: str) -> Frame:
        return Frame(
            function=function, module=path.removesuffix(".py").replace("/", "."), filename=path,
            abs_path=f"/app/{path}", lineno=line, in_app=True, context_line=text, vars={"order": order},
        )  # fmt: skip

    frames = (
        frame("till/totals.py", "total", 5, "    return 100 * order['count'] - off(order)"),
        frame("till/coupons.py", "off", 2, '    return order["coupon"]'),
    )
    error = ExceptionValue(type="KeyError", value="'coupon'", frames=frames, handled=False)
    now = datetime.now(UTC)
    return Event(
        event_id="e" * 32,
        project="default",
        received_at=now,
        timestamp=now,
        platform="python",
        exceptions=(error,),
    )


# --- a worker that is held in one step --------------------------------------------------------------------


class HeldSession:
    """A session whose first question is never answered: the sandbox waits for the rest of it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def ask(self, line: bytes, *, wall: float) -> bytes | None:
        _announce()
        return self._session.ask(b"999999999", wall=PATIENCE)


class HeldSandbox:
    """The real sandbox; what is opened while `held` is held."""

    def __init__(self, sandbox: Any) -> None:
        self._sandbox = sandbox
        self.held = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sandbox, name)

    def open(self, job: Job) -> Session:
        session: Session = self._sandbox.open(job)
        return HeldSession(session) if self.held else session  # type: ignore[return-value]


class HeldSteps(Steps):
    """Steps of which one is held."""

    def __init__(self, house: House, step: str) -> None:
        super().__init__(house)
        self._held, self._sandbox = step, HeldSandbox(house.sandbox)
        house.__dict__["sandbox"] = self._sandbox  # in the place of the cached property

    def advance(
        self, step: str, progress: Progress, note: Note = lambda step: None, hold: Hold | None = None
    ) -> Progress:
        """Hold in the sandbox of the step, or when it is done."""
        self._sandbox.held = step == self._held and step in SANDBOXED
        after = super().advance(step, progress, note, hold)
        if step == self._held:
            _announce()
            held = threading.Event()
            while not held.wait(0.05):
                stopping.current()
        return after


def _announce() -> None:
    print("held", flush=True)


def hold(data: Path, step: str) -> None:
    """Work on this folder, held in a step, until a signal comes."""
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    with House.open(load(data)) as house:
        worker = Worker(house)
        worker._steps = HeldSteps(house, step)
        with worker:
            asked.wait()


# --- one row ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What came of one kill. Times are in seconds."""

    step: str
    signal: str
    who: str
    ended_after: float  # until the one that was hit, and its whole tree, was gone
    resumed_after: float  # until the step that it was in began again
    repeated: tuple[str, ...]  # steps that were done again though they had been recorded
    lines: tuple[str, ...]  # the log of the attempt
    ended: str


def row(folder: Path, step: str, named: str, who: str) -> Row:
    """Make a world, hold a repair in a step, send the signal, have it taken up."""
    data = make_world(folder)
    module = [sys.executable, "-m", "bench.kill_table", "--hold", step, "--data", str(data)]
    worker = [sys.executable, "-m", "nightdesk", "worker", "--until-idle", "--data", str(data)]
    with ExitStack() as stack:
        house = stack.enter_context(House.open(load(data)))
        tasks.request_repair(house.database, "INC-1")
        held = stack.enter_context(_started(module))
        assert held.stdout is not None
        if held.stdout.readline().strip() != b"held":
            raise SystemExit(f"The worker ended before it was in {step}.")
        other = stack.enter_context(_started(worker)) if who == WHO[0] else None
        _wait(lambda: other is None or len(Leases(data / FILE).alive()) == 2)
        tree = descendants(held.pid)
        hit, clock = datetime.now(UTC), time.monotonic()
        held.send_signal(SIGNALS[named])
        held.wait(PATIENCE)
        _wait(lambda: not any(alive(pid) for pid in tree))
        gone = time.monotonic() - clock
        (other or stack.enter_context(_started(worker))).wait(PATIENCE)
        (attempt,) = queries.attempts(house.database, "INC-1")
    return _judged(step, named, who, gone, hit, attempt)


def _judged(step: str, named: str, who: str, gone: float, hit: datetime, attempt: Attempt) -> Row:
    order = STEPS.index(step)
    again = [line for line in attempt.steps if line.started_at > hit]
    first: Step | None = again[0] if again else None
    return Row(
        step, named, who, round(gone, 1), round((first.started_at - hit).total_seconds(), 1) if first else -1.0,
        tuple(line.name for line in again if STEPS.index(line.name) < order),
        tuple(line.name for line in attempt.steps), str(attempt.ended),
    )  # fmt: skip


@contextmanager
def _started(argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(
        argv, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "NIGHTDESK_RUNS": "20"}
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        if started.stdout is not None:
            started.stdout.close()


def descendants(pid: int) -> list[int]:
    """Every process below this one."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait(until: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while not until():
        if time.monotonic() > deadline:
            raise SystemExit("What was waited for did not happen in time.")
        pause.wait(0.05)


# --- the table --------------------------------------------------------------------------------------------


def wrong(found: Row) -> str | None:
    """Why a row is not as it has to be."""
    if found.ended not in ("proven", "drafted"):
        return f"ended as {found.ended}"
    if found.repeated:
        return f"did {', '.join(found.repeated)} again"
    if found.lines != STEPS[1:]:
        return f"its log has {', '.join(found.lines)}"
    return None


HEAD = (
    "| held in | signal | taken up by | gone after | went on after | done again | end |",
    "|---|---|---|---|---|---|---|",
)


def line(found: Row) -> str:
    """A row as Markdown."""
    again = ", ".join(found.repeated) or "nothing"
    times = f"{found.ended_after} s | {found.resumed_after} s"
    return (
        f"| {found.step} | {found.signal} | {found.who} | {times} | {again} | {wrong(found) or found.ended} |"
    )


def put(page: Path, new: str) -> None:
    """Put a line into the table of a page, in the place of the one for the same kill."""
    before, _, rest = page.read_text(encoding="utf-8").partition(MARK)
    known, _, after = rest.partition(MARK)
    lines = {_key(each): each for each in known.splitlines() if each.startswith("|") and each not in HEAD}
    lines[_key(new)] = new
    ordered = sorted(
        lines, key=lambda key: (STEPS.index(key[0]), list(SIGNALS).index(key[1]), WHO.index(key[2]))
    )
    body = "\n".join((*HEAD, *(lines[key] for key in ordered)))
    page.write_text(f"{before}{MARK}\n{body}\n{MARK}{after}", encoding="utf-8")


def _key(text: str) -> tuple[str, str, str]:
    cells = [cell.strip() for cell in text.split("|")]
    return cells[1], cells[2], cells[3]


def main() -> int:
    """Print the table; 1 where a row is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", action="append", choices=STEPS)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--hold", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.hold:
        hold(given.data, given.hold)
        return 0
    rows = []
    print("\n".join(HEAD), flush=True)
    for step in given.step or STEPS:
        for named in SIGNALS:
            for who in WHO:
                with tempfile.TemporaryDirectory() as folder:
                    rows.append(row(Path(folder), step, named, who))
                print(line(rows[-1]), flush=True)
                if given.write:
                    put(given.write, line(rows[-1]))
    return int(any(wrong(each) for each in rows))


if __name__ == "__main__":
    raise SystemExit(main())

"""Many events in one installation: does taking more in become slower, what do they weigh, what does a purge give back?

    uv run python -m bench.load [--database sqlite|postgresql] [--events 1000000] [--incidents 100000] [--write docs/scaling.md]

The rows are put there in bulk, with bodies of a common size (a trace of twelve frames), because to record a million one by
one says nothing more. Two databases are filled, to a tenth of the size and in full, and some thousand events are recorded in
them as ever, a batch here and a batch there: what else the machine does slows both. Batches are as group commit makes them
under load, and nine of ten events belong to incidents that are there. Rates are told by the clock and by the processor time
of this process and, on PostgreSQL, of the server's processes that work for it (not of those that write its disk). While
the older half is purged, events are recorded on and on: how many a second, and how long the slowest batch had to wait.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text
from sqlmodel import func, select

from bench.postgres_server import PostgresServer
from store import journal, purging, queries
from store.artifacts import Artifacts
from store.copying import advance
from store.database import Database
from store.event import Event, ExceptionValue, Frame
from store.incident import Fingerprint, Lane
from store.tables import EventRow, FacetRow, FingerprintRow, IncidentRow, Row

BATCH = 64  # events of one transaction: what group commit gathers at most
RECORDED = 100 * BATCH  # events that are recorded as ever, at each size
BULK = 5000  # rows that are put there together
BEGAN, AGE = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=60)
LOOKS = 30  # times that a list and a page are asked for
MARK = "<!-- load -->"


@dataclass(frozen=True)
class Measured:
    """What came of one load."""

    database: str
    events: int
    incidents: int
    rates: tuple[float, ...]  # events a second by the clock: at a tenth of the size, and full
    worked: tuple[float, ...]  # events a second of this process's own processor time
    bytes: int
    list_ms: float
    page_ms: float
    purged: int
    freed: int
    purge_seconds: float
    meanwhile: float  # events a second that were recorded during the purge
    waited_ms: float  # the slowest batch of them


def _frames(kind: int) -> tuple[Frame, ...]:
    return tuple(
        Frame(
            function=f"step_{kind}_{depth}",
            module=f"shop.module_{kind % 97}",
            filename=f"shop/module_{kind % 97}.py",
            abs_path=f"/srv/app/shop/module_{kind % 97}.py",
            lineno=10 + depth,
            in_app=depth > 6,
            context_line=f"    return next_step(order, {depth})",
            vars={"order": {"id": str(kind), "count": "2"}},
        )
        for depth in range(12)
    )


def _event(number: int, kind: int, at: datetime) -> tuple[Event, Fingerprint, str, str]:
    error = ExceptionValue(
        type=f"Error{kind}", value=f"order {number} failed", frames=_frames(kind), handled=False
    )
    event = Event(
        event_id=f"{number:032x}", project="default", received_at=at, timestamp=at, platform="python",
        environment="production", release=f"shop@1.{kind % 5}", user={"id": f"u{number % 50_000}"}, exceptions=(error,),
    )  # fmt: skip
    return (
        event,
        Fingerprint(key=f"k{kind}", mechanism="v1", parts=("type",)),
        f"Error{kind}: order failed",
        "shop",
    )


def measure(urls: tuple[str, str], folder: Path, database: str, events: int, incidents: int) -> Measured:
    """Fill, record, look, purge the older half."""
    small, db = (Database.open(url) for url in urls)
    artifacts = Artifacts(folder / "artifacts")
    _fill(small, events // 10, incidents // 10)
    _fill(db, events, incidents)
    print(f"{events} events are there", flush=True)
    rates, worked = _record((small, db), artifacts, (max(1, incidents // 10), incidents))
    print(f"{rates} a second, {worked} a second of processor time", flush=True)
    small.close()
    size = db.size()
    list_ms = _timed(lambda: queries.incidents(db, lane=Lane.BACKLOG, limit=20))
    page_ms = _timed(lambda: (queries.incident(db, "INC-1"), queries.events(db, "INC-1", limit=1)))
    meanwhile = _Meanwhile(db, artifacts, incidents)
    before = time.perf_counter()
    gone = purging.purge(db, artifacts, purging.older_than(BEGAN + AGE / 2), "bench", "load", compact=False)
    took = time.perf_counter() - before
    rate, waited = meanwhile.end(took)
    db.compact()
    found = sum(queries.lane_counts(db).values())
    freed = size - db.size()
    db.close()
    return Measured(
        database,
        events,
        found,
        rates,
        worked,
        size,
        list_ms,
        page_ms,
        gone.events,
        freed,
        round(took, 1),
        rate,
        waited,
    )


class _Meanwhile:
    """Records a batch about ten times a second, until it is told to end."""

    def __init__(self, db: Database, artifacts: Artifacts, incidents: int) -> None:
        self._db, self._artifacts, self._incidents = db, artifacts, incidents
        self._done = threading.Event()
        self._waits: list[float] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self, seconds: float) -> tuple[float, float]:
        """Events a second, and the milliseconds of the slowest batch."""
        self._done.set()
        self._thread.join()
        return round(len(self._waits) * BATCH / seconds, 1), round(max(self._waits) * 1000, 1)

    def _run(self) -> None:
        while not self._done.wait(0.1):
            batch = _batch(3, len(self._waits) * BATCH, self._incidents)
            before = time.perf_counter()
            journal.record(self._db, self._artifacts, batch)
            self._waits.append(time.perf_counter() - before)


def _fill(db: Database, events: int, incidents: int) -> None:
    """Have so many events of so many incidents, each the same number; what is there stays."""
    with db.read() as session:
        there = session.exec(select(func.count()).select_from(IncidentRow)).one()
        kept = session.exec(select(func.count()).select_from(EventRow)).one()
    body = zlib.compress(_event(0, 0, BEGAN)[0].model_dump_json().encode())
    for start in range(there, incidents, BULK):
        numbers = range(start + 1, min(start + BULK, incidents) + 1)
        with db.write() as session:
            session.connection().execute(insert(IncidentRow), [_incident(number) for number in numbers])
            session.connection().execute(insert(FingerprintRow), [_print(number) for number in numbers])
            session.connection().execute(
                insert(FacetRow), [row for number in numbers for row in _seen_with(number)]
            )
    for start in range(kept, events, BULK):
        rows = [_row(number, incidents, events, body) for number in range(start, min(start + BULK, events))]
        with db.write() as session:
            session.connection().execute(insert(EventRow), rows)
            session.connection().execute(insert(FacetRow), list(_users(rows)))
    if db.backend.name == "postgresql":
        with db.write() as session:
            advance(session.connection(), Row.metadata.tables["incidents"])


def _incident(number: int) -> dict[str, Any]:
    lane = "focus" if number % 33 == 0 else "noise" if number % 3 == 0 else "backlog"
    return {
        "id": number, "project_id": 1, "title": f"Error{number}: order failed", "culprit": f"shop.module_{number % 97}",
        "first_seen": BEGAN, "last_seen": BEGAN + AGE * (number / 1_000_000), "event_count": 10, "user_count": 3,
        "environments": ["production"], "releases": [f"shop@1.{number % 5}"], "status": "open", "lane": lane,
        "priority": number % 1000 / 10, "why": "unhandled in a request",
    }  # fmt: skip


def _print(number: int) -> dict[str, Any]:
    return {"project_id": 1, "incident_id": number, "mechanism": "v1", "key": f"k{number}", "parts": ["type"]}


def _seen_with(number: int) -> list[dict[str, Any]]:
    """What an incident is known to be seen with, as after its first event."""
    seen = (("environment", "production"), ("release", f"shop@1.{number % 5}"))
    return [{"incident_id": number, "kind": kind, "value": value} for kind, value in seen]


def _users(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The users of events, whom their incidents remember: each event has its own here."""
    for row in rows:
        yield {"incident_id": row["incident_id"], "kind": "user", "value": row["user_key"]}


def _row(number: int, incidents: int, events: int, body: bytes) -> dict[str, Any]:
    at = BEGAN + AGE * (number / events)
    return {
        "project_id": 1, "incident_id": number % incidents + 1, "event_id": f"{number:032x}",
        "number": number // incidents + 1, "received_at": at, "seen_at": at, "release": f"shop@1.{(number % incidents + 1) % 5}",
        "environment": "production", "user_key": f"id:{number}", "body": body,
    }  # fmt: skip


def _batch(run: int, start: int, incidents: int) -> list[tuple[Event, Fingerprint, str, str]]:
    """Events as they come: one of ten is of an incident that is new."""
    chooser, now = random.Random(start), datetime.now(UTC)  # noqa: S311
    made = []
    for number in range(start, start + BATCH):
        kind = chooser.randrange(incidents) + 1 if number % 10 else 10**8 * (run + 1) + number
        made.append(_event(10**12 * (run + 1) + number, kind, now))
    return made


def _record(
    databases: tuple[Database, Database], artifacts: Artifacts, incidents: tuple[int, int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Record some events as ever, in turn here and there; a second of the clock, and of processor time, for each."""
    clock, own = [0.0, 0.0], [-_served(db) for db in databases]
    for start in range(0, RECORDED, BATCH):
        for place in (0, 1) if start // BATCH % 2 else (1, 0):
            batch = _batch(place, start, incidents[place])
            before, spent = time.perf_counter(), time.process_time()
            journal.record(databases[place], artifacts, batch)
            clock[place] += time.perf_counter() - before
            own[place] += time.process_time() - spent
    own = [each + _served(db) for each, db in zip(own, databases, strict=True)]
    return tuple(round(RECORDED / each, 1) for each in clock), tuple(
        round(RECORDED / each, 1) for each in own
    )


def _served(db: Database) -> float:
    """Seconds of processor time that the processes of a PostgreSQL server have worked for us on one database."""
    if db.backend.name != "postgresql":
        return 0.0
    with db.read() as session:
        asked = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        pids = session.connection().execute(asked).scalars().all()
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def _timed(look: object) -> float:
    """The median in milliseconds."""
    assert callable(look)
    took = []
    for _ in range(LOOKS):
        before = time.perf_counter()
        look()
        took.append((time.perf_counter() - before) * 1000)
    return round(statistics.median(took), 1)


HEAD = (
    "| database | events | incidents | events/s at a tenth | full | in processor time, at a tenth | full | bytes an event | list ms | incident ms | purged | events/s meanwhile | slowest batch ms | freed |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
)


def line(found: Measured) -> str:
    """A row of the table."""
    cells = (found.database, found.events, found.incidents, found.rates[0], found.rates[-1], found.worked[0],
             found.worked[-1], found.bytes // found.events, found.list_ms, found.page_ms,
             f"{found.purged} in {found.purge_seconds} s", found.meanwhile, found.waited_ms, f"{100 * found.freed // found.bytes} %")  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def put(page: Path, new: str) -> None:
    """Put a row into the table of a page, in the place of the one of the same database and size."""
    before, _, rest = page.read_text(encoding="utf-8").partition(MARK)
    known, _, after = rest.partition(MARK)
    rows = {
        tuple(row.split("|")[1:3]): row
        for row in known.splitlines()
        if row.startswith("|") and row not in HEAD
    }
    rows[tuple(new.split("|")[1:3])] = new
    body = "\n".join((*HEAD, *rows.values()))
    page.write_text(f"{before}{MARK}\n{body}\n{MARK}{after}", encoding="utf-8")


def main() -> int:
    """Print the row; 1 where taking in became slower by more than a tenth, in processor time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--incidents", type=int, default=100_000)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nd-load-")))
        urls = f"sqlite:///{folder / 'tenth.sqlite'}", f"sqlite:///{folder / 'full.sqlite'}"
        if given.database == "postgresql":
            server = stack.enter_context(PostgresServer.start(durable=True))
            urls = server.new_database(), server.new_database()
        found = measure(urls, folder, given.database, given.events, given.incidents)
    print("\n".join((*HEAD, line(found))))
    if given.write:
        put(given.write, line(found))
    return int(found.worked[-1] < 0.9 * found.worked[0])


if __name__ == "__main__":
    raise SystemExit(main())

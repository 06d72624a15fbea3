"""Many events in one installation: does taking more in become slower, what do they weigh, what does a purge give back?

    uv run python -m bench.load [--database sqlite|postgresql] [--events 1000000] [--incidents 100000] [--write docs/scaling.md]

The rows are put there in bulk, with bodies of a common size (a trace of twelve frames), because to record a million one by
one says nothing more. At a tenth of the size and at the end some thousand events are recorded as ever, in batches as
group commit makes them under load: nine of ten belong to incidents that are there. Rates are told by the clock and by the
processor time of this process, for the machine may be busy with other things; on PostgreSQL the server's own time is not
in the latter.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert
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
RECORDED = 20 * BATCH  # events that are recorded as ever, at each size
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


def measure(url: str, folder: Path, database: str, events: int, incidents: int) -> Measured:
    """Fill, record, look, purge the older half."""
    db, artifacts = Database.open(url), Artifacts(folder / "artifacts")
    rates, worked = [], []
    for share in (10, 100):
        _fill(db, events * share // 100, incidents * share // 100)
        rate, own = _record(db, artifacts, share, max(1, incidents * share // 100))
        rates.append(rate)
        worked.append(own)
        print(
            f"{events * share // 100} events: {rate} a second, {own} a second of processor time", flush=True
        )
    size = db.size()
    list_ms = _timed(lambda: queries.incidents(db, lane=Lane.BACKLOG, limit=20))
    page_ms = _timed(lambda: (queries.incident(db, "INC-1"), queries.events(db, "INC-1", limit=1)))
    before = time.perf_counter()
    gone = purging.purge(db, artifacts, purging.older_than(BEGAN + AGE / 2), "bench", "load")
    took = round(time.perf_counter() - before, 1)
    found = sum(queries.lane_counts(db).values())
    freed = size - db.size()
    db.close()
    return Measured(
        database, events, found, tuple(rates), tuple(worked), size, list_ms, page_ms, gone.events, freed, took
    )


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


def _record(db: Database, artifacts: Artifacts, share: int, incidents: int) -> tuple[float, float]:
    """Record some events as ever; a second of the clock, and of processor time."""
    chooser, now = random.Random(share), datetime.now(UTC)  # noqa: S311
    clock = own = 0.0
    for start in range(0, RECORDED, BATCH):
        batch = []
        for number in range(start, start + BATCH):
            kind = chooser.randrange(incidents) + 1 if number % 10 else 10_000_000 + share * RECORDED + number
            batch.append(_event(10**12 + share * RECORDED + number, kind, now))
        before, spent = time.perf_counter(), time.process_time()
        journal.record(db, artifacts, batch)
        clock, own = clock + time.perf_counter() - before, own + time.process_time() - spent
    return round(RECORDED / clock, 1), round(RECORDED / own, 1)


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
    "| database | events | incidents | events/s at a tenth | full | in processor time, at a tenth | full | bytes an event | list ms | incident ms | purged | freed |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
)


def line(found: Measured) -> str:
    """A row of the table."""
    cells = (found.database, found.events, found.incidents, found.rates[0], found.rates[-1], found.worked[0],
             found.worked[-1], found.bytes // found.events, found.list_ms, found.page_ms,
             f"{found.purged} in {found.purge_seconds} s", f"{100 * found.freed // found.bytes} %")  # fmt: skip
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
        url = f"sqlite:///{folder / 'nightdesk.sqlite'}"
        if given.database == "postgresql":
            url = stack.enter_context(PostgresServer.start(durable=True)).new_database()
        found = measure(url, folder, given.database, given.events, given.incidents)
    print("\n".join((*HEAD, line(found))))
    if given.write:
        put(given.write, line(found))
    return int(found.worked[-1] < 0.9 * found.worked[0])


if __name__ == "__main__":
    raise SystemExit(main())

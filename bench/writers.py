"""Three processes write ten thousand events to one folder: nothing is lost, nobody is told "locked".

    uv run python -m bench.writers [--writes 10000] [--write docs/reliability.md]

Each process writes from four threads, as a server under load does, so that commits are shared.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import event as sql_event

from store import journal, queries
from store.artifacts import Artifacts
from store.database import Database
from store.event import Event
from store.incident import Fingerprint

ROOT = Path(__file__).resolve().parents[1]
PROCESSES, THREADS, GROUPS = 3, 4, 25
MARK = "<!-- writers -->"
PATIENCE = 900.0  # seconds


def write(url: str, me: str, writes: int) -> None:
    """One process: so many events, each with an id of its own; prints how many commits it took and the slowest."""
    database, commits = Database.open(url), [0]
    sql_event.listen(database._writer, "commit", lambda _: commits.__setitem__(0, commits[0] + 1))
    artifacts, now = Artifacts(Path(url.removeprefix("sqlite:///")).parent / "artifacts"), datetime.now(UTC)

    def one(number: int) -> float:
        event = Event(
            event_id=f"{me}-{number}", project="default", received_at=now, timestamp=now, user={"id": me}
        )
        report = (event, Fingerprint(key=f"k{number % GROUPS}", mechanism="v1", parts=()), "T", "c")
        started = time.perf_counter()
        journal.record(database, artifacts, [report])
        return time.perf_counter() - started

    with ThreadPoolExecutor(THREADS) as threads:
        took = sorted(threads.map(one, range(writes)))
    database.close()
    print(commits[0], took[len(took) * 99 // 100], took[-1])


def measure(folder: Path, writes: int) -> dict[str, float]:
    """Start the processes, wait, count. Raises SystemExit where something is lost or somebody complained."""
    url, share = f"sqlite:///{folder / 'nightdesk.sqlite'}", [writes // PROCESSES] * PROCESSES
    share[0] += writes % PROCESSES
    started = time.perf_counter()
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "bench.writers", "--url", url, "--me", str(me),
             "--writes", str(share[me])],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for me in range(PROCESSES)
    ]  # fmt: skip
    said = [process.communicate(timeout=PATIENCE) for process in running]
    seconds = time.perf_counter() - started
    for process, (_, complaint) in zip(running, said, strict=True):
        if process.returncode or complaint:
            raise SystemExit(
                f"A writer ended with {process.returncode}: {complaint or 'it was killed from outside'}"
            )
    database = Database.open(url)
    incidents = queries.incidents(database)
    counted = sum(incident.event_count for incident in incidents)
    kept = {one.event_id for incident in incidents for one in queries.occurrences(database, incident.id)}
    database.close()
    if counted != writes or len(kept) != counted:
        raise SystemExit(f"Of {writes} writes {counted} were counted and {len(kept)} kept.")
    figures = [[float(word) for word in out.split()] for out, _ in said]
    return {
        "writes": counted, "seconds": round(seconds, 1), "a second": round(counted / seconds),
        "commits": sum(row[0] for row in figures), "p99 ms": round(1000 * max(row[1] for row in figures)),
        "slowest ms": round(1000 * max(row[2] for row in figures)),
    }  # fmt: skip


def main() -> int:
    """Measure and print, or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=10_000)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--me", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.url:
        write(given.url, given.me, given.writes)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), given.writes)
    head = " | ".join(found)
    text = f"| {head} |\n|{'---|' * len(found)}\n| {' | '.join(f'{value:g}' for value in found.values())} |"
    print(text)
    if given.write:
        before, _, rest = given.write.read_text(encoding="utf-8").partition(MARK)
        given.write.write_text(before + MARK + "\n" + text + "\n" + MARK + rest.partition(MARK)[2])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

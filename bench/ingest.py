"""Ingest, measured: the product beside a bare "write the body and commit", and a peer, in one run on one machine.

    uv run python -m bench.ingest [--peer bugsink] [--workers 1] [--beside CHECKOUT] [--events 2000] [--connections 16]
                                  [--mix storm …] [--json FILE]

Four mixes (`bench.grouping_mixes`), each sent twice to a fresh server: `new` makes the incidents and has them triaged,
`known` is the same again with other event ids. Digested means grouped and kept, counted in the server's own database;
the time ends when the last event is. CPU is of all processes of the server, and goes on until it is quiet: what it
does afterwards (triage of new incidents, a queue) is in, what it does when idle is not. `until answered` leaves that out. Exits with 1 where an event
that was answered with success is not kept, or where the product makes another number of groups than wanted.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench.ingest_load import TITLES, WANTED, bodies
from bench.ingest_peers import PATIENCE, ROOT, Server, bare, bugsink, product

Row = dict[str, Any]


def measured(server: Server, mix: str, phase: str, count: int, connections: int) -> Row:
    """Send one mix and wait until it is digested and the server is quiet."""
    before = server.ask(server.counted)
    made = [body for _, body in bodies(mix, count)]
    idle = server.quiet()
    cpu, started = server.cpu(), time.perf_counter()
    sent = _sent(server, made, connections)
    answered_cpu = server.cpu() - cpu - idle * (time.perf_counter() - started)
    taken = sum(number for status, number in sent["statuses"].items() if status.startswith("2"))
    kept, digested = _digested(server, before, taken, started, sent["seconds"])
    server.quiet()
    spent = server.cpu() - cpu - idle * (time.perf_counter() - started)
    latencies = sent["latencies"]
    return {
        "server": server.name, "mix": mix, "phase": phase, "sent": count, "taken": taken, "kept": kept,
        "a second": kept / digested, "CPU ms": 1000 * spent / max(kept, 1), "until answered": 1000 * answered_cpu / max(taken, 1),
        "p50 ms": 1000 * latencies[len(latencies) // 2], "p99 ms": 1000 * latencies[len(latencies) * 99 // 100],
        "MiB": server.peak(), "groups": server.ask(server.grouped) if server.grouped else None, "wanted": min(WANTED[mix], count),
    }  # fmt: skip


def _sent(server: Server, made: list[bytes], connections: int) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".job") as file:
        job = {
            "port": server.port,
            "path": server.path,
            "headers": dict(server.headers),
            "made": made,
            "connections": connections,
        }
        file.write(pickle.dumps(job))
        file.flush()
        command = [sys.executable, "-m", "bench.ingest_load", file.name]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=900)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _digested(server: Server, before: int, taken: int, started: float, seconds: float) -> tuple[int, float]:
    """(events kept, seconds until they were): at once for who answers after the commit, later for a queue."""
    kept = server.ask(server.counted) - before
    if kept >= taken:
        return kept, seconds
    last, until = time.perf_counter(), time.monotonic() + 10 * PATIENCE
    while kept < taken and time.monotonic() < until and time.perf_counter() - last < PATIENCE:
        time.sleep(0.2)
        now = server.ask(server.counted) - before
        if now > kept:
            kept, last = now, time.perf_counter()
    return kept, last - started


def table(rows: list[Row]) -> str:
    """The rows for people, and the ratio to the peer."""
    columns = [
        "server",
        "phase",
        "kept",
        "a second",
        "CPU ms",
        "until answered",
        "p50 ms",
        "p99 ms",
        "MiB",
        "groups",
    ]
    lines = []
    for mix in dict.fromkeys(row["mix"] for row in rows):
        lines += [f"{TITLES[mix]}, wanted {WANTED[mix]}", "  ".join(f"{name:>14}" for name in columns)]
        for row in rows:
            if row["mix"] == mix:
                shown = [
                    f"{value:.2f}" if isinstance(value := row[name], float) else str(value)
                    for name in columns
                ]
                lines.append("  ".join(f"{value:>14}" for value in shown))
        lines += [*_ratios([row for row in rows if row["mix"] == mix]), ""]
    return "\n".join(lines)


def _ratios(rows: list[Row]) -> list[str]:
    ours = {row["phase"]: row["a second"] for row in rows if row["server"] == "nightdesk"}
    others = [row for row in rows if row["server"] != "nightdesk" and row["phase"] in ours]
    return [
        f"nightdesk : {row['server']}, {row['phase']}: {ours[row['phase']] / row['a second']:.2f}"
        for row in others
        if row["a second"]
    ]


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--peer", choices=["bugsink"])
    options.add_argument(
        "--peer-events", type=int, default=300, help="events a mix for the peer, which is slower"
    )
    options.add_argument("--beside", type=Path, help="another checkout of this repository, with its .venv")
    options.add_argument("--workers", type=int, default=1, help="processes of the product")
    options.add_argument("--events", type=int, default=2000)
    options.add_argument("--connections", type=int, default=16)
    options.add_argument("--mix", action="append", choices=list(WANTED))
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    rows: list[Row] = []
    for mix in given.mix or list(WANTED):
        with tempfile.TemporaryDirectory() as place:
            servers: list[tuple[str, int]] = [("bare", given.events), ("product", given.events)]
            servers += [("beside", given.events)] if given.beside else []
            servers += [("bugsink", given.peer_events)] if given.peer else []
            for name, count in servers:
                folder = Path(place) / name
                folder.mkdir()
                with _server(name, folder, given.beside, given.workers) as server:
                    rows += [
                        measured(server, mix, phase, count, given.connections) for phase in ("new", "known")
                    ]
                print(table([row for row in rows if row["mix"] == mix][-2:]), flush=True)
    print(table(rows))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))
    lost = [row for row in rows if row["kept"] < row["taken"]]
    wrong = [
        row
        for row in rows
        if row["server"] == "nightdesk" and (row["groups"] != row["wanted"] or row["taken"] < row["sent"])
    ]
    for row in [*lost, *wrong]:
        print(f"NOT AS WANTED: {row}")
    return 1 if lost or wrong else 0


def _server(name: str, folder: Path, beside: Path | None, workers: int) -> AbstractContextManager[Server]:
    if name == "beside" and beside is not None:
        return product(folder, beside.resolve(), workers)
    if name == "product":
        return product(folder, workers=workers)
    return {"bare": bare, "bugsink": bugsink}[name](folder)


if __name__ == "__main__":
    sys.exit(main())

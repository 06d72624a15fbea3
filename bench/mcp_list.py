"""How long `list_incidents` takes over a hundred thousand incidents and a million events.

    uv run python -m bench.mcp_list [--incidents 100000] [--events 1000000] [--calls 400] [--write docs/results.md]

The rows are written in bulk, past the recorder: distribution and sizes as in use (a lane in focus is short, titles
repeat, services and projects are few, one project is large), without event bodies, which no list reads. The calls
go through the MCP server and a client in memory, with every kind of filter in turn; what is timed is what a
client waits.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from server.config import load
from server.house import House
from server.mcp.tools import make_server
from server.operating.memory import settle
from store import journal

MARK = "<!-- mcp-list -->"
BOUND = 50  # milliseconds that 99 of 100 calls may take
NOW = datetime(2026, 11, 20, 12, 0)
PROJECTS = ("default", "billing", "search", "mail")
SERVICES = [f"service-{number}" for number in range(40)]
ERRORS = ("KeyError", "ValueError", "TypeError", "TimeoutError", "IntegrityError", "AttributeError")
QUESTIONS: dict[str, dict[str, Any]] = {
    "focus": {},
    "all lanes": {"lane": "all"},
    "all lanes, 50 rows": {"lane": "all", "limit": 50},
    "backlog of a project": {"lane": "backlog", "project": "billing"},
    "a repository": {"lane": "all", "repo": "repo-7"},
    "a service": {"lane": "all", "service": "service-7"},
    "since a day": {"lane": "all", "since": "2026-11-19T12:00Z"},
    "since an hour, backlog": {"lane": "backlog", "since": "2026-11-20T11:00Z"},
    "a frequent word": {"lane": "all", "query": "keyerror"},
    "a rare word": {"lane": "all", "query": "needle"},
    "a word that is nowhere": {"lane": "all", "query": "nowhere-to-be-found"},
}


def incident_rows(count: int, chance: random.Random) -> Iterator[tuple[Any, ...]]:
    """Rows of incidents; three in a hundred are in focus, a third has settled."""
    for number in range(1, count + 1):
        lane = "focus" if number % 33 == 0 else "noise" if number % 3 == 0 else "backlog"
        status = "resolved" if number % 3 == 1 else "open"
        seen = NOW - timedelta(seconds=chance.randrange(90 * 86400))
        word = "needle" if number % 20_000 == 17 else chance.choice(("carrier", "price", "address", "token"))
        repo = f"repo-{number % 25}"
        place = {
            "repo": repo, "path": f"src/part_{number % 900}.py", "line": number % 400, "function": "work",
            "commit": "a" * 40, "confidence": 0.9, "method": "path",
        }  # fmt: skip
        yield (
            number, chance.choice((1, 1, 1, 2, 3, 4)), f"{chance.choice(ERRORS)}: '{word}' in step {number}",
            f"part_{number % 900} in work", seen - timedelta(days=3), seen, 10, 3, '["production"]', '["shop@1"]',
            status, lane, round(chance.random(), 4), "unhandled in a request", json.dumps(place), repo,
        )  # fmt: skip


def event_rows(count: int, incidents: int) -> Iterator[tuple[Any, ...]]:
    """Rows of events, the same number of each incident."""
    for number in range(count):
        incident = number % incidents + 1
        seen = NOW - timedelta(seconds=number % (90 * 86400))
        yield (
            1, incident, f"{number:032x}", number // incidents + 1, seen, seen, "shop@1", "production",
            SERVICES[incident % len(SERVICES)], f"id:{number % 50_000}",
        )  # fmt: skip


def fill(path: Path, incidents: int, events: int) -> None:
    """Write the rows, one transaction a table."""
    chance = random.Random(7)  # noqa: S311
    sqlite3.register_adapter(datetime, lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S.%f"))
    with sqlite3.connect(path) as base:
        base.executemany(
            "INSERT INTO incidents (id, project_id, title, culprit, first_seen, last_seen, event_count, user_count, "
            "environments, releases, status, lane, priority, why, location, repo) "
            "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            incident_rows(incidents, chance),
        )
        base.executemany(
            "INSERT INTO facets (incident_id, kind, value) VALUES (?, 'service', ?)",
            ((number, SERVICES[number % len(SERVICES)]) for number in range(1, incidents + 1)),
        )
        base.executemany(
            "INSERT INTO fingerprints (project_id, incident_id, mechanism, key, parts) VALUES (1, ?, 'v1', ?, '[]')",
            ((number, f"key-{number}") for number in range(1, incidents + 1)),
        )
        base.executemany(
            "INSERT INTO events (project_id, incident_id, event_id, number, received_at, seen_at, release, "
            "environment, service, user_key) VALUES (?,?,?,?,?,?,?,?,?,?)",
            event_rows(events, incidents),
        )
        base.executemany(
            'INSERT INTO attempts (id, incident_id, number, body) VALUES (?, ?, 1, \'{"ended": "not_reproduced"}\')',
            ((f"INC-{number}-1", number) for number in range(33, incidents + 1, 33)),
        )


async def timed(house: House, calls: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of each call, by question, and of processor time; three of four calls ask for a later page."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in QUESTIONS}
    cursors: dict[str, str | None] = {}
    settle()  # as `serve` and `mcp` do
    async with Client(make_server(lambda: house)) as client:
        for name, asked in QUESTIONS.items():
            await client.call_tool("list_incidents", asked)  # the first call imports what answers
            cursors[name] = None
        for _ in range(calls):
            for name, asked in QUESTIONS.items():
                started, used = time.perf_counter(), time.process_time()
                answer = await client.call_tool("list_incidents", {**asked, "cursor": cursors[name]})
                waited = time.perf_counter() - started
                took[name].append((waited * 1000, (time.process_time() - used) * 1000))
                assert not answer.is_error, answer
                assert answer.structured_content is not None
                turn = len(took[name]) % 4
                cursors[name] = answer.structured_content.get("next_cursor") if turn else None
    return took


def percentile(values: list[float], share: float) -> float:
    """The value below which this share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(
    took: dict[str, list[tuple[float, float]]],
    incidents: int,
    events: int,
    what: str = "question",
    share: int = 99,
) -> str:
    """The table, in Markdown: for each name its calls, the median, and what `share` of a hundred keep."""
    lines = [
        f"| {what} | calls | median ms | p{share} ms | p{share} ms of processor time |",
        "|---|---|---|---|---|",
    ]
    for name, values in took.items():
        waited, used = [each[0] for each in values], [each[1] for each in values]
        figures = (statistics.median(waited), percentile(waited, share / 100), percentile(used, share / 100))
        lines.append(
            f"| {name} | {len(values)} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |"
        )
    head = f"{incidents:,} incidents, {events:,} events, SQLite, Python {platform.python_version()}, "
    shared = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"
    return f"{head}{shared}.\n\n" + "\n".join(lines) + "\n"


def keep(path: Path, text: str, mark: str = MARK) -> None:
    """Put the table between its marks."""
    page = path.read_text(encoding="utf-8")
    assert page.count(mark) == 2, f"{path} has no place for it, between two {mark}"
    before, _, after = page.split(mark)
    path.write_text(f"{before}{mark}\n{text}{mark}{after}", encoding="utf-8")


def main() -> None:
    """Fill a folder, ask, print the table; exit 1 where the slowest of a hundred takes more than 50 ms."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--incidents", type=int, default=100_000)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--calls", type=int, default=100, help="calls of each question")
    options.add_argument("--write", type=Path)
    given = options.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        House.open(load(Path(folder), {})) as house,
    ):
        for name in PROJECTS[1:]:
            journal.add_project(house.database, name)
        started = time.perf_counter()
        fill(house.config.data / "nightdesk.sqlite", given.incidents, given.events)
        print(f"filled in {time.perf_counter() - started:.0f} s")
        took = anyio.run(timed, house, given.calls)
    every = [each for values in took.values() for each in values]
    text = report({**took, "every call": every}, given.incidents, given.events)
    print(text)
    if given.write:
        keep(given.write, text)
    raise SystemExit(percentile([each[0] for each in every], 0.99) > BOUND)


if __name__ == "__main__":
    main()

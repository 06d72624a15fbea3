"""How long the server takes for the first page and for an incident, at a hundred thousand incidents.

    uv run python -m bench.pages [--incidents 100000] [--events 1000000] [--calls 200] [--write docs/results.md]

The rows are those of `bench.mcp_list`; fifty incidents get what a busy one has besides: fifty events with bodies of thirty
frames and their variables, breadcrumbs and a request, a triage, and a repair with six candidate changes, a test, a patch and
a draft. A call is the whole answer of the application, without a socket. Exit 1 where 95 of 100 take more than 60 ms.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx

from bench.mcp_list import PROJECTS, fill, keep, percentile, report
from server.app import make_app
from server.config import load
from server.house import House
from server.operating.memory import settle
from store import journal
from store.event import Breadcrumb, Event, ExceptionValue, Frame, Request
from store.incident import Kind, Lane, Step, Triage, Verdict
from store.repair import (
    Attempt,
    CandidateChange,
    ChangeVerdict,
    DraftPullRequest,
    Ended,
    Evidence,
    Hypothesis,
    Oracle,
    Patch,
    Reproducer,
    Validation,
    ValidationVerdict,
)

MARK = "<!-- pages -->"
BOUND = 60  # milliseconds that 95 of 100 calls may take
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BUSY, BODIES = 50, 50
DIFF = "--- a/shop/rates.py\n+++ b/shop/rates.py\n@@ -1,3 +1,3 @@\n def quote(order):\n-    return order['carrier']\n+    return order.get('carrier')\n \n"


def event(number: int) -> Event:
    """An event as a web application's SDK sends it."""
    frames = tuple(
        Frame(
            function=f"step_{place}", module="shop.rates", filename=f"shop/part_{place}.py", lineno=40 + place,
            in_app=place > 24, pre_context=("a = 1",) * 5, context_line="return order['carrier']",
            post_context=("b = 2",) * 5, vars={f"name_{each}": f"a value of {each}" * 4 for each in range(8)},
        )
        for place in range(30)
    )  # fmt: skip
    crumbs = tuple(
        Breadcrumb(timestamp=NOW - timedelta(milliseconds=40 * each), category="query", message="SELECT 1")
        for each in range(30)
    )
    return Event(
        event_id=f"{number:032x}", project="default", received_at=NOW, timestamp=NOW, release="shop@1",
        environment="production", exceptions=(ExceptionValue(type="KeyError", value="'carrier'", frames=frames),),
        breadcrumbs=crumbs, request=Request(method="POST", url="https://shop.example/orders", data={"id": number}),
        user={"id": str(number)}, tags={f"tag_{each}": "value" for each in range(10)},
    )  # fmt: skip


def attempt(incident: str) -> Attempt:
    """A repair that went to its end."""
    changes = tuple(
        CandidateChange(
            repo="shop", commit=f"{place}" * 40, title="Read the carrier", author="Ada <ada@example.com>",
            authored_at=NOW, merged_at=NOW, files=("shop/rates.py",), reasons=("touches a file of the trace",) * 6,
            verdict=ChangeVerdict.SUPPORTED if place == 1 else ChangeVerdict.REFUTED, hunks=DIFF,
        )
        for place in range(1, 7)
    )  # fmt: skip
    hypotheses = tuple(
        Hypothesis(
            id=f"H{n}", statement="it did", status="refuted", evidence=(Evidence(kind="commit", claim="no"),)
        )
        for n in range(6)
    )
    test = Reproducer(
        repo="shop", framework="pytest", test_path="tests/test_inc.py", source="def test_it():\n    assert 1\n" * 20,
        command="python -m pytest", entry="http", oracle=Oracle.PARENT_VALUE, runs=200, failures=200,
    )  # fmt: skip
    steps = tuple(Step(name=f"step {n}", started_at=NOW, took=1.0, said="It went well.") for n in range(8))
    draft = DraftPullRequest(
        forge="github",
        repo="shop",
        branch="nightdesk/INC",
        base="main",
        title="Fix",
        body="Why\n" * 40,
        state="open",
    )
    return Attempt(
        id=f"{incident}-1", incident_id=incident, started_at=NOW, ended=Ended.DRAFTED, said="proven", steps=steps,
        changes=changes, hypotheses=hypotheses, reproducer=test, drafts=(draft,),
        patch=Patch(diffs={"shop": DIFF}, base_commits={"shop": "1" * 40}, fixer="rules"),
        validation=Validation(verdict=ValidationVerdict.PROVEN, fails_before=(200, 200), passes_after=(200, 200)),
    )  # fmt: skip


def make_busy(house: House, numbers: list[int]) -> None:
    """Give these incidents what a busy one has."""
    verdict = Verdict(
        kind=Kind.APP_BUG, signal=True, score=0.9, threshold=0.5, classifier="bench@1", reasons=("crash",)
    )
    triage = Triage(
        verdict=verdict,
        lane=Lane.FOCUS,
        priority=2.0,
        why="unhandled",
        title="KeyError: 'carrier'",
        culprit="x",
        location=None,
    )
    with sqlite3.connect(house.config.data / "nightdesk.sqlite") as base:
        for number in numbers:
            last = base.execute("SELECT max(number) FROM events WHERE incident_id = ?", (number,)).fetchone()[
                0
            ]
            for each in range(BODIES):
                one = event(number * 1000 + each)
                base.execute(
                    "INSERT INTO events (project_id, incident_id, event_id, number, received_at, seen_at, user_key, body) "
                    "VALUES (1, ?, ?, ?, '2026-11-20 11:00:00.000000', '2026-11-20 11:00:00.000000', 'id:1', ?)",
                    (
                        number,
                        "b" + one.event_id[1:],
                        last + 1 + each,
                        zlib.compress(one.model_dump_json().encode()),
                    ),
                )
        base.execute(
            "INSERT OR IGNORE INTO incident_texts SELECT id, title || ' ' || culprit || ' ' || why || ' of order ' || id || "
            "' in shop/part_' || (id % 977) || '.py step_' || (id % 89) || ' ' || lower(hex(id * 2654435761)) FROM incidents"
        )
        base.execute(
            "UPDATE attempts SET body = json_object('id', id, 'incident_id', 'INC-' || incident_id, 'ended', "
            "'not_reproduced', 'started_at', '2026-11-20T11:00:00Z')"
        )
    for number in numbers:
        journal.keep_triage(house.database, f"INC-{number}", triage)
        begun = journal.start_attempt(house.database, f"INC-{number}")
        done = attempt(f"INC-{number}").model_copy(update={"id": begun.id})
        journal.keep_attempt(house.database, done)


async def timed(
    house: House, paths: dict[str, list[str]], calls: int
) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of each call, and of processor time, by the kind of page."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
    transport = httpx.ASGITransport(app=make_app(house))
    settle()  # as a process that serves does
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        for name, wanted in paths.items():
            assert (await http.get(wanted[0])).status_code == 200, name
            for call in range(calls):
                started, used = time.perf_counter(), time.process_time()
                answer = await http.get(wanted[call % len(wanted)])
                waited = (time.perf_counter() - started) * 1000
                took[name].append((waited, (time.process_time() - used) * 1000))
                assert answer.status_code == 200, answer.text
    return took


def main() -> None:
    """Fill a folder, ask, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--incidents", type=int, default=100_000)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--calls", type=int, default=100, help="calls of each page")
    options.add_argument("--write", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, House.open(load(Path(folder), {})) as house:
        for name in PROJECTS[1:]:
            journal.add_project(house.database, name)
        fill(house.config.data / "nightdesk.sqlite", given.incidents, given.events)
        numbers = [33 * each for each in range(1, min(BUSY, given.incidents // 33) + 1)]
        make_busy(house, numbers)
        paths = {
            "Now": ["/"],
            "Incident, busy": [f"/incidents/INC-{number}" for number in numbers],
            "Incident, others": [f"/incidents/INC-{number}" for number in range(2, given.incidents, 997)],
            "Search": [
                f"/search?q={words}"
                for words in (
                    "needle",
                    "keyerror",
                    "nowhere-to-be-found",
                    "part_33.py",
                    "keyerror+step_7+shop",
                    "er",
                )
            ],
        }
        took = anyio.run(timed, house, paths, given.calls)
    text = report(took, given.incidents, given.events, "page", 95)
    print(text)
    if given.write:
        keep(given.write, text, MARK)
    bounded = [percentile([each[0] for each in took[name]], 0.95) for name in took if name != "Search"]
    raise SystemExit(max(bounded) > BOUND)


if __name__ == "__main__":
    main()

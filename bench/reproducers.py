"""Is a reproducer right? Each crash's test on the commit that crashed and on the real fix.

    python -m bench.reproducers CASES HISTORIES OUT      CASES as `data/crashes/`, HISTORIES its git histories

The loop's steps up to the written test, without the search for causes: what is written knows nothing but the event and
the release. Only then is the fix read, and the same test run on it, where it has to pass. `--only NAME` takes one case,
`--jobs N` several at a time, `--cache DIR` keeps environments. A line of JSON for each case; the tests are kept in OUT.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from fixloop.bench import Bench, Budget
from fixloop.findings import Findings
from fixloop.loop import Repair
from fixloop.reproduce.calling import called
from fixloop.reproduce.ladder import describe
from fixloop.running.worlds import World
from server.evaluation.cases import PROJECT, PublicCase, public_case
from server.evaluation.crashes import Settings, house_of, set_up
from server.evaluation.histories import cut_off
from server.intake.parsing import file_events
from server.repairs.workbench import prepare
from store import queries
from store.errors import NightdeskError
from store.mirrors import Mirrors
from store.repair import Attempt, Reproducer

STEPS = ("gather", "reproduce", "minimise")
TIMES = 20  # runs of the test on each side


def tried(folder: Path, histories: Path, out: Path, cache: Path, seconds: float) -> dict[str, Any]:
    """One case: the reproducer, and what its test gives on both sides."""
    case = public_case(folder, histories)
    settings = Settings(cache=cache, seconds=seconds)
    started = perf_counter()
    with tempfile.TemporaryDirectory() as name, house_of(Path(name), settings) as house:
        set_up(house, case, Path(name) / "origins")
        events = [
            file_events(body, "sentry", project=PROJECT, received_at=datetime.now(UTC))
            for body in case.events
        ]
        for parsed in events:
            house.receive(parsed)
        row: dict[str, Any] = {"case": folder.name}
        try:
            prepared = prepare(house, queries.incidents(house.database)[0].id)
        except NightdeskError as error:
            return {**row, "said": str(error)}
        bench = prepared.bench
        attempt = Attempt(id="A1", incident_id=prepared.incident.id, started_at=bench.now())
        work = Repair(attempt, prepared.events, prepared.sources, bench)
        known, details = Findings(), dict[str, Any]()
        for step in STEPS:
            if not known.ended:
                known, told = work.advance(step, known)
                details |= told.details
        row |= {"seconds": round(perf_counter() - started, 1), "tried": details.get("tried", [])}
        if known.reproducer is None or known.ended:
            return {**row, "said": known.said}
        written = known.reproducer
        (out / f"{folder.name}.py").write_text(written.source, "utf-8")
        fixed = _fixed(folder, case, bench, Path(name) / "answers")
        return row | _described(written, replace(bench, budget=Budget()), fixed)  # its own time


def _fixed(folder: Path, case: PublicCase, bench: Bench, place: Path) -> World | None:
    """The world of the real fix, where the case knows it."""
    fix = json.loads((folder / "case.json").read_bytes()).get("fix_sha")
    if fix is None:
        return None
    first = case.repositories[0]
    place.mkdir()
    cut_off(first.source, fix, place / "origin.git")
    mirrors = Mirrors(place / "mirrors")
    mirrors.add(first.name, str(place / "origin.git"))
    mirrors.get(first.name).export(fix, place / "tree")
    return bench.world().with_tree(first.name, place / "tree")


def _described(written: Reproducer, bench: Bench, fixed: World | None) -> dict[str, Any]:
    source, function = called(written)
    row = {
        "entry": written.entry, "call": written.recipe["target"].get("qualname"), "guessed": list(written.guessed),
        "oracle": written.oracle.value, "same_failure": written.same_failure,
    }  # fmt: skip
    for side, world in (("bug", bench.world()), ("fix", fixed)):
        if world is None:
            continue
        with bench.runner(world) as runner:
            outcomes = runner.run(source, function, times=TIMES, watch=False)
        failed = [outcome for outcome in outcomes if outcome.status != "ok"]
        row[side] = f"{len(failed)}/{TIMES} fail"
        if failed and side == "fix":
            row["on_fix"] = describe(failed[0])
    return {**row, "right": row["bug"] == f"{TIMES}/{TIMES} fail" and row.get("fix") == f"0/{TIMES} fail"}


def main() -> int:
    """Try every case of a bug, a line for each, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("histories", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--seconds", type=float, default=200.0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    folders = [place.parent for place in sorted(given.cases.glob("*/case.json"))]
    folders = [folder for folder in folders if not given.only or folder.name in given.only]
    folders = [
        folder for folder in folders if json.loads((folder / "case.json").read_bytes())["kind"] == "bug"
    ]
    cache = given.cache or given.out / "environments"
    # processes and not threads: `ast.parse` of Python 3.11 counts its depth for all threads together
    with ProcessPoolExecutor(given.jobs) as pool:
        begun = [
            pool.submit(tried, folder, given.histories, given.out, cache, given.seconds) for folder in folders
        ]
        rows = [_shown(done.result()) for done in as_completed(begun)]
    back = [row for row in rows if "right" in row]
    right = sum(row["right"] for row in back)
    print(f"{len(back)} of {len(rows)} came back; {right} of their tests fail on the bug and pass on the fix")
    return 0


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(row), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())

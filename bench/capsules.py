"""Real crashes under the capture client: how large their capsules are, what was cut, and what they are good for.

    python -m bench.capsules record CASES HISTORIES OUT      runs each case's traffic with sentry-sdk and the client
    python -m bench.capsules reproduce CASES HISTORIES OUT   the ladder on those events, with and without the capsule

CASES is a folder as `data/crashes/`, HISTORIES its git histories (`owner+name`). The same run of a driver gives both: the
event alone, and the event with the capsule that was beside it. `--only NAME` takes one case, `--jobs N` several at a time.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from server.evaluation.cases import PROJECT, public_case
from server.evaluation.crashes import Settings, house_of, set_up
from server.intake.parsing import file_events
from server.repairs.repairing import repair
from store import queries
from store.errors import NightdeskError
from triage.formats.capsule import is_capsule
from triage.formats.envelope import read_envelope

CLIENT = Path(__file__).resolve().parents[1] / "clients" / "python" / "nightdesk_capture"
SDK = "sentry-sdk==2.75.0"
SITE = """
import os, sys
if os.environ.get("RB_SENTRY_OUT"):
    sys.path.append("/srv/rb-compat")
    import base64, json, sentry_sdk
    from nightdesk_capture import NightdeskCapture
    from sentry_sdk.transport import Transport

    class FileTransport(Transport):
        def capture_envelope(self, envelope):
            if any(item.type == "event" for item in envelope.items):
                with open(os.environ["RB_SENTRY_OUT"], "a") as file:
                    file.write(json.dumps({"envelope": base64.b64encode(envelope.serialize()).decode()}) + "\\n")

    sentry_sdk.init(
        dsn="https://public@sentry.invalid/1", transport=FileTransport, include_local_variables=True,
        release=os.environ.get("RB_RELEASE"), environment="production", server_name="web-1", project_root="/srv",
        send_default_pii=False,
        integrations=[NightdeskCapture()],
    )
"""


# --- traffic -----------------------------------------------------------------------------------------------------


def runner(cases: Path, histories: Path, work: Path) -> Any:
    """The cases' own runner, with the client beside the SDK and in its `sitecustomize`."""
    os.environ |= {"RB_MIRROR": str(histories), "RB_WORK": str(work), "RB_CASES": str(cases)}
    spec = importlib.util.spec_from_file_location("rb", cases / "_runner" / "rb.py")
    assert spec is not None
    assert spec.loader is not None
    rb = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rb)
    rb.gitdir = lambda repo: str(_git(histories / repo.replace("/", "+")))  # type: ignore[attr-defined]
    sdk, site = work / "sdk", work / "site"
    if not sdk.exists():
        subprocess.run(["uv", "pip", "install", "-q", "--target", str(sdk), SDK], check=True)
    shutil.copytree(CLIENT, sdk / CLIENT.name, dirs_exist_ok=True)
    site.mkdir(parents=True, exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE)
    rb.H = str(site)  # type: ignore[attr-defined]
    return rb


def _git(place: Path) -> Path:
    return next(
        found for found in (place / "repo" / ".git", place / "repo", place / ".git", place) if found.is_dir()
    )


def record(rb: Any, folder: Path, out: Path) -> dict[str, Any]:
    """Run the traffic of one case; keep the envelope of the event that its `event.json` is of."""
    case = rb.load(folder.name)
    wanted = _raised(json.loads((folder / "event.json").read_bytes()))
    with tempfile.TemporaryDirectory() as place:
        rb.materialise(case, place)
        ran = rb.run_driver(f"{place}/repo", f"{place}/prod", f"{place}/venv", case["src_root"], case["buggy_sha"],
                            sentry=True, env=case.get("env"))  # fmt: skip
    bodies = [base64.b64decode(row["envelope"]) for row in ran["events"]]
    events = [json.loads(_items(body)[0]) for body in bodies]
    chosen = [body for body, event in zip(bodies, events, strict=True) if _raised(event) == wanted]
    if not chosen:
        return {
            "case": folder.name,
            "problem": f"{len(bodies)} events, none as wanted: {ran['stderr'][-300:]}",
        }
    (out / f"{folder.name}.envelope").write_bytes(chosen[-1])
    return _measured(folder.name, chosen[-1])


def _raised(event: dict[str, Any]) -> tuple[Any, ...]:
    last = event["exception"]["values"][-1]
    frame = (last.get("stacktrace") or {"frames": [{}]})["frames"][-1]
    return last["type"], frame.get("function"), frame.get("lineno")


def _items(body: bytes) -> tuple[bytes, bytes | None]:
    items = read_envelope(body).items
    return next(item.payload for item in items if item.type == "event"), next(
        (item.payload for item in items if is_capsule(item.header)), None
    )


def _measured(name: str, body: bytes) -> dict[str, Any]:
    event, capsule = _items(body)
    content = json.loads(gzip.decompress(capsule)) if capsule else {}
    return {"case": name, "event": len(gzip.compress(event)), "capsule": len(capsule or b""),
            "frames": len(content.get("frames", [])), "variables": sum(len(f["vars"]) for f in content.get("frames", [])),
            "cut": content.get("cut", {}), "redacted": len(content.get("redacted", [])),
            "failed": content.get("failed")}  # fmt: skip


# --- reproduction ------------------------------------------------------------------------------------------------


def reproduce(folder: Path, histories: Path, out: Path, *, capsule: bool) -> dict[str, Any]:
    """The ladder on one recorded event; nothing of a case but what the product may see is read."""
    body = (out / f"{folder.name}.envelope").read_bytes()
    case = replace(public_case(folder, histories), events=(body if capsule else _items(body)[0],))
    settings = Settings(cache=out / "environments")
    with tempfile.TemporaryDirectory() as name, house_of(Path(name), settings) as house:
        set_up(house, case, Path(name) / "origins")
        events = file_events(case.events[0], "sentry", project=PROJECT, received_at=datetime.now(UTC))
        house.receive(events)
        incident = queries.incidents(house.database)[0]
        started = perf_counter()
        try:
            attempt = repair(house, incident.id, until="reproduce")
        except NightdeskError as error:
            return {"case": folder.name, "capsule": capsule, "reproduced": False, "guessed": [], "tried": 0,
                    "seconds": 0.0, "said": str(error)}  # fmt: skip
        step = next(step for step in attempt.steps if step.name == "reproduce")
    guessed = step.details.get("guessed")
    return {"case": folder.name, "capsule": capsule, "reproduced": guessed is not None, "guessed": list(guessed or ()),
            "entry": step.details.get("entry"), "tried": len(step.details.get("tried", ())),
            "seconds": round(perf_counter() - started, 1), "said": step.said}  # fmt: skip


def main() -> int:
    """Do the one or the other, a line of JSON for each case, and the sums at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("record", "reproduce"))
    parser.add_argument("cases", type=Path)
    parser.add_argument("histories", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    folders = sorted(place.parent for place in given.cases.glob("*/case.json"))
    folders = [folder for folder in folders if not given.only or folder.name in given.only]
    if given.what == "record":
        rb = runner(given.cases, given.histories, given.out / "work")
        with ThreadPoolExecutor(given.jobs) as threads:
            rows = list(threads.map(lambda folder: _shown(record(rb, folder, given.out)), folders))
        print(f"{len(rows)} cases, {sum('problem' in row for row in rows)} without their event")
        return 0
    there = [folder for folder in folders if (given.out / f"{folder.name}.envelope").exists()]
    # processes and not threads: `ast.parse` of Python 3.11 counts its depth for all threads together
    with ProcessPoolExecutor(given.jobs) as pool:
        begun = [pool.submit(reproduce, folder, given.histories, given.out, capsule=capsule)
                 for folder in there for capsule in (False, True)]  # fmt: skip
        found = [_shown(done.result()) for done in as_completed(begun)]
    for capsule in (False, True):
        print(_sum([row for row in found if row["capsule"] is capsule and _is_bug(given.cases, row)]))
    return 0


def _is_bug(cases: Path, row: dict[str, Any]) -> bool:
    """Whether a case is a crash of the code; its label is read when all is over."""
    return bool(json.loads((cases / row["case"] / "case.json").read_bytes())["kind"] == "bug")


def _sum(rows: list[dict[str, Any]]) -> str:
    back = [row for row in rows if row["reproduced"]]
    sure = sum(not row["guessed"] for row in back)
    tried, seconds = sum(row["tried"] for row in back), sum(row["seconds"] for row in back)
    which = "with" if rows and rows[0]["capsule"] else "without"
    return (
        f"{which} capsule: {len(back)} of {len(rows)} crashes reproduced, {sure} with nothing guessed, "
        f"{sum(len(row['guessed']) for row in back)} guesses, {tried} calls that failed otherwise, {seconds:.0f} s"
    )


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(row), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())

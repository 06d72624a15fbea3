"""What each part of a capsule's world is good for: small applications that each crash for one thing outside of them.

    python -m bench.worlds [--only NAME] [--recorder PYTHON] [--more] [CORPUS]

CORPUS is a folder as `tests/corpus/worlds`: in each folder an application, and `drive.py`, its traffic in production. The
traffic is run once under sentry-sdk and the client; then the ladder is climbed from the event alone, from a capsule with
entry and locals only, and from the whole capsule. The application's files are the repository; `drive.py` is not.
`--recorder` runs the traffic with another Python, `--more` as after the server has asked for more: from 3.12 on, a
second failure then brings arguments as they were at the call.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import process_time
from typing import Any

from fixloop.bench import Bench
from fixloop.loop import Repair
from fixloop.reproduce.capsules import enriched
from fixloop.running.environments import Environments
from fixloop.running.worlds import Layout, RepoLayout, Trees, git
from fixloop.sandboxes import best
from fixloop.situation import ReleaseSources
from server.intake.parsing import file_events
from server.intake.redaction import Redaction
from store.event import Event
from store.mirrors import Mirrors
from store.repair import Attempt
from triage.capsule_walk import WORLD

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "tests" / "corpus" / "worlds"
VARIANTS = ("event", "locals", "capsule")
WANTED = ("flask", "fastapi", "django", "httpx", "requests", "urllib3", "sqlalchemy", "time-machine", "openfeature-sdk",
          "aiohttp", "redis", "psycopg", "psycopg-binary", "aiosqlite", "greenlet", "celery")  # fmt: skip
RECORDER = """
import base64, runpy, sys
import sentry_sdk
from nightdesk_capture import NightdeskCapture
from sentry_sdk.transport import Transport

class Kept(Transport):
    def capture_envelope(self, envelope):
        if any(item.type == "event" for item in envelope.items):
            with open(sys.argv[2], "ab") as file:
                file.write(base64.b64encode(envelope.serialize()) + b"\\n")

sentry_sdk.init(dsn="http://key@localhost/1", transport=Kept, integrations=[NightdeskCapture(seconds=10, more=len(sys.argv) > 4)],
                project_root=sys.argv[3], in_app_include=["shop"])
runpy.run_path(sys.argv[1], run_name="__main__")
sentry_sdk.flush()
"""


@dataclass(frozen=True)
class Climbed:
    """What became of one case from one kind of event."""

    case: str
    variant: str
    reproduced: bool
    entry: str
    world: tuple[str, ...]
    seconds: float
    said: str
    source: str


def record(case: Path, work: Path, python: str = sys.executable, *, more: bool = False) -> Event:
    """The event of the last error of a case's traffic, as the server keeps it."""
    out, app = work / "envelopes", work / "app"
    subprocess.run(["cp", "-r", str(case), str(app)], check=True)
    (app / "drive.py").rename(work / "drive.py")
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(app), str(case.parent), str(ROOT / "clients" / "python")]),
    }
    command = [
        python,
        "-c",
        RECORDER,
        str(work / "drive.py"),
        str(out),
        str(app),
        *(["more"] if more else []),
    ]
    done = subprocess.run(command, cwd=app, env=env, capture_output=True, text=True, timeout=300, check=False)
    if not out.exists():
        raise RuntimeError(f"{case.name} sent nothing: {done.stderr[-2000:]}")
    body = base64.b64decode(out.read_bytes().splitlines()[-1])
    (event,) = file_events(body, "sentry", project="shop", received_at=datetime.now(UTC))
    return Redaction(b"k" * 32).redact(event)


def variant_of(event: Event, variant: str, without: Collection[str] = ()) -> Event:
    """The event as it is without a capsule, with one of locals only, or with all of it but some parts."""
    if variant == "event" or event.capsule is None:
        return event.model_copy(update={"capsule": None})
    left = WORLD if variant == "locals" else without
    content = {part: value for part, value in (event.capsule.content or {}).items() if part not in left}
    if variant == "locals":  # of the moment of the error only
        content["frames"] = [{**frame, "called": {}} for frame in content["frames"]]
    return enriched(
        event.model_copy(update={"capsule": event.capsule.model_copy(update={"content": content})})
    )


def climb(case: Path, event: Event, work: Path, variant: str, environments: Path) -> Climbed:
    """The loop from that event up to the smallest call that fails the same way."""
    origin = work / "origin"
    if not origin.exists():
        origin.mkdir(parents=True)
        for path in sorted(case.rglob("*.py")):
            if path.name != "drive.py":
                place = origin / path.relative_to(case)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
        for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "The application"]):
            git(words, cwd=origin)
    mirrors = Mirrors(work / f"mirrors-{variant}")
    mirrors.add("shop", str(origin))
    commit = git(["rev-parse", "HEAD"], cwd=origin).stdout.decode().strip()
    env = {"DJANGO_SETTINGS_MODULE": "settings"} if (case / "settings.py").exists() else {}
    layout = Layout((RepoLayout("shop", commit, has_tests=False),), env)
    environment = Environments(environments).prepare("\n".join(_here()), allow_network=False)
    trees = Trees(work / f"trees-{variant}", mirrors)
    bench = Bench(mirrors, best(), environment, layout, trees, lambda: datetime.now(UTC), runs=3)
    attempt = Attempt(id="A1", incident_id="INC-1", started_at=datetime.now(UTC))
    repair = Repair(attempt, [variant_of(event, variant)], ReleaseSources(mirrors, layout.commits, {}), bench)
    used = process_time()
    ended = repair.until("minimise")
    said = next((step.said for step in ended.steps if step.name == "reproduce"), "")
    made = ended.reproducer
    inputs: dict[str, Any] = made.inputs if made is not None else {}
    return Climbed(
        case.name, variant, made is not None, made.entry if made is not None else "", tuple(inputs.get("world", ())),
        round(process_time() - used, 1), said, made.source if made is not None else "",
    )  # fmt: skip


def _here() -> Iterator[str]:
    """The applications' requirements, as they are installed here."""
    for name in WANTED:
        try:
            yield f"{name}=={version(name)}"
        except PackageNotFoundError:
            continue


def main() -> int:
    """Record and climb each case; a line for each, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, nargs="?", default=CORPUS)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--recorder", default=sys.executable, help="the Python that the traffic runs in")
    parser.add_argument("--more", action="store_true", help="the client is asked for more")
    parser.add_argument("--show", action="store_true", help="print the tests as well")
    given = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as shared:
        for case in sorted(path.parent for path in given.corpus.glob("*/drive.py")):
            if given.only and case.name not in given.only:
                continue
            with tempfile.TemporaryDirectory() as name:
                try:
                    event = record(case, Path(name), given.recorder, more=given.more)
                except RuntimeError as problem:
                    print(problem, flush=True)
                    continue
                for variant in VARIANTS:
                    one = climb(case, event, Path(name), variant, Path(shared))
                    found.append(one)
                    row = {key: value for key, value in vars(one).items() if key != "source"}
                    print(json.dumps(row), flush=True)
                    if given.show:
                        print(one.source)
    for variant in VARIANTS:
        rows = [one for one in found if one.variant == variant]
        print(f"{variant:8} {sum(one.reproduced for one in rows)} of {len(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

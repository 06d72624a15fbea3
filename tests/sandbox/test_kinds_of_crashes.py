"""Crashes of many kinds, as the SDK of the applications reports them: each program is run, its event is read as any other,
and the failure has to come back in the sandbox out of nothing but the event and the sources."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.intake.parsing import file_events
from store.event import Event
from store.repair import Attempt
from tests.sandbox import crash_programs
from tests.sandbox.crash_programs import Program
from tests.sandbox.histories import History, run_loop
from tests.sandbox.more_crash_programs import MORE

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

REPORTING = """\
import json, runpy, sys

import sentry_sdk
from sentry_sdk.transport import Transport

program, place = sys.argv[1:]
sent = []


class Kept(Transport):
    def capture_envelope(self, envelope):
        sent.extend(one.payload.get_bytes() for one in envelope.items if one.headers.get("type") == "event")


sentry_sdk.init(dsn="https://public@sentry.invalid/1", transport=Kept, environment="production", default_integrations=False)
try:
    runpy.run_path(program, run_name="__main__")
except Exception as error:
    trace = error.__traceback__
    while trace.tb_frame.f_code.co_filename != program:
        trace = trace.tb_next
    sentry_sdk.capture_exception((type(error), error, trace))
with open(place, "wb") as file:
    file.write(sent[0])
"""
PROGRAMS = {**crash_programs.PROGRAMS, **MORE}
SOME = ("dunder-mapping", "decorator-wrapper", "async-service")  # of which the default command tries one each
UNKNOWN = {  # what is in no frame, and what is said then
    "closure": "make_step",  # what made the function
    "mutated-args": "drain() in q.drain: did not fail",  # what was popped from the list before the last
}


def reported(folder: Path, program: Program) -> Event:
    """The event of a program's crash: the application is at /srv/app, its traffic is not the team's code."""
    app, traffic = folder / "running", folder / "traffic.py"
    for path, text in program.files.items():
        (app / path).parent.mkdir(parents=True, exist_ok=True)
        (app / path).write_text(text, "utf-8")
    traffic.write_text(program.traffic, "utf-8")
    (folder / "reporting.py").write_text(REPORTING, "utf-8")
    env = {**os.environ, "PYTHONPATH": str(app / program.root), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, str(folder / "reporting.py"), str(traffic), str(folder / "event.json")]
    subprocess.run(words, env=env, check=True, capture_output=True, timeout=60)
    text = (folder / "event.json").read_text("utf-8").replace(str(app), "/srv/app")
    body = json.loads(text.replace(str(traffic), "/srv/prod/traffic.py"))
    for frame in body["exception"]["values"][-1]["stacktrace"]["frames"]:
        if frame["abs_path"] == "/srv/prod/traffic.py":  # its text would be the whole program
            for part in ("pre_context", "context_line", "post_context"):
                frame.pop(part, None)
    (event,) = file_events(json.dumps(body).encode(), "sentry", project="p", received_at=datetime.now(UTC))
    return event


def came_back(folder: Path, name: str) -> Attempt:
    program = PROGRAMS[name]
    history = History("app", [("Start", "2024-01-01", program.files)])
    return run_loop(folder, [history], reported(folder, program), until="reproduce").attempt


@pytest.mark.parametrize("name", SOME)
def test_a_crash_of_this_kind_comes_back(tmp_path: Path, name: str) -> None:
    step = came_back(tmp_path, name).steps[-1]
    assert step.details.get("entry") == "frame", step.said


@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted({*PROGRAMS} - {*SOME, *UNKNOWN}))
def test_a_crash_of_each_other_kind_comes_back(tmp_path: Path, name: str) -> None:
    step = came_back(tmp_path, name).steps[-1]
    assert step.details.get("entry") == "frame", step.said


@pytest.mark.heavy
@pytest.mark.parametrize("name", UNKNOWN)
def test_what_no_frame_shows_is_not_made_up(tmp_path: Path, name: str) -> None:
    attempt = came_back(tmp_path, name)
    assert str(attempt.ended) == "not_reproduced"
    assert UNKNOWN[name] in attempt.said

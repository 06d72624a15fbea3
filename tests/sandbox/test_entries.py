"""Crashes of jobs, commands and uploads, and of code that asks what time it is: through their entry, in the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from store.event import Event, Request
from store.repair import Oracle, Reproducer
from tests.sandbox.histories import Files, History, crash, frame, run_loop

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

WORKER = '''"""What the queue's worker calls."""


def refund(payload, retries=0):
    return payload["order"]["cents"] * 1


def tariff(order):
    return order.get("zone", "city")


def label(order):
    return "zone " + order["zone"]
'''
COMMAND = '''"""Print what a file sums up to."""

import argparse
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--divisor", type=int)
    given = parser.parse_args()
    return report(given.divisor, 10)


def report(divisor, total):
    return total // divisor


if __name__ == "__main__":
    sys.exit(main())
'''
UPLOADS = '''"""Lists that suppliers send."""

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.post("/lists")
def take():
    text = request.files["list"].read().decode("utf-8")
    return jsonify(rows=len(text.splitlines()))
'''
SEASONS = '''"""Prices by season."""

import datetime

RATES = {"spring": 10, "summer": 20, "autumn": 15}


def price(nights):
    today = datetime.date.today()
    season = ["winter", "spring", "summer", "autumn"][today.month % 12 // 3]
    return nights * RATES[season]
'''


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of environments that the tests share."""
    return tmp_path_factory.mktemp("environments")


def written(folder: Path, prepared: Path, files: Files, event: Event, requirements: str = "") -> Reproducer:
    """The reproducer that the loop wrote for an event of a repository of these files."""
    history = History("app", [("Start", "2024-01-01", {"app/__init__.py": "", **files})])
    attempt = run_loop(folder, [history], event, requirements=requirements, environments=prepared).attempt
    assert attempt.reproducer is not None, attempt.said
    assert attempt.reproducer.failures == attempt.reproducer.runs > 0
    assert attempt.reproducer.same_failure
    return attempt.reproducer


def test_a_job_is_called_with_the_payload_that_the_event_carries(tmp_path: Path, prepared: Path) -> None:
    own = frame(WORKER, "app/worker.py", "refund", 'return payload["order"]["cents"] * 1', payload="<cut>")
    event = crash("KeyError", "'cents'", own)
    job = {"task_name": "app.worker.refund", "args": [{"order": {"euros": 3}}], "kwargs": {"retries": 2}}
    made = written(
        tmp_path, prepared, {"app/worker.py": WORKER}, event.model_copy(update={"extra": {"celery-job": job}})
    )
    assert made.entry == "job"
    assert (
        'refund({"order": {"euros": 3}}, retries=2)' in made.source or 'refund({"order": {}})' in made.source
    )


def test_what_siblings_take_for_a_missing_key_is_what_is_right(tmp_path: Path, prepared: Path) -> None:
    own = frame(WORKER, "app/worker.py", "label", 'return "zone " + order["zone"]', order={"id": "7"})
    made = written(tmp_path, prepared, {"app/worker.py": WORKER}, crash("KeyError", "'zone'", own))
    assert made.oracle == Oracle.SIBLING_CONTRACT
    assert made.expected == "zone city"
    assert 'assert result == "zone city"' in made.source


def test_a_command_is_started_with_its_own_words(tmp_path: Path, prepared: Path) -> None:
    outer = frame(
        COMMAND, "app/command.py", "main", "return report(given.divisor, 10)", given="Namespace(divisor=0)"
    )
    inner = frame(COMMAND, "app/command.py", "report", "return total // divisor", total="10", divisor="0")
    event = crash("ZeroDivisionError", "integer division or modulo by zero", outer, inner)
    argv = {"sys.argv": ["/usr/bin/report", "--divisor", "0"]}
    made = written(tmp_path, prepared, {"app/command.py": COMMAND}, event.model_copy(update={"extra": argv}))
    assert made.entry == "cli"
    assert 'run(main, "--divisor", "0")' in made.source


def test_an_upload_has_the_content_that_a_decoder_was_given(tmp_path: Path, prepared: Path) -> None:
    own = frame(UPLOADS, "app/web.py", "take", 'text = request.files["list"].read().decode("utf-8")')
    decoder = own.model_copy(update={
        "abs_path": "/usr/lib/python3.11/codecs.py", "filename": "codecs.py", "function": "decode", "in_app": False,
        "vars": {"input": "b'M1;Schl\\xfcssel\\n'"},
    })  # fmt: skip
    request = Request(
        method="POST", url="http://app.example/lists", data={"list": ""},
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )  # fmt: skip
    message = "'utf-8' codec can't decode byte 0xfc in position 7: invalid start byte"
    event = crash("UnicodeDecodeError", message, own, decoder, request=request)
    made = written(tmp_path, prepared, {"app/web.py": UPLOADS}, event, f"flask=={version('flask')}")
    assert made.entry == "http"
    assert 'io.BytesIO(b"M1;Schl\\xfcssel\\n")' in made.source
    assert made.guessed == ("the content of list: bytes that a frame shows",)


def test_the_clock_stands_at_the_incident_where_the_season_matters(tmp_path: Path, prepared: Path) -> None:
    own = frame(
        SEASONS, "app/seasons.py", "price", "return nights * RATES[season]", nights="2", season="'winter'"
    )
    event = crash("KeyError", "'winter'", own).model_copy(
        update={"timestamp": datetime(2024, 1, 15, 8, 30, tzinfo=UTC)}
    )
    made = written(tmp_path, prepared, {"app/seasons.py": SEASONS}, event)
    assert 'with time_machine.travel("2024-01-15T08:30:00+00:00", tick=False):' in made.source
    assert made.controls["time"] == "2024-01-15T08:30:00+00:00"

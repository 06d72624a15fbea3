"""What a capsule says of a call as it was made: arguments that were changed since, and the job that it was."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from fixloop.reproduce.capsules import enriched
from server.incidents.capsules import capsule_lines
from store.event import Capsule, Event, ExceptionValue, Frame
from triage.capsule_walk import CapsuleRedactor
from triage.formats.capsule import capsule_of

AT = datetime(2026, 3, 1, tzinfo=UTC)
FRAME = {"function": "load", "module": "shop", "line": 4, "vars": {"parcels": [], "limit": 30}}


def event_of(*, extra: dict[str, Any] | None = None, **parts: Any) -> Event:
    content = {"version": 1, "entry": {}, "frames": [], "cut": {}, "redacted": [], **parts}
    frame = Frame(
        function="load", module="shop", lineno=4, in_app=True, vars={"parcels": "[]", "limit": "30"}
    )
    return Event(
        event_id="e" * 32, project="p", received_at=AT, timestamp=AT, capsule=Capsule(content=content),
        exceptions=(ExceptionValue(type="LookupError", value="", frames=(frame,)),), extra=extra or {},
    )  # fmt: skip


def test_a_test_calls_with_what_the_arguments_were_and_not_with_what_became_of_them() -> None:
    seen = enriched(event_of(frames=[{**FRAME, "called": {"parcels": [10, 20]}}]))
    assert seen.exception is not None
    found = seen.exception.frames[0].vars
    assert (found["parcels"].node, found["limit"].node) == ([10, 20], 30)


def test_arguments_of_a_call_are_told_beside_the_variables() -> None:
    event = event_of(frames=[{**FRAME, "called": {"parcels": [10, 20]}}])
    said = list(capsule_lines(event.capsule))
    assert "    parcels = []" in said
    assert "    parcels = [10, 20] at the call" in said


def test_arguments_of_a_call_are_redacted_on_arrival_and_what_is_unknown_of_a_frame_is_left_out() -> None:
    frame = {**FRAME, "called": {"form": {"password": "hunter2x"}}, "more": {"password": "hunter2x"}}
    sent = gzip.compress(json.dumps({"version": 1, "entry": {}, "frames": [frame]}).encode())
    capsule = capsule_of(sent)
    assert capsule is not None
    assert capsule.content is not None
    clean, rows = CapsuleRedactor(b"k" * 32).redact(capsule.content)
    assert "hunter2x" not in json.dumps(clean)
    assert [row[0] for row in rows] == ["/frames/0/called/form/password"]


def test_a_job_whose_arguments_the_frames_share_is_the_job_that_it_was() -> None:
    order = {"$": "dict", "of": [["lines", [1, 2]]], "id": 1}
    job = {"task_name": "shop.ship", "args": [order], "kwargs": {"again": {"$": "same", "id": 1}}}
    event = event_of(entry={"kind": "celery", "job": job}, extra={"celery-job": {"task_name": "shop.ship"}})
    found = enriched(event).extra["celery-job"]
    assert found == {
        "task_name": "shop.ship",
        "args": [{"lines": [1, 2]}],
        "kwargs": {"again": {"lines": [1, 2]}},
    }


@pytest.mark.parametrize(
    "node",
    [
        {"$": "call", "name": "decimal.Decimal", "args": ["1"]},
        {"$": "list", "of": [1], "size": 9},
        {"$": "same", "id": 7},
        {"$": "dict", "of": [[1, 2]]},
    ],
)
def test_a_job_that_is_more_than_json_stays_as_the_sdk_has_it(node: Any) -> None:
    job = {"task_name": "shop.ship", "args": [node], "kwargs": {}}
    event = event_of(entry={"kind": "celery", "job": job}, extra={"celery-job": {"task_name": "shop.ship"}})
    assert enriched(event).extra["celery-job"] == {"task_name": "shop.ship"}

"""Patches that are handed in: kept before they are judged, judged whoever is killed, found when handed in again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from bench.kill_table import alive, descendants, make_world
from fixloop.sandboxes import best
from server.config import load
from server.house import House
from server.mcp import writing
from server.repairs.submitting import hand_in
from store import queries, submissions, tasks
from store.errors import BadPayload, NotFound, OverLimit
from store.repair import Ended, ValidationVerdict
from store.tasks import TaskKind
from tests.journeys import mcp_samples as samples

PATIENCE = 180.0  # seconds that anything here may take
ROOT = Path(__file__).resolve().parents[2]
RIGHT = (
    "--- a/till/coupons.py\n+++ b/till/coupons.py\n@@ -1,2 +1,2 @@\n def off(order):\n"
    '-    return order["coupon"]\n+    return order.get("coupon", 0)\n'
)


def wait(until: Callable[[], Any]) -> None:
    deadline, pause = monotonic() + PATIENCE, threading.Event()
    while not until():
        assert monotonic() < deadline
        pause.wait(0.05)


def started(data: Path, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "nightdesk", *words, "--data", str(data)]
    env = {**os.environ, "NIGHTDESK_RUNS": "20"}
    return subprocess.Popen(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A world with a crash and the test that brings it back, without a fix."""
    if not best().self_test().ok:
        pytest.skip(best().self_test().said)
    made = make_world(tmp_path)
    with started(made, "reproduce", "INC-1") as done:
        done.communicate(timeout=PATIENCE)
    assert done.returncode == 0
    return made


@pytest.mark.sandbox
@pytest.mark.heavy
def test_a_patch_is_judged_though_the_worker_is_killed_and_the_same_one_finds_the_verdict(data: Path) -> None:
    with House.open(load(data)) as house:
        (attempt,) = queries.attempts(house.database, "INC-1")
        assert [step.name for step in attempt.steps][-1] == "minimise"
        assert attempt.ended is Ended.UNDETERMINED
        first = hand_in(house, "INC-1", RIGHT, None, "ann", keep=True)
        with started(data, "worker") as killed:
            wait(lambda: len(descendants(killed.pid)) > 2)
            tree = descendants(killed.pid)
            killed.kill()
            killed.communicate(timeout=PATIENCE)
        wait(lambda: not any(alive(pid) for pid in tree))
        kept = submissions.submission(house.database, first.id)
        assert kept is not None
        assert kept.ended_at is None
        with started(data, "worker", "--until-idle") as other:
            other.communicate(timeout=PATIENCE)
        judged = submissions.submission(house.database, first.id)
        assert judged is not None
        assert judged.validation is not None, judged.said
        told = writing.submit_patch(house, "INC-1", RIGHT, None, "bob")
        assert (told["submission"], told["verdict"]) == (first.id, judged.validation.verdict.value)
        assert len(submissions.of_incident(house.database, "INC-1")) == 1
        assert tasks.waiting(house.database) == []
        (after,) = queries.attempts(house.database, "INC-1")
        handed = [after.patch] if after.patch else [patch for patch, _ in after.rejected]
        assert [patch.diffs for patch in handed if patch] == [{"till": RIGHT}]


@pytest.mark.sandbox
@pytest.mark.heavy
def test_a_judgement_at_a_terminal_that_was_killed_goes_on_when_it_is_asked_for_again(
    data: Path, tmp_path: Path
) -> None:
    (tmp_path / "right.patch").write_text(RIGHT)
    words = ("judge", "INC-1", str(tmp_path / "right.patch"), "--json")
    with started(data, *words) as killed:
        wait(lambda: len(descendants(killed.pid)) > 2)
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=PATIENCE)
    with started(data, *words) as again:
        out, _ = again.communicate(timeout=PATIENCE)
    verdict = json.loads(out)["verdict"]
    assert verdict in {ValidationVerdict.PROVEN, ValidationVerdict.WEAK}
    with started(data, *words) as third:
        out, _ = third.communicate(timeout=PATIENCE)
    assert json.loads(out)["verdict"] == verdict
    with House.open(load(data)) as house:
        (one,) = submissions.of_incident(house.database, "INC-1")
        assert (one.keep, one.ended_at is not None) == (False, True)
        (attempt,) = queries.attempts(house.database, "INC-1")
        assert (attempt.patch, attempt.rejected) == (None, ())


def test_what_was_handed_in_has_one_task_and_whoever_takes_it_over_alone_may_write_it(tmp_path: Path) -> None:
    with House.open(load(tmp_path / "data", {})) as house:
        house.receive([samples.event(1)])
        samples.attempt_with(house, "INC-1", "x", proven=False)
        told = samples.submission("INC-1").model_copy(update={"ended_at": None})
        one, fresh = submissions.hand_in(house.database, told)
        same, again = submissions.hand_in(house.database, told)
        other, _ = submissions.hand_in(house.database, told.model_copy(update={"diff": "another"}))
        assert (one.id, fresh, same, again, other.id) == ("INC-1-p1", True, one, False, "INC-1-p2")
        (task,) = tasks.waiting(house.database, TaskKind.JUDGE)
        assert submissions.take(house.database, "INC-1", "first run") == one
        assert submissions.take(house.database, "INC-1", "second run") == one
        done = one.model_copy(update={"ended_at": samples.NOON, "said": "no"})
        assert not submissions.keep(house.database, done, "first run")
        assert submissions.keep(house.database, done, "second run")
        submissions.finish(house.database, task)  # something was handed in meanwhile
        (next_one,) = tasks.waiting(house.database, TaskKind.JUDGE)
        assert next_one.id > task.id
        submissions.finish(house.database, next_one, said="it broke")
        assert tasks.waiting(house.database) == []
        assert [each.said for each in submissions.of_incident(house.database, "INC-1")] == ["no", "it broke"]


def test_no_more_patches_of_an_incident_wait_than_can_be_judged(tmp_path: Path) -> None:
    with House.open(load(tmp_path / "data", {})) as house:
        house.receive([samples.event(1)])
        samples.attempt_with(house, "INC-1", "x", proven=False)
        told = samples.submission("INC-1").model_copy(update={"ended_at": None})
        every = [told.model_copy(update={"diff": f"patch {n}"}) for n in range(submissions.WAITING + 1)]
        for one in every[:-1]:
            submissions.hand_in(house.database, one)
        with pytest.raises(OverLimit, match="20 patches for INC-1 wait"):
            submissions.hand_in(house.database, every[-1])
        known, fresh = submissions.hand_in(house.database, every[0])
        assert (known.id, fresh) == ("INC-1-p1", False)
        first = submissions.take(house.database, "INC-1", "run")
        assert first is not None
        assert submissions.keep(house.database, first.model_copy(update={"ended_at": samples.NOON}), "run")
        assert submissions.hand_in(house.database, every[-1])[1]


def test_one_that_could_not_be_judged_is_judged_anew_when_it_is_handed_in_again(tmp_path: Path) -> None:
    with House.open(load(tmp_path / "data", {})) as house:
        house.receive([samples.event(1)])
        samples.attempt_with(house, "INC-1", "x", proven=False)
        told = samples.submission("INC-1").model_copy(update={"ended_at": None, "diff": "half \udc80"})
        one, _ = submissions.hand_in(house.database, told)
        submissions.take(house.database, "INC-1", "run")
        ended = one.model_copy(update={"ended_at": samples.NOON, "said": "no environment"})
        assert submissions.keep(house.database, ended, "run")
        again, fresh = submissions.hand_in(house.database, told)
        assert (again.ended_at, again.said, again.diff, fresh) == (None, "", "half \udc80", False)
        with pytest.raises(NotFound, match="INC-2"):
            hand_in(house, "INC-2", RIGHT, None, "ann", keep=True)
        with pytest.raises(BadPayload, match="UTF-8"):
            hand_in(house, "INC-1", "\udc80", None, "ann", keep=True)


def test_a_repair_that_was_to_end_at_a_step_goes_to_its_end_where_more_is_asked_for(tmp_path: Path) -> None:
    with House.open(load(tmp_path / "data", {})) as house:
        house.receive([samples.event(1)])
        begun, _ = tasks.request_repair(house.database, "INC-1", until="causes")
        assert tasks.bound_of(house.database, begun.id) == "causes"
        tasks.request_repair(house.database, "INC-1", until="minimise")
        assert tasks.bound_of(house.database, begun.id) == "minimise"
        assert tasks.request_repair(house.database, "INC-1")[0].id == begun.id
        assert tasks.bound_of(house.database, begun.id) is None
        tasks.request_repair(house.database, "INC-1", until="causes")
        assert tasks.bound_of(house.database, begun.id) is None
        tasks.finish_repair(house.database, begun.id)
        ended = queries.attempt(house.database, begun.id)
        assert ended is not None
        assert (ended.ended, tasks.waiting(house.database, TaskKind.REPAIR)) == (Ended.UNDETERMINED, [])

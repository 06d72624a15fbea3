"""Durable work through its doors: killed, stopped, paused, taken up. Real processes, git and sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from bench.kill_table import WHO, alive, descendants, make_world, row, wrong
from fixloop.sandboxes import best
from server.config import load
from server.house import House
from server.repairs.progress import STEPS, follow
from server.work import detached
from server.work.leases import FILE, ONE, QUEUES, Leases
from server.work.triaging import wants_repair
from server.work.worker import Worker
from store import journal, queries, tasks
from store.event import Trust
from store.incident import Status
from store.repair import Ended
from store.tasks import TaskKind
from tests.unit.triage_samples import NOW

PATIENCE = 180.0  # seconds that anything here may take
ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not best().self_test().ok:
        pytest.skip(best().self_test().said)
    monkeypatch.setenv("NIGHTDESK_RUNS", "20")
    return make_world(tmp_path)


@pytest.fixture
def house(data: Path) -> Iterator[House]:
    with House.open(load(data)) as opened:
        yield opened


def wait(until: Callable[[], Any]) -> None:
    deadline, pause = monotonic() + PATIENCE, threading.Event()
    while not until():
        assert monotonic() < deadline
        pause.wait(0.05)


def nightdesk(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "nightdesk", *words, "--data", str(data)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)


def ended(house: House) -> list[Ended | None]:
    return [attempt.ended for attempt in queries.attempts(house.database, "INC-1")]


@pytest.mark.heavy
def test_a_repair_that_is_killed_in_a_step_goes_on_at_that_step_in_another_worker(
    tmp_path: Path, data: Path
) -> None:
    found = row(tmp_path / "row", "causes", "kill -9", WHO[0])

    assert wrong(found) is None
    assert found.ended_after < 10


@pytest.mark.heavy
def test_pausing_kills_the_sandbox_and_resuming_goes_on_at_the_step(data: Path, house: House) -> None:
    argv = [sys.executable, "-m", "bench.kill_table", "--hold", "causes", "--data", str(data)]
    attempt, _ = tasks.request_repair(house.database, "INC-1")
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == b"held\n"
        tree = descendants(held.pid)
        assert tree
        assert nightdesk(data, "pause").returncode == 0
        wait(lambda: not any(alive(pid) for pid in tree))
        assert held.poll() is None
        held.send_signal(signal.SIGTERM)
        held.wait(PATIENCE)
    before = queries.attempt(house.database, attempt.id)
    assert before is not None
    assert [step.name for step in before.steps] == ["gather", "investigate", "reproduce"]

    said = json.loads(nightdesk(data, "resume", "--json").stdout)  # nobody is alive: it starts a worker
    assert said == {"paused": False, "changed": True, "waiting": [attempt.id]}
    follow(house, attempt.id, lambda step: None)

    after = queries.attempt(house.database, attempt.id)
    assert after is not None
    assert after.steps[:3] == before.steps
    assert [step.name for step in after.steps] == list(STEPS[1:])
    wait(lambda: not Leases(data / FILE).alive())


@pytest.mark.heavy
def test_a_repair_at_a_terminal_is_given_up_by_an_interrupt_and_its_sandbox_ends(
    data: Path, house: House
) -> None:
    argv = [sys.executable, "-m", "nightdesk", "repair", "INC-1", "--data", str(data)]
    with subprocess.Popen(
        argv, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as repairing:
        assert repairing.stderr is not None
        assert "gather" in repairing.stderr.readline()
        wait(lambda: len(descendants(repairing.pid)) > 1)
        tree = descendants(repairing.pid)
        repairing.send_signal(signal.SIGINT)
        repairing.wait(PATIENCE)
    wait(lambda: not any(alive(pid) for pid in tree))
    assert ended(house) == [Ended.CANCELLED]
    assert tasks.waiting(house.database) == []


@pytest.mark.heavy
@pytest.mark.parametrize("believed_alive", [True, False], ids=["believed alive", "known to be dead"])
def test_a_repair_at_a_terminal_that_was_killed_is_finished_by_the_next_one(
    data: Path, house: House, believed_alive: bool
) -> None:
    argv = [sys.executable, "-m", "nightdesk", "repair", "INC-1", "--data", str(data)]
    leases = Leases(data / FILE)
    with subprocess.Popen(
        argv, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as repairing:
        assert repairing.stderr is not None
        first = [repairing.stderr.readline() for _ in range(2)]
        (name,) = leases.alive()
        repairing.kill()
        repairing.wait(PATIENCE)
    if believed_alive:
        with leases._writing() as connection:  # its last sign of life outlasts the start of the next one
            leases._put(connection, name, ONE, 6.0)
    else:
        leases.leave(name)
    done = nightdesk(data, "repair", "INC-1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[:2] == [line.rstrip("\n") for line in first]
    assert len(ended(house)) == 1
    assert ended(house)[0] in {Ended.PROVEN, Ended.DRAFTED}


@pytest.mark.heavy
def test_what_the_engine_has_forgotten_is_begun_again_from_its_task(data: Path, house: House) -> None:
    attempt, _ = tasks.request_repair(house.database, "INC-1")
    with Worker(house) as worker:
        wait(lambda: len((queries.attempt(house.database, attempt.id) or attempt).steps) >= 1)
    assert tasks.is_waiting(house.database, attempt.id)
    for suffix in ("", "-wal", "-shm"):
        (data / (FILE + suffix)).unlink(missing_ok=True)
    with Worker(house) as worker:
        assert worker.wait_until_idle(PATIENCE)
    assert ended(house)[0] in {Ended.PROVEN, Ended.DRAFTED}


@pytest.mark.heavy
def test_the_repair_that_is_asked_for_outlives_the_asker_and_one_worker_is_started(
    data: Path, house: House
) -> None:
    first = detached.start_repair(house, "INC-1")
    second = detached.start_repair(house, "INC-1")
    assert (first.fresh, second.fresh, second.attempt_id) == (True, False, first.attempt_id)
    assert list(Leases(data / FILE).alive().values()) == [QUEUES]
    follow(house, first.attempt_id, lambda step: None)
    assert ended(house)[0] in {Ended.PROVEN, Ended.DRAFTED}
    wait(lambda: not Leases(data / FILE).alive())


def test_what_comes_into_focus_is_repaired_by_the_worker_without_being_asked(
    data: Path, house: House
) -> None:
    (event,) = queries.events(house.database, "INC-1")
    again = event.model_copy(update={"event_id": "f" * 32, "release": "2.0"})
    recorded = house.keep([again])
    assert recorded[0].wants_triage
    with Worker(house) as worker:
        worker.wake()
        wait(lambda: tasks.of_incident(house.database, "INC-1", TaskKind.TRIAGE) is None)
        wait(lambda: queries.latest_attempt(house.database, "INC-1") is not None)
    assert ended(house) == [None]  # the worker has ended; the repair waits for the next one


def test_an_incident_is_repaired_by_itself_only_if_it_is_believed_and_was_not_tried(
    data: Path, house: House
) -> None:
    incident = queries.incident(house.database, "INC-1")
    assert wants_repair(house, incident)
    assert not wants_repair(house, incident.model_copy(update={"status": Status.MUTED}))

    (event,) = queries.events(house.database, "INC-1")
    public = event.model_copy(update={"event_id": "a" * 32, "trust": Trust.PUBLIC, "message": "other"})
    error = event.exceptions[0].model_copy(update={"type": "LookupError"})
    house.receive([public.model_copy(update={"exceptions": (error,)})])
    unknown = queries.incident(house.database, "INC-2")
    assert not wants_repair(house, unknown)
    assert wants_repair(house, unknown.model_copy(update={"user_count": house.config.min_users}))

    journal.start_attempt(house.database, "INC-1")
    assert not wants_repair(house, incident)
    assert wants_repair(house, incident.model_copy(update={"status": Status.REGRESSED}))


def test_a_triage_that_fails_does_not_hold_up_the_others(
    data: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (event,) = queries.events(house.database, "INC-1")
    errors = [event.exceptions[0].model_copy(update={"type": f"Odd{n}Error"}) for n in range(3)]
    house.keep(
        event.model_copy(update={"event_id": str(n) * 32, "exceptions": (error,), "received_at": NOW})
        for n, error in enumerate(errors)
    )
    triage = house.triage_incident

    def fail_on_three(incident_id: str, *rest: Any) -> Any:
        if incident_id == "INC-3":
            raise RuntimeError("odd")
        return triage(incident_id, *rest)

    monkeypatch.setattr(house, "triage_incident", fail_on_three)
    tasks.pause(house.database, "t")
    with Worker(house) as worker:
        assert worker.wait_until_idle(PATIENCE)
    verdicts = {incident.id: incident.verdict is not None for incident in queries.incidents(house.database)}
    assert verdicts == {"INC-1": True, "INC-2": True, "INC-3": False, "INC-4": True}


@pytest.mark.heavy
def test_a_worker_told_to_end_does_so_within_seconds(data: Path) -> None:
    argv = [sys.executable, "-m", "nightdesk", "worker", "--data", str(data)]
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ) as worker:
        wait(lambda: Leases(data / FILE).alive())
        worker.send_signal(signal.SIGTERM)
        started = monotonic()
        _, said = worker.communicate(timeout=PATIENCE)
    assert (worker.returncode, said) == (0, "")
    assert monotonic() - started < 15
    assert Leases(data / FILE).alive() == {}

"""The real Alertmanager (Debian's package `prometheus-alertmanager`, or a program that NIGHTDESK_ALERTMANAGER names)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from server.house import House
from store import queries
from tests.journeys.test_ingest_http import secret, serving

PATIENCE = 60.0
LABELS = {"alertname": "HighErrorRate", "severity": "critical", "job": "checkout", "instance": "web-1:9100"}


@contextmanager
def alertmanager(folder: Path, receiver: str) -> Iterator[str]:
    """The program, once it is ready, with one receiver; its address."""
    program = os.environ.get("NIGHTDESK_ALERTMANAGER") or shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")  # fmt: skip
    if program is None:
        pytest.skip(
            "no Alertmanager here: install Debian's prometheus-alertmanager, or set NIGHTDESK_ALERTMANAGER"
        )
    settings = {
        "route": {"receiver": "desk", "group_wait": "1s", "group_interval": "1s", "group_by": ["alertname"]},
        "receivers": [{"name": "desk", "webhook_configs": [{"url": receiver, "send_resolved": True}]}],
    }
    (folder / "alertmanager.yml").write_text(json.dumps(settings))  # JSON is YAML
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [program, f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/kept",
               f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]  # fmt: skip
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(
                lambda: running.poll() is not None or ready(address), lambda: (folder / "log").read_text()
            )
            assert running.poll() is None, (folder / "log").read_text()
            yield address
        finally:
            running.terminate()
            running.wait(timeout=PATIENCE)


def ready(address: str) -> bool:
    try:
        with urlopen(f"{address}/-/ready", timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(what: Callable[[], bool], said: Callable[[], str]) -> None:
    """Look again until it is so; bounded."""
    until, pause = time.monotonic() + PATIENCE, threading.Event()
    while not what():
        assert time.monotonic() < until, said()
        pause.wait(0.05)


def post(address: str, **times: str) -> None:
    alert = {"labels": LABELS, "annotations": {"summary": "5 % of requests to checkout fail"}, **times}
    sent = Request(  # noqa: S310 - our own address
        f"{address}/api/v2/alerts", json.dumps([alert]).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(sent, timeout=10) as answer:  # noqa: S310
        assert answer.status == 200


def test_an_alert_of_the_real_alertmanager_becomes_an_incident_and_its_end_becomes_none(
    house: House, tmp_path: Path
) -> None:
    def said() -> str:
        return (tmp_path / "log").read_text()

    with (
        serving(house) as (ours, _),
        alertmanager(tmp_path, f"http://{ours}/hooks/default/alertmanager?key={secret(house)}") as theirs,
    ):
        now = datetime.now(UTC)
        post(theirs, startsAt=now.isoformat())
        wait_for(lambda: len(queries.incidents(house.database)) == 1, said)
        incident = queries.incident(house.database, "INC-1")
        assert "5 % of requests to checkout fail" in incident.title
        (event,) = queries.events(house.database, "INC-1", limit=5)
        assert (event.level, event.service, event.server_name) == ("fatal", "checkout", "web-1:9100")
        post(theirs, startsAt=now.isoformat(), endsAt=(now + timedelta(milliseconds=1)).isoformat())
        wait_for(lambda: told_of_the_end(theirs), said)
        assert queries.incident(house.database, "INC-1").event_count == 1


def told_of_the_end(address: str) -> bool:
    """Whether it has delivered two notifications, and none was refused."""
    with urlopen(f"{address}/metrics", timeout=5) as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    counted = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] not in "#"
    }
    failed = sum(
        value for name, value in counted.items() if "notifications_failed_total" in name and "webhook" in name
    )
    assert failed == 0
    return counted.get('alertmanager_notifications_total{integration="webhook"}', 0) >= 2

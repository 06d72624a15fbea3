"""`nightdesk worker`: background work only."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from server.cli.output import data_option
from server.config import load
from server.house import House
from server.moments import require_set_clock
from server.operating import logs
from server.operating.self_watch import watched
from server.work.worker import Worker


@click.command()
@click.option("--until-idle", is_flag=True, help="End when nothing is left to do.")
@click.option("--name", hidden=True, help="The place that was kept for it by whoever starts it.")
@data_option
def command(until_idle: bool, name: str | None, data: Path | None) -> None:
    """Triage and repair what waits, until interrupted. Several workers may share a folder, or on several hosts a
    database; what one leaves behind, another takes up at the step it was in."""
    config = load(data)
    logs.configure(config.log_format)
    require_set_clock()
    asked = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: asked.set())
    with House.open(config) as house, watched(house), Worker(house, name=name) as worker:
        if until_idle:
            worker.work_until_idle(asked)
        else:
            asked.wait()

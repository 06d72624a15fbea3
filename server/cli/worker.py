"""`nightdesk worker`: background work only."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path

import click

from server.cli.output import data_option, open_house
from server.work.worker import Worker


@click.command()
@click.option("--until-idle", is_flag=True, help="End when nothing is left to do.")
@click.option("--name", hidden=True, help="The place that was kept for it by whoever starts it.")
@data_option
def command(until_idle: bool, name: str | None, data: Path | None) -> None:
    """Triage and repair what waits, until interrupted. Several workers may share a folder; what one leaves
    behind, another takes up at the step it was in."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    asked = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: asked.set())
    with open_house(data) as house, Worker(house, name=name) as worker:
        if until_idle:
            worker.work_until_idle(asked)
        else:
            asked.wait()

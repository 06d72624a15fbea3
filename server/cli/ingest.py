"""`nightdesk ingest`: events from files or standard input; triaged when it returns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from server.cli.incidents import incident_lines
from server.cli.output import NO, common, emit, open_house, visible
from server.cli.repairing import printer
from server.house import House
from server.intake.parsing import NAMES, file_events
from server.moments import require_set_clock
from server.repairs.progress import follow
from server.work.detached import start_repair
from store import queries
from store.errors import BadPayload, NightdeskError
from store.event import Event
from store.incident import Incident, Lane
from triage import formats


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE…|-]")
@click.option("--project", default="default", show_default=True, help="The project the events belong to.")
@click.option(
    "--format",
    "name",
    default="auto",
    show_default=True,
    help=f"What the files are: {', '.join(NAMES)}, or the name of a plug-in.",
)
@click.option("--repair", "repairs", is_flag=True, help="Repair the incidents that come into focus, too.")
@common
@click.pass_context
def command(
    context: click.Context,
    files: tuple[str, ...],
    project: str,
    name: str,
    repairs: bool,
    data: Path | None,
    as_json: bool,
) -> None:
    """Take events from files (Sentry events and envelopes, log text with traces, JSON) and print the
    incidents touched.

    Without FILE, or with `-`, standard input is read. Nothing is refused for its size. Exit code 3: no event
    in it.
    """
    require_set_clock()
    with open_house(data) as house:
        if name not in NAMES and name not in (known := {each.name for each in formats.known()}):
            raise click.BadParameter(
                f"{name!r} is none of {', '.join([*NAMES, *sorted(known)])}.", param_hint="--format"
            )
        owner = queries.project(house.database, project).name
        events = [event for file in files or ("-",) for event in _read(file, name, owner)]
        recorded = house.receive(events)
        names = list(dict.fromkeys(one.incident_id for one in recorded))
        touched = [queries.incident(house.database, ref) for ref in names]
        if repairs:
            _repair(house, touched, as_json)
            touched = [queries.incident(house.database, ref) for ref in names]
    emit(touched, incident_lines(touched) or "No event was found.", as_json=as_json)
    if not touched:
        context.exit(NO)


def _repair(house: House, touched: Sequence[Incident], as_json: bool) -> None:
    """Have what is in focus repaired by a worker, and tell of it until it is done; one that cannot be does not
    keep the others from it. Interrupted, the worker goes on."""
    started = []
    for incident in touched:
        if incident.lane is Lane.FOCUS:
            try:
                started.append(start_repair(house, incident.id).attempt_id)
            except NightdeskError as problem:
                click.echo(visible(f"{incident.id}: {problem}"), err=True)
    for attempt_id in started:
        follow(house, attempt_id, printer(as_json))
        attempt = queries.attempt(house.database, attempt_id)
        if attempt is not None:
            click.echo(visible(f"{attempt.incident_id}: {attempt.ended}: {attempt.said}"), err=True)


def _read(file: str, name: str, project: str) -> list[Event]:
    """The events of one file. Raises BadPayload naming the file."""
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BadPayload(f"{file} cannot be read: {error.strerror}.") from error
    try:
        return file_events(body, name, project=project, received_at=datetime.now(UTC))
    except BadPayload as error:
        raise BadPayload(f"{'standard input' if file == '-' else file}: {error}") from error

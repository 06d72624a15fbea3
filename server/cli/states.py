"""A person's word on an incident: resolve, mute, reopen, noise, not-noise, assign. Each is kept and can be
undone."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.house import House
from store import journal, queries
from store.incident import Incident, Lane, Status

Act = Callable[[House, str, str, str], None]


def status_command(status: Status, help_text: str) -> click.Command:
    """A command that sets an incident's status."""

    def act(house: House, incident_id: str, by: str, reason: str) -> None:
        journal.set_status(house.database, incident_id, status, by, reason)

    return _command(act, help_text)


def lane_command(lane: Lane, help_text: str) -> click.Command:
    """A command that sets an incident's lane; later triage leaves it there."""

    def act(house: House, incident_id: str, by: str, reason: str) -> None:
        journal.set_lane(house.database, incident_id, lane, by, reason)

    return _command(act, help_text)


def who() -> str:
    """The person at the terminal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "unknown"


def report(house: House, incident_id: str, *, as_json: bool) -> None:
    """Print how the incident stands now."""
    found: Incident = queries.incident(house.database, incident_id)
    owner = f", owner {found.owner}" if found.owner else ""
    emit(found, f"{found.id} is {found.status.value}, in {found.lane.value}{owner}.", as_json=as_json)


def _command(act: Act, help_text: str) -> click.Command:
    @click.command(help=help_text)
    @click.argument("incident", metavar="INC-n")
    @click.option("--reason", default="", help="Why; it is kept.")
    @common
    def command(incident: str, reason: str, data: Path | None, as_json: bool) -> None:
        with open_house(data) as house:
            incident_id = queries.incident(house.database, incident).id
            act(house, incident_id, who(), reason)
            report(house, incident_id, as_json=as_json)

    return command

"""Calibrations in force, one for each project. Written when a person says so."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from store import hosts, queries
from store.database import Database
from store.errors import NotFound
from store.event import Event
from store.incident import Incident
from triage.learned import Part, read_part, written_part
from triage.learning.alerts import NO_PAST, Past, is_alert, past_of
from triage.learning.team import Calibration

log = logging.getLogger("nightdesk.teams")

FOLDER = "calibrations"  # where earlier versions kept them


def teams(database: Database) -> dict[str, Part]:
    """The calibrations in force, by project. One that cannot be read is left out: the shipped model decides there."""
    found = {}
    for project, written in hosts.calibrations(database).items():
        try:
            found[project] = read_part(written)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("The calibration of project %s is left out: %r", project, error)
    return found


def take_in(data: Path, database: Database) -> None:
    """Put calibrations that an earlier version kept as files into the database, for every host. One whose project is
    gone, or that is damaged, stays where it is."""
    for path in sorted((data / FOLDER).glob("*.json")):
        try:
            written = json.loads(path.read_text("utf-8"))
            hosts.calibrate(database, str(written["project"]), written_part(read_part(written)))
        except (OSError, ValueError, KeyError, TypeError, NotFound) as error:
            log.warning("The calibration %s is left out: %s", path, error)
        else:
            path.unlink()


def apply(database: Database, project: str, calibration: Calibration) -> None:
    """Put a calibration in force for the next time that a house is opened, on whichever host."""
    part = Part(calibration.model, calibration.focus_from, calibration.said)
    hosts.calibrate(database, project, written_part(part))


def past(database: Database, incident: Incident, newest: Event) -> Past:
    """What the alert of this incident did before its newest event; nothing where it is no alert."""
    if not is_alert(newest):
        return NO_PAST
    return past_of(reversed(queries.events(database, incident.id)[1:]))

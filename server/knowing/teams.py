"""Calibrations in force: one file for each project, below the data folder. Written when a person says so."""

from __future__ import annotations

import json
import re
from pathlib import Path

from store import queries
from store.database import Database
from store.errors import Unavailable
from store.event import Event
from store.incident import Incident
from triage.learned import Part, read_part, written_part
from triage.learning.alerts import NO_PAST, Past, is_alert, past_of
from triage.learning.team import Calibration

FOLDER = "calibrations"


def teams(data: Path) -> dict[str, Part]:
    """The calibrations in force, by project. Raises Unavailable, naming a file that is damaged."""
    found = {}
    for path in sorted((data / FOLDER).glob("*.json")):
        try:
            written = json.loads(path.read_text("utf-8"))
            found[str(written["project"])] = read_part(written)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"{path} is damaged ({error}); remove it and calibrate again.") from error
    return found


def apply(data: Path, project: str, calibration: Calibration) -> Path:
    """Put a calibration in force for the next time that the house is opened."""
    path = _path(data, project)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part = Part(calibration.model, calibration.focus_from, calibration.said)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"project": project, **written_part(part)}, indent=1), "utf-8")
    fresh.replace(path)
    return path


def forget(data: Path, project: str) -> bool:
    """Go back to the shipped model. False where there was nothing to forget."""
    path = _path(data, project)
    known = path.exists()
    path.unlink(missing_ok=True)
    return known


def past(database: Database, incident: Incident, newest: Event) -> Past:
    """What the alert of this incident did before its newest event; nothing where it is no alert."""
    if not is_alert(newest):
        return NO_PAST
    return past_of(reversed(queries.events(database, incident.id)[1:]))


def _path(data: Path, project: str) -> Path:
    return data / FOLDER / f"{re.sub(r'[^A-Za-z0-9_-]', '_', project)}.json"

"""How far a page has been told: where the journal stands, as the id of a message of its stream."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from store import overview
from store.news import Mark, changed

if TYPE_CHECKING:
    from server.house import House

_ID = re.compile(r"(\d{1,15})\.(\d{1,15})\.(\d{1,15})\.(\d{1,15})\.(\d{1,12})")

Standing = tuple[
    Mark, int
]  # how far the journal goes, and what the repair has come to, which it does not tell of


def begun(house: House, incident_id: str | None = None) -> str:
    """Where the stream of a page begins: to be asked before anything is read that the page shows."""
    return written(look(house, None, incident_id)[0])


def look(house: House, since: Standing | None, incident_id: str | None) -> tuple[Standing, bool]:
    """How things stand, and whether there is news since then: of one incident, or of any that is seen."""
    mark, found = changed(house.database, since[0] if since else None)
    mine = {name for name, project in found.items() if house.sees(project)}
    come_to = 0
    if incident_id is not None:
        come_to = zlib.crc32(repr(overview.repairs_of(house.database, [incident_id])).encode())
    told = bool(mine) if incident_id is None else incident_id in mine
    return (mark, come_to), told or (since is not None and since[1] != come_to)


def written(now: Standing) -> str:
    """As the id of a message."""
    mark, come_to = now
    return f"{mark.acts}.{mark.steps}.{mark.triages}.{mark.events}.{come_to}"


def read(text: str) -> Standing | None:
    """The id of a message; None where it is none of ours."""
    found = _ID.fullmatch(text)
    if found is None:
        return None
    acts, steps, triages, events, come_to = (int(part) for part in found.groups())
    return Mark(acts, steps, triages, events), come_to

"""How many users an incident has had: by name up to a thousand, by a sketch beyond.

Whoever is kept by name can be forgotten by name, and costs a row; the thousand-and-first only has to be counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, Table, bindparam, insert, select, update
from sqlmodel import col

from store.hyperloglog import Sketch
from store.tables import FacetRow, UserSketchRow

EXACT = 1000  # users of an incident that are kept by name, and counted exactly
_TABLE: Table = UserSketchRow.__table__  # type: ignore[attr-defined]
_DRAWN = select(_TABLE).where(_TABLE.c.incident_id.in_(bindparam("ids", expanding=True)))
_NAMED = select(col(FacetRow.value)).where(
    col(FacetRow.incident_id) == bindparam("id"), col(FacetRow.kind) == "user"
)
_REDRAW = (
    update(_TABLE).where(_TABLE.c.incident_id == bindparam("number")).values(registers=bindparam("drawn"))
)


class ManyUsers:
    """The sketches of the incidents of one batch, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sketches: dict[int, Sketch] = {}
        self._changed: set[int] = set()

    def read(self, incidents: Collection[int]) -> None:
        """Read the sketches of incidents with very many users."""
        if incidents:
            found = self._connection.execute(_DRAWN, {"ids": list(incidents)})
            self._sketches = {row.incident_id: Sketch(row.registers) for row in found}

    def add(self, incident: int, user: str, named: Iterable[str]) -> None:
        """Count a user in who is not kept by name; `named` are those who are, and not written yet."""
        sketch = self._sketches.get(incident)
        if sketch is None:
            written = self._connection.execute(_NAMED, {"id": incident}).scalars()
            sketch = self._sketches[incident] = Sketch.of([*written, *named])
            self._changed.add(incident)
        if sketch.add(user):
            self._changed.add(incident)

    def write(self) -> dict[int, int]:
        """Write what has changed: incident to about how many users it has had."""
        for incident in self._changed:
            drawn = bytes(self._sketches[incident])
            if self._connection.execute(_REDRAW, {"number": incident, "drawn": drawn}).rowcount == 0:
                self._connection.execute(insert(_TABLE), {"incident_id": incident, "registers": drawn})
        return {incident: self._sketches[incident].count() for incident in self._changed}

"""`nightdesk triage`: run triage again, and say what changed."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house
from server.repairs.opinions import triaged
from store import queries
from store.incident import Incident, Triage


@click.command()
@click.argument("incident", metavar="INC-n")
@common
def command(incident: str, data: Path | None, as_json: bool) -> None:
    """Run triage again and say what changed."""
    with open_house(data) as house:
        before = queries.incident(house.database, incident)
        result = triaged(house, before.id)
        after = queries.incident(house.database, before.id)
    changed = _changed(before, after)
    lines = [f"{after.id}  {after.title}", *(f"  {step.name}: {step.said}" for step in result.steps)]
    lines += [f"{name}: {old} → {new}" for name, (old, new) in changed.items()] or ["Nothing changed."]
    emit({**_record(result), "id": after.id, "changed": changed}, "\n".join(lines), as_json=as_json)


def _changed(before: Incident, after: Incident) -> dict[str, tuple[str, str]]:
    """What triage decides and what it was before, as texts."""

    def facts(incident: Incident) -> dict[str, str]:
        place, verdict = incident.location, incident.verdict
        return {
            "title": incident.title,
            "lane": incident.lane.value,
            "priority": f"{incident.priority:.3f}",
            "kind": verdict.kind.value if verdict else "none",
            "location": f"{place.repo}/{place.path}:{place.line}" if place else "none",
            "why": incident.why,
        }

    old, new = facts(before), facts(after)
    return {name: (old[name], new[name]) for name in old if old[name] != new[name]}


def _record(result: Triage) -> dict[str, object]:
    return result.model_dump(mode="json")

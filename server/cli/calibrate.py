"""`nightdesk calibrate`: learn from the team's own words, and show first what would change."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import NO, common, emit, open_house
from server.knowing.teams import apply
from server.operating.calibration import BackTest, back_test
from store import queries
from store.hosts import forget_calibration
from triage.learning.team import FEWEST, no_miss_bound


@click.command()
@click.option("--project", default="default", show_default=True, help="Whose words.")
@click.option("--apply", "applies", is_flag=True, help="Switch to it; else only show.")
@click.option("--forget", "forgets", is_flag=True, help="Go back to the model that is shipped.")
@common
def command(project: str, applies: bool, forgets: bool, data: Path | None, as_json: bool) -> None:
    """Calibrate on what was said of incidents: noise, not-noise, reopened, resolved by a merged draft.

    Without --apply nothing changes: the bound that the labels carry, the share that would wait and the
    incidents that would flip are printed.
    """
    with open_house(data) as house:
        name = queries.project(house.database, project).name
        if forgets:
            known = forget_calibration(house.database, name)
            said = "The shipped model is in force." if known else "The shipped model was in force already."
            emit({"project": name, "forgotten": known}, said, as_json=as_json)
            return
        found = back_test(house, name)
        switched = applies and found.calibration is not None
        if applies and found.calibration:
            apply(house.database, name, found.calibration)
    emit(_record(name, found, switched), _text(found, switched), as_json=as_json)
    if found.calibration is None:
        raise click.exceptions.Exit(NO)


def _record(project: str, found: BackTest, switched: bool) -> dict[str, object]:
    calibration = found.calibration
    return {
        "project": project,
        "labels": len(found.labels),
        "mattering": sum(label.matters for label in found.labels),
        "no_miss_bound": round(no_miss_bound(found.labels), 4),
        "recall_lower": calibration.threshold.recall_lower if calibration else None,
        "cut": calibration.cut if calibration else None,
        "flips": [{"id": flip.id, "before": flip.before, "after": flip.after} for flip in found.flips],
        "applied": switched,
    }


def _text(found: BackTest, switched: bool) -> str:
    mattering = sum(label.matters for label in found.labels)
    lines = [f"{len(found.labels)} labels, {mattering} of them of what matters."]
    if found.calibration is None:
        return f"{lines[0]} Too few: at least {FEWEST} of each kind are needed in each of two halves."
    lines.append(f"{found.calibration.said}.")
    lines.append(f"{len(found.flips)} of {found.looked_at} incidents without a label would flip:")
    lines += [
        f"  {flip.id}: {'focus' if flip.before else 'backlog'} -> {'focus' if flip.after else 'backlog'}"
        for flip in found.flips[:50]
    ]
    in_force = "In force for whatever is started from now on, on every host."
    lines.append(in_force if switched else "Nothing was changed; --apply switches to it.")
    return "\n".join(lines)

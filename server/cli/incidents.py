"""`nightdesk incidents`: the prioritised list."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.moments import ago, since_moment
from store import queries
from store.incident import Incident, Lane, Status

_UNSETTLED = (Status.OPEN, Status.REGRESSED)


@click.command()
@click.option(
    "--lane",
    type=click.Choice([*(lane.value for lane in Lane), "all"]),
    default="all",
    help="Default: all, focus first.",
)
@click.option("--project", default=None, help="Only this project's.")
@click.option("--repo", default=None, help="Only those located in this repository.")
@click.option("--service", default=None, help="Only those seen in this service.")
@click.option(
    "--since", default=None, metavar="T", help="Seen since: a time, or an age such as 30m, 24h, 7d."
)
@click.option(
    "--status",
    type=click.Choice([*(status.value for status in Status), "all"]),
    default=None,
    help="Default: open and regressed.",
)
@click.option("--query", default=None, help="A text in title, culprit or reason.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="At most this many.")
@common
def command(
    lane: str,
    project: str | None,
    repo: str | None,
    service: str | None,
    since: str | None,
    status: str | None,
    query: str | None,
    limit: int | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """The list, most urgent first: focus, then backlog, then what was set aside."""
    wanted = _UNSETTLED if status is None else None if status == "all" else (Status(status),)
    with open_house(data) as house:
        rows = queries.incidents(
            house.database,
            lane=None if lane == "all" else Lane(lane),
            project=project,
            repo=repo,
            service=service,
            since=since_moment(since) if since else None,
            status=wanted,
            query=query,
            limit=limit,
        )
    emit(rows, incident_lines(rows) or "No incidents.", as_json=as_json)


def incident_lines(rows: list[Incident]) -> str:
    """Two lines for each incident: what it is, and why it stands here."""
    lines = table(
        [row.id, row.lane.value, f"{row.event_count}×", ago(row.last_seen), row.title] for row in rows
    ).splitlines()
    whys = [f"        {row.why}" if row.why else "" for row in rows]
    return "\n".join(part for pair in zip(lines, whys, strict=True) for part in pair if part)

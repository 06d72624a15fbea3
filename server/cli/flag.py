"""`nightdesk flag`: feature flags and settings that took another value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from server.cli.output import common, emit, open_house, table
from server.moments import moment, since_moment, stamp
from store import flags, queries
from store.flags import FlagChange

_LISTED = 500


@click.group()
def command() -> None:
    """Feature flags and settings: what changed when, looked at near a failure."""


@command.command("set")
@click.argument("name")
@click.argument("value")
@click.option("--before", default=None, help="The value that it had.")
@click.option("--environment", default=None, help="Where it holds. Default: everywhere.")
@click.option(
    "--at", default=None, metavar="TIME", help="Since when (ISO 8601; without a zone: UTC). Default: now."
)
@click.option("--by", "who", default="operator", show_default=True, help="Who changed it.")
@click.option("--project", default="default", show_default=True, help="The project that it is of.")
@common
def set_(
    name: str,
    value: str,
    before: str | None,
    environment: str | None,
    at: str | None,
    who: str,
    project: str,
    data: Path | None,
    as_json: bool,
) -> None:
    """Record that flag or setting NAME has VALUE from now on. Nothing is switched by it."""
    change = FlagChange(
        project=project, flag=name, after=value, before=before, environment=environment, who=who,
        at=moment(at) if at else datetime.now(UTC),
    )  # fmt: skip
    with open_house(data) as house:
        known = flags.add(house.database, change)
    emit(known, f"{known.flag} is {known.after} since {stamp(known.at)}.", as_json=as_json)


@command.command("list")
@click.option("--since", default="30d", show_default=True, help="An ISO time, or an age such as 24h, 7d.")
@click.option("--project", default="default", show_default=True, help="The project that they are of.")
@common
def list_(since: str, project: str, data: Path | None, as_json: bool) -> None:
    """Changes that were told, newest first."""
    end = datetime.now(UTC) + timedelta(days=1)
    with open_house(data) as house:
        owner = queries.project(house.database, project).name
        rows = flags.between(house.database, owner, since_moment(since), end, limit=_LISTED)
    lines = [
        [stamp(row.at), row.flag, f"{row.before or '?'} → {row.after}", row.environment or "-", row.who]
        for row in rows
    ]
    emit(rows, table(lines), as_json=as_json)

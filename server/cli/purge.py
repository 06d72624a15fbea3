"""`nightdesk purge`: old events, or everything of one person, go for good."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from server.cli.output import NO, common, emit, open_house
from server.cli.states import who
from store import purging


class Age(click.ParamType[timedelta]):
    """`90d`, `12h`, `4w`."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"([0-9]{1,5})([hdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is no age; write 90d, 12h or 4w.", param, ctx)
        return timedelta(hours=int(found[1]) * {"h": 1, "d": 24, "w": 168}[found[2]])


@click.command()
@click.option(
    "--older-than", type=Age(), default=None, help="Events received longer ago than this: 90d, 12h, 4w."
)
@click.option(
    "--user", default=None, help="Events of one person, as an incident shows them: `id:42`, or a token."
)
@click.option("--yes", is_flag=True, help="Do it. Without, it is only counted.")
@common
@click.pass_context
def command(
    context: click.Context,
    older_than: timedelta | None,
    user: str | None,
    yes: bool,
    data: Path | None,
    as_json: bool,
) -> None:
    """Take events away for good: their ids, times, users, bodies and payloads. Incidents stay, with their counts.
    Exit code 3: there is nothing to take away."""
    if (older_than is None) == (user is None):
        raise click.UsageError("Say what is to go: --older-than AGE, or --user USER.")
    if older_than is not None:
        which, why = purging.older_than(datetime.now(UTC) - older_than), f"older than {older_than.days} days"
    else:
        which, why = purging.of_user(str(user)), "of one person"
    with open_house(data) as house:
        if yes:
            found = purging.purge(house.database, house.artifacts, which, who(), why)
            said = f"{found.events} events are gone, {found.bodies} with their bodies; {found.bytes >> 10} KiB freed."
        else:
            found = purging.count(house.database, which)
            said = f"{found.events} events would go, {found.bodies} with their bodies. To do it: --yes"
    emit({**vars(found), "done": yes}, said if found.events else "There is no such event.", as_json=as_json)
    if not found.events:
        context.exit(NO)

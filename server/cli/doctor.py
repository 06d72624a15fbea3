"""`nightdesk doctor`: every part with its state, and what to do where it is not well."""

from __future__ import annotations

from pathlib import Path

import click

from server.cli.output import common, emit, table
from server.config import load
from server.house import House
from server.operating.checks import State, closed, configuration, examine
from store.errors import NightdeskError


@click.command()
@common
@click.pass_context
def command(context: click.Context, data: Path | None, as_json: bool) -> None:
    """Every part with its state and the fix in words. Exit code 1 where a part does not work."""
    config = load(data)
    try:
        with House.open(config) as house:
            checks = list(examine(house))
    except NightdeskError as error:
        checks = list(closed(config, error))
    text = table([check.state.value, check.part, check.said] for check in checks)
    chosen = configuration(config)
    settings = table([setting.part, setting.said] for setting in chosen)
    emit([*chosen, *checks], f"{text}\n\nSettings\n{settings}", as_json=as_json)
    if any(check.state is State.BROKEN for check in checks):
        context.exit(1)

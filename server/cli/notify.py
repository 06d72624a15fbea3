"""`nightdesk notify`: who is told, and what has reached them."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click

from server.cli.output import NO, common, emit, open_house, table
from server.house import House
from server.moments import stamp
from server.notices import telling, webhooks
from server.notices.telling import Target, targets
from store import notices
from store.errors import NightdeskError, NotFound


@click.group()
def command() -> None:
    """Who is told of incidents, and what has reached them."""


@command.command("test")
@common
def test(data: Path | None, as_json: bool) -> None:
    """Send a message to every target now, quiet hours or not. Exit code 3 where one did not get it."""
    with open_house(data) as house:
        every = targets(house.config)
        if not every:
            raise NotFound("Nobody is told anything: name addresses in the settings `notify` or `webhooks`.")
        rows = [(target, _tried(house, target)) for target in every]
    told = [{"target": target.shown, "arrived": problem is None, "said": problem} for target, problem in rows]
    emit(told, table([(target.shown, problem or "arrived") for target, problem in rows]), as_json=as_json)
    if any(problem for _, problem in rows):
        raise SystemExit(NO)


@command.command("list")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many at most."
)
@common
def listed(limit: int, data: Path | None, as_json: bool) -> None:
    """The newest notices and how each stands with each target."""
    with open_house(data) as house:
        names = {target.id: target.shown for target in targets(house.config)}
        found = notices.deliveries(house.database, limit)
    rows = [
        (one.notice.incident_id, one.notice.kind.value, stamp(one.notice.at), names.get(one.target, one.target),
         _stands(one))
        for one in found
    ]  # fmt: skip
    told = [
        {"incident": one.notice.incident_id, "kind": one.notice.kind, "at": one.notice.at, "tries": one.tries,
         "target": names.get(one.target, one.target), "sent_at": one.sent_at, "next_at": one.next_at, "said": one.said}
        for one in found
    ]  # fmt: skip
    emit(told, table(rows) if rows else "Nothing was told yet.", as_json=as_json)


def _stands(one: notices.Sent) -> str:
    if one.sent_at is not None:
        return f"arrived {stamp(one.sent_at)}"
    when = f"due {stamp(one.next_at)}" if one.next_at else "dropped"
    return f"{when}{f': {one.said}' if one.said else ''}"


def _tried(house: House, target: Target) -> str | None:
    """Why a target did not get the message; None: it did."""
    try:
        if target.program:
            webhooks.post_test(house, target.address, datetime.now(UTC))
        else:
            send: telling.Send = import_module("server.notices.apprising").send
            send(
                target.address,
                "Nightdesk can reach you",
                f"A test from {house.config.address}; nothing is wrong.",
            )
    except NightdeskError as problem:
        return str(problem)
    return None

"""`nightdesk transcript`: every request to a model, and every reply."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from server.cli.output import NO, common, emit, open_house, table
from server.house import House
from store import queries
from store.errors import NotFound


@click.command()
@click.argument("incident", metavar="INC-n")
@click.option(
    "--exchange",
    type=click.IntRange(min=1),
    help="Only this one, by its number: what was sent, and the reply.",
)
@click.option(
    "--sent", is_flag=True, help="With --exchange: the exact bytes that were sent, and nothing else."
)
@common
def command(incident: str, exchange: int | None, sent: bool, data: Path | None, as_json: bool) -> None:
    """What was asked of a model about an incident, and what it said. Exit 3 where none was asked."""
    if sent and exchange is None:
        raise click.UsageError("--sent needs --exchange N.")
    with open_house(data) as house:
        rows = _rows(house, incident)
    if exchange is None:
        columns = ("n", "run", "step", "role", "at", "status", "bytes", "took")
        shown = [tuple(row[name] for name in columns) for row in rows]
        emit(rows, table([columns, *shown]) if rows else "No model was asked.", as_json=as_json)
        raise SystemExit(0 if rows else NO)
    if exchange > len(rows):
        raise NotFound(f"There is no exchange {exchange}; there are {len(rows)}.")
    row = rows[exchange - 1]
    if sent:
        sys.stdout.buffer.write(row["sent"].encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
        return
    emit(
        row,
        f"sent\n{_pretty(row['sent'])}\n\nreceived ({row['status']})\n{_pretty(row['received'])}",
        as_json=as_json,
    )


def _rows(house: House, incident: str) -> list[dict[str, Any]]:
    """Every exchange of the triage in force and of every repair of the incident, oldest first. Raises NotFound."""
    rows: list[dict[str, Any]] = []
    triage = queries.triage(house.database, incident)
    asked = [("triage", step) for step in (triage.steps if triage else ())]
    asked += [
        (attempt.id, step) for attempt in queries.attempts(house.database, incident) for step in attempt.steps
    ]
    for run, step in asked:
        told = step.details.get("model")
        digest = told.get("transcript") if isinstance(told, dict) else None
        content = house.artifacts.get(digest) if isinstance(digest, str) else b""
        for line in content.splitlines():
            row = json.loads(line)
            size = len(row["sent"].encode("utf-8", "surrogateescape"))
            rows.append({**row, "n": len(rows) + 1, "run": run, "step": step.name, "bytes": size})
    return rows


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text

"""`nightdesk show`: everything known of one incident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from server.cli.output import common, emit, fields, open_house
from server.incidents.as_json import incident_json
from server.web.words import answer, compact, folded, newest_first
from store import queries
from store.errors import BadPayload
from store.event import Event, Frame

_TEXT_SECTIONS = (
    "steps",
    "surroundings",
    "hypotheses",
    "changes",
    "rollback",
    "reproducer",
    "patch",
    "validation",
    "drafts",
    "watches",
    "feedback",
    "submissions",
)


@click.command()
@click.argument("incident", metavar="INC-n")
@click.option("--section", "sections", multiple=True, help="Only this part (a key of the JSON); repeatable.")
@common
def command(incident: str, sections: tuple[str, ...], data: Path | None, as_json: bool) -> None:
    """Everything known of one incident."""
    with open_house(data) as house:
        values = incident_json(house, incident)
        for section in sections:
            if section not in values:
                raise BadPayload(f"There is no section {section!r}; there are {', '.join(values)}.")
        found = queries.incident(house.database, incident)
        said = answer(found, queries.latest_attempt(house.database, found.id))
        events = queries.events(house.database, found.id, limit=1)
    shown = {name: values[name] for name in sections} if sections else values
    if sections:
        text = "\n\n".join(f"{name}\n{_part(value)}" for name, value in shown.items())
    else:
        text = "\n\n".join(
            [_head(values), fields(dict(said)), *(_trace(event) for event in events), *_parts(values)]
        )
    emit(shown, text, as_json=as_json)


def _head(values: dict[str, Any]) -> str:
    names = (
        "status",
        "lane",
        "event_count",
        "user_count",
        "first_seen",
        "last_seen",
        "owner",
        "claimed_by",
        "why",
    )
    facts = {name.replace("_", " "): values[name] for name in names}
    facts["releases"] = ", ".join(values["releases"])
    facts["environments"] = ", ".join(values["environments"])
    return f"{values['id']}  {values['title']}\n{fields(facts)}"


def _trace(event: Event) -> str:
    """The newest event's exceptions, the last raised first, library frames counted only."""
    lines = [] if event.exceptions else [event.message or "The event has no exception and no message."]
    for exception in newest_first(event.exceptions):
        lines.append(f"{exception.type}: {exception.value}")
        for own, frames in folded(exception.frames):
            if own:
                lines += [line for frame in frames for line in _frame(frame)]
            else:
                lines.append(f"  … {len(frames)} library frames")
    return "\n".join(lines)


def _frame(frame: Frame) -> list[str]:
    """Where a call stood, and the source line that ran."""
    place = f"  {frame.filename or frame.abs_path}:{frame.lineno} in {frame.function}"
    return [place, f"      {frame.context_line.strip()}"] if frame.context_line else [place]


def _parts(values: dict[str, Any]) -> list[str]:
    return [f"{name}\n{_part(values[name])}" for name in _TEXT_SECTIONS if values[name]]


def _part(value: Any) -> str:
    """One part of the JSON for people: a line for each fact; longer texts (sources, diffs) as they are."""
    if isinstance(value, list):
        return "\n".join(_line(item) for item in value) or "none"
    if isinstance(value, dict):
        return "\n".join(
            f"  {name}: {_inline(item)}" for name, item in value.items() if item not in (None, [], {}, "")
        )
    return f"  {value}"


def _line(item: Any) -> str:
    if not isinstance(item, dict):
        return f"  {item}"
    name = (
        item.get("name")
        or item.get("kind")
        or item.get("commit", "")[:10]
        or item.get("status")
        or item.get("repo")
        or ""
    )
    said = item.get("said") or item.get("text") or item.get("title") or item.get("statement") or ""
    verdict = item.get("verdict")
    return f"  {name}: {said}{f' ({verdict})' if verdict else ''}"


def _inline(item: Any) -> str:
    if isinstance(item, str):
        return item if "\n" not in item else "\n" + item
    if isinstance(item, dict) and any("\n" in str(text) for text in item.values()):
        return "\n" + "\n".join(f"{name}\n{text}" for name, text in item.items())
    return str(item) if isinstance(item, int | float) else compact(item)

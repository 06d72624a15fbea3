"""One incident from another Nightdesk, over its API: what a pipeline needs to reproduce it somewhere else.

Events were redacted where they were kept and are taken as they are; the incident keeps its number where that is free.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from server.house import House
from store import queries
from store.bodies import packed
from store.errors import BadPayload, NotAllowed, NotFound, Unavailable
from store.event import Event
from store.rows_in import take_in

PATIENCE = 20.0  # seconds for one answer
LARGEST = 32 << 20  # bytes of one answer
EVENTS = 50  # newest events that are fetched with their bodies
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_INCIDENT = (
    "title", "culprit", "first_seen", "last_seen", "event_count", "user_count", "environments", "releases", "status",
    "lane", "priority",
)  # fmt: skip


def fetch(house: House, site: str, token: str, ref: str) -> str:
    """Take an incident in with its newest events, into the project `default`; its id here. Raises NotFound, NotAllowed,
    Unavailable, BadPayload."""
    told = _ask(site, token, f"/api/v1/incidents/{quote(ref, safe='')}")
    events = [_event(site, token, one["event_id"]) for one in _kept(site, token, str(told["id"]))][-EVENTS:]
    if not events:
        raise NotFound(
            f"No event of {told['id']} is kept with its body over there, so it cannot be run here."
        )
    number = int(str(told["id"]).removeprefix("INC-"))
    take_in(house.database, f"fetched:{site}", lambda name: _rows(told, number, events).get(name, ()))
    found = queries.incident_of(house.database, events[-1].event_id, "default")
    if found is None:
        raise BadPayload(f"{site} told of {told['id']} what does not fit together.")
    return found


def _rows(told: Mapping[str, Any], number: int, events: list[Event]) -> dict[str, list[dict[str, Any]]]:
    """The rows of an export that holds one incident."""
    first = told["first_seen"]
    print_ = told.get("fingerprint")
    place = told.get("location")
    versions = dict.fromkeys(event.release for event in events if event.release)
    commits = {place["repo"]: place["commit"]} if place else {}
    return {
        "projects": [{"id": 1, "name": "default", "created_at": first}],
        "releases": [
            {"id": at, "project_id": 1, "version": version, "environment": "", "commits": commits, "created_at": first}
            for at, version in enumerate(versions, 1)
        ],
        "incidents": [
            {"id": number, "project_id": 1, "merged_into": None, "why": told.get("why") or ""}
            | {name: told[name] for name in _INCIDENT}
        ],
        "fingerprints": [{"id": 1, "project_id": 1, "incident_id": number, **print_}] if print_ else [],
        "events": [
            {
                "id": at, "project_id": 1, "incident_id": number, "event_id": event.event_id, "number": at,
                "received_at": event.received_at, "seen_at": event.timestamp, "release": event.release,
                "environment": event.environment, "service": event.service, "transaction": event.transaction,
                "fingerprint_id": 1 if print_ else None, "user_key": None, "body": _body(event),
            }
            for at, event in enumerate(events, 1)
        ],
    }  # fmt: skip


def _body(event: Event) -> str:
    clean = event.model_copy(update={"project": "default", "raw": None})
    return base64.b64encode(packed(clean)).decode()


def _kept(site: str, token: str, incident: str) -> Iterator[Mapping[str, Any]]:
    """The events of which the body is there, oldest first."""
    cursor = ""
    while True:
        page = _ask(site, token, f"/api/v1/incidents/{incident}/events?limit=100{cursor}")
        yield from (one for one in page["events"] if one["body"])
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={int(page['next_cursor'])}"


def _event(site: str, token: str, event_id: str) -> Event:
    try:
        return Event.model_validate(_ask(site, token, f"/api/v1/events/{quote(event_id, safe='')}"))
    except ValueError as error:
        raise BadPayload(f"{site} does not answer as a Nightdesk of this version does.") from error


def _ask(site: str, token: str, path: str) -> dict[str, Any]:
    parts = urlsplit(site)
    if parts.scheme != "https" and (parts.hostname or "") not in _LOCAL:
        raise NotAllowed(
            f"{parts.hostname or site} is addressed without encryption: no token is sent there; use https."
        )
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "nightdesk"}
    try:
        answer = httpx.get(site.rstrip("/") + path, headers=headers, timeout=PATIENCE, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(f"{site} does not answer ({type(error).__name__}).", retry=True) from error
    if answer.status_code in (401, 403):
        raise NotAllowed(
            f"{site} does not take the token: it needs the scope incidents:read (NIGHTDESK_TOKEN)."
        )
    if answer.status_code == 404:
        raise NotFound(f"{site} knows no {path.rpartition('/')[2].partition('?')[0]}.")
    try:
        found = json.loads(answer.content[:LARGEST]) if answer.is_success else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unavailable(f"{site} does not answer as a Nightdesk does ({answer.status_code}).")
    return found

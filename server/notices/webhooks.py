"""Outgoing webhooks: a notice as JSON, signed as those that we take are, or in the shape that starts a pipeline.

`X-Nightdesk-Signature: t=SECONDS,v1=HEX`, HMAC-SHA256 of `SECONDS.BODY`; `X-Nightdesk-Delivery` is the notice's number,
by which a receiver knows one that comes again. No redirects are followed, and nothing of an answer is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from fixloop.forges.rest import token
from server.house import House
from store import queries
from store.errors import Unavailable
from store.incident import Incident
from store.notices import Notice

PATIENCE = 10.0  # seconds for one answer


def post(house: House, address: str, notice: Notice, incident: Incident, now: datetime) -> None:
    """Send one notice to one address. Raises Unavailable where it is not taken, NotAllowed without the token that a
    forge wants."""
    secret = _secret(house, incident.project)
    _send(address, secret, notice.kind.value, payload(house, notice, incident), str(notice.id), now)


def post_test(house: House, address: str, now: datetime) -> None:
    """Send a message that is about nothing. Raises as `post` does."""
    told = {
        "id": 0,
        "kind": "test",
        "at": now.isoformat(),
        "incident": None,
        "url": f"{house.config.address}/",
    }
    _send(address, _secret(house, "default"), "test", told, "test", now)


def _send(address: str, secret: str, kind: str, told: Mapping[str, Any], name: str, now: datetime) -> None:
    path = urlsplit(address).path
    headers = {"User-Agent": "nightdesk", "X-Nightdesk-Delivery": name, "Content-Type": "application/json"}
    body: Any = told
    if path.endswith("/dispatches"):
        body = {"event_type": f"nightdesk-{kind}", "client_payload": told}
        headers |= {"Authorization": f"Bearer {token('github')}", "Accept": "application/vnd.github+json"}
    elif path.endswith("/trigger/pipeline"):
        body = {"variables": _variables(told)}
    content = json.dumps(body).encode()
    headers["X-Nightdesk-Signature"] = signed(secret, content, now)
    try:
        with httpx.Client(timeout=PATIENCE, follow_redirects=False) as client:
            answer = client.post(address, content=content, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unavailable(f"it does not answer ({type(error).__name__})", retry=True) from error
    if not answer.is_success:
        raise Unavailable(f"it answers {answer.status_code}", retry=True)


def payload(house: House, notice: Notice, incident: Incident) -> dict[str, Any]:
    """What a program is told: ids, counts and our own words; the title is redacted, and still a stranger's."""
    attempt = queries.latest_attempt(house.database, incident.id)
    drafts = [draft.url for draft in attempt.drafts if draft.url] if attempt else []
    return {
        "id": notice.id, "kind": notice.kind.value, "at": notice.at.isoformat(), "incident": incident.id,
        "project": incident.project, "title": incident.title, "status": incident.status.value,
        "lane": incident.lane.value, "repo": incident.location.repo if incident.location else None,
        "test_path": attempt.reproducer.test_path if attempt and attempt.reproducer else None, "drafts": drafts,
        "url": f"{house.config.address}/incidents/{incident.id}",
    }  # fmt: skip


def signed(secret: str, body: bytes, now: datetime) -> str:
    """The signature of a body, with the time at which it was made."""
    moment = str(int(now.timestamp()))
    made = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={made}"


def _variables(told: Mapping[str, Any]) -> dict[str, str]:
    """What a pipeline of GitLab gets: nothing that somebody outside could have written."""
    return {
        f"NIGHTDESK_{name.upper()}": str(told.get(name)) for name in ("kind", "incident", "project", "url")
    }


def _secret(house: House, project: str) -> str:
    """What it is signed with: the setting, else the first secret key of the project."""
    if house.config.webhook_secret:
        return house.config.webhook_secret
    keys = [key for key in queries.keys(house.database, project) if not key.public and key.revoked_at is None]
    if not keys:
        raise Unavailable(f"project {project} has no key to sign with; set webhook_secret")
    return keys[0].key

"""Client ids that are addresses: what stands in the document there. Those of Claude Code and Codex are built in, so
that both connect without anything being fetched."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from server.oauth import redirects
from store.errors import BadPayload
from store.people import Client

MOST_REDIRECTS = 10
_NAME = 80  # characters of a program's name
_ANY = re.compile(r"\s+")
_CLAUDE = "https://claude.ai/oauth/claude-code-client-metadata"
_CODEX = "https://chatgpt.com/oauth/codex/client.json"
PINNED = {
    one.id: one
    for one in (
        Client(
            id=_CLAUDE,
            name="Claude Code",
            redirect_uris=("http://localhost/callback", "http://127.0.0.1/callback"),
        ),
        Client(
            id=_CODEX,
            name="Codex",
            redirect_uris=("http://127.0.0.1/callback", "http://localhost/callback"),
        ),
    )
}


def is_address(client_id: str) -> bool:
    """Whether a client id is the address of a document."""
    return client_id.startswith("https://")


def read_document(client_id: str, body: bytes) -> Client:
    """The program that a document describes. Raises BadPayload, with nothing of the document in the sentence."""
    try:
        described = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPayload("The document at this client id is not JSON.") from error
    if not isinstance(described, dict) or described.get("client_id") != client_id:
        raise BadPayload("The document at this client id does not name that id as its own.")
    return Client(id=client_id, **described_client(described))


def described_client(described: dict[str, Any]) -> dict[str, Any]:
    """Name and redirect addresses out of what a program says of itself (RFC 7591). Raises BadPayload, with one of
    our own sentences."""
    uris = described.get("redirect_uris")
    if not isinstance(uris, list) or not 0 < len(uris) <= MOST_REDIRECTS:
        raise BadPayload(f"redirect_uris must be a list of one to {MOST_REDIRECTS} addresses.")
    for uri in uris:
        if (why := redirects.refused(uri) if isinstance(uri, str) else "Not text.") is not None:
            raise BadPayload(f"redirect_uris: {why}")
    _only(described, "grant_types", {"authorization_code", "refresh_token"}, "authorization_code")
    _only(described, "response_types", {"code"}, "code")
    return {"name": shown_name(described.get("client_name")), "redirect_uris": tuple(uris)}


def shown_name(given: object) -> str:
    """A program's name as people are shown it: one line, printable, bounded."""
    text = "".join(sign for sign in str(given)[:400] if sign.isprintable()) if isinstance(given, str) else ""
    return _ANY.sub(" ", text).strip()[:_NAME] or "A program without a name"


def _only(described: dict[str, Any], field: str, known: set[str], needed: str) -> None:
    """Raise BadPayload unless a list is absent, or has what is needed and nothing that is not known here."""
    given: Sequence[object] | None = described.get(field)
    if given is None:
        return
    if not isinstance(given, list) or needed not in given or not all(one in known for one in given):
        raise BadPayload(f"{field} must hold {needed}, and may hold only: {', '.join(sorted(known))}.")

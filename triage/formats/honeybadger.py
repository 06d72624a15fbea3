"""Honeybadger: what its clients post to `/v1/notices`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from store.errors import BadPayload
from store.event import Event
from triage.formats.shapes import read_json
from triage.formats.vendors import Sent, code_around, list_of, mapping_of, platform_of, told, typed

_ROOT = re.compile(r"^\[(?P<root>[A-Z_]+)\]/?")


class Honeybadger:
    """The `Format` of Honeybadger's clients."""

    name = "honeybadger"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is an object with `error.class` or `error.backtrace`."""
        if not body.lstrip().startswith(b"{") or b'"error"' not in body or b'"backtrace"' not in body:
            return False
        try:
            found = read_json(body, "notice")
        except BadPayload:
            return False
        error = mapping_of(found.get("error")) if isinstance(found, dict) else {}
        return isinstance(error.get("backtrace"), list)

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """One event. Raises BadPayload where there is no error."""
        sent = read_json(body, "notice")
        error = mapping_of(sent.get("error")) if isinstance(sent, dict) else {}
        if not error.get("class") and not error.get("message"):
            raise BadPayload('The notice has no "error" with a class or a message.')
        return [_event(sent, error, project, received_at)]


def _event(notice: Sent, error: Sent, project: str, received_at: datetime) -> Event:
    server, request = mapping_of(notice.get("server")), mapping_of(notice.get("request"))
    notifier, trail = mapping_of(notice.get("notifier")), mapping_of(notice.get("breadcrumbs")).get("trail")
    chain = [error, *(each for each in list_of(error.get("causes")) if isinstance(each, dict))]
    root = str(server.get("project_root") or "")
    context = mapping_of(request.get("context"))
    parts = [str(part) for part in (request.get("component"), request.get("action")) if part]
    user = {"id": context["user_id"]} if context.get("user_id") is not None else {}
    if context.get("user_email"):
        user["email"] = context["user_email"]
    values = [_exception(each, root) for each in reversed(chain)]
    if (local := request.get("local_variables")) and values[-1]["stacktrace"]["frames"]:
        values[-1]["stacktrace"]["frames"][-1]["vars"] = local
    sent: Sent = {
        "event_id": error.get("token"),
        "timestamp": server.get("time"),
        "platform": platform_of(_language(str(notifier.get("name") or ""))),
        "environment": server.get("environment_name"),
        "release": server.get("revision"),
        "server_name": server.get("hostname"),
        "transaction": "#".join(parts) or None,
        "exception": {"values": values},
        "request": _request(request),
        "user": user,
        "tags": {f"tag.{tag}": "true" for tag in list_of(error.get("tags")) if isinstance(tag, str)},
        "extra": {"context": context, "session": request.get("session")},
        "breadcrumbs": [_crumb(each) for each in list_of(trail) if isinstance(each, dict)],
        "fingerprint": [error["fingerprint"]] if isinstance(error.get("fingerprint"), str) else None,
        "sdk": {"name": notifier.get("name"), "version": notifier.get("version")},
    }
    return told(sent, project=project, received_at=received_at)


def _exception(error: Sent, root: str) -> Sent:
    """One exception; its frames stand newest first."""
    frames = [_frame(each, root) for each in list_of(error.get("backtrace")) if isinstance(each, dict)]
    return {
        **typed(error.get("class")),
        "value": error.get("message"),
        "stacktrace": {"frames": frames[::-1]},
    }


def _frame(frame: Sent, root: str) -> Sent:
    """The clients write names for roots: of the project, of packages, of the language's library."""
    path = str(frame.get("file") or "")
    named = _ROOT.match(path)
    own = None if named is None else named["root"] in ("PROJECT_ROOT", "APP_ROOT")
    bare = path[named.end() :] if named else path
    return {
        "function": frame.get("method"),
        "filename": bare or None,
        "abs_path": f"{root.rstrip('/')}/{bare}" if own and root else bare or None,
        "lineno": frame.get("number"),
        "colno": frame.get("column"),
        "in_app": own,
        **code_around(frame.get("source"), frame.get("number")),
    }


def _language(notifier: str) -> str:
    """The clients are called after their language ("Honeybadger for Python", "honeybadger-ruby")."""
    lower = notifier.lower()
    known = ("python", "ruby", "javascript", "node", "php", "elixir", "go", "java")
    return next((name for name in known if name in lower), "ruby" if "honeybadger" in lower else "other")


def _request(request: Sent) -> Sent | None:
    environment = mapping_of(request.get("cgi_data"))
    if not environment and not request.get("url"):
        return None
    headers = {
        key[5:].replace("_", "-").title(): value
        for key, value in environment.items()
        if key.startswith("HTTP_")
    }
    return {
        "url": request.get("url"),
        "method": environment.get("REQUEST_METHOD"),
        "query_string": environment.get("QUERY_STRING"),
        "headers": headers,
        "data": request.get("params"),
        "env": {key: value for key, value in environment.items() if not key.startswith("HTTP_")},
    }


def _crumb(crumb: Sent) -> Sent:
    return {
        "timestamp": crumb.get("timestamp"),
        "category": crumb.get("category"),
        "message": crumb.get("message"),
        "data": crumb.get("metadata"),
    }

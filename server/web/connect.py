"""How to connect: the DSN, what to put into an application, whether events arrive, and the lines for assistants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.responses import Response

from server.dsn import project_row
from server.http.addresses import origin
from server.incidents.quoting import Quoter
from server.web import news
from server.web.formats import shown
from server.web.visiting import Visit
from store import overview, queries
from store.errors import NotFound

SNIPPETS: Mapping[str, tuple[str, str]] = {
    "Python: Flask, Django, FastAPI, Celery": (
        "python",
        'import sentry_sdk\n\nsentry_sdk.init(dsn="{dsn}", release="1.0.0", max_request_body_size="always")',
    ),
    "JavaScript: Node, Express, Next.js": (
        "javascript",
        'import * as Sentry from "@sentry/node";\n\nSentry.init({{ dsn: "{dsn}", release: "1.0.0" }});',
    ),
    "Go": ("go", 'sentry.Init(sentry.ClientOptions{{Dsn: "{dsn}", Release: "1.0.0"}})'),
    "Java: Spring Boot": ("ini", "sentry.dsn={dsn}\nsentry.release=1.0.0"),
    "Ruby: Rails": ("ruby", 'Sentry.init {{ |config| config.dsn = "{dsn}"; config.release = "1.0.0" }}'),
    "OpenTelemetry": (
        "shell",
        "export OTEL_EXPORTER_OTLP_ENDPOINT={address}\nexport OTEL_EXPORTER_OTLP_HEADERS=x-nightdesk-key={key}",
    ),
    "Your own error handler": (
        "shell",
        'curl {address}/ingest/{name} -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\\n'
        '  -d \'{{"traceback": "Traceback (most recent call last):\\n  File \\"app.py\\", line 1, in f\\nValueError: '
        'it works", "release": "1.0.0"}}\'',
    ),
    "A log file": ("shell", "nightdesk ingest crash.log --project {name}"),
}


def page(visit: Visit) -> Response:
    """The page, for the project in the query."""
    since = news.begun(visit.house)
    values = parts(visit)
    plain = {
        "project": values["chosen"].name, "dsn": values["row"]["dsn"], "last_event": None,
        "assistants": values["assistants"],
        "snippets": {name: text for name, _, text in values["snippets"]},
    }  # fmt: skip
    if values["seen"]:
        plain["last_event"] = values["seen"].isoformat()

    def lines(quoter: Quoter) -> Iterator[str]:
        yield "# Connect"
        yield f"DSN of {quoter.name(values['chosen'].name)}: `{values['row']['dsn'] or 'no key'}`"
        for name, language, text in values["snippets"]:
            yield f"## {name}\n```{language}\n{text}\n```"
        for name, line in values["assistants"].items():
            yield f"## {name}\n```\n{line}\n```"

    return shown(visit, "connect.html", plain, lines, since=since, **values)


def parts(visit: Visit) -> dict[str, Any]:
    """What the page is made of. Raises NotFound for a project that they may not see."""
    house = visit.house
    projects = [one for one in queries.projects(house.database) if house.sees(one.name)]
    wanted = visit.field("project", 64)
    chosen = next((one for one in projects if one.name == wanted), None if wanted else projects[0])
    if chosen is None:
        raise NotFound("There is no such project; this page lists those there are.")
    secret = visit.can("state", chosen.name)  # a key lets write: it is not for those who only look
    row = project_row(house, chosen)
    dsn = str(row["dsn"]) if secret and row["dsn"] else None
    address = origin(house.config, visit.request.headers)
    words = {
        "dsn": dsn or "DSN",
        "key": row["key"] if secret else "KEY",
        "address": address,
        "name": chosen.name,
    }
    newest = queries.incidents(house.database, project=chosen.name, limit=1)
    return {
        "projects": projects,
        "chosen": chosen,
        "row": {**row, "dsn": dsn},
        "secret": secret,
        "snippets": [(name, lang, text.format(**words)) for name, (lang, text) in SNIPPETS.items()],
        "assistants": {
            "Claude Code": f"claude mcp add --transport http nightdesk {address}/mcp",
            "Codex": f"codex mcp add nightdesk --url {address}/mcp",
            "Cursor": f'{{ "mcpServers": {{ "nightdesk": {{ "url": "{address}/mcp" }} }} }}',
        },
        "seen": overview.last_events(house.database)[chosen.name],
        "first": newest[0] if newest else None,
    }

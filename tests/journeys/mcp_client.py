"""A client of the MCP server in memory, for tests: what it is asked, and what it answers."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from math import ceil
from typing import Any

import anyio
from mcp import Client
from mcp_types import CallToolResult, TextContent

from server.house import House
from server.mcp.tools import make_server
from store.event import Event

READING = {"list_incidents", "get_incident", "get_evidence", "get_causes", "get_reproducer", "get_fix"}
WRITING = {"start_repair", "submit_patch", "open_draft", "set_state"}
KINDS = (
    "stack",
    "locals",
    "request",
    "capsule",
    "breadcrumbs",
    "contexts",
    "variation",
    "events",
    "steps",
    "hypotheses",
    "path",
    "investigations",
    "submissions",
)
TRACE = (
    'Traceback (most recent call last):\n  File "/app/shop/rates.py", line 12, in quote\n'
    "    return order[\"carrier\"]\nKeyError: 'carrier'\n"
)


def connect(house: House, **options: Any) -> AbstractAsyncContextManager[Client]:
    return Client(make_server(lambda: house, **options))


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def answer(client: Client, tool: str, **arguments: Any) -> str:
    """The text of a tool's answer, which is no error."""
    with anyio.fail_after(60):
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    return text_of(result)


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    with anyio.fail_after(60):
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    return text_of(result)


def keep(house: House, *events: Event) -> str:
    """Keep and triage events; the id of the last one's incident."""
    return house.receive(events)[-1].incident_id


def tokens(text: str) -> int:
    """What a text costs a model, estimated from above: no tokenizer of the clients' models is public. A run of letters
    is a token for every six, digits for every three, anything else for every two bytes; and never fewer than a
    token for three and a half bytes."""
    runs = re.findall(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]+", text)
    pieces = sum(
        ceil(len(run.encode()) / (6 if run[0].isalpha() and run.isascii() else 3 if run[0].isdigit() else 2))
        for run in runs
    )
    return max(pieces, ceil(len(text.encode()) / 3.5))

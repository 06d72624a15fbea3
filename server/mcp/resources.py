"""The resources: each incident at `incident://INC-n`, the ids completed, what is in focus listed."""

from __future__ import annotations

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    Resource,
    ResourceTemplateReference,
)

from server.mcp.desk import Desk
from store.errors import NightdeskError, NotFound

TEMPLATE = "incident://{id}"
MARKDOWN = "text/markdown"


def add_resources(server: MCPServer, desk: Desk) -> None:
    """Add the template of an incident, and the completion of its id and of the prompts'."""

    @server.resource(
        TEMPLATE, name="incident", title="Incident", description="One incident in words.", mime_type=MARKDOWN
    )
    async def incident(id: str) -> str:
        try:
            return str(await desk.read("resource", id))
        except NotFound as error:
            raise ResourceNotFoundError(str(error)) from error
        except NightdeskError as error:
            raise ResourceError(str(error)) from error

    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        if argument.name != "id":
            return None
        found = await desk.read("incident_ids", argument.value)
        return Completion(values=found[:100], total=len(found), has_more=len(found) > 100)

    server.completion()(complete)  # type: ignore[no-untyped-call]


async def in_focus(desk: Desk) -> list[Resource]:
    """What is in focus, most urgent first, described in our own words: nothing of an event is in a list."""
    return [
        Resource(uri=uri(name), name=name, title=f"Incident {name}", description=said, mime_type=MARKDOWN)
        for name, said in await desk.read("focus_resources")
    ]


def uri(incident_id: str) -> str:
    """The address of an incident as a resource."""
    return TEMPLATE.replace("{id}", incident_id)

"""The prompts: three things that a person asks, as commands of their assistant."""

from __future__ import annotations

from typing import Annotated

from mcp.server import MCPServer
from pydantic import Field

Id = Annotated[str, Field(description="INC-n")]


def add_prompts(server: MCPServer) -> None:
    """Add `focus`, `investigate` and `fix`; each is described, as clients demand."""

    @server.prompt(description="What should I focus on now?")
    def focus() -> str:
        return (
            "Call list_incidents. Tell me in at most five lines which incident to take first and why, then "
            "get_incident on it and say what broke, since when, what is proven, and what you propose to do. "
            "Change nothing yet."
        )

    @server.prompt(description="Find out why an incident happens.")
    def investigate(id: Id) -> str:
        ref = plain_id(id)
        return (
            f"Investigate {ref}. get_incident first, then get_causes and get_reproducer; get_evidence for "
            "what is missing, earlier investigations among it. If no repair was tried, start_repair and read "
            "get_fix until it ends. Say what is proven, what is supported and what is not known."
        )

    @server.prompt(description="Fix an incident, with proof.")
    def fix(id: Id) -> str:
        ref = plain_id(id)
        return (
            f"Fix {ref}. set_state claimed, then get_incident and get_fix. If a fix is proven, explain it "
            "and ask me before open_draft. Otherwise take the test of get_reproducer, write the smallest "
            "patch that puts the cause right, and submit_patch until the verdict is proven. A patch that "
            "only hides the error is not a fix."
        )


def plain_id(given: str) -> str:
    """An incident's id as given by a person, and nothing else that may hang on it."""
    number = given.strip().upper().removeprefix("INC-")[:12]
    return (
        f"INC-{number}"
        if number.isascii() and number.isdigit()
        else "the incident at the top of list_incidents"
    )

"""`nightdesk resolve`."""

from __future__ import annotations

from server.cli.states import status_command
from store.incident import Status

command = status_command(
    Status.RESOLVED, "Say that an incident is fixed; it comes back by itself as regressed."
)

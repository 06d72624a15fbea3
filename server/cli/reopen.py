"""`nightdesk reopen`."""

from __future__ import annotations

from server.cli.states import status_command
from store.incident import Status

command = status_command(Status.OPEN, "Take an incident up again.")

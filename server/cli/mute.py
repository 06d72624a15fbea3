"""`nightdesk mute`."""

from __future__ import annotations

from server.cli.states import status_command
from store.incident import Status

command = status_command(Status.MUTED, "Keep an incident quiet: it is counted, and shown nowhere.")

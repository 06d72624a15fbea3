"""`nightdesk not-noise`."""

from __future__ import annotations

from server.cli.states import lane_command
from store.incident import Lane

command = lane_command(Lane.BACKLOG, "Say that an incident matters; this is remembered as a label.")

"""`nightdesk noise`."""

from __future__ import annotations

from server.cli.states import lane_command
from store.incident import Lane

command = lane_command(Lane.NOISE, "Say that an incident is noise; this is remembered as a label.")

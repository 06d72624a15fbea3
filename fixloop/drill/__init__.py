"""Where an investigation drills deeper: sources that are only read. Entry-point group `nightdesk.drills`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fixloop.tools import Tool


class Drill(Protocol):
    """A source beside the events and the code, such as a metrics server."""

    name: str

    def tools(self) -> Sequence[Tool]:
        """What may be asked of it; nothing that is asked may change anything there."""
        ...

"""Parts of events that come again: what was sent byte for byte alike is read once, and is the very same object."""

from __future__ import annotations

from typing import Any


class Again(dict[str, Any]):
    """A mapping that other events have as well. By its identity `redact` knows it again; it is never changed."""

    __slots__ = ()

"""What was run once and need not be run again: bytes by the hash of all that they depend on, in a bounded folder."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MOST = 200  # results that are kept; those that were not asked for the longest go
LARGEST = 16 << 20  # bytes of one, as it was given


def key_of(parts: Sequence[Any]) -> str:
    """The name of a result by what it depends on (values that are JSON)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Kept:
    """A folder of compressed results. Safe for several processes. Nothing of it is needed: what cannot be read or
    written is as if it were not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> bytes | None:
        """What was kept under this key."""
        place = self._folder / key
        try:
            content = zlib.decompress(place.read_bytes())
            os.utime(place)
        except (OSError, zlib.error):
            return None
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep a result: whole or not at all."""
        if len(content) > LARGEST:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, beside = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            with os.fdopen(descriptor, "wb") as file:
                file.write(zlib.compress(content))
            Path(beside).replace(self._folder / key)
            for old in self._oldest_first()[:-MOST]:
                old.unlink(missing_ok=True)
        except OSError:
            return

    def _oldest_first(self) -> list[Path]:
        aged = [(place.stat().st_mtime, place) for place in self._folder.iterdir()]
        return [place for _, place in sorted(aged)]

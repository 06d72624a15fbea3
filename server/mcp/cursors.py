"""Cursors: where the next page begins, good for the question that it was given for and for no other."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from store.errors import BadPayload

FOREIGN = (
    "This cursor is not from an answer to this question: pass it with the same arguments as before, or leave it "
    "out to begin at the start."
)
_CURSOR = re.compile(r"([A-Za-z0-9_-]{1,80})\.([0-9a-f]{12})")


def sealed(place: str, *question: Any) -> str:
    """The cursor of a place in the answer to this question."""
    return f"{place}.{_check(place, question)}"


def opened(cursor: str, *question: Any) -> str:
    """The place that a cursor means. Raises BadPayload where it was given for another question."""
    read = _CURSOR.fullmatch(cursor)
    if read is None or read[2] != _check(read[1], question):
        raise BadPayload(FOREIGN)
    return read[1]


def _check(place: str, question: tuple[Any, ...]) -> str:
    """No secret: it keeps mistakes out, and what is asked for with a cursor is looked at like anything else."""
    told = json.dumps([place, *question], ensure_ascii=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:12]

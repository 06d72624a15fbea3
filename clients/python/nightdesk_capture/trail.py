"""What a request has met so far: a short ring of notes for each kind, kept while it runs and read when it fails.

A trail belongs to the isolation scope of sentry-sdk, which its integrations make anew for each request or job and hand
on to tasks and threads; it goes when that scope goes. A note holds references to what does not change (bytes, tuples of
a row) and copies of what does; nothing is encoded before an error is sent.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from contextvars import ContextVar
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

import sentry_sdk

MOST = {"exchanges": 50, "statements": 200, "draws": 500, "files": 50, "cache": 100, "flags": 50}
ROWS = 100  # of one statement
ROWS_IN_ALL = 2_000
BODY = 256 * 1024  # bytes of one answer that are held on to
BODIES = 1 << 20  # bytes of all answers of one trail
_SENDERS = "sentry."  # the threads in which the SDK sends what it has

Note = Dict[str, Any]

# Within a call that is noted as a whole: what it is made of (urllib3 under requests) is not noted again.
_INSIDE: ContextVar[bool] = ContextVar("nightdesk_inside", default=False)
_BEGUN: ContextVar[Optional[Trail]] = ContextVar("nightdesk_trail", default=None)
_OF_SCOPES: Dict[int, Tuple[Any, Trail]] = {}


class Trail:
    """The notes of one request, by kind."""

    __slots__ = ("__weakref__", "bodies", "drawn", "notes", "rows")

    def __init__(self) -> None:
        self.notes: Dict[str, Deque[Any]] = {kind: deque(maxlen=most) for kind, most in MOST.items()}
        self.bodies = 0
        self.rows = 0
        self.drawn = 0  # random numbers, also those that are not among the notes any more

    def add(self, kind: str, note: Note) -> None:
        """Keep a note with its time; the oldest of its kind goes where there are too many."""
        note["at"] = time.time()
        self.notes[kind].append(note)

    def answered(self, note: Note, body: Optional[bytes]) -> None:
        """Keep an exchange; of large answers only the size, and of many only the last."""
        if body is not None and len(body) > BODY:
            note["size"], body = len(body), None
        note["body"] = body
        self.bodies += len(body or b"")
        self.add("exchanges", note)
        for old in self.notes["exchanges"]:
            if self.bodies <= BODIES:
                return
            if old is not note and old["body"]:
                self.bodies -= len(old["body"])
                old["size"], old["body"] = len(old["body"]), None

    def read(self, by: str, reader: object, sql: Any, columns: Callable[[], List[str]], rows: Any) -> None:
        """Keep rows that `reader` (a result or cursor, only its id is kept) has read of a statement."""
        notes, room = self.notes["statements"], max(0, ROWS_IN_ALL - self.rows)
        kept = list(rows[: min(ROWS, room)])
        last = notes[-1] if notes else None
        if last is not None and last["reader"] == id(reader) and last["sql"] is sql:
            kept = kept[: max(0, ROWS - len(last["rows"]))]
            last["rows"] += kept
            last["size"] += len(rows)
        else:
            self.add(
                "statements",
                {
                    "by": by,
                    "reader": id(reader),
                    "sql": sql,
                    "columns": columns(),
                    "rows": kept,
                    "size": len(rows),
                },
            )
        self.rows += len(kept)


def current() -> Trail:
    """The trail of what runs here."""
    begun = _BEGUN.get()
    if begun is not None:
        return begun
    # the breadcrumbs are what an isolation scope has of its own that can be referred to weakly: it cannot itself
    mark = sentry_sdk.get_isolation_scope()._breadcrumbs
    found = _OF_SCOPES.get(id(mark))
    if found is not None and found[0]() is mark:
        return found[1]
    return _keep(mark, Trail())


def begin() -> Trail:
    """Start a trail for what runs from here on in this context, whatever the scopes are."""
    trail = Trail()
    _BEGUN.set(trail)
    return trail


def _keep(mark: Any, trail: Trail) -> Trail:
    key = id(mark)

    def gone(reference: Any) -> None:
        found = _OF_SCOPES.get(key)
        if found is not None and found[0] is reference:
            _OF_SCOPES.pop(key, None)

    _OF_SCOPES[key] = (weakref.ref(mark, gone), trail)
    return trail


def hand_on(scope: Any, made: Any) -> None:
    """A scope that was made of another one for a thread that a request starts has the request's trail."""
    found = _OF_SCOPES.get(id(scope._breadcrumbs))
    if found is not None:
        _keep(made._breadcrumbs, found[1])


def is_noted() -> bool:
    """Whether a call that is made here is to be noted: not one inside of another, and not what the SDK sends."""
    return not _INSIDE.get() and not threading.current_thread().name.startswith(_SENDERS)


class Inside:
    """`with Inside():` what is called in here is a part of what is noted already."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _INSIDE.set(True)

    def __exit__(self, *error: Any) -> None:
        _INSIDE.reset(self._token)

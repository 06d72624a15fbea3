"""What a request has met so far: a short ring of notes for each kind, kept while it runs and read when it fails.

A trail belongs to the isolation scope of sentry-sdk, which its integrations make anew for each request or job and hand
on to tasks and threads; it goes when that scope goes. A note holds references to what does not change (bytes, tuples of
a row) and copies of what does; nothing is encoded before an error is sent.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextvars import ContextVar
from functools import lru_cache
from time import time
from typing import Any, DefaultDict, Dict, List, Optional
from weakref import ref

from sentry_sdk import scope

from nightdesk_capture.purse import PURSE_OF_THE_PROCESS

MOST = {"exchanges": 50, "statements": 200, "draws": 500, "files": 50, "cache": 100, "flags": 50}
ROWS = 100  # of one statement
ROWS_IN_ALL = 2_000
BODY = 256 * 1024  # bytes of one answer that are held on to
_STATEMENTS = MOST["statements"]
BODIES = 1 << 20  # bytes of all answers of one trail
_SENDERS = ("sentry.", "sentry-sdk.")  # the threads in which the SDK sends what it has

Note = Dict[str, Any]
_isolated = scope.Scope.get_isolation_scope

# Within a call that is noted as a whole: what it is made of (urllib3 under requests) is not noted again.
_INSIDE: ContextVar[bool] = ContextVar("nightdesk_inside", default=False)
is_inside = _INSIDE.get  # cannot raise
_BEGUN: ContextVar[Optional[Trail]] = ContextVar("nightdesk_trail", default=None)
_NO_SCOPE: ContextVar[Any] = ContextVar("nightdesk_no_scope", default=None)
# read as it is: a tenth of what asking for it costs
_SCOPE: Any = getattr(scope, "_isolation_scope", _NO_SCOPE)
_CURRENT: Any = getattr(scope, "_current_scope", _NO_SCOPE)
_OF_SCOPES: Dict[int, _Of] = {}
_begins = False  # whether anything sets `_BEGUN`


class Trail:
    """The notes of one request, by kind; a kind that nothing was noted of has no list. One that is not noted, because
    notes have cost enough, stays empty."""

    __slots__ = ("bodies", "endpoint", "is_noted", "is_paid", "notes", "rows")

    def __init__(self) -> None:
        self.notes: DefaultDict[str, List[Any]] = defaultdict(list)
        self.is_noted, self.is_paid, self.endpoint = True, False, ""
        self.bodies = 0
        self.rows = 0

    def __del__(self) -> None:
        try:
            if self.is_paid:
                PURSE_OF_THE_PROCESS.settle(self.notes, self.rows)
        except Exception:  # the process ends
            return

    def add(self, kind: str, note: Any) -> None:
        """Keep a note; the oldest of its kind goes where there are too many. Only asked of one that is noted."""
        notes = self.notes[kind]
        notes.append(note)
        if len(notes) > MOST[kind]:
            del notes[0]

    def answered(self, note: Note) -> None:
        """Keep an exchange; of large answers only the size, and of many only the last."""
        body = note["body"]
        if body is not None:
            size = len(body)
            if size > BODY:
                note["size"], note["body"], size = size, None, 0
            self.bodies += size
        self.add("exchanges", note)
        if self.bodies > BODIES:
            self._let_go(note)

    def body_read(self, note: Note, body: Any) -> None:
        """A body that was read after its exchange was noted; it never raises, as it is called for the caller."""
        if type(body) is bytes and not note["body"] and "size" not in note:
            if len(body) > BODY:
                note["size"] = len(body)
            else:
                note["body"] = body
                self.bodies += len(body)
                if self.bodies > BODIES:
                    self._let_go(note)

    def _let_go(self, kept: Note) -> None:
        for old in self.notes["exchanges"]:
            if self.bodies <= BODIES:
                return
            if old is not kept and old["body"]:
                self.bodies -= len(old["body"])
                old["size"], old["body"] = len(old["body"]), None

    def reading(self, by: str, sql: Any, described: Any) -> List[Any]:
        """Begin to note what is read of a statement: a list of the five below and its rows. `described` is what its
        cursor says of the columns. Rows go to `row_read`."""
        if not self.is_noted:
            return _UNREAD
        notes = self.notes["statements"]
        if notes:
            self.rows += len(notes[-1]) - FIRST
        note = [by, sql, described, time(), ROWS if self.rows < ROWS_IN_ALL else 0]
        notes.append(note)
        if len(notes) > _STATEMENTS:
            del notes[0]
        return note


# Places in what is noted of a statement: a list, because one is made for each statement of each request. ROOM is how
# many rows are still wanted; below zero, how many came that were not.
BY, SQL, DESCRIBED, AT, ROOM, FIRST = range(6)
_UNREAD: List[Any] = ["", "", None, 0.0, 0]  # what is read of statements that are not noted; it keeps nothing


def row_read(note: List[Any], row: Any) -> None:
    """A row that follows."""
    if note[ROOM] > 0:
        note.append(row)
    note[ROOM] -= 1


def rows_read(note: List[Any], rows: List[Any]) -> None:
    """Rows that follow."""
    note += rows[: max(0, note[ROOM])]
    note[ROOM] -= len(rows)


def current() -> Trail:
    """The trail of what runs here."""
    if _begins and (begun := _BEGUN.get()) is not None:
        return begun
    # the breadcrumbs are what an isolation scope has of its own that can be referred to weakly: it cannot itself
    mark = (_SCOPE.get() or _isolated())._breadcrumbs
    found: Any = _OF_SCOPES.get(id(mark))
    if found is not None and found() is mark:
        return found.trail  # type: ignore[no-any-return]
    return _keep(mark, _of_a_request())


def _of_a_request() -> Trail:
    """A trail that is paid out of the purse; where that has not enough, the one of its endpoint that stays empty."""
    endpoint = ""
    if not PURSE_OF_THE_PROCESS.may():
        endpoint = str((_CURRENT.get() or _isolated())._transaction or "")
        if not PURSE_OF_THE_PROCESS.is_wanted(endpoint):
            return _silent(endpoint)
    trail = Trail()
    trail.is_paid, trail.endpoint = True, endpoint
    return trail


@lru_cache(maxsize=256)
def _silent(endpoint: str) -> Trail:
    trail = Trail()
    trail.is_noted, trail.endpoint = False, endpoint
    return trail


def of_failure() -> Optional[Trail]:
    """The trail of what failed here, whose endpoint is to be noted from now on; None where something is wrong."""
    try:
        trail = current()
        PURSE_OF_THE_PROCESS.failed(trail.endpoint, trail.is_noted)
        return trail
    except Exception:  # then the capsule has the entry and the frames
        return None


def begin() -> Trail:
    """Start a trail for what runs from here on in this context, whatever the scopes are."""
    global _begins
    trail = _of_a_request()
    _begins = True
    _BEGUN.set(trail)
    return trail


class _Of(ref):  # type: ignore[type-arg]
    """The scope that a trail is of, weakly, by its mark."""

    __slots__ = ("key", "trail")

    key: int
    trail: Trail


def _gone(found: Any) -> None:
    key = found.key
    if _OF_SCOPES.get(key) is found:
        _OF_SCOPES.pop(key, None)


def _keep(mark: Any, trail: Trail) -> Trail:
    made = _Of(mark, _gone)
    made.key, made.trail = id(mark), trail
    _OF_SCOPES[made.key] = made
    return trail


def hand_on(scope: Any, made: Any) -> None:
    """A scope that was made of another one for a thread that a request starts has the request's trail."""
    found = _OF_SCOPES.get(id(scope._breadcrumbs))
    if found is not None:
        _keep(made._breadcrumbs, found.trail)


def is_sending() -> bool:
    """Whether this is a thread in which the SDK sends what it has."""
    return threading.current_thread().name.startswith(_SENDERS)


class Inside:
    """`with Inside():` what is called in here is a part of what is noted already."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _INSIDE.set(True)

    def __exit__(self, *error: Any) -> None:
        _INSIDE.reset(self._token)

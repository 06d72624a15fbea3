"""Which key opens which project, without a question to the database for each event.

What is remembered is at most a second old. Before events are kept it is also made sure that no process has changed keys
since: one that is revoked opens nothing from then on, wherever that was done, and one that is made is taken at once.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from store import hosts, queries
from store.database import Database
from store.errors import NotAllowed
from store.project import Key, Project

FRESH = 1.0  # seconds that what was read is good for
AGAIN = 0.05  # seconds after which it is read again for a key that is not in it


@dataclass(frozen=True)
class _Read:
    """What the database said, and when."""

    at: float = -FRESH
    changes: int = -1  # of this process, by then
    mark: str | None = None  # of all processes, by then
    keys: dict[bytes, Key] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)


class Keyring:
    """Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read = _Read()
        self._reading = threading.Lock()

    def at_hand(self) -> bool:
        """Whether the next question is answered without the database."""
        read = self._read
        return time.monotonic() - read.at < FRESH and read.changes == self._database.changes

    def make_sure(self) -> None:
        """Let go of what is remembered where any process has changed a key since: one small question for a batch."""
        mark = hosts.mark(self._database, hosts.KEYS)
        with self._reading:
            if mark != self._read.mark:
                self._read = _Read(mark=mark)

    def key(self, secret: str) -> Key:
        """The key with this secret. Raises NotAllowed where nobody has it or it is out of use.

        It is looked up by its hash: how long that takes tells nothing about how near a guess was."""
        digest = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
        found = self._fresh(FRESH).keys.get(digest) or self._fresh(AGAIN).keys.get(digest)
        if found is None or not found.usable(datetime.now(UTC)):
            raise NotAllowed(
                "This key is not known here or was revoked; `nightdesk key list` shows the ones in use."
            )
        return found

    def project(self, ref: str) -> Project:
        """A project by its number or name. Raises NotFound."""
        return self._fresh(FRESH).projects.get(ref) or queries.project(self._database, ref)

    def _fresh(self, age: float) -> _Read:
        with self._reading:
            changes, now = self._database.changes, time.monotonic()
            if now - self._read.at >= age or changes != self._read.changes:
                mark = hosts.mark(self._database, hosts.KEYS)  # first: what changes meanwhile is read again
                projects = queries.projects(self._database)
                by_ref = {str(each.id): each for each in projects} | {each.name: each for each in projects}
                keys = {
                    hashlib.sha256(key.key.encode()).digest(): key
                    for key in queries.every_key(self._database)
                }
                self._read = _Read(now, changes, mark, keys, by_ref)
            return self._read

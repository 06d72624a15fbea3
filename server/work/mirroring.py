"""Mirrors where work is done: a host that lacks one makes it, and all follow their origins now and then."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from store import queries
from store.errors import NightdeskError

if TYPE_CHECKING:
    from server.house import House

log = logging.getLogger("nightdesk.work")

AGAIN = 60.0  # seconds before an origin that did not answer is asked again


class Mirroring:
    """Makes the mirrors that this host lacks: `repo add` was said on another one."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._failed: dict[str, float] = {}

    def complete(self) -> None:
        """See to it that every repository has its mirror here. One that cannot be had is said, and left out."""
        here = set(self._house.mirrors.names())
        for row in queries.repositories(self._house.database):
            failed = self._failed.get(row.name)
            if row.name in here or (failed is not None and monotonic() < failed + AGAIN):
                continue
            try:
                self._house.mirrors.add(row.name, row.url)
            except NightdeskError as problem:
                self._failed[row.name] = monotonic()
                log.warning("Repository %s cannot be mirrored here: %s", row.name, problem)


def follow_origins(house: House) -> None:
    """Fetch what is new into every mirror of this folder; where another process is at it, leave it to that one."""
    with _alone(house) as alone:
        for name in house.mirrors.names() if alone else ():
            try:
                house.mirrors.sync(name)
            except NightdeskError as problem:
                log.warning("Repository %s was not fetched: %s", name, problem)


@contextmanager
def _alone(house: House) -> Iterator[bool]:
    """Whether no other process of this folder is fetching."""
    folder = house.config.data / "running"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "sync.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)

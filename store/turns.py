"""Taking turns between processes: who may write to the file next.

SQLite's own waiting looks again after up to a tenth of a second, and whoever comes in between is served first: with
three busy processes some waited eight seconds for a transaction of ten milliseconds. A lock on a file beside the
database is asked for every few milliseconds instead. It is a courtesy and not what keeps the data right: where it
cannot be had (a file system without locks, a process that is stopped while it holds it), SQLite's lock decides as
before.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from store.errors import Unavailable

LOOK_AGAIN = 0.002  # seconds
PATIENCE = 5.0  # seconds after which SQLite is asked all the same


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Hold the turn to write to the database at `path`, if it can be had."""
    try:
        descriptor = os.open(
            path.with_name(path.name + "-turn"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + PATIENCE
        with suppress(OSError):
            while not _taken(descriptor) and time.monotonic() < deadline:
                time.sleep(LOOK_AGAIN)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(path: Path, patience: float) -> Iterator[None]:
    """Be the only one, of all processes and threads, in blocks with this path. Raises Unavailable where somebody
    else is longer in it than `patience` seconds, or the lock cannot be had."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(f"{path} cannot be opened: {error.strerror}.") from error
    try:
        deadline = time.monotonic() + patience
        while not _taken(descriptor):
            if time.monotonic() > deadline:
                raise Unavailable("Somebody is doing the same at this moment; look again in a minute.")
            time.sleep(LOOK_AGAIN)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

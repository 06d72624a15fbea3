"""Which servers run on a data folder. Each holds a lock on a file of its own for as long as it lives, so that a
server that was killed is gone at once, and no number of a dead one is ever taken for a live one."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from store.errors import Unavailable

_FOLDER = "servers"


@contextmanager
def announced(data: Path, address: str) -> Iterator[None]:
    """Be known as a server on this folder while the context lasts. Raises Unavailable."""
    place = data / _FOLDER / f"{os.getpid()}.json"
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unavailable(f"Cannot write to {place.parent}: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(descriptor, 0)
        os.write(descriptor, json.dumps({"pid": os.getpid(), "address": address}).encode())
        yield
    finally:
        place.unlink(missing_ok=True)
        os.close(descriptor)


def servers(data: Path) -> list[str]:
    """The addresses of the servers that run on this folder now; files of dead ones are passed over."""
    found = []
    for place in sorted((data / _FOLDER).glob("*.json")):
        try:
            with place.open("rb") as file:
                if not _is_held(file.fileno()):
                    continue
                found.append(str(json.loads(file.read()).get("address")))
        except (OSError, ValueError, AttributeError):  # it ended just now, or has not written its line yet
            continue
    return found


def crowd(addresses: Sequence[str]) -> str:
    """What to do about more servers than one."""
    where = ", ".join(addresses)
    return f"{len(addresses)} servers run on this folder ({where}) and each takes its work; stop all but one."


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False

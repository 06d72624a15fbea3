"""Where the file of a proof lies, on whichever host it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import Unavailable
from store.repair import Attempt

if TYPE_CHECKING:
    from server.house import House

FOLDER = Path("artifacts", "proofs")  # below the data folder


def file_of(house: House, attempt: Attempt) -> str | None:
    """Where an attempt's proof file is, from the data folder on, or None. One that another host has made is written
    here first. Raises Unavailable where it cannot be."""
    place = FOLDER / f"{attempt.id}.json"
    if not (house.config.data / place).is_file():
        if attempt.proof_file is None or not house.artifacts.has(attempt.proof_file):
            return None
        write(house.config.data / place, house.artifacts.get(attempt.proof_file))
    return place.as_posix()


def write(place: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises Unavailable."""
    fresh = place.with_suffix(".new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(content)
        fresh.replace(place)
    except OSError as error:
        raise Unavailable(f"The proof file {place} cannot be written: {error.strerror}.") from error

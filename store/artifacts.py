"""Blobs by the hash of their content: redacted payloads, transcripts, logs, diffs.

A name that is the hash can be cited in a proof, and writing the same thing twice costs nothing. Files and not
rows, because they may be large and are read rarely. Where several hosts share a database on PostgreSQL, each blob is a
row as well, and the files of a host are what it has read or written before.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, delete, insert
from sqlmodel import col, func, select

from store.database import Database
from store.errors import NotFound, Unavailable
from store.tables import BlobRow

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Kept:
    """A blob as it is kept: its bytes on disk, and its age in seconds."""

    digest: str
    size: int
    age: float


class Artifacts:
    """A folder of compressed blobs. Safe for several processes: a blob appears whole or not at all. `shared` is the
    database that several hosts have in common."""

    def __init__(self, folder: Path, shared: Database | None = None) -> None:
        self.folder = Path(folder)
        self._shared = shared

    def put(self, content: bytes) -> str:
        """Keep a blob and return its SHA-256 in hex. It is on disk when this returns. Raises Unavailable."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        if path.exists() and (self._shared is None or self._row(digest) is not None):
            return digest  # where the row is gone, another host has purged it since
        packed = zlib.compress(content)
        if self._shared is not None:
            self._shared.submit(_add_all, (digest, packed))
        self._write(path, packed)
        return digest

    def _write(self, path: Path, packed: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, packed)
        except OSError as error:
            raise Unavailable(f"Cannot write to {self.folder}: {error.strerror}.") from error

    def get(self, digest: str) -> bytes:
        """The blob of this hash. Raises NotFound; Unavailable where what lies there is not what was kept."""
        if not self.has(digest):
            raise NotFound(f"There is no artifact {digest[:64]}.")
        path = self._path(digest)
        if not path.is_file() and (packed := self._row(digest)) is not None:
            self._write(path, packed)
        try:
            content = zlib.decompress(path.read_bytes())
        except (OSError, zlib.error) as error:
            raise Unavailable(f"The artifact {digest} cannot be read; restore it from a backup.") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise Unavailable(f"The artifact {digest} is damaged; restore it from a backup.")
        return content

    def has(self, digest: str) -> bool:
        """Whether a blob of this hash is kept. Anything that is not a hash is not."""
        if _HASH.fullmatch(digest) is None:
            return False
        return self._path(digest).is_file() or self._row(digest) is not None

    def all(self) -> Iterator[Kept]:
        """Every blob, of all hosts."""
        now, told = time.time(), set()
        for path in self.folder.glob("??/??/*"):
            if _HASH.fullmatch(path.name):
                told.add(path.name)
                yield Kept(path.name, path.stat().st_size, now - path.stat().st_mtime)
        if self._shared is not None:
            with self._shared.read() as session:
                size = func.octet_length(BlobRow.content)
                rows = session.exec(select(BlobRow.digest, size, BlobRow.kept_at)).all()
            for digest, bytes_, kept_at in rows:
                if digest not in told:
                    yield Kept(digest, bytes_, (datetime.now(UTC) - kept_at).total_seconds())

    def remove(self, digest: str) -> None:
        """Forget a blob; other hosts forget their files when they purge."""
        self._path(digest).unlink(missing_ok=True)
        if self._shared is not None:
            self._shared.submit(_remove_all, digest)

    def _row(self, digest: str) -> bytes | None:
        if self._shared is None:
            return None
        with self._shared.read() as session:
            row = session.get(BlobRow, digest)
            return None if row is None else row.content

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:4] / digest


def _add_all(connection: Connection, blobs: Sequence[tuple[str, bytes]]) -> list[None]:
    """Those that are not there yet; nobody else writes meanwhile."""
    wanted, now = dict(blobs), datetime.now(UTC)
    there = set(connection.scalars(select(BlobRow.digest).where(col(BlobRow.digest).in_(wanted))))
    rows = [{"digest": digest, "kept_at": now, "content": wanted[digest]} for digest in wanted.keys() - there]
    if rows:
        connection.execute(insert(BlobRow), rows)
    return [None] * len(blobs)


def _remove_all(connection: Connection, digests: Sequence[str]) -> list[None]:
    connection.execute(delete(BlobRow).where(col(BlobRow.digest).in_(digests)))
    return [None] * len(digests)


def _write_whole(path: Path, content: bytes) -> None:
    """Write beside, sync, rename, sync the folders: after a power cut the file is whole or absent, never
    half."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

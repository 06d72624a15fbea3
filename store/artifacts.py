"""Blobs by the hash of their content: redacted payloads, transcripts, logs, diffs.

A name that is the hash can be cited in a proof, and writing the same thing twice costs nothing. Files and not
rows, because they may be large and are read rarely.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from store.errors import NotFound, Unavailable

_HASH = re.compile(r"[0-9a-f]{64}")


class Artifacts:
    """A folder of compressed blobs. Safe for several processes: a blob appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def put(self, content: bytes) -> str:
        """Keep a blob and return its SHA-256 in hex. It is on disk when this returns. Raises Unavailable."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        if path.exists():
            return digest
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, zlib.compress(content))
        except OSError as error:
            raise Unavailable(f"Cannot write to {self.folder}: {error.strerror}.") from error
        return digest

    def get(self, digest: str) -> bytes:
        """The blob of this hash. Raises NotFound; Unavailable where what lies there is not what was kept."""
        if not self.has(digest):
            raise NotFound(f"There is no artifact {digest[:64]}.")
        try:
            content = zlib.decompress(self._path(digest).read_bytes())
        except (OSError, zlib.error) as error:
            raise Unavailable(f"The artifact {digest} cannot be read; restore it from a backup.") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise Unavailable(f"The artifact {digest} is damaged; restore it from a backup.")
        return content

    def has(self, digest: str) -> bool:
        """Whether a blob of this hash is kept. Anything that is not a hash is not."""
        return _HASH.fullmatch(digest) is not None and self._path(digest).is_file()

    def all(self) -> Iterator[tuple[str, Path]]:
        """Every blob: its hash and its file."""
        for path in self.folder.glob("??/??/*"):
            if _HASH.fullmatch(path.name):
                yield path.name, path

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:4] / digest


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

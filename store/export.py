"""A tree from an archive to a folder, such that nothing of it reaches outside.

A tree is hostile: it may hold symbolic links to anywhere, and files "inside" a symbolic link. Ordinary files
are written first, while there is no link to be led astray by; then the links; then those that lead out are
taken away.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO

from store.errors import Unavailable


def unpack(archive: IO[bytes], dest: Path) -> None:
    """Write files and folders of a tar to an empty folder; symbolic links only where they stay inside.

    Left out: entries of any other kind, names that lead out of the folder or into a `.git`, links that lead
    out. Raises Unavailable where the archive is not whole or the folder cannot be written."""
    links: list[tuple[Path, str]] = []
    try:
        with tarfile.open(fileobj=archive, mode="r:") as entries:
            for entry in entries:
                path = _inside(dest, entry.name)
                if path is None:
                    continue
                if entry.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                elif entry.issym():
                    links.append((path, entry.linkname))
                elif entry.isfile():
                    _write(entries, entry, path)
        _link(links, dest)
    except tarfile.TarError as error:
        raise Unavailable(f"The tree could not be read: {error}.") from error
    except OSError as error:
        raise Unavailable(f"The tree could not be written to {dest}: {error.strerror}.") from error


def _inside(dest: Path, name: str) -> Path | None:
    """Where an entry goes, or None for a name that is not to be followed. No link exists yet when this is
    asked."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or any(part.lower() == ".git" for part in parts):
        return None
    return dest.joinpath(*parts)


def _write(entries: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    content = entries.extractfile(entry)
    if content is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("xb") as stream:
        shutil.copyfileobj(content, stream)
    path.chmod(0o755 if entry.mode & 0o100 else 0o644)


def _link(links: list[tuple[Path, str]], dest: Path) -> None:
    """Make the links, then judge them together: whether one leads out may depend on another that came
    later."""
    root = dest.resolve()
    for path, target in links:
        if not path.exists() and not path.is_symlink() and path.parent.resolve().is_relative_to(root):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
    while leaving := [path for path, _ in links if path.is_symlink() and not _stays(path, root)]:
        for path in leaving:
            path.unlink()


def _stays(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a circle of links
        return False

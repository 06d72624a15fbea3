"""All that an installation keeps, as one file, while it is in use; and an installation made from such a file. The
database in it is a file of SQLite also where it came from PostgreSQL, and goes to whichever the settings name.

In it: the database as it is at one moment, payloads, proofs, key and rules of redaction, calibrations, the settings.
Not in it: mirrors and environments, which are fetched and made again, and where repairs stood, which begin again at
their first step.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from server.config import Config
from server.house import make_folder
from server.intake.redaction import RULES_FILE
from server.knowing import teams
from store.database import backend_of
from store.errors import BadPayload, NotFound, Unavailable
from store.postgres import Postgres
from store.upgrade import put_back, snapshot, stands_at

FORMAT = 1
_MANIFEST = "manifest.json"
_DATABASE = "nightdesk.sqlite"
_FILES = ("redaction.key", RULES_FILE, "nightdesk.toml")
_FOLDERS = ("artifacts", teams.FOLDER)  # proofs are below the artifacts


@dataclass(frozen=True)
class Backup:
    """What is in a backup."""

    made_at: str
    schema: str
    files: int
    bytes: int  # of all files in it, unpacked


def back_up(config: Config, place: Path) -> Backup:
    """Write a backup that appears whole or not at all, for its owner only: it holds the key of redaction. The
    database goes first, so that every payload it refers to is there. Raises Unavailable."""
    schema = stands_at(config.database_url).current
    if schema is None:
        raise NotFound(f"There is no database in {config.database_shown} yet: nothing to back up.")
    fresh = place.with_name(f".{place.name}.new")
    made = datetime.now(UTC).isoformat()
    files = size = 0
    try:
        with tempfile.TemporaryDirectory(prefix="nd-backup-", dir=place.parent) as folder:
            copy = Path(folder, _DATABASE)
            snapshot(config.database_url, copy)
            manifest = Path(folder, _MANIFEST)
            manifest.write_text(json.dumps({"nightdesk_backup": FORMAT, "schema": schema, "made_at": made}))
            with tarfile.open(fresh, "w:gz" if place.suffix in (".gz", ".tgz") else "w:") as archive:
                fresh.chmod(0o600)
                for name, path in [(_MANIFEST, manifest), (_DATABASE, copy), *_kept(config.data)]:
                    archive.add(path, name, recursive=False)
                    files, size = files + 1, size + path.stat().st_size
            fresh.replace(place)
    except OSError as error:
        raise Unavailable(f"The backup {place} cannot be written: {error.strerror}.") from error
    finally:
        fresh.unlink(missing_ok=True)
    return Backup(made, schema, files, size)


def restore(config: Config, place: Path) -> Backup:
    """Make a data folder from a backup. Raises NotFound, BadPayload; Unavailable where the folder is in use already:
    nothing that is there is ever overwritten."""
    if stands_at(config.database_url).current is not None:
        raise Unavailable(
            f"There is a database in {config.database_shown} already: name an empty folder with --data, or an empty "
            "database."
        )
    make_folder(config.data)
    try:
        with (
            tarfile.open(place, "r:*") as archive,
            tempfile.TemporaryDirectory(prefix=".restore-", dir=config.data) as new,
        ):
            manifest, files, size = _unpack(archive, Path(new), place)
            _check(Path(new, _DATABASE), place)
            parts = [path for path in sorted(Path(new).iterdir()) if path.name != _MANIFEST]
            there = [path.name for path in parts if _holds(config.data / path.name)]
            if there:
                raise Unavailable(
                    f"{config.data} has {', '.join(there)} already: name an empty folder with --data."
                )
            if on_server := isinstance(backend_of(config.database_url), Postgres):
                put_back(Path(new, _DATABASE), config.database_url)
            for path in parts:
                if not (on_server and path.name.startswith(_DATABASE)):
                    path.replace(config.data / path.name)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {place}.") from error
    except (tarfile.TarError, EOFError) as error:
        raise BadPayload(f"{place} is not a backup, or is not whole.") from error
    except OSError as error:
        raise Unavailable(f"{place} cannot be restored to {config.data}: {error.strerror}.") from error
    return Backup(str(manifest["made_at"]), str(manifest["schema"]), files, size)


def _holds(target: Path) -> bool:
    """Whether something is there that a restore would take away; a folder without anything in it goes."""
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    return target.exists()


def _kept(data: Path) -> list[tuple[str, Path]]:
    found = [(name, data / name) for name in _FILES if (data / name).is_file()]
    for folder in _FOLDERS:
        paths = sorted(
            path for path in (data / folder).rglob("*") if path.is_file() and not path.name.startswith(".")
        )
        found += [(path.relative_to(data).as_posix(), path) for path in paths]
    return found


def _unpack(archive: tarfile.TarFile, new: Path, place: Path) -> tuple[dict[str, object], int, int]:
    """The members that a backup has and nothing else, each a plain file below `new`."""
    files = size = 0
    for member in archive:
        if not member.isfile() or not _is_ours(member.name):
            raise BadPayload(f"{place} is not a backup: it holds {member.name[:100]!r}.")
        content = archive.extractfile(member)
        target = new / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            if content is not None:
                shutil.copyfileobj(content, file)
        files, size = files + 1, size + member.size
    try:
        manifest = json.loads((new / _MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        manifest = {}
    if (
        not isinstance(manifest, dict)
        or manifest.get("nightdesk_backup") != FORMAT
        or not (new / _DATABASE).is_file()
    ):
        raise BadPayload(f"{place} is not a backup of this version.")
    return manifest, files, size


def _is_ours(name: str) -> bool:
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/"):
        return False
    return name in {_MANIFEST, _DATABASE, *_FILES} or (len(parts) > 1 and parts[0] in _FOLDERS)


def _check(database: Path, place: Path) -> None:
    try:
        with closing(sqlite3.connect(database)) as connection:
            said = connection.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        raise BadPayload(f"The database in {place} is damaged ({said[:200]}).")

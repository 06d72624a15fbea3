"""The user's data as one file: a tar of JSON lines, one member for each table, with the payloads and proofs.

It holds nothing that was not redacted before it was kept, and no keys unless they are asked for. Mirrors are not
in it: they are fetched again from where they came.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from server.house import House
from server.incidents import proof_files
from server.intake.redaction import redaction_key
from server.repairs import proofs
from store import queries
from store.errors import BadPayload, NotFound, Unavailable
from store.rows_in import Taken, take_in
from store.rows_out import KEYS, TABLES, artifacts_of, rows
from store.upgrade import stands_at

FORMAT = 1
_MANIFEST = "manifest.json"
_PROOF = re.compile(r"proofs/(INC-[0-9]{1,12}-[0-9]{1,6})\.json")
_ARTIFACT = re.compile(r"artifacts/([0-9a-f]{64})")
_LINE = 64 << 20  # bytes of one row


def export(house: House, place: Path, project: str | None, *, with_keys: bool) -> dict[str, int]:
    """Write one project, or all, to a file that appears whole or not at all; rows of each table. Raises NotFound for an
    unknown project, Unavailable where the file cannot be written."""
    counts: dict[str, int] = {}
    fresh = place.with_name(f".{place.name}.new")
    try:
        with tarfile.open(fresh, "w:gz" if place.suffix in (".gz", ".tgz") else "w:") as archive:
            _put(archive, _MANIFEST, json.dumps(_manifest(house, project)).encode())
            blobs: dict[str, None] = {}
            attempts: list[str] = []
            for name in TABLES:
                if name != KEYS or with_keys:
                    counts[name] = _put_table(house, archive, name, project, blobs, attempts)
            for digest in blobs:
                if house.artifacts.has(digest):
                    _put(archive, f"artifacts/{digest}", house.artifacts.get(digest))
            for name in attempts:
                attempt = queries.attempt(house.database, name)
                file = proof_files.file_of(house, attempt) if attempt else None
                if file is not None:
                    _put(archive, f"proofs/{name}.json", (house.config.data / file).read_bytes())
        fresh.chmod(0o600)
        fresh.replace(place)
    except OSError as error:
        raise Unavailable(f"The export {place} cannot be written: {error.strerror}.") from error
    finally:
        fresh.unlink(missing_ok=True)
    return counts


def take(house: House, place: Path) -> Taken:
    """Take in an export; what is here already is left as it is. Raises NotFound, BadPayload with one sentence."""
    try:
        with tarfile.open(place, "r:*") as archive:
            members = {member.name: member for member in archive if member.isfile()}
            manifest = _read_manifest(house, archive, members, place)
            taken = take_in(
                house.database, manifest["source"], lambda name: _lines(archive, members.get(f"{name}.jsonl"))
            )
            for name, member in members.items():
                content = archive.extractfile(member)
                if content is not None:
                    _take_file(house, name, content, taken)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {place}.") from error
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadPayload(f"{place} is not an export, or is not whole.") from error
    return taken


def _take_file(house: House, name: str, content: IO[bytes], taken: Taken) -> None:
    if found := _ARTIFACT.fullmatch(name):
        if not house.artifacts.has(found[1]):
            house.artifacts.put(content.read())
    elif (found := _PROOF.fullmatch(name)) and found[1] in taken.attempts:
        place = house.config.data / proof_files.FOLDER / f"{taken.attempts[found[1]]}.json"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.read(proofs.LARGEST))
            house.artifacts.put(place.read_bytes())  # for the other hosts


def _manifest(house: House, project: str | None) -> dict[str, Any]:
    return {
        "nightdesk_export": FORMAT,
        "schema": stands_at(house.config.database_url).current,
        "source": _installation(house),
        "project": project,
        "exported_at": datetime.now(UTC).isoformat(),
    }


def _installation(house: House) -> str:
    """A name for this data folder that tells nothing else of it."""
    return hashlib.sha256(b"nightdesk installation\0" + redaction_key(house.config.data)).hexdigest()[:32]


def _read_manifest(
    house: House, archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], place: Path
) -> dict[str, Any]:
    content = archive.extractfile(members[_MANIFEST]) if _MANIFEST in members else None
    try:
        manifest = json.loads(content.read(1 << 20)) if content else {}
    except ValueError:
        manifest = {}
    if not isinstance(manifest, dict) or manifest.get("nightdesk_export") != FORMAT:
        raise BadPayload(f"{place} is not an export of this version.")
    schema = stands_at(house.config.database_url).current
    if manifest.get("schema") != schema:
        raise BadPayload(
            f"{place} was made with schema {str(manifest.get('schema'))[:40]} and this is {schema}; "
            "bring the older side forward with `nightdesk migrate`, then export again."
        )
    return {**manifest, "source": str(manifest.get("source"))[:64]}


def _put_table(
    house: House,
    archive: tarfile.TarFile,
    name: str,
    project: str | None,
    blobs: dict[str, None],
    attempts: list[str],
) -> int:
    """One table as a member; notes which payloads and proofs its rows refer to."""
    count = 0
    with tempfile.TemporaryFile() as lines, house.database.read() as session:
        for row in rows(session, name, project):
            count += 1
            lines.write(json.dumps(row).encode() + b"\n")
            for digest in artifacts_of(row) if name in ("events", "source_maps") else ():
                blobs[digest] = None
            if name == "attempts":
                attempts.append(row["id"])
        size = lines.tell()
        lines.seek(0)
        entry = tarfile.TarInfo(f"{name}.jsonl")
        entry.size, entry.mode = size, 0o600
        archive.addfile(entry, lines)
    return count


def _put(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))


def _lines(archive: tarfile.TarFile, member: tarfile.TarInfo | None) -> Iterator[dict[str, Any]]:
    content = archive.extractfile(member) if member is not None else None
    while content is not None and (line := content.readline(_LINE)):
        yield json.loads(line)

"""Several hosts, one key of redaction: a database on a server knows the name of the key that it is written with.

The key itself is never in the database: whoever has a dump of that must not be able to try values against its tokens.
The name is a hash of 256 random bits and tells nothing of them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from server.intake.redaction import KEY_FILE, new_redaction_key, redaction_key
from store import hosts
from store.database import Database
from store.errors import Unavailable
from store.postgres import Postgres


def name_of(key: bytes) -> str:
    """What a key is called where people compare two."""
    return hashlib.blake2b(b"nightdesk redaction key", key=key, digest_size=8).hexdigest()


def settle(database: Database, folder: Path) -> None:
    """See to it that this host redacts as the others do; the first host says how. Nothing is looked at where the
    database is a file in the folder. Raises Unavailable, with what to do, where the folder has another key or none."""
    if not isinstance(database.backend, Postgres):
        return
    known, shown = hosts.mark(database, hosts.REDACTION), database.backend.shown
    advice = f"copy {KEY_FILE} from a host that has it, or make a new one for all with `nightdesk redaction-key --new`."
    if known is not None and not (folder / KEY_FILE).exists():
        raise Unavailable(f"{folder} has no {KEY_FILE}, and {shown} is written with one ({known}): {advice}")
    own = name_of(redaction_key(folder))
    if known is None:
        with database.write() as session:
            known = hosts.set_once(session, hosts.REDACTION, own)
    if own != known:
        raise Unavailable(f"{folder / KEY_FILE} is {own}, and {shown} is written with {known}: {advice}")


def replace(database: Database, folder: Path) -> str:
    """Make a new key, the one of the database from now on; its name. Raises Unavailable."""
    name = name_of(new_redaction_key(folder))
    with database.write() as session:
        hosts.set_mark(session, hosts.REDACTION, name)
    return name

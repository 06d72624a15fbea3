"""The way of a database from any schema we ever shipped to the newest. Run from here, without `alembic.ini`
or `env.py`.

Foreign keys are off while tables are rebuilt: a batch rebuild drops the old table, and with them on SQLite
fired ON DELETE CASCADE and lost the child rows. So they are checked afterwards, before the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from store.errors import Unavailable
from store.tables import Row

FOLDER = Path(__file__).parent
_ALEMBIC = Lock()  # its environment is one for the process: two threads would migrate into each other


def is_current(connection: Connection, folder: Path = FOLDER) -> bool:
    """Whether there is nothing to do. Raises Unavailable for a schema that this version does not know."""
    scripts = ScriptDirectory(str(folder))
    revision = MigrationContext.configure(connection).get_current_revision()
    there = set(inspect(connection).get_table_names())
    if revision is None:
        if there - {"alembic_version"}:
            raise Unavailable("This is a database of another program; choose another one.")
        return False
    if revision not in {script.revision for script in scripts.walk_revisions()}:
        raise Unavailable(
            f"This database was written by a newer Nightdesk (schema {revision}); "
            "upgrade Nightdesk, or use another data folder."
        )
    if revision != scripts.get_current_head():
        return False
    if absent := sorted(set(Row.metadata.tables) - there):
        raise Unavailable(
            f"This database says that its schema is {revision}, but has no table {absent[0]!r}: a migration was "
            "left half done by hand. Restore a backup."
        )
    return True


def revisions(connection: Connection, folder: Path = FOLDER) -> tuple[str | None, str | None]:
    """The schema that a database has (None: it is empty) and the newest one that this version knows."""
    scripts = ScriptDirectory(str(folder))
    return MigrationContext.configure(connection).get_current_revision(), scripts.get_current_head()


def upgrade(connection: Connection, folder: Path = FOLDER, revision: str = "head") -> None:
    """Bring the schema to head, or to an older `revision`, inside the caller's transaction, in which SQLite's foreign
    keys must be off.

    Raises Unavailable where the rows that came out refer to rows that are not there; the caller then rolls back."""
    scripts = ScriptDirectory(str(folder))

    def steps(current: Any, context: MigrationContext) -> Sequence[Any]:
        return scripts._upgrade_revs(revision, current)

    with _ALEMBIC, EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, render_as_batch=True)
        environment.run_migrations()
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise Unavailable(
                f"The database could not be migrated: {len(broken)} rows of '{broken[0][0]}' "
                "refer to missing rows. Nothing was changed."
            )

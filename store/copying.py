"""All rows of a database into an empty one of the same schema, be it the other kind: how a database on PostgreSQL is
kept as one file, how it comes back from it, and how an installation moves from SQLite to PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, insert, select, text

from store.database import Database
from store.tables import Row

BATCH = 500  # rows that are read and written together


def copy_rows(source: Database, target: Database) -> int:
    """Put every row of `source`, as it is at one moment, into `target`, whose rows are taken away first; all or
    nothing. How many rows there are. Raises Unavailable."""
    tables = Row.metadata.sorted_tables
    copied = 0
    with source.read() as reading, target.write() as writing:
        to = writing.connection()
        for table in reversed(tables):
            to.execute(table.delete())
        for table in tables:
            found = reading.connection().execution_options(yield_per=BATCH).execute(select(table))
            for rows in found.mappings().partitions(BATCH):
                to.execute(insert(table), [dict(row) for row in rows])
                copied += len(rows)
        for table in tables:
            advance(to, table)
    return copied


def advance(connection: Connection, table: Table) -> None:
    """See to it that PostgreSQL gives no number that a row has already: rows that bring their own numbers do not count
    there. SQLite looks by itself."""
    number = table.columns.get("id")
    if connection.dialect.name != "postgresql" or number is None or number.autoincrement is False:
        return
    sequence = connection.execute(
        text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": table.name}
    ).scalar()
    if sequence is None:
        return
    last = connection.execute(select(func.max(number))).scalar()
    if last is not None:
        connection.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last})

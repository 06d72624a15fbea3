"""Incidents can be merged and split, releases are known from events, owners are told from suggestions. Frozen.

The new columns carry no foreign keys: SQLite adds those only by building the table anew, and the table of events
may be large. What is kept already is filled in: each event's fingerprint, its transaction where its body is
there, who set an owner, when a release was seen first.
"""

from __future__ import annotations

import json
import zlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_AT_ONCE = 500  # event bodies that are read together
_TEXT = 500  # characters of a transaction's name


def upgrade() -> None:
    """Add columns and tables, then fill the columns from what is there."""
    _columns()
    _tables()
    op.execute(
        "UPDATE events SET fingerprint_id = (SELECT min(fingerprints.id) FROM fingerprints "
        "WHERE fingerprints.incident_id = events.incident_id)"
    )
    op.execute("UPDATE incidents SET owner_set_by = 'operator' WHERE owner IS NOT NULL")
    op.execute(
        "UPDATE releases SET first_seen = (SELECT min(events.seen_at) FROM events "
        "WHERE events.project_id = releases.project_id AND events.release = releases.version)"
    )
    _transactions(op.get_bind())


def _columns() -> None:
    op.add_column("incidents", sa.Column("owner_set_by", sa.String(), nullable=True))
    op.add_column("incidents", sa.Column("merged_into", sa.Integer(), nullable=True))
    op.add_column("incidents", sa.Column("split_by", sa.String(), nullable=True))
    op.add_column("events", sa.Column("transaction", sa.String(), nullable=True))
    op.add_column("events", sa.Column("fingerprint_id", sa.Integer(), nullable=True))
    op.add_column("releases", sa.Column("first_seen", sa.DateTime(), nullable=True))


def _tables() -> None:
    op.create_table(
        "branches",
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("target_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_branches_incident_id_incidents")
        ),
        sa.ForeignKeyConstraint(
            ["target_id"], ["incidents.id"], name=op.f("fk_branches_target_id_incidents")
        ),
        sa.PrimaryKeyConstraint("incident_id", "value", name=op.f("pk_branches")),
    )
    op.create_table(
        "moves",
        sa.Column("act_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("from_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["act_id"], ["acts.id"], name=op.f("fk_moves_act_id_acts")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_moves_event_id_events")),
        sa.ForeignKeyConstraint(["from_id"], ["incidents.id"], name=op.f("fk_moves_from_id_incidents")),
        sa.PrimaryKeyConstraint("act_id", "event_id", name=op.f("pk_moves")),
    )
    op.create_table(
        "imports",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("old_id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_imports_incident_id_incidents")
        ),
        sa.PrimaryKeyConstraint("source", "old_id", name=op.f("pk_imports")),
    )


def _transactions(connection: sa.Connection) -> None:
    """Each event's transaction, out of its body where that was kept; a body that cannot be read says nothing."""
    last = 0
    read = sa.text(
        "SELECT id, body FROM events WHERE id > :last AND body IS NOT NULL ORDER BY id LIMIT :most"
    )
    write = sa.text('UPDATE events SET "transaction" = :name WHERE id = :id')
    while rows := connection.execute(read, {"last": last, "most": _AT_ONCE}).all():
        last = rows[-1][0]
        named = [{"id": number, "name": name} for number, body in rows if (name := _transaction(body))]
        if named:
            connection.execute(write, named)


def _transaction(body: bytes) -> str | None:
    try:
        name = json.loads(zlib.decompress(body)).get("transaction")
    except (zlib.error, ValueError):
        return None
    return name[:_TEXT] if isinstance(name, str) else None

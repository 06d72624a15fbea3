"""Patches that were handed in; repairs that end at a step. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make a table and add a column; nothing that is there changes."""
    op.create_table(
        "submissions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("holder", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_submissions_incident_id_incidents")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submissions")),
        sa.UniqueConstraint("incident_id", "digest", name=op.f("uq_submissions_incident_id_digest")),
    )
    op.create_index(op.f("ix_submissions_incident_id"), "submissions", ["incident_id"], unique=False)
    op.create_index(op.f("ix_submissions_ended"), "submissions", ["ended"], unique=False)
    op.add_column("tasks", sa.Column("until", sa.String(), nullable=True))

"""What the hosts of one installation have in common is in the database: marks, what was sent lately, calibrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; calibrations that are files yet are taken in when their folder is opened."""
    op.create_table(
        "marks",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_marks")),
    )
    op.create_table(
        "sent",
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_sent_key_id_keys")),
        sa.PrimaryKeyConstraint("key_id", "minute", name=op.f("pk_sent")),
    )
    op.create_table(
        "calibrations",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("part", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_calibrations_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_calibrations")),
    )

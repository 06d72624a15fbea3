"""What an event was about, for the sampling of bodies; good and bad ends, minute by minute. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new column, which older events have empty, and a new table."""
    op.add_column("events", sa.Column("entity", sa.String(), nullable=True))
    op.create_table(
        "minutes",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("good", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_minutes_project_id_projects")),
        sa.PrimaryKeyConstraint("project_id", "endpoint", "minute", name=op.f("pk_minutes")),
    )

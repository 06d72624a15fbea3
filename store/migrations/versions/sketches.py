"""What payloads look like, in counts. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make a table; nothing that is there changes."""
    op.create_table(
        "sketches",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("entry", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("shapes", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_sketches_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("project_id", "entry", "day", "digest", name=op.f("pk_sketches")),
    )

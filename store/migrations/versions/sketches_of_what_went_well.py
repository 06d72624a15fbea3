"""Sketches of payloads count requests that went well, too. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; of what is there nothing went well that was told."""
    op.add_column("sketches", sa.Column("good", sa.Integer(), nullable=False, server_default="0"))

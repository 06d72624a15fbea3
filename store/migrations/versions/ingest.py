"""What an event was about, for the sampling of bodies. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new column; older events have none."""
    op.add_column("events", sa.Column("entity", sa.String(), nullable=True))

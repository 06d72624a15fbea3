"""When what an event told of was over, as its sender said. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column that is empty so far."""
    op.add_column("events", sa.Column("over_at", sa.DateTime(), nullable=True))

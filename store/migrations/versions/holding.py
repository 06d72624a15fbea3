"""Which run of a worker may write a repair; events that go. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column that is empty (what is at work says who it is at its next step), and an index by which an event that
    goes finds what refers to it."""
    op.add_column("attempts", sa.Column("holder", sa.String(), nullable=True))
    op.create_index(op.f("ix_moves_event_id"), "moves", ["event_id"], unique=False)

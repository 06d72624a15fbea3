"""Indexes by which lists and the way to a failure are read, however many incidents and events there are. Frozen."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make indexes; nothing that is there changes."""
    with op.batch_alter_table("events") as events:
        events.create_index(
            op.f("ix_events_project_id_user_key_seen_at"), ["project_id", "user_key", "seen_at"]
        )

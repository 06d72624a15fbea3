"""What becomes of a draft on its forge, merged fixes that are watched, what is told to whom. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make tables; nothing that is there changes. Open drafts are taken up by the next worker."""
    _watching()
    _following()
    _telling()


def _watching() -> None:
    op.create_table(
        "watches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.String(), nullable=False),
        sa.Column("commits", sa.JSON(), nullable=False),
        sa.Column("merged_at", sa.DateTime(), nullable=False),
        sa.Column("recurred_at", sa.DateTime(), nullable=True),
        sa.Column("recurred_release", sa.String(), nullable=True),
        sa.Column("recurred_event", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_watches_incident_id_incidents")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watches")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_watches_attempt_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_watches_incident_id"), "watches", ["incident_id"])
    op.create_table(
        "builds",
        sa.Column("watch_id", sa.Integer(), nullable=False),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=True),
        sa.Column("contains", sa.Boolean(), nullable=True),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["watch_id"], ["watches.id"], name=op.f("fk_builds_watch_id_watches")),
        sa.PrimaryKeyConstraint("watch_id", "release", name=op.f("pk_builds")),
    )
    op.create_index(op.f("ix_builds_decided_at"), "builds", ["decided_at"])
    op.create_table(
        "exposures",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("transaction", sa.String(), nullable=False),
        sa.Column("hour", sa.DateTime(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_exposures_project_id_projects")
        ),
        sa.PrimaryKeyConstraint(
            "project_id", "release", "environment", "transaction", "hour", name=op.f("pk_exposures")
        ),
    )


def _following() -> None:
    op.create_table(
        "follows",
        sa.Column("attempt_id", sa.String(), nullable=False),
        sa.Column("repo", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=False),
        sa.Column("looked_at", sa.DateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("said", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_follows_attempt_id_attempts")),
        sa.PrimaryKeyConstraint("attempt_id", "repo", name=op.f("pk_follows")),
    )
    op.create_index(op.f("ix_follows_next_at"), "follows", ["next_at"])
    texts = ("attempt_id", "repo", "kind", "source", "who", "outcome", "text", "url")
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in texts),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_feedback_incident_id_incidents")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.UniqueConstraint(
            "attempt_id", "repo", "kind", "source", name=op.f("uq_feedback_attempt_id_repo_kind_source")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_feedback_incident_id"), "feedback", ["incident_id"])


def _telling() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("spread_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_notices_incident_id_incidents")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("key", name=op.f("uq_notices_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_notices_incident_id"), "notices", ["incident_id"])
    op.create_index(op.f("ix_notices_spread_at"), "notices", ["spread_at"])
    op.create_table(
        "deliveries",
        sa.Column("notice_id", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=True),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.Column("said", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name=op.f("fk_deliveries_notice_id_notices")),
        sa.PrimaryKeyConstraint("notice_id", "target", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_next_at"), "deliveries", ["next_at"])

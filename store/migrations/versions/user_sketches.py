"""Users beyond the thousandth are counted, and not kept by name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make a table; what is there is turned into sketches when such an incident has its next event."""
    op.create_table(
        "user_sketches",
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("registers", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_user_sketches_incident_id_incidents")
        ),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_user_sketches")),
    )

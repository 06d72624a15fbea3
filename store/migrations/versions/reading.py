"""Indexes by which lists, searches and the way to a failure are read, however much there is. Frozen.

The words of incidents are searched by trigrams where SQLite brings FTS5. Triggers keep that index, so a later
migration that makes the table of incidents anew has to make them again (`TRIGGERS`).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NEW = "INSERT INTO incident_words (rowid, words) VALUES (new.id, new.title || ' ' || new.culprit || ' ' || new.why);"
_OLD = (
    "INSERT INTO incident_words (incident_words, rowid, words) "
    "VALUES ('delete', old.id, old.title || ' ' || old.culprit || ' ' || old.why);"
)
TRIGGERS = (
    f"CREATE TRIGGER incident_words_new AFTER INSERT ON incidents BEGIN {_NEW} END",
    f"CREATE TRIGGER incident_words_gone AFTER DELETE ON incidents BEGIN {_OLD} END",
    "CREATE TRIGGER incident_words_changed AFTER UPDATE OF title, culprit, why ON incidents "
    f"BEGIN {_OLD} {_NEW} END",
)


def upgrade() -> None:
    """Make indexes; nothing that is there changes."""
    op.create_index(
        op.f("ix_events_project_id_user_key_seen_at"), "events", ["project_id", "user_key", "seen_at"]
    )
    op.create_index(op.f("ix_facets_kind_value"), "facets", ["kind", "value"])
    op.create_index(op.f("ix_incidents_last_seen"), "incidents", ["last_seen"])
    op.create_index(
        op.f("ix_incidents_merged_into_status_lane_project_id"),
        "incidents",
        ["merged_into", "status", "lane", "project_id"],
    )
    connection = op.get_bind()
    if connection.dialect.name == "sqlite" and _has_trigrams(connection):
        op.execute(
            "CREATE VIRTUAL TABLE incident_words USING fts5(words, content='', tokenize='trigram', detail='full')"
        )
        op.execute(
            "INSERT INTO incident_words (rowid, words) "
            "SELECT id, title || ' ' || culprit || ' ' || why FROM incidents"
        )
        for trigger in TRIGGERS:
            op.execute(trigger)


def _has_trigrams(connection: sa.Connection) -> bool:
    options = connection.exec_driver_sql("PRAGMA compile_options").scalars().all()
    version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
    return "ENABLE_FTS5" in options and tuple(map(int, version.split("."))) >= (3, 34)

"""What several hosts and many events need: payloads that every host can read, events found by age, words of incidents
found on PostgreSQL too. Frozen.

On PostgreSQL the words are searched by trigrams as they are on SQLite, with a function and an array index of its core:
no extension has to be there. Triggers keep the index.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SEARCH = (
    "CREATE FUNCTION nightdesk_trigrams(words text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS "
    "$$ SELECT array_agg(DISTINCT substr(words, place, 3)) FROM generate_series(1, length(words) - 2) AS place $$",
    "CREATE TABLE incident_words (incident_id integer PRIMARY KEY REFERENCES incidents (id) ON DELETE CASCADE, "
    "words text NOT NULL)",
    "INSERT INTO incident_words SELECT id, lower(title || ' ' || culprit || ' ' || why) FROM incidents",
    "CREATE INDEX ix_incident_words ON incident_words USING gin (nightdesk_trigrams(words))",
    "CREATE FUNCTION nightdesk_words() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "INSERT INTO incident_words VALUES (NEW.id, lower(NEW.title || ' ' || NEW.culprit || ' ' || NEW.why)) "
    "ON CONFLICT (incident_id) DO UPDATE SET words = excluded.words; RETURN NULL; END $$",
    "CREATE TRIGGER incident_words_new AFTER INSERT ON incidents FOR EACH ROW EXECUTE FUNCTION nightdesk_words()",
    "CREATE TRIGGER incident_words_changed AFTER UPDATE OF title, culprit, why ON incidents FOR EACH ROW "
    "WHEN ((OLD.title, OLD.culprit, OLD.why) IS DISTINCT FROM (NEW.title, NEW.culprit, NEW.why)) "
    "EXECUTE FUNCTION nightdesk_words()",
)


def upgrade() -> None:
    """Make an index and a table, and on PostgreSQL the search; nothing that is there changes."""
    op.create_index(op.f("ix_events_received_at"), "events", ["received_at"])
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("kept_at", sa.DateTime(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blobs")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in _SEARCH:
            op.execute(statement)

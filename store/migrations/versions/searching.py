"""All that an incident can be found by, with an index of its trigrams. Frozen.

What is here already is found by its title, culprit, reason and place, and by the commits of its repairs; by its
messages and files once it is triaged again. Triggers keep the index.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None

_NEW = "INSERT INTO incident_words_all (rowid, words) VALUES (new.incident_id, new.words);"
_OLD = (
    "INSERT INTO incident_words_all (incident_words_all, rowid, words) "
    "VALUES ('delete', old.incident_id, old.words);"
)
_SQLITE = (
    "CREATE VIRTUAL TABLE incident_words_all USING fts5(words, content='incident_texts', "
    "content_rowid='incident_id', tokenize='trigram')",
    "INSERT INTO incident_words_all (incident_words_all) VALUES ('rebuild')",
    f"CREATE TRIGGER incident_texts_new AFTER INSERT ON incident_texts BEGIN {_NEW} END",
    f"CREATE TRIGGER incident_texts_gone AFTER DELETE ON incident_texts BEGIN {_OLD} END",
    f"CREATE TRIGGER incident_texts_changed AFTER UPDATE ON incident_texts WHEN old.words <> new.words "
    f"BEGIN {_OLD} {_NEW} END",
)
_POSTGRES = (
    "CREATE INDEX ix_incident_words_all ON incident_texts USING gin (nightdesk_trigrams(lower(words)))"
)


def upgrade() -> None:
    """Make a table and its index, and put there what is known."""
    op.create_table(
        "incident_texts",
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_incident_texts_incident_id_incidents"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incident_texts")),
    )  # fmt: skip
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "INSERT INTO incident_texts (incident_id, words) SELECT id, title || ' ' || culprit || ' ' || why || ' ' "
            "|| coalesce(CAST(location AS VARCHAR), '') FROM incidents"
        )
    )
    _add_commits(connection)
    if connection.dialect.name == "postgresql":
        op.execute(_POSTGRES)
    elif connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'incident_words'").first():
        for statement in _SQLITE:
            op.execute(statement)


def _add_commits(connection: sa.Connection) -> None:
    """Add the commits of the changes that repairs have looked at."""
    add = sa.text("UPDATE incident_texts SET words = words || ' ' || :commits WHERE incident_id = :number")
    for number, body in connection.execute(sa.text("SELECT incident_id, body FROM attempts")).all():
        commits = [change["commit"] for change in json.loads(body).get("changes") or ()]
        if commits:
            connection.execute(add, {"commits": " ".join(commits), "number": number})

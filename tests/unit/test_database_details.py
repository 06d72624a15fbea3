"""What a database said of a failure becomes fields of the event."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from store.event import Event, ExceptionValue
from triage.database_details import database_details, with_database_details

NOW = datetime(2026, 11, 20, tzinfo=UTC)
DUPLICATE = (
    'duplicate key value violates unique constraint "jobs_pkey"\n'
    "DETAIL:  Key (job_id, status)=(4521, completed) already exists.\n"
)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (
            DUPLICATE,
            {"kind": "unique", "constraint": "jobs_pkey", "key": {"job_id": "4521", "status": "completed"}},
        ),
        (
            'insert or update on table "orders" violates foreign key constraint "fk"\n'
            'DETAIL:  Key (user_id)=(99) is not present in table "users".',
            {"kind": "foreign key", "key": {"user_id": "99"}, "table": "users"},
        ),
        (
            'null value in column "email" of relation "users" violates not-null constraint\nDETAIL:  Failing row contains (1, null).',
            {"kind": "not null", "columns": ["email"], "table": "users", "row": ["1", "null"]},
        ),
        (
            "(1062, \"Duplicate entry 'x' for key 'users.name'\")",
            {"kind": "unique", "constraint": "users.name", "values": "x"},
        ),
        (
            "UNIQUE constraint failed: jobs.id, jobs.status",
            {"kind": "unique", "columns": ["jobs.id", "jobs.status"], "table": "jobs"},
        ),
    ],
)
def test_the_columns_and_values_of_a_violated_constraint_are_fields(
    text: str, fields: dict[str, object]
) -> None:
    said = database_details(text)
    assert {name: said.get(name) for name in fields} == fields


def test_an_event_gets_the_context_and_keeps_what_the_sender_said_itself() -> None:
    event = Event(
        event_id="e1", project="shop", received_at=NOW, timestamp=NOW,
        exceptions=(ExceptionValue(type="UniqueViolation", value=DUPLICATE),),
        contexts={"database": {"constraint": "said by the sender"}},
    )  # fmt: skip
    database = with_database_details(event).contexts["database"]
    assert database["key"] == {"job_id": "4521", "status": "completed"}
    assert database["constraint"] == "said by the sender"


def test_other_texts_leave_the_event_as_it_is() -> None:
    event = Event(event_id="e1", project="shop", received_at=NOW, timestamp=NOW, message="constraint on time")
    assert with_database_details(event) is event

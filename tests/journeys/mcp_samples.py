"""Incidents for the tests of assistants: ordinary, hostile in every text, and far too large."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from server.house import House
from store import journal
from store.event import Breadcrumb, Event, ExceptionValue, Frame, Request
from store.incident import Step
from store.repair import (
    Attempt,
    CandidateChange,
    ChangeVerdict,
    DraftPullRequest,
    Ended,
    Evidence,
    Hypothesis,
    Oracle,
    Patch,
    Proof,
    Reproducer,
    Submission,
    Validation,
    ValidationVerdict,
)

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DIFF = "--- a/shop/rates.py\n+++ b/shop/rates.py\n@@ -1 +1 @@\n-a = 1\n+a = 2\n"


def event(number: int = 1, **fields: Any) -> Event:
    """An event of a small shop; `fields` replace what it has."""
    frame = Frame(
        function="quote",
        module="shop.rates",
        filename="shop/rates.py",
        lineno=12,
        in_app=True,
        context_line='    return order["carrier"]',
        vars={"order": {"id": str(number)}},
    )
    ordinary: dict[str, Any] = {
        "event_id": f"{number:032x}",
        "project": "default",
        "received_at": NOON,
        "timestamp": NOON + timedelta(minutes=number),
        "platform": "python",
        "environment": "production",
        "release": f"shop@{number % 2}",
        "exceptions": (ExceptionValue(type="KeyError", value="'carrier'", frames=(frame,)),),
        "request": Request(method="POST", url="https://shop.example/quote", data={"id": number}),
    }
    return Event(**{**ordinary, **fields})


def hostile_event(number: int, text: str) -> Event:
    """An event in which everything that a sender may fill in is `text`."""
    frame = Frame(
        function=text[:300],
        module=text[:300],
        filename=text[:300],
        lineno=1,
        in_app=True,
        pre_context=(text[:300],),
        context_line=text[:300],
        post_context=(text[:300],),
        vars={text[:300]: text, "nested": {text[:300]: [text]}},
    )
    return event(
        number,
        level="error",
        environment=text[:200],
        release=text[:200],
        service=text[:200],
        server_name=text[:200],
        transaction=text[:300],
        message=text,
        logger=text[:300],
        exceptions=(ExceptionValue(type=text[:300], value=text, frames=(frame, frame)),),
        request=Request(
            method=text[:50], url=text[:300], query_string=text[:300], headers={text[:100]: text}
        ),
        breadcrumbs=(
            Breadcrumb(category=text[:100], level=text[:100], message=text, data={text[:100]: text}),
        ),
        tags={text[:100]: text[:200]},
        user={"id": text[:200], text[:100]: text},
        contexts={text[:100]: {text[:100]: text}},
        extra={text[:100]: text},
        client_fingerprint=(f"attack-{number}",),
    )


def large_event(number: int = 1) -> Event:
    """1,000 different frames, each with 200 bytes of locals."""
    frames = tuple(
        Frame(
            function=f"step_{place}",
            module="shop.deep",
            filename=f"shop/deep_{place}.py",
            lineno=place + 1,
            in_app=True,
            context_line=f"    return step_{place + 1}(order)",
            vars={f"local_{place}": "x" * 200},
        )
        for place in range(1000)
    )
    crumbs = tuple(Breadcrumb(category="db", message=f"select {place} " + "y" * 400) for place in range(100))
    raised = ExceptionValue(type="RecursionError", value="too deep", frames=frames)
    return event(
        number, exceptions=(raised,), breadcrumbs=crumbs, tags={f"t{n}": "z" * 150 for n in range(80)}
    )


def attempt_with(house: House, incident_id: str, text: str, *, proven: bool = True) -> Attempt:
    """Keep a finished repair of an incident in which every free text is `text`."""
    started = journal.start_attempt(house.database, incident_id)
    change = CandidateChange(
        repo="shop",
        commit="c" * 40,
        title=text[:300],
        author=text[:100],
        authored_at=NOON,
        files=("shop/rates.py",),
        score=0.9,
        reasons=(text[:300],),
        verdict=ChangeVerdict.PROVEN,
        said=text[:500],
        hunks=DIFF,
    )
    evidence = Evidence(kind="commit", claim=text[:300], quote=text[:300])
    reproducer = Reproducer(
        repo="shop",
        framework="pytest",
        test_path="tests/test_inc.py",
        source=f"def test_it():\n    assert quote({text[:500]!a}) == 2\n",
        command="python -m pytest tests/test_inc.py",
        entry="frame",
        oracle=Oracle.PARENT_VALUE,
        guessed=(text[:200],),
        runs=10,
        failures=10,
        same_failure=True,
    )
    patch = Patch(
        diffs={"shop": DIFF}, base_commits={"shop": "b" * 40}, files=("shop/rates.py",), fixer="rules",
        kind="template", loses=(text[:200],),
    )  # fmt: skip
    verdict = ValidationVerdict.PROVEN if proven else ValidationVerdict.FAILED
    validation = Validation(
        verdict=verdict,
        rule=None if proven else "suite",
        said=text[:900],
        oracle=Oracle.PARENT_VALUE,
        fails_before=(10, 10),
        passes_after=(10, 10),
        constraints=(text[:200],),
    )
    proof = Proof(
        id="d" * 64,
        incident_id=incident_id,
        patch=patch,
        reproducer=reproducer,
        validation=validation,
        made_at=NOON,
    )
    draft = DraftPullRequest(
        forge="local_git",
        repo="shop",
        branch=f"nightdesk/{incident_id}",
        base="main",
        title=text,
        body=text,
        state="open",
    )
    finished = started.model_copy(
        update={
            "finished_at": NOON,
            "ended": Ended.PROVEN if proven else Ended.NEEDS_DECISION,
            "said": text[:500],
            "steps": (
                Step(
                    name="gather", started_at=NOON, took=0.1, said=text[:500], details={text[:50]: text[:500]}
                ),
            ),
            "changes": (change,),
            "hypotheses": (
                Hypothesis(id="H1", statement=text[:400], status="supported", evidence=(evidence,)),
            ),
            "reproducer": reproducer,
            "patch": patch if proven else None,
            "validation": validation if proven else None,
            "proof": proof if proven else None,
            "rejected": ((patch, validation),),
            "drafts": (draft,) if proven else (),
        }
    )
    journal.keep_attempt(house.database, finished)
    return finished


def submission(incident_id: str, validation: Validation | None = None, said: str = "") -> Submission:
    """A patch that was handed in and has ended."""
    return Submission(
        id=f"{incident_id}-p1", incident_id=incident_id, attempt_id=f"{incident_id}-1", diff=DIFF, by="ann",
        events="e" * 64, commits={}, validation=validation, said=said, asked_at=NOON, ended_at=NOON,
    )  # fmt: skip

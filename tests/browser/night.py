"""What happened in the night: a proven fix of a real repository, and text that attacks a page from every field."""

from __future__ import annotations

from server.house import House
from store import journal
from store.event import Breadcrumb
from store.repair import Attempt
from tests.journeys import mcp_samples as samples

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)><button hx-get=/evil hx-trigger=load>x</button>"
    "\"'><svg onload=alert(3)>{{ 7*7 }}javascript:alert(4)//" + "unbroken" * 12
)
FIX = "--- a/shop/rates.py\n+++ b/shop/rates.py\n@@ -1,2 +1,2 @@\n # rates\n-a = 1\n+a = 2\n"


def fixed(house: House, incident_id: str, commit: str) -> Attempt:
    """Keep a repair with a proof, whose patch fits the repository, and no draft yet."""
    kept = samples.attempt_with(house, incident_id, "the parent answers 200, the change fails")
    assert kept.patch is not None
    patch = kept.patch.model_copy(
        update={"diffs": {"shop": FIX}, "base_commits": {"shop": commit}, "loses": ()}
    )
    changes = tuple(change.model_copy(update={"commit": commit, "hunks": FIX}) for change in kept.changes)
    wanted = kept.model_copy(update={"patch": patch, "changes": changes, "drafts": (), "rejected": ()})
    journal.keep_attempt(house.database, wanted)
    return wanted


def spans() -> tuple[Breadcrumb, ...]:
    """Two spans as OTLP brings them."""
    return tuple(
        Breadcrumb(timestamp=samples.NOON, category="span", level=level, message=name, data={"ms": took})
        for name, level, took in (("GET /orders", "info", 120.0), ("SELECT", "error", 30.5))
    )

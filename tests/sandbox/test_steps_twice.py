"""Each step of a repair between values: done twice, by two that know nothing of each other, it is done once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.kill_table import make_world
from fixloop.findings import Findings
from fixloop.sandboxes import best
from server.config import load
from server.house import House
from server.repairs.progress import STEPS, Progress, Steps
from store import journal, queries
from store.repair import Ended, Oracle

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]


def substance(progress: Progress) -> object:
    """What was found, without times and what is made of them."""
    known = progress.known
    return (
        progress.basis, known.recipe, known.expected, known.parent, known.reproducer, known.patch, known.ended, known.said,
        known.search and [(c.repo, c.commit, c.verdict, c.said, c.hunks) for c in known.search.changes],
        known.reproduction and (known.reproduction.recipe, known.reproduction.signature),
        [(patch, validation.verdict, validation.rule) for patch, validation in known.rejected],
        known.validation and (known.validation.verdict, known.validation.mutants, known.validation.neighbours),
    )  # fmt: skip


@pytest.mark.heavy
def test_every_step_run_twice_finds_the_same_and_leaves_one_line(tmp_path: Path) -> None:
    if not best().self_test().ok:
        pytest.skip(best().self_test().said)
    with House.open(load(make_world(tmp_path), {"NIGHTDESK_RUNS": "20"})) as house:
        attempt = journal.start_attempt(house.database, "INC-1")
        progress = Progress(attempt_id=attempt.id, incident_id="INC-1")
        for step in STEPS:
            assert progress.wants(step)
            first = Steps(house).advance(step, progress)
            second = Steps(house).advance(step, Progress.model_validate_json(progress.model_dump_json()))
            assert substance(second) == substance(first), step
            assert Findings.from_json(second.findings) == second.known
            progress = second
        kept = queries.attempt(house.database, attempt.id)

    assert kept is not None
    assert [step.name for step in kept.steps] == list(STEPS[1:])
    assert kept.ended in {Ended.PROVEN, Ended.DRAFTED}
    assert kept.reproducer is not None
    assert kept.reproducer.oracle == Oracle.PARENT_VALUE
    assert progress.known.spent > 0
    assert not any(progress.wants(step) for step in STEPS[:-1])

"""What was answered with 200 is there, whatever becomes of the server: a few rounds of `bench.ingest_losses`."""

from __future__ import annotations

import pytest

from bench.ingest_losses import troubled


@pytest.mark.heavy
@pytest.mark.slow
def test_an_event_that_was_answered_for_outlives_a_kill_of_the_server() -> None:
    sending, wrong = troubled("kill", times=1)
    assert len(sending.answered) >= 10
    assert not wrong


@pytest.mark.heavy
@pytest.mark.parametrize("trouble", ["two workers", "full", "clock"])
def test_an_event_that_was_answered_for_outlives_other_trouble(trouble: str) -> None:
    sending, wrong = troubled(trouble, times=2)
    assert len(sending.answered) >= 10
    assert not wrong

"""The product's own figures, on a few incidents that one can count by hand; and as Prometheus reads them."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.cli import cli
from server.house import House
from server.operating.product import Share, product, product_rows, product_text, share
from store import journal, recurring
from store.incident import Lane, Step
from store.repair import (
    Attempt,
    DraftPullRequest,
    Ended,
    Oracle,
    Patch,
    Reproducer,
    Validation,
    ValidationVerdict,
)
from store.tracks import Track, Tracks, tracks
from tests.journeys import mcp_samples as samples

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def step(name: str, at: float, took: float, **details: object) -> Step:
    return Step(
        name=name, started_at=START + timedelta(seconds=at), took=took, said="", details=dict(details)
    )


def repaired(number: int, *, failures: int = 10, merged: float | None = None, usd: float = 0.0) -> Track:
    """An incident that was repaired: reproduced after 20 s, diagnosed after 50, fixed after 80, drafted after 100."""
    test = Reproducer(
        repo="shop", framework="pytest", test_path="t.py", source="", command="", entry="frame",
        oracle=Oracle.PARENT_VALUE, runs=10, failures=failures, size_before=100, size_after=10 * number,
    )  # fmt: skip
    patch = Patch(diffs={"shop": ""}, base_commits={"shop": "b"}, fixer="rules")
    validation = Validation(verdict=ValidationVerdict.PROVEN)
    draft = DraftPullRequest(
        forge="github", repo="shop", branch=f"nightdesk/INC-{number}", base="b", title="", body="",
        state="merged" if merged else "open", opened_at=START + timedelta(seconds=100),
        merged_at=START + timedelta(seconds=merged) if merged else None,
    )  # fmt: skip
    attempt = Attempt(
        id=f"INC-{number}-1", incident_id=f"INC-{number}", started_at=START, ended=Ended.DRAFTED, reproducer=test,
        patch=patch, validation=validation, rejected=((patch, validation),), drafts=(draft,),
        changes=(),
        steps=(step("reproduce", 10, 10), step("repair", 60, 20, model={"spent": {"money": usd, "tokens": 100}})),
    )  # fmt: skip
    return Track(number, Lane.FOCUS, START, START + timedelta(seconds=5), False, False, (attempt,))


def aside(number: int, *, back: bool = False) -> Track:
    lane = Lane.FOCUS if back else Lane.NOISE
    return Track(number, lane, START, START + timedelta(seconds=1), True, back)


def test_stages_are_timed_from_detection_and_from_the_stage_before() -> None:
    found = product(Tracks((repaired(1, merged=400), repaired(2), aside(3)), 1, 0))
    stages = {one.stage: one for one in found.stages}
    assert (stages["triage"].incidents, stages["triage"].median_s, stages["triage"].p90_s) == (3, 5, 5)
    assert (stages["reproducer"].median_s, stages["reproducer"].step_median_s) == (20, 15)
    assert (stages["fix"].median_s, stages["fix"].step_median_s) == (80, 60)
    assert (stages["draft"].incidents, stages["draft"].step_median_s) == (2, 20)
    assert (stages["merge"].incidents, stages["merge"].median_s, stages["merge"].step_p90_s) == (1, 400, 300)
    assert (stages["diagnosis"].incidents, stages["diagnosis"].median_s) == (0, None)


def test_shares_come_with_the_exact_interval() -> None:
    found = product(Tracks((repaired(1), repaired(2, failures=9), aside(3), aside(4, back=True)), 0, 0))
    assert (found.set_aside.count, found.set_aside.of) == (1, 4)
    assert (found.brought_back.count, found.brought_back.of) == (1, 2)
    assert (found.deterministic.count, found.deterministic.of) == (1, 2)
    assert (found.flaky_runs.count, found.flaky_runs.of) == (1, 20)
    none = share(0, 10)
    assert none.low == 0
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 10))
    every = share(10, 10)
    assert (every.low, every.high) == (pytest.approx(0.025 ** (1 / 10)), 1)
    half = share(5, 10)
    assert (round(half.low or 0, 4), round(half.high or 0, 4)) == (0.1871, 0.8129)  # R: binom.test(5, 10)
    assert share(0, 0) == Share(count=0, of=0)


def test_throughput_shrinking_drafts_and_costs_are_counted() -> None:
    found = product(Tracks((repaired(1, merged=400, usd=0.5), repaired(3, usd=0.25)), 1, 1))
    assert found.patches_judged == 4
    assert found.patches_per_hour == 360  # four in forty seconds
    assert found.shrink == 0.2
    assert found.drafts == {"open": 1, "waiting": 0, "merged": 1, "closed": 0}
    assert (found.fixes_merged, found.recurrences) == (1, 1)
    assert (found.model_usd, found.model_tokens, found.model_usd_per_incident) == (0.75, 200, 0.375)


def test_what_is_not_known_is_left_out_and_never_told_as_nought() -> None:
    found = product(Tracks((), 0, 0))
    text = product_text(found)
    assert "nightdesk_stage_seconds" not in text
    assert "nightdesk_set_aside_share" not in text
    assert "nightdesk_model_usd" not in text
    assert "nightdesk_recurrences 0" in text
    assert dict(product_rows(found))["drafts"] == "none"


def test_the_text_is_what_prometheus_reads() -> None:
    text = product_text(product(Tracks((repaired(1, merged=400), aside(2)), 1, 0)))
    assert text.endswith("\n")
    kinds = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name.partition("{")[0] in kinds
            assert math.isfinite(float(value))
    assert 'nightdesk_stage_seconds{stage="merge",quantile="0.9"} 400.0' in text


def test_tracks_are_read_from_what_is_kept(house: House) -> None:
    house.receive([samples.event(1)])
    house.receive([samples.event(2, client_fingerprint=("other",))])
    samples.attempt_with(house, "INC-1", "said")
    journal.set_lane(house.database, "INC-2", Lane.NOISE, "triage", "")
    journal.set_lane(house.database, "INC-2", Lane.FOCUS, "ann", "")
    found = tracks(house.database)
    first, second = found.incidents
    assert (first.number, len(first.attempts), first.triaged is not None) == (1, 1, True)
    assert (second.set_aside, second.brought_back) == (True, True)
    assert found.watched == 0
    assert tracks(house.database, datetime.now(UTC)).incidents == ()
    assert recurring.watches(house.database) == []


def test_the_command_prints_them_for_people_and_for_programs(tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    words = CliRunner().invoke(cli, ["metrics", "--since", "30d", *data], catch_exceptions=False)
    assert words.exit_code == 0
    assert "merged fixes that came back" in words.stdout
    told = json.loads(CliRunner().invoke(cli, ["metrics", "--json", *data], catch_exceptions=False).stdout)
    assert told["product"]["stages"][0]["stage"] == "triage"
    assert told["events"] == 0

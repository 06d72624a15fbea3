"""The embedded model: bounds, training, alerts, a team's own labels, and that it can only demote."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.incident import Lane
from tests.unit.triage_samples import NOW, event, frame, raised
from triage.analyse import History
from triage.classify import Rules
from triage.learned import Learned, Part, read_part, shipped, written_part
from triage.learning.alerts import Past, behaviour, escalates, past_of
from triage.learning.bounds import auc, curve, lower_bound, miss_bound, threshold_for, weighted_rate
from triage.learning.features import Domain, domain
from triage.learning.logistic import Model, fit
from triage.learning.team import Label, audit_sample, flips, recalibrate
from triage.pipeline import triage
from triage.sources import NOTHING


def judge(found, classifier=None, **history):
    return triage(found, History(**history), NOTHING, classifier or Learned(), lambda: NOW)


def alert(message="queue depth growing", **fields):
    sent = {"value": 50, "threshold": 10, "fired_count_last_1h": 1, "auto_resolved_after_s": None, **fields}
    return event(message=message, contexts={"alert": sent})


QUIET = alert(
    "disk usage high; triggering log rotation", value=40.5, threshold=40, fired_count_last_1h=14,
    auto_resolved_after_s=20, severity="SEV4", delta_vs_baseline_pct=0,
)  # fmt: skip
LOUD = alert(
    "checkout: connection pool exhausted, requests rejected", severity="SEV1", delta_vs_baseline_pct=900,
    value=90, threshold=10,
)  # fmt: skip


# --- bounds ---


@pytest.mark.parametrize(("positives", "bound"), [(10, 0.2589), (37, 0.0778), (100, 0.0295), (0, 1.0)])
def test_no_miss_among_p_still_allows_a_miss_rate_that_p_alone_decides(positives, bound):
    assert miss_bound(positives) == pytest.approx(bound, abs=1e-4)
    if positives:
        assert lower_bound(positives, positives) == pytest.approx(1 - bound, abs=1e-4)


@pytest.mark.parametrize(("hits", "trials", "lower"), [(36, 37, 0.878), (95, 100, 0.897), (0, 5, 0.0)])
def test_the_lower_bound_of_a_rate_is_the_exact_binomial_one(hits, trials, lower):
    assert lower_bound(hits, trials) == pytest.approx(lower, abs=1e-3)


def test_a_threshold_keeps_its_promise_in_at_least_ninety_five_of_a_hundred_resamplings():
    source = random.Random(7)  # noqa: S311 - a simulation, not a secret
    held = 0
    for _ in range(100):
        drawn = [source.gauss(1, 1) for _ in range(60)]
        found = threshold_for(drawn, 0.97)
        later = [source.gauss(1, 1) for _ in range(4000)]
        held += sum(score >= found.value for score in later) / 4000 >= found.recall_lower
    assert held >= 95


def test_with_many_positives_some_may_be_missed_and_the_bound_still_holds():
    found = threshold_for([float(number) for number in range(1000)], 0.97)
    assert found.missed > 10
    assert found.recall_lower >= 0.97


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order(rows):
    scores, labels = [score for score, _ in rows], [label for _, label in rows]
    good = [score for score, label in rows if label]
    bad = [score for score, label in rows if not label]
    if not good or not bad:
        assert auc(scores, labels) is None
        return
    wins = sum((one > other) + 0.5 * (one == other) for one in good for other in bad)
    assert auc(scores, labels) == pytest.approx(wins / (len(good) * len(bad)))


def test_the_curve_falls_from_everything_kept_and_an_audit_weighs_by_chance():
    points = curve([0.9, 0.8, 0.3, 0.1], [True, False, True, False])
    assert points[-1] == {"threshold": 0.1, "set_aside": 0.0, "recall": 1.0, "precision": 0.5}
    assert [point["recall"] for point in points] == sorted(point["recall"] for point in points)
    rate, error = weighted_rate([(0.1, True), (0.5, False), (0.5, False)])
    assert rate == pytest.approx(10 / 14)
    assert error > 0


# --- training ---


def test_training_finds_what_tells_apart_and_gives_the_same_weights_again():
    samples = [{"bad": 1.0, "size": number / 10} for number in range(20)] + [{"fine": 1.0}] * 20
    labels = [True] * 20 + [False] * 20
    model = fit(samples, labels)
    assert model.weights["bad"] > 0 > model.weights["fine"]
    assert model == fit(samples, labels)
    assert model.probability({"bad": 1.0}) > 0.5 > model.probability({"fine": 1.0})


def test_a_way_that_is_known_beforehand_is_not_unlearnt_from_few_samples():
    samples, labels = [{"rise": 1.0}, {"rise": 1.0}, {}, {}], [False, False, True, True]
    assert fit(samples, labels).weights["rise"] < 0
    assert "rise" not in fit(samples, labels, signs={"rise": 1}).weights


def test_the_shipped_weights_are_read_as_they_were_written_and_name_what_they_promise():
    for part in shipped().values():
        assert read_part(written_part(part)) == part
        assert "each judged without its own source" in part.said
    assert set(shipped()) == {Domain.ALERT, Domain.MESSAGE}


# --- what the model may do ---


def test_routine_waits_in_the_backlog_and_what_is_grave_comes_into_focus():
    quiet, loud = judge(QUIET), judge(LOUD)
    assert (quiet.lane, loud.lane) == (Lane.BACKLOG, Lane.FOCUS)
    assert quiet.verdict.score < quiet.verdict.focus_from <= loud.verdict.score
    assert "routine words (−)" in quiet.verdict.reasons[0]


def test_the_model_never_sets_anything_aside_however_sure_it_is():
    never = Model({}, -50.0)
    verdict = judge(LOUD, Learned({"shop": Part(never, 0.9, "")})).verdict
    assert verdict.signal
    assert verdict.score >= verdict.threshold


def test_a_crash_is_judged_by_rules_alone_because_the_model_knows_none():
    crash = event(
        raised("KeyError", "'x'", frame("/app/shop/cart.py", 7, "total", "x = d[k]"), handled=False)
    )
    learned, ruled = judge(crash), judge(crash, Rules())
    assert domain(crash) is Domain.CRASH
    assert learned.verdict.score == ruled.verdict.score
    assert learned.lane is Lane.FOCUS


def test_an_alert_that_is_worse_than_it_ever_was_is_not_demoted():
    before = past_of([QUIET] * 6)
    worse = QUIET.model_copy(update={"contexts": {"alert": {**QUIET.contexts["alert"], "value": 52}}})
    assert before.count == 6
    assert not escalates(QUIET, before)
    done = judge(worse, past=before)
    assert done.lane is Lane.FOCUS
    assert done.verdict.reasons[0].startswith("escalation: ")


def test_what_an_alert_does_not_say_is_no_feature():
    assert behaviour(event(message="down", contexts={"alert": {}}), Past()) == {"grave words": 1.0}
    assert (
        behaviour(event(message="x", contexts={"alert": {"value": "NaN", "threshold": None}}), Past()) == {}
    )


# --- a team's own labels ---


def labels(count):
    return [
        Label(f"INC-{number}", {"routine": 1.0} if number % 3 else {"grave": 1.0}, not number % 3)
        for number in range(count)
    ]


def test_a_team_gets_a_model_with_the_bound_that_its_labels_carry():
    calibration = recalibrate(labels(120))
    assert calibration is not None
    assert calibration.threshold.recall_lower == pytest.approx(
        1 - miss_bound(calibration.threshold.positives), abs=1e-3
    )
    assert calibration.cut == pytest.approx(2 / 3, abs=0.1)
    assert calibration.model.probability({"grave": 1.0}) >= calibration.focus_from
    assert "95 % confidence" in calibration.said


def test_too_few_labels_are_no_calibration():
    assert recalibrate(labels(20)) is None


def test_a_back_test_names_what_would_flip_and_first_what_would_leave_focus():
    found = flips(
        {"INC-1": False, "INC-2": True, "INC-3": True}, {"INC-1": True, "INC-2": False, "INC-3": True}
    )
    assert [(flip.id, flip.before, flip.after) for flip in found] == [
        ("INC-2", True, False),
        ("INC-1", False, True),
    ]


def test_an_audit_draws_the_same_again_and_likelier_what_is_likelier_to_matter():
    chances = {f"INC-{number}": 0.9 if number < 10 else 0.02 for number in range(200)}
    drawn = audit_sample(chances, 40, "monday")
    assert drawn == audit_sample(chances, 40, "monday")
    by_name = {draw.id: draw.chance for draw in drawn}
    assert max(by_name.values()) > 5 * min(by_name.values())
    assert any(name not in {f"INC-{number}" for number in range(10)} for name in by_name)

"""Events of eleven platforms, written before the rules were looked at: nothing of a team's is lost, noise is set aside.

`kind` is what a person would say of the event; it is read for scoring only.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from server.evaluation.noise import judge
from server.evaluation.noise_rows import read_rows
from store.incident import Kind, Lane
from triage.learned import Learned

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "cold" / "events.jsonl"


@pytest.fixture(scope="module")
def judged():
    kinds = {row["id"]: row["kind"] for row in map(json.loads, CORPUS.read_text("utf-8").splitlines())}
    classifier = Learned()
    return [(kinds[row.id], judge(row, classifier)) for row in read_rows(CORPUS)]


def test_no_bug_in_any_language_is_set_aside_or_left_out_of_focus(judged):
    bugs = [case for kind, case in judged if kind == "bug"]
    assert len(bugs) >= 70
    assert [case.row.id for case in bugs if case.triage.lane is not Lane.FOCUS] == []


def test_most_noise_is_set_aside_and_each_time_by_a_rule_with_a_name(judged):
    noise = [case for kind, case in judged if kind == "noise"]
    aside = [case for case in noise if case.triage.lane is Lane.NOISE]
    rules = Counter(case.triage.verdict.reasons[0].partition(":")[0] for case in aside)
    assert len(noise) >= 100
    assert len(aside) >= 0.95 * len(noise)
    assert set(rules) >= {
        "client_disconnect",
        "interrupt",
        "third_party_script",
        "rejected_input",
        "cli_usage",
    }
    assert sum(rules.values()) == len(aside)


def test_trouble_of_machines_and_networks_waits_with_its_class_and_is_never_noise(judged):
    trouble = [case for kind, case in judged if kind == "infrastructure"]
    lanes = Counter(case.triage.lane for case in trouble)
    assert lanes[Lane.NOISE] == 0
    assert lanes[Lane.BACKLOG] >= 0.95 * len(trouble) > 38
    assert {case.triage.verdict.kind for case in trouble} <= {Kind.INFRASTRUCTURE, Kind.DEPENDENCY}

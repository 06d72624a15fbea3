"""`nightdesk eval noise` and `eval grouping` on small labelled files, `calibrate` and `audit` on a house."""

from __future__ import annotations

import gzip
import json
import random

import pytest
from click.testing import CliRunner

from server.cli import cli
from server.config import load
from server.house import House
from server.knowing.teams import FOLDER
from store import hosts, queries
from tests.unit.triage_samples import event, frame, raised


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def alerts(source, count, seed):
    """Alerts of one source: a fifth of them rise far above their baseline and stay."""
    draw = random.Random(seed)  # noqa: S311 - test data
    for number in range(count):
        bad = number % 5 == 0
        page = {
            "value": draw.uniform(30, 90) if bad else draw.uniform(10, 10.5), "threshold": 10,
            "severity": "SEV1" if bad else "SEV4", "fired_count_last_1h": 1 if bad else 12,
            "auto_resolved_after_s": None if bad else 20,
            "fired_at": f"2026-05-20T{number // 60:02}:{number % 60:02}:00Z",
        }  # fmt: skip
        pattern = {"delta_vs_baseline_pct": 800 if bad else 2}
        text = f"{'requests rejected, pool exhausted' if bad else 'routine rotation'} on {source} {chr(97 + number % 26)}x"
        yield {
            "id": f"{source}-{number}", "source": source, "kind": "metric-alert", "exception": None,
            "message": "m", "text": text, "stack": None, "context": {"page": page, "pattern": pattern},
            "label": "actionable" if bad else "noise", "label_raw": "SECRET", "must_page": bad,
        }  # fmt: skip


def crash_row():
    frames = [{"filename": "/app/a.py", "function": "f", "lineno": 3, "in_app": True, "context_line": "x[1]"}]
    value = {
        "type": "IndexError",
        "value": "x",
        "stacktrace": {"frames": frames},
        "mechanism": {"handled": False},
    }
    sent = {"platform": "python", "exception": {"values": [value]}}
    return {"id": "c1", "source": "crashes", "event": sent, "label": "actionable"}


@pytest.fixture
def labelled(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    rows = [*alerts("bench:a", 60, 1), *alerts("bench:b", 60, 2), crash_row()]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    return path


def test_each_source_is_measured_apart_with_its_bound_threshold_and_curve(labelled):
    done = run("eval", "noise", labelled, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert set(found) == {"summary", "cases"}
    assert set(found["summary"]["sources"]) == {"bench:a", "bench:b", "crashes"}
    figures = found["summary"]["sources"]["bench:a"]
    assert (figures["n"], figures["base_rate"], figures["lost"]) == (60, 0.2, 0)
    assert figures["cut"] >= 0.6
    assert figures["recall"] == 1.0
    assert figures["recall_lower"] == pytest.approx(0.05 ** (1 / 12), abs=1e-3)
    assert figures["auc"] > 0.9
    assert figures["curve"][0]["set_aside"] > figures["curve"][-1]["set_aside"]
    assert found["summary"]["sources"]["crashes"]["lanes"]["focus"] == 1
    assert {case["lane"] for case in found["cases"]} <= {"focus", "backlog", "noise"}
    assert all(case["reasons"] for case in found["cases"])


def test_the_table_says_what_was_cut_and_what_was_lost(labelled):
    done = run("eval", "noise", labelled)
    assert done.exit_code == 0, done.output
    assert "recall ≥ (95 %)" in done.output
    assert "= bench" in done.output
    assert "do not pool them" in done.output


def test_with_other_labels_it_is_calibrated_first_and_prints_what_they_carry(labelled, tmp_path):
    train = tmp_path / "train.jsonl"
    train.write_text("\n".join(json.dumps(row) for row in alerts("bench:a", 150, 3)))
    found = json.loads(run("eval", "noise", labelled, "--train", train, "--json").output)
    calibration = found["summary"]["sources"]["bench:a"]["calibration"]
    assert calibration["positives"] > 5
    assert calibration["missed"] == 0
    assert calibration["no_miss_bound"] == pytest.approx(1 - calibration["recall_lower"], abs=1e-3)
    assert "95 % confidence" in calibration["said"]
    assert found["summary"]["calibrated"] is True


def test_what_tells_the_answer_is_not_read(labelled, tmp_path):
    poisoned = tmp_path / "poisoned.jsonl"
    rows = [json.loads(line) for line in gzip.decompress(labelled.read_bytes()).splitlines()]
    for row in rows:
        row["label_raw"], row["must_page"] = "debug->error", not row.get("must_page")
        row["label_provenance_do_not_use_as_input"] = {"subject": row["label"] * 9}
    poisoned.write_text("\n".join(map(json.dumps, rows)))
    plain, other = (json.loads(run("eval", "noise", path, "--json").output) for path in (labelled, poisoned))
    assert plain == other


def test_a_line_that_is_no_labelled_event_is_named(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": "1", "source": "s", "label": "perhaps", "event": {}}\n')
    done = run("eval", "noise", path)
    assert done.exit_code == 1
    assert "Line 1 of" in str(done.output) + str(done.exception)


def test_grouping_counts_pairs_groups_and_what_is_exactly_right(tmp_path):
    def row(name, group, function):
        frames = [{"module": "m", "filename": "m.py", "function": function, "lineno": 1, "in_app": True}]
        value = {"type": "E", "value": name, "stacktrace": {"frames": frames}}
        return {"id": name, "group": group, "event": {"platform": "python", "exception": {"values": [value]}}}

    path = tmp_path / "groups.jsonl"
    rows = [row("1", "a", "f"), row("2", "a", "f"), row("3", "a", "g"), row("4", "b", "h")]
    path.write_text("\n".join(map(json.dumps, rows)))
    found = json.loads(run("eval", "grouping", path, "--json").output)
    summary = found["summary"]
    assert (summary["groups_wanted"], summary["groups_made"]) == (2, 3)
    assert summary["pairwise_precision"] == 1.0
    assert summary["pairwise_recall"] == pytest.approx(1 / 3, abs=1e-4)
    assert summary["grouping_accuracy"] == 0.25
    assert [case["group"] for case in found["cases"]] == ["a", "a", "a", "b"]
    assert "wanted" in run("eval", "grouping", path).output


# --- a team's own words ---


@pytest.fixture
def taught(tmp_path):
    """A house with crashes and chatter, most of which a person has judged."""
    with House.open(load(tmp_path)) as house:
        for number in range(60):
            chatter = number % 2
            name = (
                f"{'poll' if chatter else 'charge'}_{'abcdefghij'[number % 10]}{'klmnopqrst'[number // 10]}"
            )
            kind = "StaleCache" if chatter else "LedgerMismatch"
            found = event(
                raised(kind, "x", frame("/app/a.py", 3, name, "x = y", module="a"), handled=True),
                event_id=f"{number:032x}", project="default",
            )  # fmt: skip
            house.receive([found])
        known = sorted(queries.incidents(house.database), key=lambda one: int(one.id[4:]))
    for incident in known[:50]:
        word = "noise" if incident.title.startswith("StaleCache") else "not-noise"
        assert run(word, incident.id, "--data", tmp_path).exit_code == 0
    return tmp_path


@pytest.mark.heavy
def test_a_teams_words_are_calibrated_on_only_when_it_says_so(taught):
    shown = json.loads(run("calibrate", "--data", taught, "--json").output)
    assert (shown["labels"], shown["mattering"], shown["applied"]) == (50, 25, False)
    assert shown["recall_lower"] > 0.5
    with House.open(load(taught)) as house:
        assert hosts.calibrations(house.database) == {}
    applied = run("calibrate", "--apply", "--data", taught)
    assert applied.exit_code == 0, applied.output
    assert "In force" in applied.output
    with House.open(load(taught)) as house:
        last = max(queries.incidents(house.database), key=lambda one: int(one.id[4:]))
        verdict = house.triage_incident(last.id).verdict
        (kept,) = hosts.calibrations(house.database).values()
    assert last.title.startswith("StaleCache")
    assert verdict.score < verdict.focus_from
    assert "StaleCache" not in verdict.reasons[0]
    assert json.loads(run("calibrate", "--forget", "--data", taught, "--json").output)["forgotten"] is True

    (taught / FOLDER).mkdir()  # as an earlier version kept it
    (taught / FOLDER / "default.json").write_text(json.dumps({"project": "default", **kept}))
    (taught / FOLDER / "gone.json").write_text(json.dumps({"project": "gone", **kept}))
    with House.open(load(taught)) as house:
        assert hosts.calibrations(house.database) == {"default": kept}
        assert house.triage_incident(last.id).verdict.score == verdict.score
    assert [path.name for path in (taught / FOLDER).iterdir()] == ["gone.json"]


def test_without_labels_nothing_is_calibrated_and_the_answer_is_no(tmp_path):
    done = run("calibrate", "--data", tmp_path)
    assert done.exit_code == 3
    assert "Too few" in done.output


def test_an_audit_offers_some_of_what_was_set_aside_with_the_chance_of_each(taught):
    drawn = json.loads(run("audit", "--count", 10, "--data", taught, "--json").output)
    assert drawn
    assert all(0 < one["chance"] <= 1 for one in drawn)
    assert drawn == json.loads(run("audit", "--count", 10, "--data", taught, "--json").output)
    assert "chance" in run("audit", "--data", taught).output

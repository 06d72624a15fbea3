"""`nightdesk eval causes` on a small history with a planted change: right figures, and no way to the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server.cli import cli
from server.evaluation.change_cases import read_cases
from tests.journeys.histories import History

GOOD = "def total(order):\n    return order['price']\n\n\ndef label(order):\n    return order['name']\n"
WRONG = GOOD.replace("order['price']", "order['unit']")
LATER = WRONG.replace("order['name']", "order['name'].strip()")
TRACE = """Traceback (most recent call last):
  File "/srv/app/shop/orders.py", line 2, in total
    return order['unit']
           ~~~~~^^^^^^^^
KeyError: 'unit'"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder of histories as `--repos` wants it, and the hashes of the commits."""
    folder = tmp_path_factory.mktemp("repos")
    source = History(folder / "ann+shop" / "repo")
    shas = {"first": source.commit("Start", {"shop/orders.py": GOOD})}
    shas["culprit"] = source.commit("By unit", {"shop/orders.py": WRONG})
    shas["incident"] = source.commit("Strip", {"shop/orders.py": LATER})
    shas["fix"] = source.commit("By price again", {"shop/orders.py": LATER.replace("'unit'", "'price'")})
    return folder, shas


def labelled(folder: Path, shas: dict[str, str], **more: Any) -> Path:
    row = {
        "id": "ann/shop@1", "repo": "ann/shop", "incident_sha": shas["incident"], "incident_time": 1_767_600_000,
        "culprit_shas": [shas["culprit"]], "label": "A", "functions": {"shop/orders.py": ["total"]},
        "trace": {"text": TRACE}, **more,
    }  # fmt: skip
    absent = {**row, "id": "ann/gone@1", "repo": "ann/gone"}
    untraced = {**row, "id": "ann/shop@2", "trace": None}
    path = folder / "cases.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in (row, absent, untraced)) + "\n")
    return path


def run(cases: Path, repos: Path, *options: str) -> dict[str, Any]:
    words = [
        "eval",
        "causes",
        str(cases),
        "--repos",
        str(repos),
        "--cache",
        str(cases.parent / "cache"),
        "--json",
    ]
    done = CliRunner().invoke(cli, [*words, *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", ["trace", "functions"])
def test_the_planted_change_is_named_first_and_the_figures_say_so(
    tmp_path: Path, world: tuple[Path, dict[str, str]], kind: str
) -> None:
    repos, shas = world
    report = run(labelled(tmp_path, shas), repos, "--input", kind, "--window", "365")
    summed = report["summary"]
    expected = 1 if kind == "trace" else 2
    assert (summed["n"], summed["not_asked"], summed["coverage"]) == (expected, 1, 1.0)
    assert (summed["top1"], summed["top5"], summed["mrr"]) == (1.0, 1.0, 1.0)
    assert summed["median_s"] > 0
    assert set(summed["baselines"]) == {
        "blame of the lines",
        "blame of the functions",
        "newest over the files",
    }
    assert summed["baselines"]["blame of the functions"]["top1"] == 1.0
    assert summed["baselines"]["newest over the files"]["top1"] == 0.0
    cases = {case["id"]: case for case in report["cases"]}
    assert cases["ann/shop@1"]["first"] == shas["culprit"]
    assert "There is no ann+gone/repo" in cases["ann/gone@1"]["problem"]


def test_a_culprit_outside_the_window_lowers_the_coverage_and_no_rate(
    tmp_path: Path, world: tuple[Path, dict[str, str]]
) -> None:
    repos, shas = world
    late = labelled(tmp_path, shas, incident_time=1_767_600_000 + 400 * 86_400)
    summed = run(late, repos, "--window", "30")["summary"]
    assert (summed["n"], summed["coverage"], summed["top1"]) == (0, 0.0, None)


def test_the_answer_and_what_came_later_are_not_an_input(
    tmp_path: Path, world: tuple[Path, dict[str, str]]
) -> None:
    repos, shas = world
    plain = run(labelled(tmp_path, shas), repos)["cases"][0]
    poisoned = run(
        labelled(
            tmp_path, shas, culprit_shas=[shas["first"]], lines={"shop/orders.py": {"deleted": [1]}},
            fix_sha=shas["fix"], fix_message=f"Regression in {shas['first']}", gap_days=3,
        ),
        repos,
    )["cases"][0]  # fmt: skip
    for case in (plain, poisoned):
        assert case["first"] == shas["culprit"]
        assert case["candidates"] == 3
    assert shas["fix"] not in json.dumps(poisoned)


def test_a_line_that_is_no_case_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "x"}\n')
    done = CliRunner().invoke(cli, ["eval", "causes", str(path), "--repos", str(tmp_path)])
    assert done.exit_code == 1
    assert "cases.jsonl:1 is no labelled change" in done.output


def test_the_shared_cases_can_all_be_read(shared: Path) -> None:
    cases = read_cases(shared / "causes" / "dev.jsonl")
    assert len(cases) == 882
    assert sum(question.trace is not None for question, _ in cases) == 149

"""The repository's own tests beside a patch: those that reach it first, then all; the base's run once for a release."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixloop import Job, Result, Sandbox
from fixloop.bench import Bench, Budget
from fixloop.blocks import unified
from fixloop.judging.applied import Case, prepare
from fixloop.judging.regressions import Regressions
from fixloop.judging.suite import run_suite
from fixloop.running.environments import Environments
from fixloop.running.kept import MOST, Kept
from fixloop.running.worlds import Layout, RepoLayout, Trees
from fixloop.sandboxes import best
from store.errors import BudgetSpent
from store.mirrors import Mirrors
from store.repair import Patch

PRICES = "def price(order):\n    return order['price']\n\n\ndef tax(order):\n    return order['tax']\n"
WORDS = "def plural(word):\n    return word + 's'\n"
FILES = {
    "prices.py": PRICES,
    "words.py": WORDS,
    "tests/test_prices.py": "from prices import price\n\n\ndef test_price():\n    assert price({'price': 3}) == 3\n",
    "tests/test_words.py": (
        "from words import plural\n\n\ndef test_plural():\n    assert plural('cat') == 'cats'\n\n\n"
        "def test_that_fails_already():\n    assert plural('sheep') == 'sheep'\n"
    ),
    "tests/test_both.py": (
        "import importlib\n\n\ndef test_both():\n    prices = importlib.import_module('prices')\n"
        "    assert prices.tax({'tax': 1}) == 1\n"
    ),
}


@dataclass
class Counted:
    """The real sandbox; `first` has the files that each run of pytest was narrowed down to."""

    real: Sandbox
    name: str = "counted"
    told: list[str] = field(default_factory=list)

    def run(self, job: Job, stdin: bytes = b"") -> Result:
        self.told.append(stdin.decode())
        return self.real.run(job, stdin)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    sandbox = best()
    if not sandbox.self_test().ok:
        pytest.skip(sandbox.self_test().said)
    folder = tmp_path_factory.mktemp("regressions")
    origin = folder / "origin"
    for path, text in FILES.items():
        (origin / path).parent.mkdir(parents=True, exist_ok=True)
        (origin / path).write_text(text)
    _git(origin, "init", "-q", "-b", "main")
    _git(origin, "add", ".")
    _git(origin, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-q", "-m", "all")
    mirrors = Mirrors(folder / "mirrors")
    mirrors.add("shop", str(origin))
    layout = Layout(
        (RepoLayout("shop", mirrors.get("shop").head()),), {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    )
    environment = Environments(folder / "environments").prepare("", allow_network=False)
    return Bench(
        mirrors, sandbox, environment, layout, Trees(folder / "trees", mirrors), lambda: datetime.now(UTC)
    )


def _git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", *words], cwd=folder, check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    )


def case_of(bench: Bench, path: str, new: str) -> Case:
    diff = unified({path: FILES[path]}, {path: new})
    case = prepare(bench, bench.world(), Patch(diffs={"shop": diff}, base_commits={}, fixer="submitted"))
    assert isinstance(case, Case)
    return case


def counting(bench: Bench, kept: Kept | None = None) -> tuple[Bench, Counted]:
    counted = Counted(bench.sandbox)
    return replace(bench, sandbox=counted, kept=kept), counted


def whole(told: Sequence[str]) -> list[bool]:
    """For each run, whether it was one of the whole suite."""
    return ['"files": []' in one and '"tests": []' in one for one in told]


def test_the_tests_that_reach_a_patch_are_run_before_the_whole_suite(bench: Bench) -> None:
    narrow, counted = counting(bench)
    case = case_of(narrow, "prices.py", PRICES.replace("order['price']", "order.get('price')"))
    tests = Regressions(narrow, narrow.world())
    assert tests.first(case, "shop") == (None, "hold: 1 passed of 1 file(s)")
    assert tests.whole(case, "shop") == (None, "holds")
    assert whole(counted.told) == [False, False, True, True]
    after = case.findings["suite_after"]["shop"]
    assert (after["affected"]["files"], after["affected"]["collected"]) == (["tests/test_prices.py"], 1)
    assert (after["collected"], after["passed"], after["failed"]) == (4, 3, 1)


def test_a_patch_that_breaks_a_test_which_reaches_it_needs_no_whole_suite(bench: Bench) -> None:
    narrow, counted = counting(bench)
    case = case_of(narrow, "prices.py", PRICES.replace("order['price']", "None"))
    refusal, _ = Regressions(narrow, narrow.world()).first(case, "shop")
    assert refusal is not None
    assert (refusal.rule, refusal.said) == (
        "suite", "shop: a test that passed fails now: tests/test_prices.py::test_price",
    )  # fmt: skip
    assert not any(whole(counted.told))


def test_what_no_file_of_tests_names_is_held_to_the_whole_suite(bench: Bench) -> None:
    case = case_of(bench, "prices.py", PRICES.replace("order['tax']", "None"))
    tests = Regressions(bench, bench.world())
    assert tests.first(case, "shop")[0] is None
    refusal, said = tests.whole(case, "shop")
    assert refusal is not None
    assert "tests/test_both.py::test_both" in said


def test_the_suites_run_on_the_base_is_not_made_again_at_the_same_release(
    bench: Bench, tmp_path: Path
) -> None:
    kept = Kept(tmp_path / "suites")
    for wanted, before in (([False, False, True, True], False), ([False, True], True)):
        narrow, counted = counting(bench, kept)
        case = case_of(narrow, "prices.py", PRICES.replace("order['price']", "order.get('price')"))
        tests = Regressions(narrow, narrow.world())
        assert (tests.first(case, "shop")[0], tests.whole(case, "shop")[0]) == (None, None)
        assert whole(counted.told) == wanted
        assert case.findings["suite_before"]["shop"]["kept"] is before


def test_a_kept_run_counts_only_for_the_very_same_release(bench: Bench, tmp_path: Path) -> None:
    kept = Kept(tmp_path / "suites")
    changed = replace(bench.layout, env={**bench.layout.env, "SHOP_MODE": "other"})
    for layout in (bench.layout, changed):
        narrow, counted = counting(replace(bench, layout=layout), kept)
        case = case_of(narrow, "words.py", WORDS.replace("word + 's'", "f'{word}s'"))
        assert Regressions(narrow, narrow.world()).whole(case, "shop")[0] is None
        assert whole(counted.told) == [True, True]


@pytest.mark.heavy
def test_a_suite_that_is_cut_on_the_base_is_compared_as_far_as_it_came(bench: Bench, tmp_path: Path) -> None:
    slow = "\n\ndef test_z_that_never_ends():\n    while True:\n        pass\n"
    tree = tmp_path / "tree"
    for path, text in FILES.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text + (slow if path == "tests/test_words.py" else ""))
    world = bench.world().with_tree("shop", tree)
    before = run_suite(bench.sandbox, world, "shop", wall=4.0)
    assert (before.cut, before.complete, len(before.collected), len(before.outcomes)) == (True, False, 5, 4)
    after = run_suite(bench.sandbox, world, "shop", tests=tuple(before.outcomes), wall=30.0)
    assert (after.complete, after.outcomes) == (True, before.outcomes)


def test_no_suite_is_begun_when_the_attempts_time_is_over(bench: Bench) -> None:
    over = replace(bench, budget=Budget(0.0))
    case = case_of(over, "prices.py", PRICES.replace("order['price']", "order.get('price')"))
    with pytest.raises(BudgetSpent):
        Regressions(over, over.world()).first(case, "shop")


def test_what_is_kept_is_bounded_and_nothing_of_it_is_needed(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    for number in range(MOST + 5):
        kept.put(f"{number:064x}", b"a result")
    assert len(list((tmp_path / "kept").iterdir())) == MOST
    spoiled = next((tmp_path / "kept").iterdir())
    spoiled.write_bytes(b"not what was kept")
    assert (kept.get(spoiled.name), kept.get("0" * 63 + "x")) == (None, None)


def test_tests_whose_names_are_others_in_every_run_are_known_by_their_place(
    bench: Bench, tmp_path: Path
) -> None:
    moment = (
        "import time\n\nimport pytest\n\n\n@pytest.mark.parametrize('now', [str(time.time()), 'never'])\n"
    )
    text = f"{moment}def test_now(now):\n    import words\n    assert words.plural(now).endswith('s')\n"
    base = bench.world().with_tree("shop", _tree(tmp_path / "base", {"tests/test_words.py": text}))
    for new, held in (("f'{word}s'", True), ("word[:5] + ('s' if word == 'never' else '')", False)):
        words = WORDS.replace("word + 's'", new)
        case = case_of(bench, "words.py", words)
        tree = _tree(tmp_path / str(held), {"tests/test_words.py": text, "words.py": words})
        case.world = bench.world().with_tree("shop", tree)
        refusal, said = Regressions(bench, base).whole(case, "shop")
        assert (refusal is None) is held, said


def test_lines_that_the_teams_own_tests_run_are_told(bench: Bench) -> None:
    longer = "def price(order):\n    if order:\n        return order['price']\n    return None\n\n\n"
    case = case_of(
        bench, "prices.py", PRICES.replace("def price(order):\n    return order['price']\n\n\n", longer)
    )
    assert Regressions(bench, bench.world()).first(case, "shop")[0] is None
    assert case.lines == {"/src/shop/prices.py": {1, 2, 3}}


def _tree(folder: Path, files: dict[str, str]) -> Path:
    for path, text in {**FILES, **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def test_a_suite_on_the_base_that_the_attempts_time_has_cut_is_nothing_to_go_by(
    bench: Bench, tmp_path: Path
) -> None:
    endless = {"tests/test_words.py": "def test_z_that_never_ends():\n    while True:\n        pass\n"}
    late = replace(bench, budget=Budget(1.0))
    case = case_of(late, "words.py", WORDS.replace("word + 's'", "f'{word}s'"))
    with pytest.raises(BudgetSpent):
        Regressions(late, late.world().with_tree("shop", _tree(tmp_path / "base", endless))).whole(
            case, "shop"
        )

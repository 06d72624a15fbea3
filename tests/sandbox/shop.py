"""A small shop with a dated history and a planted cause, and the trial that its crash gives. Real git, real
sandbox."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixloop.bench import Bench
from fixloop.blocks import unified
from fixloop.judging.judge import Judge, Trial
from fixloop.loop import Repair
from fixloop.running.environments import Environments
from fixloop.running.worlds import Layout, RepoLayout, Trees
from fixloop.sandboxes import best
from fixloop.situation import ReleaseSources
from store.event import Event, ExceptionValue, Frame
from store.mirrors import Mirrors
from store.repair import Attempt, Patch

CATALOGUE = '''"""What is sold, and which coupons hold."""

PRODUCTS = {"mug": {"cents": 900}, "poster": {"cents": 1500}}
COUPONS = {"SPRING": 100, "STAFF": 300}
'''

QUOTES = '''"""What a customer pays."""

import sys

from shop.catalogue import COUPONS, PRODUCTS


def quote(order):
    """The price of an order in cents, or None where its article is not sold."""
    price = price_of(order["sku"])
    if price is None:
        return None
    return order["count"] * (price - reduction(order))


def price_of(sku):
    """Cents for one piece, or None where it is not sold."""
    product = PRODUCTS.get(sku)
    return product["cents"] if product else None


def reduction(order):
    """Cents off for each piece."""
    return COUPONS[order["coupon"]]


def main(words):
    """Print the price of one article, for the shop's own people."""
    if len(words) != 1:
        sys.exit("usage: quotes ARTICLE")
    print(price_of(words[0]))
'''

CLOCK = '''"""What day it is."""

import datetime


def today():
    """The day, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).date()
'''

CONFTEST = """import pytest


@pytest.fixture
def spring():
    return {"sku": "mug", "count": 1, "coupon": "SPRING"}
"""

TESTS = """from shop.quotes import price_of, quote


def test_a_coupon_takes_its_cents_off_each_piece(spring):
    assert quote(spring) == 800
    assert quote({"sku": "poster", "count": 2, "coupon": "STAFF"}) == 2400


def test_what_is_not_sold_has_no_price():
    assert quote({"sku": "sofa", "count": 1}) is None
    assert price_of("mug") == 900
"""

GOOD_LINE = '    return COUPONS.get(order.get("coupon"), 0)\n'
BAD_LINE = '    return COUPONS[order["coupon"]]\n'
RELEASE = {
    "shop/__init__.py": "",
    "shop/catalogue.py": CATALOGUE,
    "shop/quotes.py": QUOTES,
    "shop/clock.py": CLOCK,
    "tests/conftest.py": CONFTEST,
    "tests/test_quotes.py": TESTS,
    "pytest.ini": "[pytest]\ntestpaths = tests\n",
}


@dataclass(frozen=True)
class Court:
    """The judge of the shop's incident, and the attempt that led to it."""

    judge: Judge
    trial: Trial
    attempt: Attempt
    bench: Bench


def git(folder: Path, *words: str, at: str = "2024-03-01T10:00:00+00:00") -> str:
    """Run git in `folder` as one fixed author at a fixed time."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_AUTHOR_DATE": at,
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
        "GIT_COMMITTER_DATE": at,
    }
    done = subprocess.run(
        ["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def make_repository(folder: Path) -> str:
    """The shop's history: first release, the culprit, and a harmless change after it. Returns the last
    commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    quotes = RELEASE["shop/quotes.py"]
    history = (
        ("The shop opens", "2024-03-01", {**RELEASE, "shop/quotes.py": quotes.replace(BAD_LINE, GOOD_LINE)}),
        ("Look coupons up directly", "2024-05-02", {"shop/quotes.py": quotes}),
        ("Say what the shop is", "2024-06-03", {"README.md": "A shop.\n"}),
    )
    for subject, day, files in history:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", subject, at=f"{day}T10:00:00+00:00")
    return git(folder, "rev-parse", "HEAD")


def crash() -> Event:
    """The report of an order without a coupon, as an SDK sends it."""
    lines = QUOTES.splitlines()
    order = {"sku": "'mug'", "count": "2"}

    def frame(function: str, text: str, **kept: object) -> Frame:
        return Frame(
            function=function,
            module="shop.quotes",
            filename="shop/quotes.py",
            abs_path="/app/shop/quotes.py",
            lineno=lines.index(text) + 1,
            in_app=True,
            context_line=text,
            vars=dict(kept),
        )

    outer = frame("quote", '    return order["count"] * (price - reduction(order))', order=order, price="900")
    inner = frame("reduction", BAD_LINE.rstrip("\n"), order=order)
    moment = datetime(2024, 6, 10, tzinfo=UTC)
    error = ExceptionValue(type="KeyError", value="'coupon'", frames=(outer, inner), handled=False)
    return Event(
        event_id="e" * 32,
        project="shop",
        received_at=moment,
        timestamp=moment,
        platform="python",
        exceptions=(error,),
    )


def open_court(folder: Path) -> Court:
    """Run the loop up to the reproducer and hand over what patches are judged against."""
    sandbox = best()
    tested = sandbox.self_test()
    if not tested.ok:
        pytest.skip(tested.said)
    commit = make_repository(folder / "origin")
    mirrors = Mirrors(folder / "mirrors")
    mirrors.add("shop", str(folder / "origin"))
    environment = Environments(folder / "environments").prepare("", allow_network=False)
    layout = Layout((RepoLayout("shop", commit),), {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    bench = Bench(
        mirrors,
        sandbox,
        environment,
        layout,
        Trees(folder / "trees", mirrors),
        lambda: datetime.now(UTC),
        runs=20,
    )
    attempt = Attempt(id="A1", incident_id="INC-1", started_at=datetime.now(UTC))
    repair = Repair(attempt, [crash()], ReleaseSources(mirrors, layout.commits, {}), bench)
    finished = repair.until("minimise")
    assert repair.trial is not None, [step.said for step in finished.steps]
    return Court(Judge(bench, repair.trial), repair.trial, finished, bench)


Edit = tuple[
    str, str | None, str
]  # path, the text that is replaced (None: the whole file is new), what takes its place


def patch_of(*edits: Edit) -> Patch:
    """A patch of the shop out of edits."""
    old: dict[str, str | None] = {}
    new: dict[str, str | None] = {}
    for path, before, after in edits:
        text = new.get(path, RELEASE.get(path))
        old[path] = RELEASE.get(path)
        if before is None:
            new[path] = after
            continue
        assert text is not None
        assert text.count(before) == 1, f"{before!r} is not once in {path}"
        new[path] = text.replace(before, after)
    return Patch(diffs={"shop": unified(old, new)}, base_commits={}, fixer="submitted")

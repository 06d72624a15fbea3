"""A reproducer is right where it fails on the crash and passes on what the authors made of it: programs with their fixes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixloop.running.environments import Environments
from fixloop.running.runner import Runner
from fixloop.running.worlds import Layout, RepoLayout, Trees, World
from fixloop.sandboxes import best
from store.mirrors import Mirrors
from tests.sandbox.histories import History, run_loop, write
from tests.sandbox.mended_programs import MENDED
from tests.sandbox.more_mended_programs import MORE
from tests.sandbox.test_kinds_of_crashes import reported

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]
EVERY = {**MENDED, **MORE}
SOME = "positional-repr"  # of which the default command tries one


def on_the_fix(folder: Path, name: str) -> tuple[bool, str, str]:
    """Whether the test fails every time on the crash, what it gives on the fix, and its text."""
    found = EVERY[name]
    history = History("app", [("Start", "2024-01-01", found.program.files)])
    event = reported(folder, found.program)
    attempt = run_loop(folder, [history], event, environments=folder / "environments").attempt
    written = attempt.reproducer
    assert written is not None, attempt.said
    fixed = History("app", [*history.commits, ("Fix", "2024-01-02", found.fixed)])
    commit = write(folder / "fixed", fixed)[-1]
    mirrors = Mirrors(folder / "mirrors-fixed")
    mirrors.add("app", str(folder / "fixed"))
    environment = Environments(folder / "environments").prepare("", allow_network=False)
    tree = Trees(folder / "trees-fixed", mirrors).at("app", commit)
    world = World(Layout((RepoLayout("app", commit),)), {"app": tree}, environment)
    with Runner(best(), world) as runner:
        outcome = runner.run(written.source, "test_inc_1", watch=False)[0]
    return written.failures == written.runs, outcome.status, written.source


def test_the_test_of_a_crash_passes_on_what_its_authors_made_of_it(tmp_path: Path) -> None:
    fails, fixed, source = on_the_fix(tmp_path, SOME)
    assert (fails, fixed) == (True, "ok"), source
    assert 'scanner = Scanner("212345", at=' in source


@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted({*EVERY} - {SOME}))
def test_the_test_of_each_other_crash_passes_on_its_fix(tmp_path: Path, name: str) -> None:
    fails, fixed, source = on_the_fix(tmp_path, name)
    assert (fails, fixed) == (True, "ok"), source

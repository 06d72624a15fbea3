"""What lies mounted in the sandbox's scratch folder is the environment's, and is left alone between runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fixloop import Mount
from fixloop.running.environments import Environments
from fixloop.running.runner import Runner
from fixloop.running.worlds import Layout, RepoLayout, World
from fixloop.sandboxes import best

pytestmark = pytest.mark.sandbox
CALL = """
import pathlib

def call():
    left = pathlib.Path("/tmp/left")
    seen = left.exists()
    left.write_text("")
    return seen
"""


def test_runs_answer_and_stay_apart_where_something_is_mounted_in_the_scratch_folder(tmp_path: Path) -> None:
    sandbox = best()
    if not (tested := sandbox.self_test()).ok:
        pytest.skip(tested.said)
    tree, mounted = tmp_path / "tree", tmp_path / "mounted"
    tree.mkdir()
    mounted.mkdir()
    (mounted / "module.py").write_text("")
    environment = Environments(tmp_path / "environments").prepare("", f"3.{sys.version_info.minor}")
    environment = replace(environment, mounts=(*environment.mounts, Mount(mounted, "/tmp/deep/mounted")))
    world = World(Layout((RepoLayout("shop", "0" * 40),)), {"shop": tree}, environment)
    with Runner(sandbox, world) as runner:
        outcomes = runner.run(CALL, times=3)
    assert [(outcome.status, outcome.value) for outcome in outcomes] == [("ok", False)] * 3

"""Applications that crash for one thing outside of them: not brought back from the event, brought back from its capsule."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.worlds import CORPUS, climb, record
from fixloop.sandboxes import best

pytestmark = [pytest.mark.sandbox, pytest.mark.heavy]


@pytest.mark.parametrize(
    ("name", "part"),
    [("httpx_answer", "exchanges"), ("sqlalchemy_rows", "statements"), ("environment", "environment")],
)
def test_a_crash_for_something_outside_comes_back_from_its_capsule_only(
    name: str, part: str, tmp_path: Path
) -> None:
    if not best().self_test().ok:
        pytest.skip(best().self_test().said)
    event = record(CORPUS / name, tmp_path)
    without = climb(CORPUS / name, event, tmp_path, "locals", tmp_path / "environments")
    found = climb(CORPUS / name, event, tmp_path, "capsule", tmp_path / "environments")
    assert (without.reproduced, found.reproduced) == (False, True)
    assert found.world == (part,)

"""What several rooms of tests share: an open house in a fresh folder, and where labelled data lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.config import load
from server.house import House

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a key of their own; no test asks their model."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house on an empty data folder."""
    with House.open(load(tmp_path / "data", {})) as opened:
        yield opened


@pytest.fixture
def shared() -> Path:
    """The folder of shared labelled data; skips where it is not there."""
    folder = Path(os.environ.get("NIGHTDESK_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}; set NIGHTDESK_SHARED")
    return folder / "data"

"""There is one set of rules: what the client has is what the server has."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("write_rules", HERE / "write_rules.py")
assert spec is not None
assert spec.loader is not None
write_rules = importlib.util.module_from_spec(spec)
spec.loader.exec_module(write_rules)


@pytest.mark.parametrize("name", write_rules.MODULES)
def test_the_rules_of_the_client_are_those_of_the_server(name: str) -> None:
    kept = (HERE / "nightdesk_capture" / "rules" / f"{name}.py").read_text(encoding="utf-8")
    assert kept == write_rules.written(name), "run python clients/python/write_rules.py"

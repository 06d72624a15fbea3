"""A pytest plugin that runs inside the sandbox: each test's outcome over the channel, with the nonce of the run.

Printed text and exit codes belong to the code that is judged; this is where results come from. Standard library and
pytest only. The nonce leaves the environment before any test module is imported.
"""

from __future__ import annotations

import json
import os
from typing import Any

_CHANNEL = int(os.environ.pop("ND_CHANNEL", "-1"))
_NONCE = os.environ.pop("ND_NONCE", "")
_outcomes: dict[str, str] = {}


def _send(message: dict[str, Any]) -> None:
    body = json.dumps({"nonce": _NONCE, **message}).encode() + b"\n"
    while body:
        body = body[os.write(_CHANNEL, body) :]


def pytest_collection_finish(session: Any) -> None:
    """Tell which tests were collected."""
    _send({"collected": [item.nodeid for item in session.items]})


def pytest_runtest_logreport(report: Any) -> None:
    """Keep the worst outcome of a test's three phases; tell it when the last one is over."""
    if report.outcome != "passed" or report.when == "call":
        if _outcomes.get(report.nodeid) != "failed":
            _outcomes[report.nodeid] = report.outcome
    if report.when == "teardown":
        _send({"test": report.nodeid, "outcome": _outcomes.get(report.nodeid, "passed")})


def pytest_sessionfinish(session: Any, exitstatus: int) -> None:
    """Tell that the run came to its end."""
    _send({"finished": int(exitstatus)})

"""A pytest plugin that runs inside the sandbox: each test's outcome over the channel, with the nonce of the
run.

Printed text and exit codes belong to the code that is judged; this is where results come from. Standard
library and pytest only. What it must not lose (channel, nonce, the function that writes) is nowhere but in
its hooks' closures: neither in the environment nor among its globals. The canary is a test that fails; a
runner that has been tampered with would let it pass. `files` and `tests` of what it is told narrow a run down to some
files of tests, or to tests by their ids; of the files in `watch` the lines are told that ran in tests which passed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest


class Canary(pytest.Item):
    """A test that has to fail."""

    def runtest(self) -> None:
        raise AssertionError("this test fails on purpose")

    def reportinfo(self) -> tuple[str, int, str]:
        return self.name, 0, self.name


class Results:
    """The hooks."""

    def __init__(self) -> None:
        channel, write, dumps = int(os.environ.pop("ND_CHANNEL", "-1")), os.write, json.dumps
        told = json.loads(os.fdopen(os.dup(0), "rb", 0).readline() or b"{}")
        nonce, name = told.pop("nonce", ""), told.pop("canary", "test_canary")
        files = frozenset(os.path.abspath(path) for path in told.pop("files", ()))
        tests = frozenset(told.pop("tests", ()))
        watched = frozenset(told.pop("watch", ()))
        running: set[tuple[str, int]] = set()  # lines of the test that runs now
        ran: set[tuple[str, int]] = set()
        silent = os.open(os.devnull, os.O_RDONLY)
        os.dup2(silent, 0)
        outcomes: dict[str, str] = {}

        def send(message: dict[str, Any]) -> None:
            body = dumps({"nonce": nonce, **message}).encode() + b"\n"
            while body:
                body = body[write(channel, body) :]

        @pytest.hookimpl(trylast=True)
        def modify(session: Any, items: list[Any]) -> None:
            if files:
                items[:] = [item for item in items if str(item.fspath) in files]
            if tests:
                items[:] = [item for item in items if item.nodeid in tests]
            items.append(Canary.from_parent(session, name=name))

        def collected(session: Any) -> None:
            send({"collected": [item.nodeid for item in session.items]})

        def report(report: Any) -> None:
            counts = report.outcome != "passed" or report.when == "call"
            if counts and outcomes.get(report.nodeid) != "failed":  # the worst of the three phases
                outcomes[report.nodeid] = report.outcome
            if report.when == "teardown":
                if outcomes.get(report.nodeid) == "passed":
                    ran.update(running)
                send({"test": report.nodeid, "outcome": outcomes.get(report.nodeid, "passed")})

        def line(frame: Any, event: str, arg: Any) -> Any:
            running.add((frame.f_code.co_filename, frame.f_lineno))
            return line

        def call(frame: Any, event: str, arg: Any) -> Any:
            return line(frame, event, arg) if frame.f_code.co_filename in watched else None

        @pytest.hookimpl(hookwrapper=True)
        def watching(item: Any) -> Iterator[None]:
            before = sys.gettrace()
            sys.settrace(call)
            yield
            sys.settrace(before)

        def begun(nodeid: str, location: Any) -> None:
            running.clear()

        def finish(session: Any, exitstatus: int) -> None:
            for path in watched:
                send({"path": path, "ran": sorted(number for where, number in ran if where == path)})
            send({"finished": int(exitstatus)})

        def elsewhere(path: str) -> bool | None:
            aside = files and path not in files and os.path.isfile(path)
            return True if aside and os.path.basename(path) != "__init__.py" else None

        def ignored(collection_path: Any) -> bool | None:
            return elsewhere(str(collection_path))

        def ignored_before_7(path: Any) -> bool | None:
            return elsewhere(str(path))

        old = int(pytest.__version__.split(".")[0]) < 7
        self.pytest_ignore_collect = ignored_before_7 if old else ignored
        if watched:
            self.pytest_runtest_call = watching
            self.pytest_runtest_logstart = begun
        self.pytest_collection_modifyitems = modify
        self.pytest_collection_finish = collected
        self.pytest_runtest_logreport = report
        self.pytest_sessionfinish = finish


_kept = [Results()]  # made while this file is imported, which is before any conftest is


def pytest_configure(config: Any) -> None:
    """Begin to listen."""
    config.pluginmanager.register(_kept.pop())

"""Crashes whose arguments are objects: from the event to a test that fails before and passes after, in the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.repair import Attempt
from tests.sandbox.histories import History, crash, frame, run_loop

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

ROUTES = '''"""Routes between places."""


class Network:
    """Places and the roads between them."""

    def __init__(self):
        self.roads = {}

    def add_roads(self, roads):
        for start, end, length in roads:
            self.roads.setdefault(start, []).append((end, length))


class Planner:
    """Plans.

    :param network: where to go
    :type network: Network
    """

    def __init__(self, network, options=None):
        self.network, self.options = network, options or {}

    def longest(self, start):
        best = 0
        for _, length in self.network.roads.get(start, ()):
            if length > best:
                best = length
        return best * {"km": 1}[self.options["unit"]]


def shortest(network, start):
    return min(length + 0 for _, length in network.roads[start])
'''
FILES = '''"""Files."""

from pathlib import Path


class Shelf:
    def __init__(self, folder):
        self.folder = folder

    def size(self, name):
        return len(Path(self.folder, name).read_text())
'''
DEEP = '''"""Nested lists."""


def depth(text):
    if not text.startswith("["):
        return 0
    return 1 + depth(text[1:])
'''


def reproduced(attempt: Attempt) -> str:
    assert attempt.reproducer is not None, [step.said for step in attempt.steps]
    assert attempt.reproducer.failures == attempt.reproducer.runs
    assert attempt.reproducer.same_failure
    return attempt.reproducer.source


def test_an_object_is_made_again_from_what_the_caller_held(tmp_path: Path) -> None:
    history = History("app", [("Start", "2024-01-01", {"app/__init__.py": "", "app/routes.py": ROUTES})])
    caller = frame("def plan(roads):\n    go()\n", "prod/driver.py", "plan", "go()",
                   roads=[["'a'", "'b'", "None"], ["'a'", "'c'", "3"]])  # fmt: skip
    line = "return min(length + 0 for _, length in network.roads[start])"
    own = frame(ROUTES, "app/routes.py", "shortest", line,
                network="<app.routes.Network object at 0x7f67fdd2a290>", start="'a'")  # fmt: skip
    error = "unsupported operand type(s) for +: 'NoneType' and 'int'"
    source = reproduced(run_loop(tmp_path, [history], crash("TypeError", error, caller, own)).attempt)
    assert "network = Network()" in source
    assert 'network.add_roads([["a", "b", None]])' in source
    assert "Guessed: network: its state, from roads of a caller by add_roads()." in source


def test_a_receiver_is_made_with_the_classes_that_its_documentation_names(tmp_path: Path) -> None:
    history = History("app", [("Start", "2024-01-01", {"app/__init__.py": "", "app/routes.py": ROUTES})])
    caller = frame("def plan(unit):\n    go()\n", "prod/driver.py", "plan", "go()", unit="'mile'")
    own = frame(ROUTES, "app/routes.py", "longest", 'return best * {"km": 1}[self.options["unit"]]',
                self="<app.routes.Planner object at 0x7f67fdd2a290>", start="'a'", best="0")  # fmt: skip
    source = reproduced(run_loop(tmp_path, [history], crash("KeyError", "'mile'", caller, own)).attempt)
    assert 'planner = Planner(network, options={"unit": "mile"})' in source


def test_the_file_that_an_error_speaks_of_is_in_a_folder_of_the_tests_own(tmp_path: Path) -> None:
    history = History("app", [("Start", "2024-01-01", {"app/__init__.py": "", "app/files.py": FILES})])
    caller = frame("def load(folder):\n    go()\n", "prod/driver.py", "load", "go()", folder="'/var/shelf'")
    own = frame(FILES, "app/files.py", "size", "return len(Path(self.folder, name).read_text())",
                self="<app.files.Shelf object at 0x7f67fdd2a290>", name="'a.txt/b'")  # fmt: skip
    event = crash("NotADirectoryError", "[Errno 20] Not a directory: '/var/shelf/a.txt/b'", caller, own)
    source = reproduced(run_loop(tmp_path, [history], event).attempt)
    assert '(folder / "a.txt").write_text("")' in source
    assert "Shelf(str(folder))" in source


def test_a_recursion_is_the_same_wherever_it_hits_the_limit(tmp_path: Path) -> None:
    history = History("app", [("Start", "2024-01-01", {"app/__init__.py": "", "app/deep.py": DEEP})])
    line = "return 1 + depth(text[1:])"
    frames = [frame(DEEP, "app/deep.py", "depth", line, text=repr("[" * (1500 - n))) for n in range(20)]
    event = crash("RecursionError", "maximum recursion depth exceeded while calling a Python object", *frames)
    assert 'depth("[" * ' in reproduced(run_loop(tmp_path, [history], event).attempt)


def test_an_old_commit_runs_with_the_names_that_newer_pythons_removed(tmp_path: Path) -> None:
    good = "from collections import Mapping\n\n\ndef label(order):\n    return str(order.get('name'))\n"
    bad = good.replace("str(order.get('name'))", "order['name']")
    now = bad.replace("from collections import", "from collections.abc import")
    history = History("app", [
        ("Start", "2024-01-01", {"app/__init__.py": "", "app/orders.py": good}),
        ("Be strict", "2024-02-01", {"app/orders.py": bad}),
        ("Newer Python", "2024-03-01", {"app/orders.py": now}),
    ])  # fmt: skip
    own = frame(now, "app/orders.py", "label", "return order['name']", order={"city": "'Oslo'"})
    done = run_loop(tmp_path, [history], crash("KeyError", "'name'", own))
    assert done.verdict("app", 1) == "proven"
    assert "names put back that newer Pythons have removed" in reproduced(done.attempt)


def test_an_event_of_another_language_is_not_supported_yet(tmp_path: Path) -> None:
    history = History("app", [("Start", "2024-01-01", {"app/__init__.py": "", "src/cart.js": "go()\n"})])
    event = crash("TypeError", "go is not a function", frame("go()\n", "src/cart.js", "price", "go()"))
    attempt = run_loop(tmp_path, [history], event.model_copy(update={"platform": "javascript"})).attempt
    assert str(attempt.ended) == "not_reproduced"
    assert attempt.said == "not supported yet: only Python is run again, this is javascript"

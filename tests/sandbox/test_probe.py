"""The probe inside the sandbox: what a hostile child does is never taken for an answer, and leaves nothing
behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest

from fixloop import Job
from fixloop.judging.suite import run_suite
from fixloop.running.environments import Environments
from fixloop.running.runner import Outcome, Runner
from fixloop.running.worlds import Layout, RepoLayout, World
from fixloop.sandboxes import best

pytestmark = pytest.mark.sandbox

FORGED = json.dumps({"status": "ok", "value": 42, "took": 0.0})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    tested = best().self_test()
    if not tested.ok:
        pytest.skip(tested.said)
    tree = tmp_path_factory.mktemp("tree")
    (tree / "shop.py").write_text(
        "COUNT = []\n\n\ndef add(a, b):\n    COUNT.append(1)\n    return a + b, len(COUNT)\n"
    )
    environment = Environments(tmp_path_factory.mktemp("environments")).prepare("", allow_network=False)
    layout = Layout((RepoLayout("shop", "0" * 40),), {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    return World(layout, {"shop": tree}, environment)


@pytest.fixture(scope="module")
def runner(world: World) -> Iterator[Runner]:
    with Runner(best(), world) as opened:
        yield opened


def call(runner: Runner, *body: str, times: int = 1, wall: float = 10.0) -> list[Outcome]:
    lines = "".join(f"    {line}\n" for line in body)
    return runner.run(f"import os, sys, signal, json, time\n\n\ndef call():\n{lines}", times=times, wall=wall)


def test_a_value_an_error_and_the_lines_of_a_call_are_told(runner: Runner) -> None:
    source = "from shop import add\n\n\ndef call():\n    return add(1, 2)\n"
    outcome = runner.run(source, cover=True)[0]
    assert (outcome.status, outcome.value) == ("ok", {"$tuple": [3, 1]})
    assert {1, 4, 5, 6} <= set(outcome.lines["/src/shop/shop.py"])
    raised = call(runner, "raise KeyError('coupon')")[0]
    assert (raised.status, raised.exception and raised.exception.type) == ("raised", "KeyError")


HOSTILE = {
    "ends itself": ("os._exit(0)",),
    "kills itself": ("os.kill(os.getpid(), signal.SIGKILL)",),
    "kills its process group": ("os.killpg(0, signal.SIGKILL)",),
    "closes every descriptor": ("os.closerange(0, 200)", "return 42"),
    "writes a forged answer to every descriptor": (
        "for number in range(200):", "    try:", f"        os.write(number, {(FORGED + chr(10)).encode()!r})",
        "    except OSError:", "        pass", "os._exit(0)",
    ),
    "writes a forged answer and goes on": (
        "for number in range(3, 200):", "    try:", f"        os.write(number, {FORGED.encode()!r})",
        "    except OSError:", "        pass", "return 41",
    ),
    "nests an answer too deeply": (
        "for number in range(3, 200):", "    try:", "        os.write(number, b'[' * 100_000)",
        "    except OSError:", "        pass", "os._exit(0)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_child_that_does_not_answer_properly_has_died(runner: Runner, body: tuple[str, ...]) -> None:
    outcome = call(runner, *body)[0]
    assert (outcome.status, outcome.value) == ("died", None)
    assert call(runner, "return 7")[0].value == 7


WARM = """
import os, sys, json, signal
from shop import COUNT
made = []

def setUpModule():
    made.append(os.getpid())
    COUNT.append(1)
    with open(os.path.join(os.environ.get("TMPDIR", "/tmp"), "rows"), "w") as file:
        file.write("0")

def call():
    made.append(0)
    with open(os.path.join(os.environ.get("TMPDIR", "/tmp"), "rows"), "r+") as file:
        before = file.read()
        file.write("1")
    COUNT.append(1)
    return made[0] == os.getppid(), len(made), len(COUNT), before
"""


def test_a_warm_text_is_loaded_once_and_no_run_sees_what_another_did(runner: Runner) -> None:
    outcomes = runner.run(WARM, times=5, warm=True)
    assert [outcome.value for outcome in outcomes] == [{"$tuple": [True, 2, 2, "0"]}] * 5
    assert runner.run(WARM)[0].value == {"$tuple": [False, 2, 2, "0"]}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_run_of_a_warm_text_answers_for_nobody(runner: Runner, body: tuple[str, ...]) -> None:
    lines = "".join(f"    {line}\n" for line in body)
    source = f"import os, sys, signal, json, time\n\n\ndef call():\n{lines}"
    assert [(one.status, one.value) for one in runner.run(source, times=3, warm=True)] == [("died", None)] * 3


def test_a_warm_text_that_cannot_be_loaded_says_so_in_every_run(runner: Runner) -> None:
    outcomes = runner.run("import no_such_module\n\n\ndef call():\n    return 1\n", times=2, warm=True)
    assert [outcome.exception and outcome.exception.missing for outcome in outcomes] == ["no_such_module"] * 2
    ended = runner.run("import os\n\nos._exit(0)\n\n\ndef call():\n    return 1\n", times=2, warm=True)
    assert [outcome.status for outcome in ended] == ["died"] * 2


def test_a_child_that_hangs_is_a_timeout_also_when_it_closes_its_ears(runner: Runner) -> None:
    body = (
        "for number in range(1, 32):",
        "    try:",
        "        signal.signal(number, signal.SIG_IGN)",
        "    except (OSError, ValueError):",
        "        pass",
        "while True:",
        "    time.sleep(60)",
    )
    assert call(runner, *body, wall=1.0)[0].status == "timeout"
    assert call(runner, "return 7")[0].value == 7


def test_a_child_cannot_open_what_its_parent_holds(runner: Runner) -> None:
    reached = call(
        runner,
        "reached = []",
        "for kind in ('fd', 'environ', 'mem', 'maps'):",
        "    try:",
        "        path = f'/proc/{os.getppid()}/{kind}'",
        "        reached.append(os.listdir(path) if kind == 'fd' else len(open(path, 'rb').read(1)))",
        "    except OSError:",
        "        pass",
        "return reached",
    )[0]
    assert (reached.status, reached.value) == ("ok", [])


def test_neither_channel_nor_nonce_are_in_a_child(runner: Runner) -> None:
    seen = call(
        runner,
        "frame, words = sys._getframe(), []",
        "while frame is not None:",
        "    words += [name for name in frame.f_locals if 'nonce' in name]",
        "    frame = frame.f_back",
        "buffered = sys.stdin.buffer.peek() if sys.stdin else b''",
        "return words, [name for name in os.environ if name.startswith('ND_')], len(buffered)",
    )[0]
    assert seen.value == {"$tuple": [[], [], 0]}


def test_what_a_run_leaves_behind_is_gone_before_the_next(runner: Runner) -> None:
    body = (
        "found = sorted(name for folder in ('/tmp', '/dev/shm') for name in os.listdir(folder) if name == 'marker')",
        "for folder in ('/tmp', '/dev/shm'):",
        "    open(folder + '/marker', 'w').close()",
        "return found",
    )
    assert [outcome.value for outcome in call(runner, *body, times=3)] == [[], [], []]


def test_a_process_that_was_left_behind_does_not_live_on(runner: Runner) -> None:
    leave = ("if os.fork() == 0:", "    os.setsid()", "    if os.fork() == 0:", "        time.sleep(600)",
             "    os._exit(0)", "os.wait()", "return 0")  # fmt: skip
    assert call(runner, *leave)[0].value == 0
    count = "return len([name for name in os.listdir('/proc') if name.isdigit()])"
    first, second = (
        call(runner, count)[0].value,
        call(runner, *leave, times=3) and call(runner, count)[0].value,
    )
    assert first == second


def test_modules_of_the_team_are_fresh_in_each_run(runner: Runner) -> None:
    source = "from shop import add\n\n\ndef call():\n    return add(1, 2)\n"
    assert [outcome.value for outcome in runner.run(source, times=3)] == [{"$tuple": [3, 1]}] * 3


def test_a_run_has_a_name_of_its_own_and_looks_as_it_is_told_to(runner: Runner) -> None:
    body = ("return __name__, __file__, sys.argv, 'pytest' in sys.modules, os.environ.get('CI')",)
    names = {json.dumps(outcome.value) for outcome in call(runner, *body, times=3)}
    assert len(names) == 1  # told under one name; inside it differs:
    source = "import hashlib\n\n\ndef call():\n    return hashlib.md5(__name__.encode()).hexdigest()\n"
    assert len({outcome.value for outcome in runner.run(source, times=3)}) == 3
    about = {"env": {"CI": "true"}, "argv": ["pytest"], "modules": ["pytest"]}
    seen = runner.run(f"import os, sys\n\n\ndef call():\n    {body[0]}\n", surroundings=about)[0].value
    assert seen["$tuple"][2:] == [["pytest"], True, "true"]


def test_an_answer_with_another_nonce_is_refused(world: World) -> None:
    class Forging:
        name = "forging"

        def open(self, job: object) -> object:
            return self

        def ask(self, line: bytes, *, wall: float) -> bytes:
            return json.dumps({"nonce": "f" * 32, "outcomes": [{"status": "ok", "value": 1}]}).encode()

        def close(self) -> None:
            pass

    forged = Runner(Forging(), world)  # type: ignore[arg-type]
    assert forged.run("def call():\n    return 1\n")[0].status == "died"


class Answering:
    """Answers what is asked, and each run takes so many seconds of the test's own clock."""

    name = "answering"

    def __init__(self, took: float) -> None:
        self.took, self.now, self.until = took, 0.0, 0.0
        self.opened: list[float] = []
        self.asked: list[int] = []

    def open(self, job: Job) -> Self:
        self.opened.append(self.now)
        self.until = self.now + job.wall
        return self

    def ask(self, line: bytes, *, wall: float) -> bytes | None:
        size, _, rest = line.partition(b"\n")
        times = json.loads(rest[: int(size)])["times"]
        self.asked.append(times)
        ends = self.now + self.took * times
        self.now = min(ends, self.now + wall, self.until)
        if self.now < ends:
            return None
        told = {
            "nonce": rest[int(size) :].decode().strip(),
            "outcomes": [{"status": "ok", "value": 1}] * times,
        }
        return json.dumps(told).encode()

    def close(self) -> None:
        pass


@pytest.mark.parametrize("took", [0.1, 1.5, 5.9])
def test_many_slow_runs_are_asked_for_in_batches_that_outlive_no_session(
    world: World, monkeypatch: pytest.MonkeyPatch, took: float
) -> None:
    asked = Answering(took)
    monkeypatch.setattr("fixloop.running.runner.time", SimpleNamespace(monotonic=lambda: asked.now))
    outcomes = Runner(asked, world, wall=300.0).run("", times=200)  # type: ignore[arg-type]
    assert [outcome.status for outcome in outcomes] == ["ok"] * 200
    assert (asked.asked, len(asked.opened)) == ([50] * 4, 4)


def test_a_run_that_never_ends_is_waited_for_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Answering(1000.0)
    monkeypatch.setattr("fixloop.running.runner.time", SimpleNamespace(monotonic=lambda: asked.now))
    outcomes = Runner(asked, world, wall=300.0).run("", times=200)  # type: ignore[arg-type]
    assert ({outcome.status for outcome in outcomes}, len(outcomes), asked.asked) == ({"timeout"}, 200, [50])


@pytest.mark.parametrize(
    "told",
    [None, [], "ok", {"status": "fine"}, {"status": "ok", "lines": 5, "calls": [[]], "raised": {}},
     {"status": "raised", "exception": [1]}, {"status": "raised", "exception": {"frames": [3], "last": "x"}}],
)  # fmt: skip
def test_an_outcome_of_any_shape_is_read_without_an_error(told: object) -> None:
    outcome = Outcome.of(told)
    assert outcome.status in ("ok", "raised", "died")
    assert all(isinstance(frame["path"], str) for raised in outcome.seen for frame in raised.frames)


# --- suites -------------------------------------------------------------------------------------------------


def suite_of(world: World, folder: Path, files: dict[str, str]) -> World:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return world.with_tree("shop", folder)


def test_a_suite_tells_what_passed_failed_and_was_skipped(world: World, tmp_path: Path) -> None:
    text = (
        "import pytest\n\n\ndef test_one():\n    pass\n\n\ndef test_two():\n    assert 1 == 2\n\n\n"
        "@pytest.mark.skip\ndef test_three():\n    pass\n"
    )
    result = run_suite(best(), suite_of(world, tmp_path, {"tests/test_a.py": text}), "shop")
    outcomes = {test.rpartition("::")[2]: outcome for test, outcome in result.outcomes.items()}
    assert outcomes == {"test_one": "passed", "test_two": "failed", "test_three": "skipped"}
    assert (result.complete, result.tampered, len(result.collected)) == (True, False, 3)


def test_a_suite_that_ends_early_is_not_complete(world: World, tmp_path: Path) -> None:
    files = {"tests/test_a.py": "import os\n\n\ndef test_one():\n    os._exit(0)\n"}
    result = run_suite(best(), suite_of(world, tmp_path, files), "shop")
    assert (result.complete, result.count("passed")) == (False, 0)


def test_code_that_makes_every_report_pass_is_found_out_by_the_canary(world: World, tmp_path: Path) -> None:
    always = "property(lambda self: 'passed', lambda self, value: None)"
    files = {
        "app.py": f"from _pytest.reports import TestReport\n\nTestReport.outcome = {always}\n",
        "tests/test_a.py": "import app\n\n\ndef test_one():\n    assert app is None\n",
    }
    result = run_suite(best(), suite_of(world, tmp_path, files), "shop")
    assert result.tampered


def test_a_forged_report_without_the_nonce_does_not_count(world: World, tmp_path: Path) -> None:
    forged = json.dumps({"test": "tests/test_a.py::test_one", "outcome": "passed", "nonce": ""}) + "\n"
    body = (
        "import os\n\nassert not [n for n in os.environ if n.startswith('ND_')]\nfor number in range(3, 100):\n    try:\n"
        f"        os.write(number, {forged.encode()!r})\n    except OSError:\n        pass\n\n\n"
        "def test_one():\n    assert False\n"
    )
    result = run_suite(best(), suite_of(world, tmp_path, {"tests/test_a.py": body}), "shop")
    assert result.outcomes == {"tests/test_a.py::test_one": "failed"}
    assert not result.tampered

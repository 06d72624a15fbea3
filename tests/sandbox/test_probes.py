"""Every probe is stopped inside, for whoever starts the sandbox, and bites outside or proves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixloop import Sandbox
from fixloop.sandboxes import BUILT_IN, attacks, best, probes

ROOT = Path(__file__).resolve().parents[2]
NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups")
SPECIAL = ("endless_output", "stubborn")  # these end at a bound and not with an answer
ANSWERING = tuple(name for name in attacks.ATTACKS if name not in SPECIAL)
MAY_BE_CLOSED_OUTSIDE = {
    "external_route",
    "netlink_socket",
    "trace",
    "nested_namespace",
    "shared_memory",  # a container gives 64 MiB
    "system_interfaces",
    "device_node",
    "raw_sockets",
    "system_calls",
    "terminal_input",
}  # by the machine itself
USABLE = """
import os, sys, fixloop.sandboxes
sys.exit(sys.version_info < (3, 11) or not os.access(sys.executable, os.X_OK))
"""
AS_ANOTHER = """
import json, sys
from fixloop.sandboxes import best, probes
with probes.bait() as made:
    result = best().run(probes.job(made, sys.argv[1:]))
sys.stderr.write(result.stderr.decode())
print(json.dumps(probes.reached(result.stdout)))
"""

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module", params=BUILT_IN, ids=lambda kind: kind.name)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    found: Sandbox = request.param
    tested = found.self_test()
    if not tested.ok:
        pytest.skip(tested.said)
    return found


@pytest.fixture(scope="module")
def made() -> Iterator[probes.Bait]:
    with probes.bait() as bait:
        yield bait


@pytest.fixture(scope="module")
def inside(sandbox: Sandbox, made: probes.Bait) -> dict[str, str | None]:
    """What the attacks reach in the sandbox, while a file of ours is open and marked as inheritable."""
    with made.secret.open() as secret:
        os.set_inheritable(secret.fileno(), True)
        result = sandbox.run(probes.job(made, ANSWERING))
    assert result.stderr == b""
    return probes.reached(result.stdout)


@pytest.fixture(scope="module")
def outside(made: probes.Bait, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What the same attacks reach without a sandbox, aimed at folders that are ours."""
    scratch = tmp_path_factory.mktemp("scratch")
    given = made.arguments(scratch=str(scratch), places=[str(made.source)])
    wanted = json.dumps({name: given[name] for name in ANSWERING})
    with made.secret.open() as secret:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", attacks.__file__, wanted],
            pass_fds=(secret.fileno(),),
            capture_output=True,
            timeout=60,
            check=True,
        )
    return probes.reached(done.stdout)


@pytest.fixture(scope="module")
def another_user() -> dict[str, str | None]:
    """The attacks in a sandbox that an ordinary user starts."""
    tested = best().self_test()
    if not tested.ok:
        pytest.skip(tested.said)
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("only root can become an ordinary user; the other tests already ran as one")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    for python in (sys.executable, "/usr/bin/python3"):
        command = [setpriv, *NOBODY, python]
        start = [*command, "-c", USABLE]
        try:
            usable = subprocess.run(start, env=environment, capture_output=True, timeout=30, check=False)
        except OSError:
            continue
        if usable.returncode == 0:
            run = [*command, "-c", AS_ANOTHER, *ANSWERING]
            done = subprocess.run(run, env=environment, capture_output=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr.decode()
            found: dict[str, str | None] = json.loads(done.stdout)
            return found
    pytest.skip("no interpreter that an ordinary user may run and that reads this folder")


@pytest.mark.parametrize("name", ANSWERING)
def test_the_attack_is_stopped_inside(name: str, sandbox: Sandbox, inside: dict[str, str | None]) -> None:
    if name == "many_files" and inside[name]:
        assert any("no inode limit" in gap for gap in sandbox.self_test().open)
        pytest.skip("this form has no bound on files, and says so")
    assert inside[name] is None


@pytest.mark.parametrize("name", ANSWERING)
def test_the_attack_is_stopped_inside_for_an_ordinary_user(
    name: str, another_user: dict[str, str | None]
) -> None:
    assert another_user[name] is None


@pytest.mark.parametrize("name", ANSWERING)
def test_the_attack_bites_outside(name: str, outside: dict[str, str | None]) -> None:
    if outside[name] is None and name in MAY_BE_CLOSED_OUTSIDE:
        pytest.skip(f"this machine itself stops {name}")
    assert outside[name]


def test_endless_output_is_cut_inside_and_arrives_whole_outside(sandbox: Sandbox, made: probes.Bait) -> None:
    result = sandbox.run(probes.job(made, ["endless_output"]))
    assert result.over_output
    assert len(result.stdout) <= probes.OUTPUT
    command = [sys.executable, "-I", "-S", "-B", attacks.__file__, '{"endless_output": {}}']
    free = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert len(free.stdout) >= 64 << 20


def test_a_stubborn_tree_dies_at_the_wall_limit(sandbox: Sandbox, made: probes.Bait) -> None:
    marker = "nightdesk-stubborn-inside"
    result = sandbox.run(probes.job(made, ["stubborn"], wall=1.0, marker=marker))
    assert result.timed_out
    assert probes.reached(result.stdout) == {"daemon": "started"}
    assert result.took < 5
    assert probes.marked(marker) == []


def test_a_stubborn_tree_outlives_its_parent_outside() -> None:
    marker = "nightdesk-stubborn-outside"
    command = [sys.executable, "-I", "-S", "-B", attacks.__file__, '{"stubborn": {}}', marker]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert b"daemon" in parent.stdout.readline()
        parent.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            parent.wait(0.3)
        parent.kill()
        parent.wait(10)
        left = probes.marked(marker, within=0.2)
        for survivor in left:
            os.kill(survivor, signal.SIGKILL)
    assert left


def test_the_self_test_says_what_is_still_open_and_is_asked_only_once(sandbox: Sandbox) -> None:
    tested = sandbox.self_test()
    assert tested.open
    assert sandbox.self_test() is tested

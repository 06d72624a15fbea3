"""What the choice of a sandbox promises; what each sandbox does is in `nightdesk_contracts.sandboxes`."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fixloop import Job, Sandbox
from fixloop.sandboxes import best, bubblewrap
from fixloop.sandboxes.bubblewrap import Bubblewrap
from fixloop.sandboxes.refuse import Refuse
from store.errors import SandboxRefused


@pytest.fixture
def sandbox() -> Sandbox:
    tested = Bubblewrap().self_test()
    if not tested.ok:
        pytest.skip(tested.said)
    return Bubblewrap()


pytestmark = pytest.mark.sandbox


def test_refuse_runs_nothing_and_says_why() -> None:
    refuse = Refuse("there is no sandbox on this machine.")
    assert not refuse.self_test().ok
    with pytest.raises(SandboxRefused, match="no sandbox on this machine"):
        refuse.run(Job(argv=("true",)))
    with pytest.raises(SandboxRefused, match="no sandbox on this machine"):
        refuse.open(Job(argv=("true",)))


def test_best_takes_the_first_that_holds_and_refuses_where_none_does(sandbox: Sandbox) -> None:
    assert best([Refuse("first."), sandbox]) is sandbox
    assert best([Refuse("first."), Refuse("second.")]).self_test().said == "first. second."


def test_without_bubblewrap_nothing_runs_and_the_words_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bubblewrap, "_known", [])
    monkeypatch.setenv("PATH", str(tmp_path))
    tested = Bubblewrap().self_test()
    assert not tested.ok
    assert "apt-get install bubblewrap" in tested.said
    with pytest.raises(SandboxRefused, match="apt-get install bubblewrap"):
        Bubblewrap().run(Job(argv=(sys.executable,)))


def test_a_bubblewrap_that_may_not_make_namespaces_is_refused_with_the_words_of_the_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "bwrap"
    blocked.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    blocked.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "_known", [])
    monkeypatch.setenv("PATH", str(tmp_path))
    tested = Bubblewrap().self_test()
    assert not tested.ok
    assert "Permission denied" in tested.said
    assert "apparmor_restrict_unprivileged_userns" in tested.said


def test_a_stage_that_is_killed_leaves_no_helper_behind(sandbox: Sandbox) -> None:
    held = (
        "import signal\nfrom fixloop.sandboxes import stage\n"
        "stage._write = lambda path, text: (print(path, flush=True), signal.pause())\nstage._user_namespace(0, 0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", held], stdout=subprocess.PIPE, text=True) as staging:
        assert staging.stdout is not None
        helper = Path("/proc", staging.stdout.readline().split("/")[2], "stat")
        assert helper.exists()
        staging.kill()
    pause = threading.Event()
    for _ in range(100):
        if not helper.exists() or helper.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        pause.wait(0.1)
    pytest.fail("the helper lives on")

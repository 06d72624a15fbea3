"""A job on a container engine: what the engine is asked for, and the channel. The engine here is a program that runs the
job on the host, for there is none on most machines; whether a real one holds is said by its self-test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fixloop import Job, Mount
from fixloop.sandboxes.child import ChildSession
from fixloop.sandboxes.container import Docker, Podman, options, start, unavailable
from store.errors import SandboxRefused

FAKE = """#!{python}
import os, subprocess, sys

words = sys.argv[1:]
with open({log!r}, "a") as file:
    file.write(" ".join(words[:2]) + "\\n")
if words[0] == "info" and {broken!r}:
    sys.exit("Cannot connect to the daemon.")
if words[0] == "run":
    folder = words[words.index("-v") + 1].partition(":")[0]
    rest = [folder + word[3:] if word.startswith("/nd/") else word for word in words[words.index("-c"):]]
    sys.exit(subprocess.run(["/bin/sh", *rest]).returncode)
"""
ECHO = "import os, sys\nfor line in sys.stdin: os.write(int(os.environ['ND_CHANNEL']), line.upper().encode())"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A `docker` of our own; the log of what it was asked."""
    log, broken = tmp_path / "asked", getattr(request, "param", "")
    (tmp_path / "docker").write_text(FAKE.format(python=sys.executable, log=str(log), broken=broken))
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return log


def test_a_machine_without_an_engine_says_so_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Podman().self_test().said == "podman is not installed."
    with pytest.raises(SandboxRefused, match="docker is not installed"):
        Docker().run(Job(argv=("true",)))


@pytest.mark.parametrize("engine", ["broken"], indirect=True)
def test_an_engine_that_does_not_answer_is_refused_with_its_own_words(engine: Path) -> None:
    assert (
        unavailable("docker")
        == "docker is installed and its engine does not answer: Cannot connect to the daemon."
    )
    assert engine.read_text() == "info\n"


def test_an_engine_in_which_the_attacks_bite_is_refused(engine: Path) -> None:
    tested = Docker().self_test()
    assert not tested.ok
    assert tested.said.startswith("docker does not hold here: ")
    assert "image inspect" in engine.read_text()


def test_a_job_answers_over_its_channel_and_its_container_is_taken_away(engine: Path) -> None:
    with ChildSession(start(Job(argv=(sys.executable, "-c", ECHO), wall=20), "docker")) as session:
        assert session.ask(b"one", wall=20) == b"ONE"
        assert session.ask(b"two", wall=20) == b"TWO"
    assert engine.read_text().splitlines()[-1].startswith("rm -f")


def test_the_end_of_a_job_ends_its_channel(engine: Path) -> None:
    code = "import os; os.write(int(os.environ['ND_CHANNEL']), b'said'); print('out')"
    child = start(Job(argv=(sys.executable, "-c", code), wall=20), "docker")
    child.send(b"", last=True)
    result = child.finish()
    assert (result.channel, result.stdout, result.exit_code, result.timed_out) == (
        b"said",
        b"out\n",
        0,
        False,
    )


def test_a_container_has_no_network_no_rights_and_nothing_writable_but_its_scratch(tmp_path: Path) -> None:
    job = Job(argv=("true",), mounts=(Mount(tmp_path, "/src/app"),), env={"A": "b"})
    words = options(job, "name", tmp_path / "channel", [(tmp_path / "f", "/etc/hosts")], tmp_path / "rules")
    text = " ".join(words)
    for wanted in ("--network none", "--read-only", "--cap-drop ALL", "--security-opt no-new-privileges",
                   f"--pids-limit {job.processes}", f"--memory {job.memory}", "--rm"):  # fmt: skip
        assert wanted in text
    mounts = [word for word in words if word.startswith("type=bind")]
    assert f"type=bind,readonly,source={tmp_path},target=/src/app" in mounts
    assert all("readonly" in mount for mount in mounts)
    assert "privileged" not in text.replace("no-new-privileges", "")

"""Run a repository's own tests in a world and read what each gave, over the channel."""

from __future__ import annotations

import json
import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from fixloop import Sandbox
from fixloop.worlds import SOURCES, World

PLUGIN = "nightdesk_results"
_PLUGIN_PATH = f"/opt/nightdesk/{PLUGIN}.py"
WALL = 300.0  # seconds for one suite


@dataclass(frozen=True)
class SuiteResult:
    """Test id -> passed, failed, skipped. `complete` is False when the run did not come to its own end."""

    outcomes: dict[str, str] = field(default_factory=dict)
    collected: tuple[str, ...] = ()
    complete: bool = False
    said: str = ""

    def count(self, outcome: str) -> int:
        return sum(1 for o in self.outcomes.values() if o == outcome)

    def summary(self) -> dict[str, object]:
        """What is kept of it."""
        return {
            "collected": len(self.collected), "passed": self.count("passed"), "failed": self.count("failed"),
            "skipped": self.count("skipped"), "complete": self.complete,
            "failing": sorted(t for t, o in self.outcomes.items() if o == "failed")[:20], "said": self.said,
        }  # fmt: skip


def lost(before: SuiteResult, after: SuiteResult) -> list[str]:
    """Tests that passed and do not pass any more, those that are gone included."""
    return sorted(
        test
        for test, outcome in before.outcomes.items()
        if outcome == "passed" and after.outcomes.get(test) != "passed"
    )


def run_suite(sandbox: Sandbox, world: World, repo: str, *, wall: float = WALL) -> SuiteResult:
    """The repository's tests by its own pytest command, with our plugin beside it."""
    layout = world.layout.repo(repo)
    arguments = _pytest_arguments(layout.test_command)
    if arguments is None:
        return SuiteResult(said=f"the test command {layout.test_command!r} is not pytest: it was not run")
    nonce = secrets.token_hex(16)
    argv = (
        world.environment.python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        PLUGIN,
        *arguments,
    )
    job = world.job(argv, cwd=f"{SOURCES}/{repo}", wall=wall)
    env = dict(job.env)
    env["PYTHONPATH"] = f"{env['PYTHONPATH']}:/opt/nightdesk"
    env["ND_NONCE"] = nonce
    source = (Path(__file__).parent / "reproduce" / "results.py").read_bytes()
    result = sandbox.run(
        type(job)(**{**job.__dict__, "env": env, "files": {**job.files, _PLUGIN_PATH: source}})
    )
    return _read(result.channel, nonce, result.timed_out, (result.stdout + result.stderr)[-300:])


def _pytest_arguments(command: str) -> list[str] | None:
    """What follows pytest in the command; None where the command is something else."""
    words = shlex.split(command)
    for i, word in enumerate(words):
        if word.rpartition("/")[2] in ("pytest", "py.test"):
            return [w for w in words[i + 1 :] if w not in ("-q", "-v", "-x")]
    return None


def _read(channel: bytes, nonce: str, timed_out: bool, tail: bytes) -> SuiteResult:
    outcomes: dict[str, str] = {}
    collected: tuple[str, ...] = ()
    complete = False
    for line in channel.splitlines():
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if not isinstance(message, dict) or message.get("nonce") != nonce:
            continue
        if "test" in message:
            outcomes[str(message["test"])] = str(message["outcome"])
        elif "collected" in message:
            collected = tuple(map(str, message["collected"]))
        elif "finished" in message:
            complete = True
    said = ""
    if timed_out:
        said = "the suite did not end within its time"
    elif not complete:
        said = (
            "the suite did not come to its end: " + " ".join(tail.decode("utf-8", "replace").split())[-200:]
        )
    return SuiteResult(outcomes, collected, complete and not timed_out, said)

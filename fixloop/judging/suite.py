"""Run a repository's own tests in a world and read what each gave, over the channel.

Beside the tests a canary is run that has to fail: where it is told to have passed, somebody interferes with
the runner, and nothing that was told counts.
"""

from __future__ import annotations

import json
import secrets
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path

from fixloop import Sandbox
from fixloop.running.worlds import SOURCES, World

WALL = 300.0  # seconds for one suite


@dataclass(frozen=True)
class SuiteResult:
    """Test id -> passed, failed, skipped. `complete` is False when the run did not come to its own end,
    `tampered` True when the canary did not fail."""

    outcomes: dict[str, str] = field(default_factory=dict)
    collected: tuple[str, ...] = ()
    complete: bool = False
    tampered: bool = False
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


def broken_by(before: SuiteResult, after: SuiteResult) -> str | None:
    """What a patch has broken in a suite, in words; None where all of it holds."""
    if after.tampered:
        return "a test that has to fail was told to have passed: the patch interferes with the test runner"
    lost = sorted(
        test for test, outcome in before.outcomes.items()
        if outcome == "passed" and after.outcomes.get(test) != "passed"
    )  # fmt: skip
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    if lost:
        return f"a test that passed {_now(after, lost[0])}: {lost[0]}{more}"
    gone = sorted(set(before.collected) - set(after.collected))
    if gone:
        return f"a test is not collected any more: {gone[0]}"
    if before.complete and not after.complete:
        return after.said
    return None


def _now(after: SuiteResult, test: str) -> str:
    return {"failed": "fails now", "skipped": "is skipped now"}.get(
        after.outcomes.get(test, ""), "is not run any more"
    )


def run_suite(sandbox: Sandbox, world: World, repo: str, *, wall: float = WALL) -> SuiteResult:
    """The repository's tests by its own pytest command, with our plugin beside it."""
    layout = world.layout.repo(repo)
    arguments = _pytest_arguments(layout.test_command)
    if arguments is None:
        return SuiteResult(said=f"the test command {layout.test_command!r} is not pytest: it was not run")
    nonce, canary = secrets.token_hex(16), f"test_{secrets.token_hex(6)}"
    plugin = f"results_{secrets.token_hex(6)}"
    place = f"/opt/{plugin}"
    options = ("-q", "-p", "no:cacheprovider", "-p", plugin)
    argv = (world.environment.python, "-m", "pytest", *options, *arguments)
    job = world.job(argv, cwd=f"{SOURCES}/{repo}", wall=wall)
    source = (Path(__file__).parents[1] / "reproduce" / "results.py").read_bytes()
    path = f"{job.env['PYTHONPATH']}:{place}"
    job = replace(job, env={**job.env, "PYTHONPATH": path}, files={f"{place}/{plugin}.py": source})
    result = sandbox.run(job, json.dumps({"nonce": nonce, "canary": canary}).encode() + b"\n")
    return _read(result.channel, nonce, canary, result.timed_out, (result.stdout + result.stderr)[-300:])


def _pytest_arguments(command: str) -> list[str] | None:
    """What follows pytest in the command; None where the command is something else."""
    words = shlex.split(command)
    for i, word in enumerate(words):
        if word.rpartition("/")[2] in ("pytest", "py.test"):
            return [w for w in words[i + 1 :] if w not in ("-q", "-v", "-x")]
    return None


def _read(channel: bytes, nonce: str, canary: str, timed_out: bool, tail: bytes) -> SuiteResult:
    outcomes: dict[str, str] = {}
    collected: tuple[str, ...] = ()
    complete = False
    for line in channel.splitlines():
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(message, dict) or message.get("nonce") != nonce:
            continue
        if "test" in message:
            outcomes[str(message["test"])] = str(message.get("outcome"))
        elif isinstance(message.get("collected"), list):
            collected = tuple(map(str, message["collected"]))
        elif "finished" in message:
            complete = True
    told = [outcomes.pop(test) for test in list(outcomes) if test.endswith(canary)]
    said = ""
    if timed_out:
        said = "the suite did not end within its time"
    elif not complete:
        said = (
            "the suite did not come to its end: " + " ".join(tail.decode("utf-8", "replace").split())[-200:]
        )
    tampered = any(outcome != "failed" for outcome in told) or (complete and bool(outcomes) and not told)
    whole = complete and not timed_out
    return SuiteResult(outcomes, tuple(t for t in collected if not t.endswith(canary)), whole, tampered, said)

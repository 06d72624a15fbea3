"""Run a repository's own tests in a world and read what each gave, over the channel.

Beside the tests a canary is run that has to fail: where it is told to have passed, somebody interferes with
the runner, and nothing that was told counts.
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from fixloop import Sandbox
from fixloop.running.worlds import SOURCES, World

WALL = 300.0  # seconds for one suite


@dataclass(frozen=True)
class SuiteResult:
    """Test id -> passed, failed, skipped. `complete` is False when the run did not come to its own end (`cut`: because
    its time was over), `tampered` True when the canary did not fail; `took` is in seconds. `ran`: of files that were
    watched (by path inside), the lines that ran in tests which passed."""

    outcomes: dict[str, str] = field(default_factory=dict)
    collected: tuple[str, ...] = ()
    complete: bool = False
    tampered: bool = False
    said: str = ""
    cut: bool = False
    took: float = 0.0
    ran: dict[str, list[int]] = field(default_factory=dict)

    def count(self, outcome: str) -> int:
        return sum(1 for o in self.outcomes.values() if o == outcome)

    def summary(self) -> dict[str, object]:
        """What is kept of it."""
        return {
            "collected": len(self.collected), "passed": self.count("passed"), "failed": self.count("failed"),
            "skipped": self.count("skipped"), "complete": self.complete,
            "failing": sorted(t for t, o in self.outcomes.items() if o == "failed")[:20], "said": self.said,
            "took": round(self.took, 1),
        }  # fmt: skip

    def of_files(self, files: Collection[str]) -> Self:
        """What it gave for the tests of some files; for ids that begin at the root of the repository."""
        outcomes = {test: outcome for test, outcome in self.outcomes.items() if _file(test) in files}
        collected = tuple(test for test in self.collected if _file(test) in files)
        return replace(self, outcomes=outcomes, collected=collected, complete=True, cut=False, said="")

    def as_json(self) -> bytes:
        """It as it is kept. Nothing that was printed is in what ended, or was cut."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, kept: bytes) -> Self:
        """It as it was kept."""
        values: dict[str, Any] = json.loads(kept)
        return cls(**{**values, "collected": tuple(values["collected"])})


def _file(test: str) -> str:
    return test.partition("::")[0]


def _function(test: str) -> str:
    return test.partition("[")[0]


def renamed(before: SuiteResult, again: SuiteResult) -> frozenset[str]:
    """Test functions whose ids are others in another run of the very same code: made of the moment, an address."""
    functions = {_function(test) for test in again.collected}
    gone = set(before.collected) - set(again.collected)
    return frozenset(_function(test) for test in gone if "[" in test and _function(test) in functions)


def numbered(result: SuiteResult, functions: Collection[str]) -> SuiteResult:
    """The result with the tests of these functions named by their place among them."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for test in result.collected:
        function = _function(test)
        if function in functions:
            counts[function] = counts.get(function, 0) + 1
            names[test] = f"{function}[#{counts[function]}]"
    outcomes = {names.get(test, test): outcome for test, outcome in result.outcomes.items()}
    return replace(
        result, outcomes=outcomes, collected=tuple(names.get(test, test) for test in result.collected)
    )


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


def run_suite(
    sandbox: Sandbox, world: World, repo: str, *, wall: float = WALL, files: Collection[str] = (),
    tests: Collection[str] = (), watch: Collection[str] = (),
) -> SuiteResult:  # fmt: skip
    """The repository's tests by its own pytest command, with our plugin beside it; with `files` only what it finds in
    those (paths from the root on), with `tests` only those ids. Of the files in `watch` the lines that ran are told."""
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
    told = {"nonce": nonce, "canary": canary, "files": list(files), "tests": list(tests)}
    told["watch"] = [f"{SOURCES}/{repo}/{path}" for path in watch]
    result = sandbox.run(job, json.dumps(told).encode() + b"\n")
    tail = (result.stdout + result.stderr)[-300:]
    return replace(_read(result.channel, nonce, canary, result.timed_out, tail), took=result.took)


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
    ran: dict[str, list[int]] = {}
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
        elif "ran" in message:
            ran[str(message.get("path"))] = [number for number in message["ran"] if isinstance(number, int)]
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
    kept = tuple(test for test in collected if not test.endswith(canary))
    return SuiteResult(outcomes, kept, whole, tampered, said, cut=timed_out, ran=ran)

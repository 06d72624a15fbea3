"""Nightdesk as the demo sees it: its command line and its HTTP. Nothing of it is imported."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from server.demo.running import Child, DemoStopped, bounded, run

SHORT, LONG = 60.0, 900.0  # seconds that a command, and a repair, may take
_LEFT_OUT = frozenset({"NIGHTDESK_DATA", "ANTHROPIC_API_KEY"})  # the demo has its own folder, and no network
RUNS = "100"  # runs of the reproducer, unless the environment says otherwise: a newcomer waits for them
_STEP = re.compile(r"^\s*(?P<took>[\d.]+) s  (?P<name>\w+)\s+(?P<said>.*)$")


class Desk:
    """A running `nightdesk serve` on a data folder, and the commands beside it."""

    def __init__(self, data: Path, logs: Path) -> None:
        self._data, self._logs = data, logs
        self._env = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
        self._env.setdefault("NIGHTDESK_RUNS", RUNS)
        self._serving: Child | None = None
        self.address = ""

    def __enter__(self) -> Self:
        self._serving = self._start("serve", "--port", "0", log="serve.log")
        try:
            self.address = self._listening(self._serving)
            self._env["NIGHTDESK_PORT"] = self.address.rpartition(":")[2]
            _wait_until_ready(self.address)
        except BaseException:
            self._serving.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self._serving is not None:
            self._serving.stop()

    def ask(self, *args: str, codes: Sequence[int] = (0,)) -> Any:
        """What a command answers with `--json`. Raises DemoStopped, in its words, for any other exit code."""
        done = run(self._argv(*args, "--json"), cwd=self._data, env=self._env, within=SHORT)
        if done.returncode not in codes:
            said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise DemoStopped(f"`nightdesk {' '.join(args[:2])}` failed: {said[-1]}")
        return json.loads(done.stdout)

    def repair(self, incident: str, note: Callable[[str, str, str], None]) -> None:
        """Repair an incident to its end; `note(seconds, step, said)` is called as each step lands."""
        with self._start("repair", incident, log="repair.log", all_output=True) as repairing:
            for line in repairing.lines(within=LONG):
                if step := _STEP.match(line):
                    note(step["took"], step["name"], step["said"])

    def incidents(self, project: str, events: int) -> list[dict[str, Any]]:
        """The project's incidents, once they hold so many events and all are triaged. Raises DemoStopped."""
        rows: list[dict[str, Any]] = []
        for _ in bounded(SHORT):
            rows = self.ask("incidents", "--project", project)
            if sum(row["event_count"] for row in rows) >= events and all(row["verdict"] for row in rows):
                return rows
        raise DemoStopped(
            f"Of {events} events only {sum(row['event_count'] for row in rows)} were triaged in time."
        )

    def serve_until_interrupted(self) -> None:
        """Leave the page open until the person has had enough."""
        assert self._serving is not None  # noqa: S101 - asked inside the block
        self._serving.wait()

    def _start(self, *args: str, log: str, all_output: bool = False) -> Child:
        return Child(
            f"nightdesk {args[0]}", self._argv(*args), cwd=self._data, env=self._env, log=self._logs / log,
            all_output=all_output,
        )  # fmt: skip

    def _argv(self, *args: str) -> Sequence[str]:
        return [sys.executable, "-m", "nightdesk", *args, "--data", str(self._data)]

    @staticmethod
    def _listening(serving: Child) -> str:
        """The address that `serve` prints."""
        for line in serving.lines(within=SHORT):
            if found := re.match(r"Page\s+(http://\S+?)/?$", line):
                return found[1]
        raise DemoStopped("`nightdesk serve` did not say where it listens.")


def _wait_until_ready(address: str) -> None:
    """Return once the server is ready. It prints its address a moment before it accepts connections."""
    patient = httpx.HTTPTransport(retries=7)  # waits 0, 0.5, 1, 2, … seconds between them
    try:
        with httpx.Client(transport=patient, timeout=SHORT, trust_env=False) as client:
            client.get(f"{address}/readyz").raise_for_status()
    except httpx.HTTPError as problem:
        raise DemoStopped(f"{address}/readyz does not answer: {problem}.") from problem

"""Children of the demo: each is read line by line, every wait is bounded, and every child is ended."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import Self

_ENDS_WITHIN = 15.0  # seconds that a child has after it was asked to end


class DemoStopped(Exception):
    """The demo cannot go on; the text says why, in one sentence."""


class Child:
    """A running child. When the block is left it is asked to end, then killed. What it writes to stderr goes
    to `log`, or with `all_output` among the lines that are read."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        all_output: bool = False,
    ) -> None:
        self._name, self._log = name, log
        with log.open("ab") as errors:
            self._running = subprocess.Popen(
                argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if all_output else errors,
            )  # fmt: skip
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"demo-{name}", daemon=True)
        self._reader.start()

    def line(self, within: float = 30.0) -> str:
        """The next line that it prints. Raises DemoStopped when none comes `within` so many seconds."""
        for line in self.lines(within):
            return line
        raise DemoStopped(f"{self._name} ended too soon; see {self._log}.")

    def lines(self, within: float) -> Iterator[str]:
        """What it prints, line by line, to its end. Raises DemoStopped when that is not `within` seconds."""
        for left in bounded(within):
            try:
                line = self._lines.get(timeout=left)
            except Empty:
                break
            if line is None:
                return
            yield line
        raise DemoStopped(f"{self._name} was not done within {within:.0f} seconds; see {self._log}.")

    def wait(self) -> None:
        """Wait for its end, however long it takes: only for what a person interrupts."""
        self._running.wait()

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and wait; kill it where it does not."""
        if self._running.poll() is None:
            self._running.send_signal(by)
        self._end_within(_ENDS_WITHIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()
        self._reader.join(timeout=_ENDS_WITHIN)

    def _end_within(self, seconds: float) -> None:
        try:
            self._running.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait(timeout=seconds)

    def _read(self) -> None:
        assert self._running.stdout is not None  # noqa: S101
        with self._running.stdout as printed:
            for line in printed:
                self._lines.put(line.decode("utf-8", "replace").rstrip("\n"))
        self._lines.put(None)


def run(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], within: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Raises DemoStopped when it takes longer than `within` seconds."""
    try:
        return subprocess.run(
            argv, cwd=cwd, env=dict(env), capture_output=True, text=True, timeout=within, check=False
        )
    except subprocess.TimeoutExpired:
        raise DemoStopped(f"`{' '.join(argv[1:5])} …` did not end within {within:.0f} seconds.") from None


def into_head(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, within: float) -> None:
    """`argv | head -n 1`: the reader goes away while the writer has more to say. Raises DemoStopped."""
    with log.open("ab") as errors:
        writer = subprocess.Popen(argv, cwd=cwd, env=dict(env), stdout=subprocess.PIPE, stderr=errors)
    assert writer.stdout is not None  # noqa: S101
    try:
        with writer.stdout as pipe:
            subprocess.run(
                ["head", "-n", "1"], stdin=pipe, stdout=subprocess.DEVNULL, timeout=within, check=False
            )
        writer.wait(timeout=within)
    except subprocess.TimeoutExpired:
        raise DemoStopped(f"`{' '.join(argv[1:])} | head` did not end within {within:.0f} seconds.") from None
    finally:
        writer.kill()
        writer.wait(timeout=within)


def bounded(seconds: float) -> Iterator[float]:
    """Count the seconds that are left, down to none: for loops that ask again."""
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0:
        yield left

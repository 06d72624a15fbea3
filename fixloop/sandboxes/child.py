"""A child whose output is read into bounded memory until it ends, falls silent for too long or says too much.

Shared by every sandbox that starts a command. Killing the child is expected to take its whole tree along.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Self

from fixloop import Job, Result, Session, stopping

_CHUNK = 1 << 16
_GRACE = 5.0  # seconds for the kernel to take down a killed tree


class Child:
    """A started command with stdin, stdout, stderr and the channel.

    `fds` are the descriptors it inherits (they stay the caller's); `channel` is the read end of the channel
    and belongs to this object from here on. `wall` is in seconds from now; `output` bounds the bytes held of
    stdout, stderr and channel together.
    """

    def __init__(
        self, argv: Sequence[str], *, fds: Iterable[int], channel: int, wall: float, output: int
    ) -> None:
        self._stop = stopping.current()
        self._started = time.monotonic()
        self.deadline = self._started + wall
        self._limit = output
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=tuple(fds),
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            cwd="/",
            bufsize=0,
        )
        self._stdin, stdout, stderr = map(_present, _pipes(self._process))
        self._channel = os.fdopen(channel, "rb", buffering=0)
        self._held = {stdout: bytearray(), stderr: bytearray(), self._channel: bytearray()}
        self._out, self._err, self._said = self._held.values()
        self._pending = bytearray()
        self._close_stdin = False
        self._selector = selectors.DefaultSelector()
        for stream in self._held:
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ)
        os.set_blocking(self._stdin.fileno(), False)
        self.over_output = False
        self.killed = False
        self._fuse = threading.Timer(wall, self._process.kill)  # holds even when nobody asks
        self._fuse.daemon = True
        self._fuse.start()
        if self._stop is not None:
            self._stop.add(self, self._process.kill)

    @property
    def stderr(self) -> bytes:
        """What has been read of stderr so far."""
        return bytes(self._err)

    def send(self, payload: bytes, *, last: bool = False) -> None:
        """Queue bytes for stdin; `last` closes it once they are written."""
        self._pending += payload
        self._close_stdin = self._close_stdin or last
        if self._stdin.closed:
            return
        if self._pending and self._stdin not in self._selector.get_map():
            self._selector.register(self._stdin, selectors.EVENT_WRITE)
        elif last and not self._pending:
            self._stdin.close()

    def pump(self, until: Callable[[], bool], deadline: float) -> bool:
        """Move bytes until `until()` holds. False: time was up, too much was said, or all streams ended."""
        while not until():
            left = deadline - time.monotonic()
            if left <= 0 or self.over_output or self.silent():
                return False
            for key, _ in self._selector.select(left):
                if key.fileobj is self._stdin:
                    self._write()
                else:
                    self._read(key.fileobj)  # type: ignore[arg-type]
        return not self.over_output

    def silent(self) -> bool:
        """Whether stdout, stderr and channel have all ended."""
        return all(stream.closed for stream in self._held)

    def take_line(self) -> bytes | None:
        """The next whole line of the channel, without its newline, or None where there is none yet."""
        end = self._said.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._said[:end])
        del self._said[: end + 1]
        return line

    def has_line(self) -> bool:
        """Whether a whole line waits on the channel."""
        return b"\n" in self._said

    def finish(self) -> Result:
        """Wait for the end, within the wall limit; what still runs then is killed."""
        self.pump(self.silent, self.deadline)
        timed_out = False
        if not self.over_output:
            try:
                self._process.wait(max(0.0, self.deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                timed_out = True
            timed_out = timed_out or time.monotonic() >= self.deadline
        if timed_out or self.over_output:
            self.kill()
        took = time.monotonic() - self._started
        code = None if self.killed else self._process.returncode
        self.close()
        return Result(
            exit_code=code,
            stdout=bytes(self._out),
            stderr=bytes(self._err),
            channel=bytes(self._said),
            timed_out=timed_out,
            over_output=self.over_output,
            took=took,
        )

    def kill(self) -> None:
        """SIGKILL; afterwards the streams are drained, which ends only when the last of the tree is gone."""
        self.killed = True
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + _GRACE
        while not self.silent() and time.monotonic() < deadline:
            for key, _ in self._selector.select(max(0.0, deadline - time.monotonic())):
                if key.fileobj is self._stdin:
                    self._selector.unregister(self._stdin)
                else:
                    self._read(key.fileobj)  # type: ignore[arg-type]

    def close(self) -> None:
        """Kill what still runs and give every descriptor back."""
        self._fuse.cancel()
        if self._process.poll() is None:
            self.kill()
        if self._stop is not None:
            self._stop.forget(self)
        self._selector.close()
        for stream in (self._stdin, *self._held):
            with contextlib.suppress(OSError):
                stream.close()

    def _read(self, stream: IO[bytes]) -> None:
        chunk = stream.read(_CHUNK)
        if chunk is None:
            return
        if not chunk:
            self._selector.unregister(stream)
            stream.close()
            return
        room = self._limit - sum(map(len, self._held.values()))
        self._held[stream] += chunk[: max(0, room)]
        self.over_output = self.over_output or len(chunk) > room

    def _write(self) -> None:
        try:
            written = os.write(self._stdin.fileno(), self._pending[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:  # it no longer reads
            self._pending.clear()
            self._close_stdin = True
        else:
            del self._pending[:written]
        if not self._pending:
            self._selector.unregister(self._stdin)
            if self._close_stdin:
                self._stdin.close()


class ByChild:
    """`run` and `open` of a sandbox that starts each job as a child."""

    def _start(self, job: Job) -> Child:
        raise NotImplementedError

    def run(self, job: Job, stdin: bytes = b"") -> Result:
        """Run to the end or to the wall limit; see `fixloop.Sandbox.run`."""
        child = self._start(job)
        try:
            child.send(stdin, last=True)
            return child.finish()
        finally:
            child.close()

    def open(self, job: Job) -> Session:
        """Start a job that is spoken to; see `fixloop.Sandbox.open`."""
        return ChildSession(self._start(job))


class ChildSession:
    """A `fixloop.Session` over a child. It lives as long as the thread that opened it, and no longer."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._over = False

    def ask(self, line: bytes, *, wall: float) -> bytes | None:
        """Send one line and wait up to `wall` seconds for one line; newlines are added and taken off."""
        if self._over:
            return None
        self._child.send(line if line.endswith(b"\n") else line + b"\n")
        deadline = min(time.monotonic() + wall, self._child.deadline)
        if self._child.pump(self._child.has_line, deadline):
            return self._child.take_line()
        self._over = True
        self._child.kill()
        return None

    def stderr(self) -> bytes:
        """What it has printed to stderr so far."""
        return self._child.stderr

    def close(self) -> None:
        """Kill what still runs."""
        self._over = True
        self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes] | None, ...]:
    return process.stdin, process.stdout, process.stderr


def _present(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the child was started without this pipe")
    return stream

"""A network namespace of its own for workers, with one cable to this machine that can be pulled out.

As root on Linux with `ip` (iproute2). What is in the namespace reaches this machine at `address` and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self


class NoNamespace(Exception):
    """No namespace can be made here, and why."""


@dataclass(frozen=True)
class Namespace:
    """A namespace, by name; `address` is this machine's, as seen from in there."""

    name: str
    inner: str  # the end of the cable that is in there
    address: str

    @classmethod
    @contextlib.contextmanager
    def made(cls) -> Iterator[Self]:
        """A namespace for as long as the block lasts. Raises NoNamespace."""
        number = os.getpid() % 16_000
        name, outer, inner = f"nd-{number}", f"nd{number}o", f"nd{number}i"
        network = f"10.213.{number // 64}.{number % 64 * 4}"
        first, _, last = network.rpartition(".")
        ours, theirs = (f"{first}.{int(last) + host}" for host in (1, 2))
        _ip("netns", "add", name)
        try:
            _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
            _ip("addr", "add", f"{ours}/30", "dev", outer)
            _ip("link", "set", outer, "up")
            _ip("-n", name, "addr", "add", f"{theirs}/30", "dev", inner)
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", inner, "up")
            yield cls(name, inner, ours)
        finally:
            _ip("netns", "del", name)  # the cable goes with it

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command that runs in there."""
        return [_program(), "netns", "exec", self.name, *argv]

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Not a packet comes through while the block lasts, and nobody is told."""
        _ip("-n", self.name, "link", "set", self.inner, "down")
        try:
            yield
        finally:
            _ip("-n", self.name, "link", "set", self.inner, "up")


def _program() -> str:
    program = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise NoNamespace("`ip` is not here; it comes with iproute2")
    return program


def _ip(*words: str) -> None:
    done = subprocess.run([_program(), *words], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise NoNamespace(f"`ip {' '.join(words)}` says: {done.stderr.strip()}")

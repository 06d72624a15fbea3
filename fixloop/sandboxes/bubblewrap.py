"""The sandbox on bubblewrap: new namespaces throughout, and of the host only what is mounted read-only.

Two forms. *Staged* starts bubblewrap from `stage.py`, which bounds the inodes of /tmp and leaves root
behind; where the machine does not permit that, *plain* starts it directly and says what stays open. A live
self-test picks.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from fixloop import Job, SelfTest
from fixloop.sandboxes import command, probes, seccomp, stage
from fixloop.sandboxes.child import ByChild, Child
from store.errors import SandboxRefused

_INODES = 1 << 14
_MISSING = (
    "bubblewrap is not installed: apt-get install bubblewrap (Debian/Ubuntu), "
    "dnf install bubblewrap (Fedora), apk add bubblewrap (Alpine)."
)
_NO_PRLIMIT = "prlimit is missing, which bounds memory and processes: apt-get install util-linux."
_FIX = (
    "Where AppArmor restricts user namespaces (Ubuntu 24.04): sudo sysctl -w "
    "kernel.apparmor_restrict_unprivileged_userns=0, or install an AppArmor profile for bwrap. In Docker: "
    "run with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined."
)
_ALWAYS_OPEN = ("no memory bound over the whole tree: memory is bounded for each process, times processes",)
_OPEN_WITHOUT_FILTER = (
    "no seccomp filter for this machine: vsock and netlink sockets, ptrace, keyrings, io_uring"
)
_OPEN_WITHOUT_STAGE = "no inode limit on /tmp"
_OPEN_AS_ROOT = "the number of processes is not bounded, because this runs as root without a stage"


class Bubblewrap(ByChild):
    """`fixloop.Sandbox` on the system's `bwrap`. Works as an ordinary user and as root."""

    name = "bubblewrap"

    def self_test(self) -> SelfTest:
        """Run the quick probes in each form until one holds. About a second; once in a process."""
        return _tested()[0]

    def _start(self, job: Job) -> Child:
        tested, staged = _tested()
        if not tested.ok:
            raise SandboxRefused(tested.said)
        return start(job, staged=staged)


def start(job: Job, *, staged: bool) -> Child:
    """Start a job in one of the two forms without asking whether the sandbox holds."""
    with ExitStack() as stack:
        reading, writing = os.pipe()
        stack.callback(os.close, writing)
        unclaimed = stack.enter_context(ExitStack())
        unclaimed.callback(os.close, reading)
        inherited = [writing]

        def keep(content: bytes) -> int:
            inherited.append(_memory_file(stack, content))
            return inherited[-1]

        files = {path: keep(content) for path, content in {**command.ETC, **job.files}.items()}
        code = seccomp.program(platform.machine())
        chosen = command.options(
            job, _layout(job, staged), files, writing, None if code is None else keep(code)
        )
        argv = [command.bwrap(), "--args", str(keep(_null_terminated(chosen))), "--"]
        argv += [*command.limits(job), *job.argv]
        if staged:
            argv = [sys.executable, "-I", "-S", "-B", stage.__file__, str(keep(_plan(job, argv)))]
        child = Child(argv, fds=inherited, channel=reading, wall=job.wall, output=job.output)
        unclaimed.pop_all()
        return child


def _layout(job: Job, staged: bool) -> command.Layout:
    if not staged:
        return command.Layout([str(mount.source.resolve()) for mount in job.mounts])
    sources = [f"{stage.STAGE}/{index}" for index in range(len(job.mounts))]
    return command.Layout(sources, f"{stage.STAGE}/scratch", f"{stage.STAGE}/shm")


def _plan(job: Job, argv: list[str]) -> bytes:
    plan = {
        "scratch": job.scratch,
        "shm": min(command.SHM, job.scratch),
        "inodes": _INODES,
        "mounts": [str(mount.source.resolve()) for mount in job.mounts],
        "argv": argv,
    }
    return json.dumps(plan).encode()


def _memory_file(stack: ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("nightdesk")
    stack.callback(os.close, descriptor)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _null_terminated(chosen: Iterable[str]) -> bytes:
    return b"".join(option.encode() + b"\0" for option in chosen)


_lock = threading.Lock()
_known: list[tuple[SelfTest, bool]] = []


def _tested() -> tuple[SelfTest, bool]:
    """The verdict on this machine and whether the staged form is the one that holds."""
    with _lock:
        if not _known:
            _known.append(_test())
        return _known[0]


def _test() -> tuple[SelfTest, bool]:
    name = Bubblewrap.name
    if shutil.which("bwrap") is None:
        return SelfTest(name, False, _MISSING), False
    if not Path("/usr/bin/prlimit").exists():
        return SelfTest(name, False, _NO_PRLIMIT), False
    reasons = []
    for staged in (True, False):
        failed = probes.quick(partial(start, staged=staged))
        if failed is None:
            form = "behind a stage with bounded inodes" if staged else "directly"
            return SelfTest(name, True, f"bubblewrap holds, started {form}.", _still_open(staged)), staged
        reasons.append(failed)
    return SelfTest(name, False, f"bubblewrap does not hold here: {reasons[-1]}. {_FIX}"), False


def _still_open(staged: bool) -> tuple[str, ...]:
    found = list(_ALWAYS_OPEN)
    if seccomp.program(platform.machine()) is None:
        found.append(_OPEN_WITHOUT_FILTER)
    if not staged:
        found.append(_OPEN_WITHOUT_STAGE)
        if os.geteuid() == 0:
            found.append(_OPEN_AS_ROOT)
    return tuple(found)

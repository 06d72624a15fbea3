"""The sandbox on bubblewrap: new namespaces throughout, and of the host only what is mounted read-only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from fixloop import Job, Result, SelfTest, Session
from fixloop.sandboxes.child import Child, ChildSession
from store.errors import SandboxRefused

_ID = "1000"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = {
    "/etc/passwd": b"app:x:1000:1000:app:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": b"app:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": b"127.0.0.1 localhost sandbox\n::1 localhost sandbox\n",
    "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
    "/etc/ld.so.cache": b"",
}
_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - inside
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_SHM = 64 << 20
_OPEN = (
    "no inode limit on /tmp",
    "no seccomp filter: vsock and netlink sockets, ptrace and keyrings inside",
    "no memory bound over the whole tree, only one for each process",
)


class Bubblewrap:
    """`fixloop.Sandbox` on the system's `bwrap`. Works as an ordinary user and as root."""

    name = "bubblewrap"

    def self_test(self) -> SelfTest:
        """Whether bwrap is there and starts; the probes once in a process."""
        if shutil.which("bwrap") is None:
            return SelfTest(
                self.name, False, "bubblewrap is not installed: apt-get install bubblewrap (Debian/Ubuntu)."
            )
        return SelfTest(self.name, True, "bubblewrap holds.", _OPEN)

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

    def _start(self, job: Job) -> Child:
        tested = self.self_test()
        if not tested.ok:
            raise SandboxRefused(tested.said)
        return start(job)


def start(job: Job) -> Child:
    """Start a job in its sandbox without asking whether the sandbox holds."""
    with ExitStack() as stack:
        reading, writing = os.pipe()
        stack.callback(os.close, writing)
        files = {path: _memory_file(stack, content) for path, content in {**_ETC, **job.files}.items()}
        options = _memory_file(stack, _null_terminated(_options(job, files, writing)))
        argv = [shutil.which("bwrap") or "bwrap", "--args", str(options), "--", *_limits(job), *job.argv]
        return Child(
            argv,
            fds=(writing, options, *files.values()),
            channel=reading,
            wall=job.wall,
            output=job.output,
        )


def _options(job: Job, files: dict[str, int], channel: int) -> list[str]:
    options = ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    options += ["--clearenv", "--cap-drop", "ALL", "--uid", _ID, "--gid", _ID, "--hostname", "sandbox"]
    for folder in map(Path, _SYSTEM):
        if folder.is_symlink():
            options += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            options += ["--ro-bind", str(folder), str(folder)]
    options += ["--proc", "/proc", "--dev", "/dev"]
    options += ["--size", str(min(_SHM, job.scratch)), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
    options += ["--size", str(job.scratch), "--tmpfs", "/tmp"]  # noqa: S108
    for mount in job.mounts:
        options += ["--ro-bind", str(mount.source.resolve()), mount.target]
    for path, descriptor in files.items():
        options += ["--perms", "0444", "--ro-bind-data", str(descriptor), path]
    options += ["--remount-ro", "/", "--chdir", job.cwd]
    for name, value in {**_ENV, **job.env, "ND_CHANNEL": str(channel)}.items():
        options += ["--setenv", name, value]
    return options


def _limits(job: Job) -> list[str]:
    """Resource limits, set inside: the number of processes then counts this sandbox only."""
    return [
        "/usr/bin/prlimit",
        f"--cpu={job.cpu}",
        f"--as={job.memory}",
        f"--nproc={job.processes}",
        "--nofile=1024",
        f"--fsize={job.scratch}",
        "--core=0",
        "--",
    ]


def _memory_file(stack: ExitStack, content: bytes) -> int:
    descriptor = os.memfd_create("nightdesk")
    stack.callback(os.close, descriptor)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _null_terminated(options: Iterable[str]) -> bytes:
    return b"".join(option.encode() + b"\0" for option in options)


__all__: Sequence[str] = ("Bubblewrap", "start")

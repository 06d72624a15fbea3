"""From a job to the options of bubblewrap."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fixloop import Job

SHM = 64 << 20  # bytes of /dev/shm, at most
_ID = "1000"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = {
    "/etc/passwd": b"app:x:1000:1000:app:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": b"app:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": b"127.0.0.1 localhost sandbox\n::1 localhost sandbox\n",
    "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
}
ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - inside
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True)
class Layout:
    """Where bubblewrap finds what the job reads and writes. Without scratch and shm, it makes its own."""

    sources: Sequence[str]  # one for each mount of the job, in order
    scratch: str | None = None
    shm: str | None = None


def options(
    job: Job, layout: Layout, files: Mapping[str, int], channel: int, seccomp: int | None
) -> list[str]:
    """Everything before the command itself. `files`: path inside -> descriptor of its content."""
    chosen = [
        "--unshare-all",
        "--unshare-user",
        "--die-with-parent",
        "--new-session",
        *_no_nested_namespaces(bwrap()),
    ]
    chosen += ["--clearenv", "--cap-drop", "ALL", "--uid", _ID, "--gid", _ID, "--hostname", "sandbox"]
    chosen += [*_system(), "--proc", "/proc", "--dev", "/dev"]
    chosen += _writable("/dev/shm", layout.shm, min(SHM, job.scratch))  # noqa: S108 - inside
    chosen += ["--remount-ro", "/dev"]
    chosen += _writable("/tmp", layout.scratch, job.scratch)  # noqa: S108 - inside
    for source, mount in zip(layout.sources, job.mounts, strict=True):
        chosen += ["--ro-bind", source, mount.target]
    for path, descriptor in files.items():
        chosen += ["--perms", "0444", "--ro-bind-data", str(descriptor), path]
    chosen += ["--remount-ro", "/", "--chdir", job.cwd]
    if seccomp is not None:
        chosen += ["--seccomp", str(seccomp)]
    for name, value in {**ENV, **job.env, "ND_CHANNEL": str(channel)}.items():
        chosen += ["--setenv", name, value]
    return chosen


def limits(job: Job) -> list[str]:
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


def bwrap() -> str:
    """The path of bubblewrap; its bare name where it is not installed."""
    return shutil.which("bwrap") or "bwrap"


@cache
def _no_nested_namespaces(command: str) -> tuple[str, ...]:
    """Since bubblewrap 0.8; the system call filter refuses them as well."""
    asked = subprocess.run([command, "--help"], capture_output=True, text=True, timeout=10, check=False)
    return ("--disable-userns",) if "--disable-userns" in asked.stdout + asked.stderr else ()


def _system() -> list[str]:
    chosen = []
    for folder in map(Path, SYSTEM):
        if folder.is_symlink():
            chosen += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            chosen += ["--ro-bind", str(folder), str(folder)]
    return chosen


def _writable(target: str, folder: str | None, size: int) -> list[str]:
    return ["--bind", folder, target] if folder else ["--size", str(size), "--tmpfs", target]

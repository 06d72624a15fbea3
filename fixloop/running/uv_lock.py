"""A project's `uv.lock`, read and locked anew by uv, in a folder that has nothing but the projects' own files.

Neither builds anything: a project whose metadata its build has to say is refused, for that would run its code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from fixloop.running.installer import Installer
from store.errors import Unavailable

LOCK, PROJECT = "uv.lock", "pyproject.toml"


def exported(files: Mapping[str, str], lock: str) -> list[str]:
    """What a lock pins, as requirement lines; what is no release of an index is left out. `files` are texts by path,
    `lock` the path of the lock. Needs no network. Raises Unavailable where uv cannot read it."""
    with _laid_out(files, lock) as folder:
        options = ("--no-hashes", "--no-header", "--no-annotate", "--no-emit-workspace", "--no-emit-local")
        done = Installer().run("export", "--frozen", "--offline", *options, folder=folder)
    if done.returncode != 0:
        raise Unavailable(f"{lock} cannot be read: {' '.join(done.stderr.split())[-300:]}")
    return [line for line in done.stdout.splitlines() if "==" in line and " @ " not in line]


def locked_anew(files: Mapping[str, str], lock: str, pin: str, python: str) -> str:
    """The text of a lock after uv has moved one package to `pin` ("name==version"). Raises Unavailable."""
    with _laid_out(files, lock) as folder:
        done = Installer().run(
            "lock",
            "--upgrade-package",
            pin,
            "--no-build",
            "--no-python-downloads",
            "--python",
            python,
            folder=folder,
        )
        if done.returncode != 0:
            raise Unavailable(f"uv does not lock {pin}: {' '.join(done.stderr.split())[-300:]}")
        return (folder / LOCK).read_text()


@contextmanager
def _laid_out(files: Mapping[str, str], lock: str) -> Iterator[Path]:
    """A folder with a lock and the projects beside and below it."""
    root = PurePosixPath(lock).parent
    with tempfile.TemporaryDirectory(prefix="nd-lock-") as folder:
        for path, text in files.items():
            pure = PurePosixPath(path)
            if pure.is_relative_to(root) and (path == lock or pure.name == PROJECT):
                place = Path(folder) / pure.relative_to(root)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
        yield Path(folder)

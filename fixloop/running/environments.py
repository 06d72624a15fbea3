"""An application's dependencies, prepared once and then only read: the one step that may use a network.

Wheels only: installing them runs none of their code. The project itself is never installed. An environment is
found again by the hash of what it was made from.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fixloop import Mount
from fixloop.running.installer import Installer, base_mounts, copy_from_here, find_interpreter
from store.errors import Unavailable

_FORMAT = "2"  # of the prepared folders; part of every key
_CLOCK = "/opt/nightdesk/clock"  # where time-machine is, inside
_RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*==\s*([^\s;,*]+)\s*(?:;.*)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Environment:
    """An interpreter with an application's dependencies. Every path is the same inside as outside."""

    key: str
    python: str  # the interpreter to start
    mounts: tuple[Mount, ...]  # what a job has to mount for it
    site_packages: tuple[str, ...]
    path: tuple[str, ...] = ()  # entries that a job appends to PYTHONPATH, after the application's own
    notes: tuple[str, ...] = ()  # where it differs from what was asked for, in sentences


class Environments:
    """Prepares environments below `folder` and finds them again. Several processes may do so at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def prepare(
        self,
        requirements: str,
        python: str = _RUNNING,
        stub_metadata: tuple[str, ...] = (),
        allow_network: bool = True,
        exact: bool = False,
    ) -> Environment:
        """The environment for the text of a requirements file.

        `python` is a version such as "3.11". `stub_metadata` names distributions, as "name==version", that
        get metadata and nothing else, for packages that ask for their own version. With `exact` the
        requirements are all there is: what they ask for in turn is not added. Tried in this order: what was
        prepared before, copies out of the environment that runs us where it has every pin, the installer's
        cache, the network. Raises Unavailable where a requirement cannot be had as a wheel.
        """
        lines = requirement_lines(requirements)
        stubs = tuple(sorted(_pins(stub_metadata)))
        version = ".".join(python.split(".")[:2])
        key = _key(lines, version, stubs, exact=exact)
        made = self._folder / key
        if (made / "pyvenv.cfg").exists():
            return _prepared(key, made)
        with self._locked(key):
            if not (made / "pyvenv.cfg").exists():
                self._make(made, lines, version, stubs, allow_network=allow_network, exact=exact)
        return _prepared(key, made)

    def _make(
        self,
        made: Path,
        lines: Sequence[str],
        version: str,
        stubs: Sequence[tuple[str, str]],
        *,
        allow_network: bool,
        exact: bool,
    ) -> None:
        """Build beside the final place, then rename: what carries the key is always whole."""
        installer = Installer()
        notes = []
        interpreter = find_interpreter(installer, version)
        if interpreter is None:
            notes.append(f"Python {version} is not installed here; Python {_RUNNING} was used in its place.")
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".making-") as folder:
            building = Path(folder) / "env"
            installer.create(building, interpreter)
            (site,) = _site_packages(building)
            if version == _RUNNING and satisfied_here(lines):
                # Only what was asked for: the rest of ours would be found by code that looks for what is installed
                # (sentry-sdk enables an integration for each, 15 s of imports).
                notes += copy_from_here(site, [_name_of(line) for line in lines], exact=exact)
            else:
                notes += installer.install(building, lines, allow_network=allow_network, exact=exact)
            if not any(canonical(_name_of(line)) == "pytest" for line in lines):
                notes += installer.add_pytest(building, site, allow_network=allow_network)
            _write_stubs(site, stubs)
            installer.compile(building)
            (building / "notes").write_text("\n".join(notes))
            building.rename(made)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f".{key}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def requirement_lines(requirements: str) -> tuple[str, ...]:
    """The requirements, one a line, sorted, without comments and hashes.

    Raises Unavailable for options, paths, addresses, editable installs: they build code outside a sandbox.
    """
    found = set()
    for line in requirements.replace("\\\n", " ").splitlines():
        text = re.sub(r"(^|\s)#.*", "", line)
        text = re.sub(r"\s--hash[= ]\S+", "", text).strip()
        if not text:
            continue
        if not _NAME.match(text) or "@" in text or "://" in text or os.sep in text.split(";")[0]:
            raise Unavailable(f"not_runnable: the requirement {text!r} is not a plain name with a version.")
        found.add(text)
    return tuple(sorted(found))


def satisfied_here(lines: Sequence[str]) -> bool:
    """Whether every requirement is pinned and installed, in that version, in the environment that runs us."""
    for line in lines:
        pinned = _PINNED.fullmatch(line)
        if pinned is None:
            return False
        try:
            installed = importlib.metadata.version(pinned[1])
        except importlib.metadata.PackageNotFoundError:
            return False
        if installed != pinned[2]:
            return False
    return True


def _prepared(key: str, made: Path) -> Environment:
    python = made / "bin" / "python"
    settings = dict(
        line.split(" = ", 1) for line in (made / "pyvenv.cfg").read_text().splitlines() if " = " in line
    )
    notes = (made / "notes").read_text().splitlines()
    packages = _site_packages(made)
    clock = _clock(packages)
    return Environment(
        key=key,
        python=str(python),
        mounts=(*base_mounts(python, Path(settings["home"]).parent), Mount(made, str(made)), *clock),
        site_packages=tuple(str(place) for place in packages),
        path=(_CLOCK,) if clock else (),
        notes=tuple(notes),
    )


def _clock(packages: Sequence[Path]) -> tuple[Mount, ...]:
    """Mounts of time-machine, which can stop an application's clock, where its environment has none and is of the
    Python that ours was compiled for."""
    if any(
        place.parent.name != f"python{_RUNNING}" or (place / "time_machine").is_dir() for place in packages
    ):
        return ()
    found = [importlib.util.find_spec(name) for name in ("time_machine", "_time_machine")]
    origins = [Path(spec.origin) for spec in found if spec is not None and spec.origin is not None]
    if len(origins) < len(found):
        return ()
    package, compiled = origins
    return (
        Mount(package.parent, f"{_CLOCK}/time_machine"),
        Mount(compiled, f"{_CLOCK}/{compiled.name}"),
    )


def _site_packages(environment: Path) -> tuple[Path, ...]:
    return tuple(sorted(environment.glob("lib/python*/site-packages")))


def _key(lines: Sequence[str], version: str, stubs: Sequence[tuple[str, str]], *, exact: bool) -> str:
    parts = [
        _FORMAT,
        sys.platform,
        version,
        importlib.metadata.version("pytest"),
        "\n".join(lines),
        repr(stubs),
        *(["exact"] if exact else []),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _pins(stubs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for stub in stubs:
        pinned = _PINNED.fullmatch(stub)
        if pinned is None:
            raise Unavailable(f"not_runnable: {stub!r} is not a name and a version (name==version).")
        yield pinned[1], pinned[2]


def _write_stubs(folder: Path, stubs: Sequence[tuple[str, str]]) -> None:
    """Metadata without a package, for `importlib.metadata.version(name)`. A real distribution wins."""
    for name, version in stubs:
        dashed = canonical(name).replace("-", "_")
        if any(folder.glob(f"{dashed}-*.dist-info")):
            continue
        target = folder / f"{dashed}-{version}.dist-info"
        target.mkdir(parents=True)
        (target / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def _name_of(line: str) -> str:
    found = _NAME.match(line)
    return found[0] if found else ""


def canonical(name: str) -> str:
    """A package's name as names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()

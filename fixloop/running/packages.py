"""The packages of an environment, and the same environment with one of them in another version.

Which versions there are is asked of uv, so of the same index and with the same settings as the environment itself was
made. This and the making of the other environment are steps of the preparation: they may use a network, and they end
before anything is run. Wheels only, so that nothing of a package runs when it is installed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fixloop.running.environments import Environment, Environments, canonical
from fixloop.running.installer import Installer
from store.errors import Unavailable
from store.repair import Upgrade

_INSIDE = re.compile(r"(?:^|/)(?:site|dist)-packages/(.+)$")
_SAID = re.compile(r"^The package `([^`]+)` (.+)$", re.M)


class OtherPackages(Exception):
    """The other version does not go with what else is installed; the text says what it needs."""


@dataclass(frozen=True)
class Packages:
    """What `environment` has installed, and how to have it otherwise."""

    environments: Environments
    environment: Environment
    stub_metadata: tuple[str, ...] = ()
    allow_network: bool = True

    @cached_property
    def installed(self) -> Mapping[str, str]:
        """Version by canonical name of the package."""
        return {name: version for name, version, _ in _distributions(self.environment)}

    @property
    def pins(self) -> tuple[str, ...]:
        """All that is installed, as "name==version"."""
        return tuple(sorted(f"{name}=={version}" for name, version in self.installed.items()))

    @cached_property
    def python(self) -> str:
        """The version of the interpreter, such as "3.11"."""
        return Path(self.environment.site_packages[0]).parent.name.removeprefix("python")

    def owner(self, path: str) -> str | None:
        """The package that a file of the import path is of, wherever the machine keeps its packages."""
        found = _INSIDE.search(path.replace("\\", "/"))
        inside = found[1] if found is not None else path
        return self._files.get(inside) or self._files.get(inside.partition("/")[0].removesuffix(".py"))

    @cached_property
    def _files(self) -> Mapping[str, str]:
        """Package by file, and by module where all of its files are one package's."""
        files: dict[str, str] = {}
        tops: dict[str, set[str]] = {}
        for name, _, record in _distributions(self.environment):
            for path in record:
                files[path] = name
                tops.setdefault(path.partition("/")[0].removesuffix(".py"), set()).add(name)
        return {top: next(iter(names)) for top, names in tops.items() if len(names) == 1} | files

    def newer(self, package: str) -> tuple[str, ...]:
        """The versions to try instead, nearest first: the next one, then the newest of the same minor, of the same
        major, of all. Raises Unavailable where the index does not answer."""
        old = self.installed[package]
        major, minor = (*old.split("."), "0")[:2]
        wanted = (
            (f"{package}>{old}", "lowest-direct"),
            (f"{package}>{old},=={major}.{minor}.*", "highest"),
            (f"{package}>{old},=={major}.*", "highest"),
            (f"{package}>{old}", "highest"),
        )
        found = (self._version(requirement, which) for requirement, which in wanted)
        return tuple(dict.fromkeys(version for version in found if version is not None))

    def _version(self, requirement: str, which: str) -> str | None:
        """The version that satisfies a requirement, of those that there are as wheels; None where there is none."""
        done = self.resolved(requirement, "--resolution", which)
        _, _, version = done.partition("==")
        return version.split()[0] if version else None

    def resolved(self, requirement: str, *options: str) -> str:
        """What uv makes of one requirement, without what it needs in turn; empty where nothing satisfies it. What was
        fetched before is asked first. Raises Unavailable where the index does not answer."""
        network: tuple[tuple[str, ...], ...] = (
            ((), ("--offline",)) if self.allow_network else (("--offline",),)
        )
        for how in network:
            done = Installer().run(
                "pip", "compile", "-", "--no-deps", "--no-header", "--no-annotate", "--only-binary", ":all:",
                "--python", self.environment.python, *options, *how, given=requirement + "\n",
            )  # fmt: skip
            if done.returncode == 0:
                return done.stdout.strip()
            if "we can conclude" in " ".join(done.stderr.split()):
                return ""
        said = " ".join(done.stderr.split())[-300:]
        raise Unavailable(f"the index says nothing of {requirement}: {said}")

    def upgrade(self, package: str, version: str) -> Upgrade:
        """That package in that version, with the rest as it is."""
        return Upgrade(
            package=package, old=self.installed[package], new=version, installed=self.pins, python=self.python,
            stub_metadata=self.stub_metadata,
        )  # fmt: skip

    def with_upgrade(self, upgrade: Upgrade) -> Environment:
        """The environment in which only that package is another. Raises Unavailable where it cannot be had as a wheel,
        OtherPackages where it needs more than that."""
        if upgrade.installed != self.pins:
            raise Unavailable("the environment that is here is not the one of the proposal")
        other = made(self.environments, upgrade.after, upgrade, allow_network=self.allow_network)
        there = {name: version for name, version, _ in _distributions(other)}
        if there != {**self.installed, upgrade.package: upgrade.new}:
            raise Unavailable(f"{upgrade.package} {upgrade.new} cannot be had here as a wheel")
        before = _complaints(self.environment)
        new = [said for said in _complaints(other) if said not in before]
        if new:
            raise OtherPackages("; ".join(new[:3]))
        return other


def made(
    environments: Environments, pins: Sequence[str], upgrade: Upgrade, *, allow_network: bool
) -> Environment:
    """The environment of one side of an upgrade: these packages and no others. Raises Unavailable."""
    return environments.prepare(
        "\n".join(pins), upgrade.python, upgrade.stub_metadata, allow_network=allow_network, exact=True
    )


def _distributions(environment: Environment) -> list[tuple[str, str, tuple[str, ...]]]:
    """(canonical name, version, files) of what is installed; what is only metadata is not."""
    found = []
    for site in environment.site_packages:
        for record in sorted(Path(site).glob("*.dist-info/RECORD")):
            name, _, version = record.parent.name.removesuffix(".dist-info").partition("-")
            lines = record.read_text("utf-8", "replace").splitlines()
            files = (line.rpartition(",")[0].rpartition(",")[0].strip('"') for line in lines)
            found.append((canonical(name), version, tuple(path for path in files if path.endswith(".py"))))
    return found


def _complaints(environment: Environment) -> list[str]:
    """What the installed packages say that they lack of each other."""
    done = Installer().run("pip", "check", "--python", environment.python)
    return [f"{name} {said}" for name, said in _SAID.findall(done.stderr + done.stdout)]

"""uv as the installer of environments: interpreters, virtual environments, wheels."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import uv

from fixloop import Mount
from store.errors import Unavailable

_TIMEOUT = 900.0  # seconds for one command
_NO_WHEEL = (
    re.compile(r"([A-Za-z0-9._-]+)(?:==\S+)? has no (?:usable |source distribution or )?wheels?"),
    re.compile(r"[Bb]uilding source distributions for `?([A-Za-z0-9._-]+)`? is disabled"),
)
_TOOL = "pytest"
_WITHOUT = 5  # requirements without a wheel that are left out before the environment is given up


class Installer:
    """Runs uv. Raises Unavailable where there is none, or where it cannot do what is asked."""

    def __init__(self) -> None:
        try:
            self._uv = uv.find_uv_bin()
        except FileNotFoundError:
            found = shutil.which("uv")
            if found is None:
                raise Unavailable(
                    "uv is not installed, which prepares environments: pip install uv."
                ) from None
            self._uv = found

    def interpreter(self, version: str) -> str | None:
        """The path of an installed Python of this version, or None. Downloads nothing."""
        found = self.run(
            "python", "find", "--system", "--no-project", "--no-python-downloads", "--offline", version
        )
        if found.returncode == 0:
            return found.stdout.strip()
        return next(iter(_pyenv(version)), None)

    def create(self, environment: Path, interpreter: str | None) -> None:
        """Make an empty virtual environment."""
        python = interpreter or base_interpreter()
        done = self.run(
            "venv", "--relocatable", "--no-project", "--offline", "--python", python, str(environment)
        )
        if done.returncode != 0:
            raise Unavailable(f"the environment could not be made: {_last_line(done.stderr)}")

    def install(
        self, environment: Path, lines: Sequence[str], *, allow_network: bool, exact: bool = False
    ) -> list[str]:
        """Install the requirements: from the cache, then the network; whole, then only what they name (with
        `exact`: only that). One that has no wheel is left out: what needs it will say so when it runs.

        Answers with notes. Raises Unavailable, naming the requirement, where too many have no wheel.
        """
        notes: list[str] = []
        left = list(lines)
        for _ in range(_WITHOUT + 1):
            said, more = self._try(environment, left, allow_network=allow_network, exact=exact)
            if said is None:
                return notes + more
            missing = (_no_wheel(said) or "").lower().replace("_", "-")
            rest = [line for line in left if _name(line) != missing]
            if not missing or len(rest) == len(left):
                break
            notes.append(f"{missing} has no wheel here and was left out.")
            left = rest
        said = said or ""
        raise Unavailable(_why(said, environment, allow_network), retry=not _no_wheel(said))

    def _try(
        self, environment: Path, lines: Sequence[str], *, allow_network: bool, exact: bool
    ) -> tuple[str | None, list[str]]:
        """None and notes where it worked; else what uv said last."""
        if not lines:
            return None, []
        listed = environment / "requirements.txt"
        listed.write_text("\n".join(lines) + "\n")
        said = ""
        for alone in (True,) if exact else (False, True):
            for offline in (True, False) if allow_network else (True,):
                options = [*(["--no-deps"] if alone else []), *(["--offline"] if offline else [])]
                done = self._install(environment, *options, "-r", str(listed))
                if done.returncode == 0:
                    note = "The pins contradict what they ask of each other; only the pins were installed."
                    return None, [note] * (alone and not exact)
                said = done.stderr
        return said, []

    def add_pytest(self, environment: Path, site: Path, *, allow_network: bool) -> list[str]:
        """Put pytest at the very end of the import path, so that the application's own versions win."""
        tools = environment / "tools"
        if site.parent.name == f"python{sys.version_info.major}.{sys.version_info.minor}":
            for distribution in _closure(_TOOL):
                _copy(distribution, tools)
        else:
            options = [] if allow_network else ["--offline"]
            done = self._install(environment, *options, "--target", str(tools), _TOOL)
            if done.returncode != 0:
                return [f"{_TOOL} could not be added: {_last_line(done.stderr)}"]
        (site / "zz-nightdesk-tools.pth").write_text("../../../tools\n")
        return []

    def compile(self, environment: Path) -> None:
        """Write bytecode, with the base interpreter and without `site`: no code of the environment runs."""
        base = str((environment / "bin" / "python").resolve())
        command = [base, "-I", "-S", "-m", "compileall", "-q", "-j", "0", str(environment)]
        subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT, check=False
        )  # what does not compile stays

    def _install(self, environment: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        python = str(environment / "bin" / "python")
        wheels = ("--only-binary", ":all:", "--link-mode", "copy")
        return self.run("pip", "install", "--python", python, *wheels, *arguments)

    def run(
        self, *arguments: str, given: str = "", folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run uv with `given` on its standard input, in `folder`. Raises Unavailable where it does not end."""
        command = [self._uv, "--no-config", "--color", "never", "--no-progress", *arguments]
        try:
            return subprocess.run(
                command,
                input=given,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"uv did not finish within {_TIMEOUT:.0f} s.", retry=True) from None


def _pyenv(version: str) -> list[str]:
    """Interpreters that pyenv keeps beside the one it has switched on."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return sorted(map(str, root.glob(f"versions/{version}.*/bin/python{version}")))


def base_interpreter() -> str:
    """The interpreter below our own virtual environment."""
    return str(getattr(sys, "_base_executable", sys.executable))


def find_interpreter(installer: Installer, version: str) -> str | None:
    """Our own base interpreter where it has this version, otherwise an installed one, or None."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return base_interpreter()
    return installer.interpreter(version)


def base_mounts(python: Path, base: Path) -> tuple[Mount, ...]:
    """What an interpreter needs below its virtual environment: every prefix on the way through its links."""
    prefixes = [base, base.resolve()]
    link = python
    while link.is_symlink():
        link = link.parent / link.readlink()
        if link.parent != python.parent:
            prefixes.append(link.parent.parent)
    prefixes.append(python.resolve().parent.parent)
    return tuple(Mount(prefix.resolve(), str(prefix)) for prefix in dict.fromkeys(prefixes))


def _closure(name: str) -> list[importlib.metadata.Distribution]:
    """A distribution of our own environment and everything it requires here."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [name]
    while waiting:
        wanted = waiting.pop()
        if wanted in found:
            continue
        try:
            distribution = importlib.metadata.distribution(wanted)
        except importlib.metadata.PackageNotFoundError:
            continue  # required under a condition that does not hold here
        found[wanted] = distribution
        waiting += [
            re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()
            for requirement in distribution.requires or ()
            if "extra ==" not in requirement
        ]
    return list(found.values())


def copy_from_here(site: Path, names: Sequence[str], *, exact: bool = False) -> list[str]:
    """Copy distributions of the environment that runs us, with all they require (`exact`: without), to another.
    Needs no network."""
    if not names:
        return []
    for distribution in {
        d.name: d for name in names for d in _closure(name)[: 1 if exact else None]
    }.values():
        _copy(distribution, site)
    return ["Every pinned requirement was in Nightdesk's own environment, and was copied from there."]


def _copy(distribution: importlib.metadata.Distribution, folder: Path) -> None:
    for file in distribution.files or ():
        if ".." in file.parts or file.suffix == ".pyc":
            continue
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(distribution.locate_file(file)), target)


def _name(line: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower().replace("_", "-")


def _no_wheel(said: str) -> str | None:
    joined = " ".join(said.split())
    for pattern in _NO_WHEEL:
        if found := pattern.search(joined):
            return found[1]
    return None


def _why(said: str, environment: Path, allow_network: bool) -> str:
    if name := _no_wheel(said):
        (library,) = environment.glob("lib/python*")
        return f"not_runnable: {name} has no wheel for Python {library.name.removeprefix('python')}."
    network = "" if allow_network else " The network was not permitted; allow it once, then it is kept."
    return f"the requirements could not be installed: {_last_line(said)}{network}"


def _last_line(said: str) -> str:
    return " ".join(said.split())[-400:]

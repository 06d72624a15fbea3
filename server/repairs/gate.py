"""May this change be merged? Only where every incident's test is there, ran, and passed.

Nothing is run here: the pipeline runs its tests as it always does, and what is looked at is git and the JUnit report.
An incident's test is a file whose first line is that of the tests that Nightdesk writes (`\"\"\"INC-42: …`).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from store.errors import BadPayload, NotFound

_MARK = re.compile(r'"""(INC-[0-9]{1,12}): ')
_LARGEST = 64 << 20  # bytes of a report
_PATIENCE = 60.0  # seconds for one call of git


@dataclass(frozen=True)
class Judged:
    """One incident's test: `why` it blocks, or None: it passed."""

    incident: str
    path: str
    why: str | None


def judge(folder: Path, base: str | None, report: Path) -> list[Judged]:
    """The incident tests of a checkout, and of the commit that it is to be merged into; by path. Raises NotFound,
    BadPayload."""
    here = _tests_here(folder)
    before = _tests_at(folder, base) if base else {}
    outcomes = _outcomes(report)
    found = []
    for path, (incident, text) in sorted({**before, **here}.items()):
        if path not in here:
            why: str | None = f"it is on {base} and was taken away"
        elif path in before and before[path][1] != text:
            why = f"it is not as it is on {base}: a change of an incident's test is a change of its own"
        else:
            why = _why_not(path, outcomes)
        found.append(Judged(incident, path, why))
    return found


def _tests_here(folder: Path) -> dict[str, tuple[str, str]]:
    """Path to incident and text, of the files that git knows or that are new."""
    listed = _git(folder, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", "*.py")
    found: dict[str, tuple[str, str]] = {}
    for name in filter(None, listed.split("\0")):
        place = folder / name
        if place.is_file() and not place.is_symlink():
            _take(found, name, place.read_text("utf-8", "replace"))
    return found


def _tests_at(folder: Path, base: str) -> dict[str, tuple[str, str]]:
    """The same of a commit."""
    commit = _git(folder, "rev-parse", "--verify", "--end-of-options", f"{base}^{{commit}}").strip()
    named = _git(folder, "grep", "-l", "-z", "-E", '^"""INC-[0-9]+: ', commit, "--", "*.py", empty=True)
    found: dict[str, tuple[str, str]] = {}
    for name in filter(None, named.split("\0")):
        path = name.partition(":")[2]
        _take(found, path, _git(folder, "show", f"{commit}:{path}"))
    return found


def _take(found: dict[str, tuple[str, str]], path: str, text: str) -> None:
    mark = _MARK.match(text)
    if mark:
        found[path] = mark[1], text


def _why_not(path: str, outcomes: Mapping[str, str]) -> str | None:
    """Why a test that is there does not count as passed. A report names modules as `tests.test_inc_1`, at times from a
    folder below the root, and always by what the file is called."""
    module = ".".join(PurePosixPath(path).with_suffix("").parts)
    ends = [
        name
        for name in outcomes
        if module == name or module.endswith(f".{name}") or name.endswith(f".{module}")
    ]
    if not ends:
        return "the report does not have it: it was not run"
    worst = [outcomes[name] for name in ends if outcomes[name] != "passed"]
    return f"it {worst[0]}" if worst else None


def _outcomes(report: Path) -> dict[str, str]:
    """Module to the worst outcome of its tests, out of a JUnit report."""
    try:
        text = report.read_bytes()
    except OSError as error:
        raise NotFound(
            f"The report {report} cannot be read: {error.strerror}; pytest writes it with --junitxml."
        ) from error
    if len(text) > _LARGEST or b"<!ENTITY" in text or b"<!DOCTYPE" in text:
        raise BadPayload(f"{report} is not a report that pytest writes.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - without a document type there are no entities
    except ElementTree.ParseError as error:
        raise BadPayload(f"{report} is not a JUnit report: {error}.") from error
    found: dict[str, str] = {}
    for case in root.iter("testcase"):
        name = case.get("classname") or (case.get("name") or "").replace("/", ".").removesuffix(".py")
        outcome = next((said for tag, said in _BAD.items() if case.find(tag) is not None), "passed")
        if found.get(name, "passed") == "passed":
            found[name] = outcome
    return found


_BAD = {"error": "could not be run", "failure": "fails", "skipped": "was skipped"}


def _git(folder: Path, *words: str, empty: bool = False) -> str:
    """What git prints; with `empty` an exit code of 1 means that there is nothing."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotFound(f"git {words[0]} does not work in {folder}.") from error
    if done.returncode and not (empty and done.returncode == 1):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NotFound(f"git {words[0]} in {folder} said: {said[-1][:200] if said else 'nothing'}.")
    return done.stdout.decode("utf-8", "replace")

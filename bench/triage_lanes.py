"""Measure triage on labelled events: lanes of crashes and noise, and where frames were located.

    python bench/triage_lanes.py FOLDER      (FOLDER holds crashes/ and apps/dev/)

Labels and mounts are read after triage has ended, for scoring only.
Exits with 1 when a crash was set aside as noise.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from store.event import Event  # noqa: E402
from store.incident import Lane, Triage  # noqa: E402
from triage.analyse import History  # noqa: E402
from triage.formats.sentry_event import event_of  # noqa: E402
from triage.learned import Learned  # noqa: E402
from triage.locate import locate  # noqa: E402
from triage.pipeline import triage  # noqa: E402
from triage.redact import Redactor  # noqa: E402

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CLASSIFIER = Learned()


class Clones:
    """`Sources` over work trees."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.folders = dict(folders)
        self._commits = {name: _git(folder, "rev-parse", "HEAD").strip() for name, folder in folders.items()}
        self._paths = {name: _git(folder, "ls-files").splitlines() for name, folder in folders.items()}

    def repositories(self) -> Sequence[str]:
        return tuple(self.folders)

    def commit(self, repo: str) -> str:
        return self._commits[repo]

    def paths(self, repo: str) -> Sequence[str]:
        return self._paths[repo]

    def text(self, repo: str, path: str) -> str | None:
        try:
            return (self.folders[repo] / path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def path_map(self, repo: str) -> Mapping[str, str]:
        return {}

    def renamed(self, repo: str) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True)
class Case:
    """One labelled event."""

    name: str
    event: Event
    crash: bool
    ambiguous: bool
    sources: Clones
    mounts: Sequence[tuple[str, str, str]]  # (repository, folder in it, folder in the container)


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def _event(path: Path) -> Event:
    sent = json.loads(path.read_text(encoding="utf-8"))
    return Redactor(b"bench").redact(event_of(sent, project="bench", received_at=NOW))


def cases(folder: Path, scratch: Path) -> Iterator[Case]:
    """Every labelled event under crashes/ and apps/dev/."""
    nothing = Clones({})
    for path in sorted(folder.glob("crashes/*/event.json")):
        kind = json.loads((path.parent / "case.json").read_text())["kind"]
        yield Case(f"crashes/{path.parent.name}", _event(path), kind == "bug", False, nothing, ())
    for app in sorted(folder.glob("apps/dev/*")):
        spec = json.loads((app / "case.json").read_text())
        clones = {
            repo["name"]: _clone(app / repo["bundle"], scratch / app.name / repo["name"])
            for repo in spec["repos"]
        }
        for repo in spec["repos"]:
            _git(clones[repo["name"]], "checkout", "-q", repo["incident_sha"])
        sources = Clones(clones)
        mounts = [
            (r["name"], side, there)
            for r in spec["repos"]
            for sides, there in r["mounts"]
            for side in sides.split("|")
        ]
        for name, label in json.loads((app / "labels.json").read_text()).items():
            event = _event(app / "events" / name)
            yield Case(
                f"{app.name}/{name}", event, label["label"] == "crash", "ambiguous" in label, sources, mounts
            )


def _clone(bundle: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["git", "clone", "-q", "-b", "main", str(bundle), str(target)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return target


def _judge(case: Case) -> Triage:
    return triage(case.event, History(), case.sources, CLASSIFIER, lambda: NOW)


def _frames(case: Case, wrong: list[str]) -> tuple[int, int]:
    """(frames of the team's code that were located right, frames of the team's code)."""
    raised = case.event.exception
    right = wanted = 0
    if raised is None:
        return right, wanted
    located = locate(case.event, case.sources)
    for frame, place in zip(raised.frames, located.frames, strict=True):
        expected = _expected(case, frame.abs_path or "")
        if expected:
            wanted += 1
            good = place is not None and (place.repo, place.path) in expected and place.line == frame.lineno
            right += good
            if not good:
                wrong.append(f"{case.name}: {frame.abs_path}:{frame.lineno} -> {place}")
        elif place is not None and case.sources.folders:
            wrong.append(f"{case.name}: {frame.abs_path} is not the team's, found {place.repo}/{place.path}")
    return right, wanted


def _expected(case: Case, path: str) -> set[tuple[str, str]]:
    found = set()
    for repo, side, there in case.mounts:
        if path == there or path.startswith(there + "/"):
            inside = side + path[len(there) :]
            if inside in case.sources.paths(repo):
                found.add((repo, inside))
    return found


def measure(folder: Path, scratch: Path) -> dict[str, Any]:
    """Run everything and count."""
    lanes: Counter[tuple[str, Lane]] = Counter()
    lines, wrong, set_aside = [], [], []
    right = wanted = 0
    for case in cases(folder, scratch):
        done = _judge(case)
        label = "crash" if case.crash else "ambiguous" if case.ambiguous else "noise"
        lanes[label, done.lane] += 1
        lines.append(f"{label:9} {done.lane.value:8} {case.name:45} {done.why[:60]:60} {done.title[:60]}")
        if case.crash and done.lane is Lane.NOISE:
            set_aside.append(case.name)
        good, all_own = _frames(case, wrong)
        right, wanted = right + good, wanted + all_own
    table = {f"{label} -> {lane.value}": count for (label, lane), count in sorted(lanes.items())}
    return {
        "lanes": table,
        "frames": (right, wanted),
        "wrong": wrong,
        "crashes_set_aside": set_aside,
        "lines": lines,
    }


def main() -> int:
    """Print every case and the counts."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(Path(sys.argv[1]), Path(scratch))
    print("\n".join([*found["lines"], "", *found["wrong"]]))
    for name, count in found["lanes"].items():
        print(f"{name:24} {count}")
    print("frames located: {} of {}".format(*found["frames"]))
    return 1 if found["crashes_set_aside"] else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Run public cases through the whole product, each in a house of its own, and keep what it said.

Nothing here knows a label. What a case gave is a plain value; `labels` scores it after the last has ended.
"""

from __future__ import annotations

import json
import tempfile
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from time import perf_counter

from pydantic import Field

from server.config import load
from server.evaluation.cases import PROJECT, PublicCase
from server.evaluation.histories import cut_off
from server.house import House
from server.incidents.as_json import incident_json
from server.intake.parsing import file_events
from server.repairs.repairing import repair
from store import journal, queries
from store.errors import NightdeskError
from store.event import Value
from store.incident import Incident, Lane
from store.project import RepositoryConfig
from store.repair import Attempt, CandidateChange


class ChangeResult(Value):
    """One candidate, in the order in which the product lists them."""

    repo: str
    commit: str
    verdict: str
    title: str
    said: str


class Reproduced(Value):
    """How the failure came back."""

    entry: str
    oracle: str
    runs: int
    failures: int
    same_failure: bool
    guessed: tuple[str, ...]
    redacted: tuple[str, ...] = ()
    size_before: int = 0  # characters of the input
    size_after: int = 0
    lead: float = 0.0  # seconds from the first step to the written test


class FixResult(Value):
    """The best patch and what the judge said of it. `early`: seconds from the repair's first step until it held on the
    tests that reach it; `suites`: those of the whole suites, which came after that."""

    fixer: str
    verdict: str
    rule: str | None
    said: str
    early: float | None = None
    suites: float = 0.0


class RepairResult(Value):
    """What one repair came to. `problem` is the traceback of a fault of the product itself."""

    ended: str | None = None
    said: str = ""
    reproduced: Reproduced | None = None
    tried: tuple[str, ...] = ()
    changes: tuple[ChangeResult, ...] = ()
    fix: FixResult | None = None
    rejected: tuple[FixResult, ...] = ()
    draft: str | None = None
    seconds: dict[str, float] = Field(default_factory=dict)
    problem: str | None = None


class IncidentResult(Value):
    """One incident of a case. `repair` is absent where it was not taken up."""

    id: str
    title: str
    event_ids: tuple[str, ...]
    lane: str
    kind: str | None
    location: str | None
    repair: RepairResult | None = None


class CaseResult(Value):
    """What one case came to; the incidents most urgent first."""

    case: str
    incidents: tuple[IncidentResult, ...] = ()
    seconds: float = 0.0
    problem: str | None = None


_UNTIL_WRITTEN = ("gather", "reproduce", "causes", "minimise")


@dataclass(frozen=True)
class Settings:
    """How cases are run. `cache` keeps prepared environments; `out` gets what is kept of each case."""

    cache: Path
    out: Path | None = None
    seconds: float = 900.0  # for one repair
    every_focus: bool = False  # repair what is in focus; else everything that was not set aside


def run_cases(
    cases: Sequence[PublicCase], settings: Settings, jobs: int, note: Callable[[CaseResult], None]
) -> list[CaseResult]:
    """Run all cases, `jobs` at a time; `note` hears of each as it ends. The answer is in the cases' order."""

    def one(case: PublicCase) -> CaseResult:
        result = run_case(case, settings)
        note(result)
        return result

    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="eval") as pool:
        return list(pool.map(one, cases))


def run_case(case: PublicCase, settings: Settings) -> CaseResult:
    """Set up a house as a team would, send it the events, repair. A fault of the product is a result, too."""
    started = perf_counter()
    incidents: list[IncidentResult] = []
    problem = None
    try:
        with (
            tempfile.TemporaryDirectory(prefix="nightdesk-eval-") as name,
            house_of(Path(name), settings, case.access_log) as house,
        ):
            set_up(house, case, Path(name) / "origins")
            events = [
                file_events(body, "sentry", project=PROJECT, received_at=datetime.now(UTC))
                for body in case.events
            ]
            recorded = [kept for parsed in events for kept in house.receive(parsed)]
            for found in queries.incidents(house.database):
                ids = tuple(kept.event_id for kept in recorded if kept.incident_id == found.id)
                incidents.append(_incident(house, found, ids, settings))
                if settings.out is not None:
                    place = settings.out / case.name
                    _keep(house, found.id, place if len(incidents) == 1 else place / found.id)
    except NightdeskError as error:
        problem = f"{type(error).__name__}: {error}"
    except Exception:  # one case must not take the others with it; the traceback is the result
        problem = traceback.format_exc()
    seconds = round(perf_counter() - started, 1)
    return CaseResult(case=case.name, incidents=tuple(incidents), seconds=seconds, problem=problem)


def house_of(folder: Path, settings: Settings, log: Path | None = None) -> AbstractContextManager[House]:
    """An empty house below `folder`, with the environments that earlier cases have prepared."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    settings.cache.mkdir(parents=True, exist_ok=True)
    (data / "environments").symlink_to(settings.cache.resolve())
    logs = {PROJECT: str(log)} if log else None
    return House.open(load(data, {}, {"repair_seconds": settings.seconds, "logs": logs}))


def set_up(house: House, case: PublicCase, origins: Path) -> None:
    """What a team types: `repo add` with a configuration, and `release add` for each deployment."""
    origins.mkdir()
    for repository in case.repositories:
        origin = origins / f"{repository.name}.git"
        cut_off(repository.source, repository.commit, origin)
        config: dict[str, object] = {"env": dict(case.env), "stub_metadata": list(case.stub_metadata)}
        config["source_roots"] = list(repository.source_roots)
        config["pins"] = list(case.requirements)
        if case.python:
            config["python"] = case.python
        if case.test_command and repository.tested:
            config["test"] = case.test_command
        house.mirrors.add(repository.name, str(origin))
        row = RepositoryConfig(name=repository.name, project=PROJECT, url=str(origin), config=config)
        journal.add_repository(house.database, row)
    for release in case.releases:
        journal.add_release(house.database, release)


def _incident(
    house: House, incident: Incident, event_ids: tuple[str, ...], settings: Settings
) -> IncidentResult:
    place = incident.location
    taken_up = incident.lane is Lane.FOCUS or (incident.lane is Lane.BACKLOG and not settings.every_focus)
    return IncidentResult(
        id=incident.id,
        title=incident.title,
        event_ids=event_ids,
        lane=incident.lane.value,
        kind=incident.verdict.kind.value if incident.verdict else None,
        location=f"{place.repo}:{place.path}:{place.line} {place.function}" if place else None,
        repair=_repair(house, incident.id) if taken_up else None,
    )


def _repair(house: House, incident_id: str) -> RepairResult:
    try:
        attempt = repair(house, incident_id)
    except NightdeskError as error:  # before the first step: no environment, no sandbox
        return RepairResult(said=f"{type(error).__name__}: {error}")
    except Exception:  # a fault of the product; the measurement goes on
        return RepairResult(problem=traceback.format_exc(), said="the repair itself failed")
    return repair_result(attempt)


def repair_result(attempt: Attempt) -> RepairResult:
    """What is reported of an attempt."""
    steps = {step.name: step for step in attempt.steps}
    tried = steps["reproduce"].details.get("tried", ()) if "reproduce" in steps else ()
    fix = None
    if attempt.patch and attempt.validation:
        judged, times = attempt.validation, steps["repair"].details
        fix = FixResult(
            fixer=attempt.patch.fixer, verdict=judged.verdict.value, rule=judged.rule, said=judged.said,
            early=times.get("proven_on_affected"), suites=times.get("whole_suites", 0.0),
        )  # fmt: skip
    return RepairResult(
        ended=attempt.ended.value if attempt.ended else None,
        said=attempt.said,
        reproduced=_reproduced(attempt),
        tried=tuple(tried),
        changes=tuple(_change(change) for change in attempt.changes),
        fix=fix,
        rejected=tuple(
            FixResult(fixer=patch.fixer, verdict=judged.verdict.value, rule=judged.rule, said=judged.said)
            for patch, judged in attempt.rejected
        ),
        draft=steps["draft"].said if "draft" in steps else None,
        seconds={step.name: step.took for step in attempt.steps},
    )


def _reproduced(attempt: Attempt) -> Reproduced | None:
    written = attempt.reproducer
    if written is None:
        return None
    return Reproduced(
        entry=written.entry,
        oracle=written.oracle.value,
        runs=written.runs,
        failures=written.failures,
        same_failure=written.same_failure,
        guessed=written.guessed,
        redacted=written.redacted,
        size_before=written.size_before,
        size_after=written.size_after,
        lead=round(sum(step.took for step in attempt.steps if step.name in _UNTIL_WRITTEN), 1),
    )


def _change(change: CandidateChange) -> ChangeResult:
    return ChangeResult(
        repo=change.repo,
        commit=change.commit,
        verdict=change.verdict.value,
        title=change.title,
        said=change.said,
    )


def _keep(house: House, incident_id: str, place: Path) -> None:
    """`incident.json`, the test and the patch of an incident, where there are any."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "incident.json").write_text(
        json.dumps(incident_json(house, incident_id), indent=2) + "\n", "utf-8"
    )
    attempt = queries.latest_attempt(house.database, incident_id)
    if attempt and attempt.reproducer:
        (place / PurePosixPath(attempt.reproducer.test_path).name).write_text(
            attempt.reproducer.source, "utf-8"
        )
    if attempt and attempt.patch:
        (place / "patch.diff").write_text("".join(attempt.patch.diffs.values()), "utf-8")

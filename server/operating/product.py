"""The product's own figures: how long each stage takes, what holds, what came back. Pure, from `store.tracks`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from statistics import median

from fixloop.flake import miss_bound
from store.event import Value
from store.incident import Lane
from store.repair import Attempt, Ended
from store.tracks import Track, Tracks

STAGES = ("triage", "diagnosis", "reproducer", "fix", "draft", "merge")
_DRAFTS = ("open", "waiting", "merged", "closed")
_CONFIDENCE = 0.975  # on each side: 95 % between both bounds


class Stage(Value):
    """How long after its detection an incident has reached a stage, and how long after the stage before; seconds."""

    stage: str
    incidents: int
    median_s: float | None = None
    p90_s: float | None = None
    step_median_s: float | None = None
    step_p90_s: float | None = None


class Share(Value):
    """`count` of `of`, with the exact 95 % interval of the share; None where there is nothing to take a share of."""

    count: int
    of: int
    share: float | None = None
    low: float | None = None
    high: float | None = None


class Product(Value):
    """Everything that is told of the product by figures. Rates are 0..1."""

    incidents: int
    stages: tuple[Stage, ...]
    set_aside: Share  # incidents in the noise lane
    brought_back: Share  # of those that triage set aside, what a person has taken out again
    deterministic: Share  # of the incidents that were tried, those with a test that fails every time
    shrink: float | None  # median size of a test's input against the event's
    flaky_runs: (
        Share  # runs of written tests that did not fail as they should; `high` is the bound of the flake rate
    )
    patches_judged: int
    patches_per_hour: float | None  # of the time that judging took
    drafts: Mapping[str, int]
    fixes_merged: int
    recurrences: int
    model_usd: float | None  # None: no step says that a model was asked
    model_tokens: int | None
    model_usd_per_incident: float | None  # of the incidents that were tried


def product(tracks: Tracks) -> Product:
    """The figures of these incidents."""
    found = tracks.incidents
    attempts = [attempt for track in found for attempt in track.attempts]
    tried = [track for track in found if any(_was_tried(attempt) for attempt in track.attempts)]
    tests = [attempt.reproducer for attempt in attempts if attempt.reproducer and attempt.reproducer.runs]
    judged = sum(len(attempt.rejected) + (attempt.validation is not None) for attempt in attempts)
    seconds = sum(step.took for attempt in attempts for step in attempt.steps if step.name == "repair")
    usd, tokens = (_spent(attempts, name) for name in ("money", "tokens"))
    shrunk = [test.size_after / test.size_before for test in tests if test.size_before]
    runs = sum(test.runs for test in tests)
    return Product(
        incidents=len(found),
        stages=tuple(_stages(found)),
        set_aside=share(sum(track.lane is Lane.NOISE for track in found), len(found)),
        brought_back=share(
            sum(track.brought_back for track in found), sum(track.set_aside for track in found)
        ),
        deterministic=share(sum(map(_is_deterministic, tried)), len(tried)),
        shrink=round(median(shrunk), 4) if shrunk else None,
        flaky_runs=share(sum(test.runs - test.failures for test in tests), runs),
        patches_judged=judged,
        patches_per_hour=round(judged / seconds * 3600, 2) if seconds and judged else None,
        drafts=_drafts(attempts),
        fixes_merged=tracks.watched,
        recurrences=tracks.recurred,
        model_usd=None if usd is None else round(usd, 6),
        model_tokens=None if tokens is None else round(tokens),
        model_usd_per_incident=round(usd / len(tried), 6) if tried and usd is not None else None,
    )


def share(count: int, of: int) -> Share:
    """A share with its exact interval (Clopper and Pearson)."""
    if not of:
        return Share(count=count, of=of)
    return Share(
        count=count, of=of, share=count / of, low=1 - miss_bound(of, of - count, _CONFIDENCE) if count else 0.0,
        high=miss_bound(of, count, _CONFIDENCE),
    )  # fmt: skip


def milestones(track: Track) -> dict[str, datetime]:
    """When an incident has reached each stage, as far as it came: the first time."""
    reached: dict[str, list[datetime]] = {stage: [] for stage in STAGES}
    if track.triaged is not None:
        reached["triage"].append(track.triaged)
    for attempt in track.attempts:
        ends = {step.name: step.started_at + timedelta(seconds=step.took) for step in attempt.steps}
        done = {"diagnosis": "causes", "reproducer": "reproduce", "fix": "repair"}
        there = {"diagnosis": attempt.changes, "reproducer": attempt.reproducer, "fix": attempt.patch}
        for stage, step in done.items():
            if step in ends and there[stage]:
                reached[stage].append(ends[step])
        fixes = [draft for draft in attempt.drafts if draft.kind == "fix"]
        reached["draft"] += [draft.opened_at for draft in fixes if draft.opened_at]
        reached["merge"] += [draft.merged_at for draft in fixes if draft.merged_at]
    return {stage: min(moments) for stage, moments in reached.items() if moments}


def _stages(tracks: Sequence[Track]) -> Iterator[Stage]:
    ways = [(track.detected, milestones(track)) for track in tracks]
    for stage in STAGES:
        since = [(way[stage] - start).total_seconds() for start, way in ways if stage in way]
        steps = [
            (way[stage] - before).total_seconds()
            for start, way in ways
            if stage in way and (before := _before(stage, start, way)) <= way[stage]
        ]
        yield Stage(
            stage=stage, incidents=len(since), median_s=_median(since), p90_s=_p90(since), step_median_s=_median(steps),
            step_p90_s=_p90(steps),
        )  # fmt: skip


def _before(stage: str, start: datetime, way: Mapping[str, datetime]) -> datetime:
    """When the last stage before this one was reached."""
    return max([start, *(way[each] for each in way if way[each] < way[stage])])


def _was_tried(attempt: Attempt) -> bool:
    return attempt.ended not in (None, Ended.CANCELLED, Ended.NOT_RUNNABLE)


def _is_deterministic(track: Track) -> bool:
    tests = [attempt.reproducer for attempt in track.attempts if attempt.reproducer]
    return any(test.runs and test.failures == test.runs for test in tests)


def _drafts(attempts: Sequence[Attempt]) -> dict[str, int]:
    """How many there are in each state; a branch that several repairs have gone on with is one draft."""
    last = {(draft.repo, draft.branch): draft.state for attempt in attempts for draft in attempt.drafts}
    counted = Counter(last.values())
    return {state: counted.get(state, 0) for state in _DRAFTS}


def _spent(attempts: Sequence[Attempt], name: str) -> float | None:
    """What the steps of repairs say that a model has used; None where none says anything."""
    asked = [step.details.get("model") for attempt in attempts for step in attempt.steps]
    used = [each.get("spent") for each in asked if isinstance(each, dict)]
    told = [each.get(name) for each in used if isinstance(each, dict)]
    costs = [float(one) for one in told if isinstance(one, int | float) and not isinstance(one, bool)]
    return sum(costs) if costs else None


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 3) if values else None


def _p90(values: Sequence[float]) -> float | None:
    """The nearest rank."""
    return round(sorted(values)[ceil(0.9 * len(values)) - 1], 3) if values else None


# --- in words -------------------------------------------------------------------------------------


def product_text(found: Product) -> str:
    """The figures as Prometheus reads them. What is not known is left out, and never told as 0."""
    lines: list[str] = []

    def gauge(name: str, said: str, rows: Sequence[tuple[str, float | None]], kind: str = "gauge") -> None:
        known = [(labels, value) for labels, value in rows if value is not None]
        if known:
            lines.extend([f"# HELP nightdesk_{name} {said}", f"# TYPE nightdesk_{name} {kind}"])
            lines.extend(f"nightdesk_{name}{labels} {value}" for labels, value in known)

    def of(kind: Callable[[Stage], tuple[float | None, float | None]]) -> list[tuple[str, float | None]]:
        return [
            (f'{{stage="{stage.stage}",quantile="{quantile}"}}', value)
            for stage in found.stages
            for quantile, value in zip(("0.5", "0.9"), kind(stage), strict=True)
        ]

    gauge("stage_seconds", "From detection to each stage.", of(lambda one: (one.median_s, one.p90_s)),
          "summary")  # fmt: skip
    gauge("stage_step_seconds", "From stage to stage.", of(lambda one: (one.step_median_s, one.step_p90_s)),
          "summary")  # fmt: skip
    gauge("stage_incidents", "Incidents that reached a stage.",
          [(f'{{stage="{one.stage}"}}', one.incidents) for one in found.stages])  # fmt: skip
    for name in ("set_aside", "brought_back", "deterministic", "flaky_runs"):
        part: Share = getattr(found, name)
        bounds = (("value", part.share), ("low", part.low), ("high", part.high))
        gauge(f"{name}_share", f"{_SAID[name]}; low and high are its exact 95 % interval.",
              [(f'{{bound="{bound}"}}', value) for bound, value in bounds])  # fmt: skip
    gauge(
        "drafts",
        "Drafts by state.",
        [(f'{{state="{state}"}}', count) for state, count in found.drafts.items()],
    )
    for name, said in _PLAIN.items():
        gauge(name, said, [("", getattr(found, name))])
    return "\n".join([*lines, ""])


_SAID = {
    "set_aside": "Share of incidents set aside as noise",
    "brought_back": "Share of those set aside that a person brought back",
    "deterministic": "Share of tried incidents with a test that fails every time",
    "flaky_runs": "Share of runs of written tests that did not fail",
}
_PLAIN = {
    "shrink": "Median size of a test's input against the event's.",
    "patches_judged": "Patches judged.",
    "patches_per_hour": "Patches judged per hour of judging.",
    "fixes_merged": "Merged fixes that are watched.",
    "recurrences": "Merged fixes that came back in a build that contains them.",
    "model_usd": "What a model has cost, in US dollars.",
    "model_tokens": "Tokens of a model.",
    "model_usd_per_incident": "What a model has cost for each incident that was tried.",
}


def product_rows(found: Product) -> list[tuple[str, str]]:
    """The figures for people: name and value."""
    rows = [
        (
            f"detection to {stage.stage}",
            f"{_time(stage.median_s)} median, {_time(stage.p90_s)} p90 ({stage.incidents})",
        )
        for stage in found.stages
        if stage.incidents
    ]
    rows += [
        (_SAID[name].lower(), _shared(getattr(found, name))) for name in _SAID if getattr(found, name).of
    ]
    rows += [
        (said.rstrip(".").lower(), f"{value:g}")
        for name, said in _PLAIN.items()
        if (value := getattr(found, name)) is not None
    ]
    drafts = ", ".join(f"{count} {state}" for state, count in found.drafts.items() if count)
    return [*rows, ("drafts", drafts or "none")]


def _shared(part: Share) -> str:
    assert part.share is not None and part.low is not None and part.high is not None  # noqa: S101, PT018 - asked before
    return f"{part.share:.1%} ({part.count} of {part.of}; {part.low:.1%} to {part.high:.1%} at 95 %)"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} s"

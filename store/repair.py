"""From incident to draft: hypotheses, changes, reproducers, patches, proofs. Frozen values; no I/O."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from store.event import Value
from store.incident import CodeLocation, Step


class ChangeVerdict(StrEnum):
    """What running the reproducer on a change and its parent has shown ("What counts as proven")."""

    PROVEN = "proven"
    SUPPORTED = "supported"
    INTRODUCED_WITH_FEATURE = "introduced_with_feature"
    FAILS_OTHERWISE = "fails_otherwise"
    REFUTED = "refuted"
    NOT_RUNNABLE = "not_runnable"
    UNTESTED = "untested"


class Oracle(StrEnum):
    """How a reproducer knows what is right. `no_crash` is honest and weak."""

    PARENT_VALUE = "parent_value"
    SIBLING_CONTRACT = "sibling_contract"
    INVARIANT = "invariant"
    NO_CRASH = "no_crash"


class ValidationVerdict(StrEnum):
    """What the judge said of a patch."""

    PROVEN = "proven"
    WEAK = "weak"
    FAILED = "failed"
    REFUSED = "refused"


class Ended(StrEnum):
    """How an attempt at a repair ended."""

    PROVEN = "proven"
    DRAFTED = "drafted"
    NEEDS_DECISION = "needs_decision"
    NOT_REPRODUCED = "not_reproduced"
    UNDETERMINED = "undetermined"
    NOT_RUNNABLE = "not_runnable"
    OVER_BUDGET = "over_budget"
    CANCELLED = "cancelled"


class Evidence(Value):
    """A claim with the place where it can be looked up. `kind` names which of the reference fields are set:
    event_field (event_id, pointer, quote), code_line (repo, commit, path, line, quote), commit (repo, commit, path,
    quote), log_line (pointer: the line's id, quote), span (span_id, quote), document (repo, path, quote), test_run
    (run_id). `event_id` None is the first event."""

    kind: str
    claim: str
    supports: bool = True
    event_id: str | None = None
    span_id: str | None = None
    pointer: str | None = None
    quote: str | None = None
    repo: str | None = None
    commit: str | None = None
    path: str | None = None
    line: int | None = None
    run_id: str | None = None


class Prediction(Value):
    """What has to be seen if a hypothesis is right, so that it can be run. `kind` "change": the reproducer passes on
    the parent of `commit` and fails on it, and passes on the running release without what it changed. "value": the same
    call works with `name` in its record; "setting": with `name` in the environment; "schedule": with one call after the
    other; "package": with the package `name` in the version that it had before `commit`.
    """

    repo: str = ""
    commit: str = ""
    kind: str = "change"
    name: str = ""


class Hypothesis(Value):
    """A possible explanation, with evidence. `status` is computed, never claimed: proposed (nothing was run yet),
    supported, refuted or undetermined; `shown` says what the runs showed. `missing` names what would settle it and how
    to capture that. `by` is who proposed it."""

    id: str
    statement: str
    location: CodeLocation | None = None
    kind: str = "change"
    score: float = 0.0
    status: str = "proposed"
    evidence: tuple[Evidence, ...] = ()
    predicts: str = ""
    test: Prediction | None = None
    shown: str = ""
    missing: tuple[str, ...] = ()
    by: str = "runs"


class CandidateChange(Value):
    """A commit that the running release contains and that may have caused the incident."""

    repo: str
    commit: str
    title: str
    author: str
    authored_at: datetime
    pull_request: str | None = None
    merged_at: datetime | None = None
    first_exposed_at: datetime | None = None
    files: tuple[str, ...] = ()
    score: float = 0.0
    reasons: tuple[str, ...] = ()
    verdict: ChangeVerdict = ChangeVerdict.UNTESTED
    said: str = ""  # what the runs showed, in one sentence
    hunks: str | None = None  # the culprit hunks, a unified diff


class Reproducer(Value):
    """A test that fails for the same reason as production did, and says how it knows what is right.

    `source` is a complete pytest file. `recipe` is the machine-readable form it was written from
    (fixloop.reproduce.recipe.Recipe as JSON); `expected` is the value that the oracle asserts, when it has
    one."""

    repo: str
    framework: str
    test_path: str
    source: str
    command: str
    entry: str  # http, job, cli, frame, script
    oracle: Oracle
    inputs: Any = None
    guessed: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()
    controls: dict[str, str] = Field(default_factory=dict)
    runs: int = 0
    failures: int = 0
    same_failure: bool = False
    size_before: int = 0
    size_after: int = 0
    recipe: dict[str, Any] = Field(default_factory=dict)
    expected: Any = None


class Upgrade(Value):
    """A dependency in another version. `installed` is all that the running release's environment has, as
    "name==version"; the other environment has the same, but for this package. `python` and `stub_metadata` are what
    both are made with."""

    package: str
    old: str
    new: str
    installed: tuple[str, ...]
    python: str
    stub_metadata: tuple[str, ...] = ()

    @property
    def after(self) -> tuple[str, ...]:
        """All that the other environment has."""
        was, now = f"{self.package}=={self.old}", f"{self.package}=={self.new}"
        return tuple(now if pin == was else pin for pin in self.installed)


class Patch(Value):
    """A proposed change. `kind`: revert, template, model, upstream or submitted. `diffs` maps repository to
    unified diff. Only one of kind upstream has an `upgrade`."""

    diffs: dict[str, str]
    base_commits: dict[str, str]
    files: tuple[str, ...] = ()
    fixer: str
    rationale: str = ""
    hypothesis_id: str | None = None
    kind: str = "submitted"
    loses: tuple[str, ...] = ()  # features or tests that a revert takes away
    upgrade: Upgrade | None = None

    @property
    def by(self) -> str:
        """The fixer, with the version that this patch of it is for."""
        return f"{self.fixer} ({self.upgrade.package} {self.upgrade.new})" if self.upgrade else self.fixer


AFFECTED, SUITE = (
    "the affected tests of",
    "the suite of",
)  # how the runs of a repository's own tests are called


class Run(Value):
    """One execution in the sandbox that the judge relied on. `hash` covers inputs and outcome."""

    id: str
    what: str
    outcome: str
    hash: str
    took: float = 0.0


class Validation(Value):
    """Everything that was checked of a patch. Counts are (number, of number)."""

    verdict: ValidationVerdict
    rule: str | None = None  # the refusing rule or failing check, by name
    said: str = ""  # one sentence: why
    oracle: Oracle = Oracle.NO_CRASH
    fails_before: tuple[int, int] = (0, 0)
    passes_after: tuple[int, int] = (0, 0)
    hunks_necessary: tuple[int, int] = (0, 0)
    mutants: tuple[int, int] = (0, 0)  # died, tried
    schedules: tuple[int, int] = (0, 0)
    neighbours: dict[str, Any] = Field(default_factory=dict)
    suite_before: dict[str, Any] = Field(default_factory=dict)
    suite_after: dict[str, Any] = Field(default_factory=dict)
    coverage: dict[str, Any] = Field(default_factory=dict)
    lint: dict[str, Any] = Field(default_factory=dict)
    types: dict[str, Any] = Field(default_factory=dict)
    security: dict[str, Any] = Field(default_factory=dict)
    api_diff: dict[str, Any] = Field(default_factory=dict)
    environments: dict[str, Any] = Field(
        default_factory=dict
    )  # where before and after are two: in what they differ
    constraints: tuple[str, ...] = ()
    flake_bound: float | None = None  # 95 % upper bound of the flake rate
    sandbox: str = ""
    runs: tuple[Run, ...] = ()

    @property
    def until_whole_suites(self) -> float | None:
        """Seconds of the judgement until only the whole suites were left to run, everything else held; None for a patch
        that did not come so far, and for records in which the suites were run before the rest."""
        at = next((n for n, run in enumerate(self.runs) if run.what.startswith(SUITE)), None)
        early = self.runs[: at or 0]
        told = any(run.what.startswith(AFFECTED) for run in early)
        return round(sum(run.took for run in early), 3) if told else None

    def suite_unended(self, repo: str) -> str:
        """What belongs behind a suite's figures where its run without the patch did not come to its end: they are of
        the tests that it reached. Empty where it did."""
        before = self.suite_before.get(repo) or {}
        return f" (without the patch: {before.get('said')})" if before.get("complete") is False else ""

    @property
    def whole_suites(self) -> float:
        """Seconds that the whole suites took, their runs on the base included where those were not known."""
        return round(sum(run.took for run in self.runs if run.what.startswith(SUITE)), 3)


class Proof(Value):
    """A Validation that can be looked up and run again: what was judged, on what, with which outcome."""

    id: str  # hash over everything below
    incident_id: str
    patch: Patch
    reproducer: Reproducer
    validation: Validation
    made_at: datetime


class DraftPullRequest(Value):
    """One draft for each repository that changes."""

    forge: str
    repo: str
    branch: str
    base: str
    number: int | None = None
    url: str | None = None
    title: str
    body: str
    state: str  # proposed, waiting (for its forge), open, merged, closed
    proof_id: str | None = None
    approved_by: str | None = None
    opened_at: datetime | None = None
    kind: str = "fix"  # fix, or test: the failing test by itself
    reviewers: tuple[str, ...] = ()  # logins and teams ("@ann", "@org/team") that are asked to look at it
    merged_at: datetime | None = None
    merge_commit: str | None = None  # of the branch that it was merged into
    closed_at: datetime | None = None


class Feedback(Value):
    """What was said of a draft on its forge. `kind`: comment, review or check; `outcome` is the forge's word of a
    review or a check ("approved", "failure"). The text is a stranger's, redacted. `thread` is where an answer goes, and
    `path` with the lines `first` to `last` what it stands on in the branch as it is now; these are asked for anew, not
    kept."""

    kind: str
    source: str  # what the forge calls it: the same one is kept once
    at: datetime
    who: str = ""
    outcome: str = ""
    text: str = ""
    url: str = ""
    thread: str = ""
    path: str = ""
    first: int | None = None
    last: int | None = None


class Asked(Value):
    """What a person with the right to write asked for in the review of a draft: `source` is the comment
    ("comment 17"), `thread` where the answer goes. The text is hostile, redacted."""

    repo: str
    source: str
    who: str
    text: str
    thread: str = ""
    path: str = ""


class Submission(Value):
    """A patch to be judged, from the moment it was taken in: by an assistant, at a terminal, or for `asked`, where it
    is made first. `attempt_id` has the test that judges it; `events` (an artifact) and `commits` are what it is judged
    on. It has ended once `ended_at` is set: with a `validation`, or with the reason in `said`."""

    id: str  # "INC-42-p1"
    incident_id: str
    attempt_id: str
    diff: str = ""  # empty: still to be made
    repo: str | None = None
    by: str = ""
    keep: bool = True  # a proven one becomes the fix, where there is none
    events: str
    commits: dict[str, str]
    asked: Asked | None = None
    patch: Patch | None = None
    validation: Validation | None = None
    pushed: bool = False
    said: str = ""
    asked_at: datetime
    ended_at: datetime | None = None


class Revision(Value):
    """One of the fixes that stand on the branch of a draft, with the message of its commit; `repo` has the draft."""

    repo: str
    patch: Patch
    message: str


class Attempt(Value):
    """The record of one repair."""

    id: str
    incident_id: str
    started_at: datetime
    finished_at: datetime | None = None
    ended: Ended | None = None
    said: str = ""
    steps: tuple[Step, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    changes: tuple[CandidateChange, ...] = ()
    reproducer: Reproducer | None = None
    patch: Patch | None = None
    validation: Validation | None = None
    proof: Proof | None = None
    proof_file: str | None = None  # the artifact that has the proof's file
    rejected: tuple[tuple[Patch, Validation], ...] = ()
    tests: tuple[
        Reproducer, ...
    ] = ()  # of the libraries that the patch changes, each smaller than the incident's own
    closes: tuple[str, ...] = ()  # other incidents, whose tests pass with the patch as well
    siblings: tuple[
        Reproducer, ...
    ] = ()  # failing tests of the same defect elsewhere, which the patch leaves
    drafts: tuple[DraftPullRequest, ...] = ()
    revisions: tuple[Revision, ...] = ()  # where a review has changed the fix: all that were pushed, in order

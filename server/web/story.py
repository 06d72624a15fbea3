"""What the page of an incident says first: the answer in three lines, the one button, and when what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from server.incidents.view import IncidentView
from server.web.words import answer
from store.incident import Incident, Status
from store.repair import Attempt, CandidateChange, ChangeVerdict, ValidationVerdict

__all__ = ["Button", "answer", "button", "moments", "named"]

_NAMED = (ChangeVerdict.PROVEN, ChangeVerdict.SUPPORTED, ChangeVerdict.INTRODUCED_WITH_FEATURE)


@dataclass(frozen=True)
class Button:
    """What can be done now. `act` is what the form is sent to; `link` leads somewhere instead. `note` says what will
    happen, or why nothing can be done."""

    words: str
    note: str
    act: str | None = None
    link: str | None = None
    outside: bool = False


@dataclass(frozen=True)
class Moment:
    """A point of the time-line."""

    at: datetime
    words: str
    detail: str = ""


def button(view: IncidentView, *, can_fix: bool, can_draft: bool) -> Button | None:
    """The one button of an incident; None where there is nothing to do, or it is being done."""
    attempt = view.attempt
    if view.incident.status in {Status.RESOLVED, Status.MUTED}:
        return None
    if attempt and attempt.drafts:
        return _see(attempt)
    if view.running is not None:
        return None
    if attempt and attempt.proof and attempt.patch and attempt.validation:
        return _open(attempt) if can_draft else Button("", "A responder can open the draft.")
    if not can_fix:
        return Button("", "A responder can start a repair.")
    if attempt is None:
        return Button(
            "Start a repair", "Reproduces it in the sandbox, finds the change and judges a fix.", act="repair"
        )
    return Button("Try a repair again", "The last one ended without a proven fix.", act="repair")


def _see(attempt: Attempt) -> Button:
    draft = attempt.drafts[0]
    web = draft.url is not None and draft.url.startswith("https://")
    words = "Review the draft" if draft.state == "open" else f"The draft is {draft.state}"
    return Button(words, f"{draft.branch} in {draft.repo}", link=draft.url if web else "#draft", outside=web)


def _open(attempt: Attempt) -> Button:
    assert attempt.patch is not None and attempt.validation is not None  # noqa: S101, PT018 - its caller looked
    repos = ", ".join(attempt.patch.diffs)
    weak = (
        ""
        if attempt.validation.verdict is ValidationVerdict.PROVEN
        else " It is not proven that the result is right."
    )
    return Button(
        "Open the draft",
        f"Pushes one branch to {repos} and opens a draft. Nothing is merged.{weak}",
        act="draft",
    )


def moments(incident: Incident, attempt: Attempt | None) -> Sequence[Moment]:
    """When the named change was written, merged and first deployed, when it first failed, and what was done since; in
    the order of time."""
    found = [
        Moment(incident.first_seen, "first failed"),
        Moment(incident.last_seen, "last failed", f"{incident.event_count} events in all"),
    ]
    change = named(attempt)
    if change is not None:
        told = (
            (change.authored_at, "written", f"by {change.author}"),
            (change.merged_at, "merged", change.pull_request or ""),
            (change.first_exposed_at, "first deployed", ""),
        )
        found += [Moment(at, words, detail) for at, words, detail in told if at is not None]
    for draft in attempt.drafts if attempt else ():
        if draft.opened_at is not None:
            found.append(Moment(draft.opened_at, "draft opened", draft.approved_by or ""))
    return list(_together(sorted(found, key=lambda moment: moment.at)))


def _together(found: Sequence[Moment]) -> Iterator[Moment]:
    """What happened at one moment as one point."""
    for at, same in groupby(found, key=lambda moment: moment.at):
        points = list(same)
        words, details = (
            list(dict.fromkeys(getattr(each, part) for each in points)) for part in ("words", "detail")
        )
        yield Moment(at, " and ".join(words), ", ".join(each for each in details if each))


def named(attempt: Attempt | None) -> CandidateChange | None:
    """The change that the runs point at, if any."""
    found = [change for change in (attempt.changes if attempt else ()) if change.verdict in _NAMED]
    return min(found, key=lambda change: _NAMED.index(change.verdict), default=None)

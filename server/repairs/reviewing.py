"""Reviews of drafts that ask for a change: whose word counts, and what is done about it.

A comment that begins with WORD is taken up by itself; a person may have all others taken up. Only people with the right
to write to the repository are heard; the others are named. Each comment is taken up once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from fixloop import Forge
from server import plugins
from server.drafts.approvals import row_of
from server.house import House
from server.repairs.models import is_asked
from server.repairs.submitting import hand_in
from server.repairs.suggestions import suggested
from store import queries
from store.errors import NightdeskError, NotFound
from store.repair import Asked, Attempt, DraftPullRequest, Feedback, Submission

log = logging.getLogger("nightdesk.drafts")

WORD = "nightdesk:"  # a comment that begins with it asks for a change
_OURS = "Nightdesk INC-"  # how our own answers begin
_MOST = 20  # comments that are taken up at once


@runtime_checkable
class Reviewed(Protocol):
    """A forge with reviews: who may be heard, what was said, where to answer."""

    def may_write(self, who: str) -> bool: ...

    def heard(self, draft: DraftPullRequest) -> Sequence[Feedback]: ...

    def answer(self, draft: DraftPullRequest, thread: str, text: str) -> None: ...


@dataclass
class Heard:
    """What was taken up; `strangers` have no right to write, and what they said is only kept."""

    taken: list[Submission] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


def answer_reviews(house: House, ref: str, by: str) -> Heard:
    """Take up every comment on the open drafts of an incident that something can be done about: one with a suggestion,
    or, with a model, any. Raises NotFound where no draft of a fix is open on a forge with reviews."""
    incident = queries.incident(house.database, ref)
    attempt = queries.latest_attempt(house.database, incident.id)
    heard, found = Heard(), False
    for draft in attempt.drafts if attempt else ():
        forge = forge_of(house, draft)
        if attempt is None or draft.state != "open" or draft.kind != "fix" or not isinstance(forge, Reviewed):
            continue
        found = True
        said = [one for one in forge.heard(draft) if is_asked(house) or suggested(one.text) is not None]
        _take_up(house, forge, attempt, draft, said, by, heard)
    if not found:
        raise NotFound(f"{incident.id} has no draft of a fix that is open on GitHub or GitLab.")
    return heard


def listen(house: House, attempt: Attempt, draft: DraftPullRequest, said: Sequence[Feedback]) -> int:
    """Take up what begins with WORD; how much of it. Called after each look at a draft."""
    asked = [one for one in said if one.text.strip().lower().startswith(WORD)]
    forge = forge_of(house, draft) if asked and draft.state == "open" and draft.kind == "fix" else None
    if not isinstance(forge, Reviewed):
        return 0
    heard = Heard()
    _take_up(house, forge, attempt, draft, asked, WORD, heard)
    return len(heard.taken)


def forge_of(house: House, draft: DraftPullRequest) -> Forge:
    """The forge that has a draft. Raises NotFound, NotAllowed."""
    return plugins.forge(row_of(house, draft.repo).url, house.config.forges)


def source_of(one: Feedback) -> str:
    """By what a comment is known among all of its draft."""
    return f"{one.kind} {one.source}"


def _take_up(
    house: House, forge: Reviewed, attempt: Attempt, draft: DraftPullRequest, said: Sequence[Feedback], by: str,
    heard: Heard,
) -> None:  # fmt: skip
    clean = house.redaction.of_project(queries.incident(house.database, attempt.incident_id).project).text
    rights: dict[str, bool] = {}
    for one in said:
        if one.kind == "check" or not one.text.strip() or one.text.startswith(_OURS) or not one.who:
            continue
        if one.who not in rights:
            rights[one.who] = forge.may_write(one.who)
        if not rights[one.who]:
            if one.who not in heard.strangers:
                heard.strangers.append(one.who)
                log.info("%s may not write to %s: what they said is kept, and no more.", one.who, draft.repo)
            continue
        if len(heard.taken) >= _MOST:
            return
        asked = Asked(
            repo=draft.repo, source=source_of(one), who=clean(one.who), text=clean(one.text)[:20_000],
            thread=one.thread, path=one.path,
        )  # fmt: skip
        try:
            submission = hand_in(
                house, attempt.incident_id, "", draft.repo, by, keep=False, asked=asked, of=attempt
            )
        except NightdeskError as problem:
            log.warning("%s of %s is not taken up: %s", asked.source, attempt.incident_id, problem)
            continue
        if submission.ended_at is None:
            heard.taken.append(submission)

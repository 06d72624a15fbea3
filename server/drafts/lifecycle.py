"""What becomes of drafts: each open one is looked at on its forge now and then, and at once where a webhook says so.

Blocking; the worker calls it. A forge that is down is asked less and less often, and never by two at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from server import plugins
from server.house import House
from store import following, queries
from store.errors import NightdeskError
from store.following import Follow
from store.repair import Attempt, DraftPullRequest, Feedback

log = logging.getLogger("nightdesk.lifecycle")

# Between two looks: at a branch of this machine, at a forge, at a draft that is closed and may be opened again.
SOON, USUAL, SELDOM = timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30)
OVER = timedelta(days=14)  # closed for so long, a draft is looked at no more
LONGEST = timedelta(hours=6)  # between two looks at a forge that fails
AT_ONCE = 20  # drafts that one round looks at

Listen = Callable[[House, Attempt, DraftPullRequest, Sequence[Feedback]], object]


@runtime_checkable
class Hears(Protocol):
    """A forge that can say what was said of a draft."""

    def heard(self, draft: DraftPullRequest) -> Sequence[Feedback]: ...


def look_round(house: House, now: datetime, listen: Listen = lambda *told: None) -> int:
    """Look at the drafts that are due; how many of them have moved. What fails is kept, and tried again later. `listen`
    is told what was said of each."""
    if not following.due(house.database, now):
        return 0
    return sum(_look(house, one, now, listen) for one in following.claim(house.database, now, AT_ONCE))


def apply(house: House, attempt_id: str, told: DraftPullRequest, now: datetime) -> bool:
    """Let a draft stand as its forge says; whether its state has changed."""
    moved = following.move(house.database, attempt_id, told, now)
    if moved:
        log.info("The draft of %s in %s is %s.", attempt_id, told.repo, told.state)
    return moved


def keep(house: House, attempt: Attempt, repo: str, said: Sequence[Feedback]) -> int:
    """Keep what was said of a draft, redacted first; how much of it is new."""
    incident = queries.incident(house.database, attempt.incident_id)
    redactor = house.redaction.of_project(incident.project)
    clean = [
        one.model_copy(update={"text": redactor.text(one.text), "who": redactor.text(one.who)})
        for one in said
    ]
    return following.keep_feedback(house.database, attempt.id, repo, clean)


def wait_after(failures: int, draft: DraftPullRequest) -> timedelta:
    """Until the next look: a minute for a branch of this machine, else five; doubled for each failure in a row."""
    usual = SOON if draft.forge == "local_git" else USUAL
    if draft.state == "closed":
        usual = SELDOM  # it may be opened again
    doubled: timedelta = usual * 2 ** min(failures, 12)
    return min(doubled, LONGEST)


def _look(house: House, one: Follow, now: datetime, listen: Listen) -> bool:
    attempt = queries.attempt(house.database, one.attempt_id)
    draft = next((each for each in attempt.drafts if each.repo == one.repo), None) if attempt else None
    if attempt is None or draft is None:
        return False
    moved, problem, after = False, None, draft
    try:
        after, said = _asked(house, draft)
        moved = apply(house, attempt.id, after, now)
        if moved and after.state == "merged":
            house.mirrors.sync(draft.repo)  # what was merged is asked for next: which builds have it
        keep(house, attempt, draft.repo, said)
        listen(house, attempt, after, said)
    except NightdeskError as error:
        problem = str(error)
        log.warning(
            "The draft of %s in %s could not be looked at: %s", attempt.incident_id, draft.repo, problem
        )
    except (
        Exception
    ) as error:  # an answer of a shape that nobody knows; the others are looked at all the same
        problem = f"the answer of its forge could not be read ({type(error).__name__})"
        log.exception("The draft of %s in %s could not be looked at.", attempt.incident_id, draft.repo)
    if after.closed_at is not None and now - after.closed_at > OVER:
        following.let_go(house.database, one)
        return moved
    failures = one.failures + 1 if problem else 0
    following.looked(house.database, one, now + wait_after(failures, after), problem, now)
    return moved


def _asked(house: House, draft: DraftPullRequest) -> tuple[DraftPullRequest, Sequence[Feedback]]:
    rows = queries.repositories(house.database)
    address = next((row.url for row in rows if row.name == draft.repo), "")
    forge = plugins.forge(address, house.config.forges)
    after = forge.look(draft)
    return after, forge.heard(draft) if isinstance(forge, Hears) else ()

"""What the buttons do: a person's word on an incident, a repair, a draft, and taking back. Each is kept under the name
of whoever pressed it, and leads back to the page it stood on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from server.drafts.approvals import open_drafts, proposed
from server.incidents.lookup import incident_by_id
from server.policy import Action
from server.repairs.reviewing import answer_reviews
from server.web.sessions import FORM_HEADERS, local_path
from server.web.visiting import Visit, number
from server.work import detached
from store import journal, labels, overview, queries
from store.errors import BadPayload, NotAllowed, NotFound
from store.incident import Incident, Lane, Status
from store.regrouping import SPLIT_BY
from store.turns import alone

_STATUSES = {"resolve": Status.RESOLVED, "mute": Status.MUTED, "reopen": Status.OPEN}
_PATIENCE = 60.0  # seconds that a second press waits for the first one's forge
_LANES = {"noise": Lane.NOISE, "not-noise": Lane.BACKLOG}

Act = Callable[[Visit, Incident], str | None]


def act(visit: Visit) -> Response:
    """Do to an incident what the address says. Raises NotFound, NotAllowed, BadPayload."""
    incident = incident_by_id(visit.house, visit.request.path_params["ref"])
    name = visit.request.path_params["act"]
    if name not in ACTS:
        raise NotFound("There is no such button.")
    action, work = ACTS[name]
    visit.require(action, incident.project)
    place = work(visit, incident)
    return back(visit, place or f"/incidents/{incident.id}", incident.id if name not in _SILENT else None)


def undo(visit: Visit) -> Response:
    """Take an act back. Raises NotFound, NotAllowed, BadPayload."""
    wanted = number(visit.field("act"))
    found = overview.act(visit.house.database, wanted)
    if found is None or not found.subject.startswith("INC-"):
        raise NotFound("There is no such act.")
    incident = incident_by_id(visit.house, found.subject)
    visit.require(Action.CLAIM if found.what == "claimed_by" else Action.STATE, incident.project)
    journal.undo(visit.house.database, visit.name, wanted, visit.field("reason"))
    return back(visit, f"/incidents/{incident.id}", None)


def back(visit: Visit, place: str, subject: str | None) -> Response:
    """To the page that the form names, else to `place`; with the number of what was done, so that it can be undone."""
    wanted = visit.field("next", 300)
    target = local_path(wanted) if wanted else place
    if subject is not None:
        path, _, anchor = target.partition("#")
        last = queries.acts(visit.house.database, subject)[-1:]
        mark = f"{'&' if '?' in path else '?'}{urlencode({'act': last[0].id})}" if last else ""
        target = path + mark + (f"#{anchor}" if anchor else "")
    return RedirectResponse(target, status_code=303, headers=dict(FORM_HEADERS))


def _status(word: str) -> Act:
    def work(visit: Visit, incident: Incident) -> None:
        journal.set_status(
            visit.house.database, incident.id, _STATUSES[word], visit.name, visit.field("reason")
        )

    return work


def _lane(word: str) -> Act:
    def work(visit: Visit, incident: Incident) -> None:
        journal.set_lane(visit.house.database, incident.id, _LANES[word], visit.name, visit.field("reason"))

    return work


def _claim(visit: Visit, incident: Incident) -> None:
    if holder := journal.claim(visit.house.database, incident.id, visit.name):
        raise NotAllowed(f"{incident.id} is claimed by {holder[:60]}.")


def _release(visit: Visit, incident: Incident) -> None:
    if incident.claimed_by not in {None, visit.name}:
        raise NotAllowed(f"{incident.id} is claimed by somebody else, who alone lets go of it.")
    journal.unclaim(visit.house.database, incident.id, visit.name)


def _assign(visit: Visit, incident: Incident) -> None:
    journal.assign(visit.house.database, incident.id, visit.field("owner", 100) or None, visit.name)


def _merge(visit: Visit, incident: Incident) -> None:
    """The other one becomes a part of this one."""
    other = incident_by_id(visit.house, visit.field("other", 40))
    visit.require(Action.STATE, other.project)
    journal.merge(visit.house.database, incident.id, other.id, visit.name, visit.field("reason"))


def _split(visit: Visit, incident: Incident) -> None:
    column = visit.field("by")
    if column not in SPLIT_BY:
        raise BadPayload(f"An incident is split by one of {', '.join(SPLIT_BY)}.")
    made = journal.split(visit.house.database, incident.id, column, visit.name, visit.field("reason"))
    if not made:
        raise BadPayload(f"All events of {incident.id} have the same {column}.")
    for part in made:
        with suppress(NotFound):  # none of its bodies was kept: it stands as the whole was judged
            visit.house.triage_incident(part)


def _label(visit: Visit, incident: Incident) -> None:
    """A person's word on what an assistant said of an incident."""
    confirmed = visit.request.query_params.get("word") == "confirm"
    labels.decide(visit.house.database, incident.id, visit.name, confirmed=confirmed)


def _repair(visit: Visit, incident: Incident) -> str:
    detached.start_repair(visit.house, incident.id)
    return f"/incidents/{incident.id}#repair"


def _draft(visit: Visit, incident: Incident) -> str:
    """Open the drafts, once however often the button is pressed. Where the policy asks, it takes somebody who has
    logged in: the operator at the machine is not asked who they are, so nobody would stand behind the draft."""
    place = f"/incidents/{incident.id}#draft"
    with alone(visit.house.config.data / f".draft-{incident.id}", _PATIENCE):
        attempt, decision, _ = proposed(visit.house, incident.id)
        if attempt.drafts:
            return place
        if visit.visitor is None and not decision.opens:
            return "/login?" + urlencode({"next": place})
        open_drafts(visit.house, incident.id, None if visit.visitor is None else visit.name)
    return place


def _answer(visit: Visit, incident: Incident) -> str:
    """Have what the reviews ask for taken up; a worker does it."""
    answer_reviews(visit.house, incident.id, visit.name)
    detached.ensure_worker(visit.house)
    return f"/incidents/{incident.id}#draft"


ACTS: Mapping[str, tuple[Action, Act]] = {
    **{word: (Action.STATE, _status(word)) for word in _STATUSES},
    **{word: (Action.STATE, _lane(word)) for word in _LANES},
    "claim": (Action.CLAIM, _claim),
    "release": (Action.CLAIM, _release),
    "assign": (Action.STATE, _assign),
    "merge": (Action.STATE, _merge),
    "split": (Action.STATE, _split),
    "label": (Action.STATE, _label),
    "repair": (Action.FIX, _repair),
    "draft": (Action.DRAFT, _draft),
    "answer": (Action.DRAFT, _answer),
}
_SILENT = frozenset({"label", "repair", "draft", "answer"})  # what cannot be taken back by its number

"""A project's own words on its incidents, as labels; the model calibrated on them; what would flip; the audit.

Nothing is calibrated by itself: `nightdesk calibrate` shows what would change, and switches where it is told to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.house import House
from server.knowing.teams import past
from store import queries
from store.errors import NightdeskError
from store.incident import Incident, Lane, Status
from triage import Classifier
from triage.analyse import History
from triage.classify import THRESHOLD, Rules
from triage.learned import Learned, Part, team_view
from triage.learning.team import Calibration, Draw, Flip, Label, audit_sample, flips, recalibrate
from triage.pipeline import triage

_SCORED = 5000  # incidents that a back-test looks at, the most urgent first


@dataclass(frozen=True)
class BackTest:
    """What switching would mean: labels by whose word, the calibration, and what would flip."""

    labels: Sequence[Label]
    calibration: Calibration | None
    flips: Sequence[Flip]
    looked_at: int


def back_test(house: House, project: str) -> BackTest:
    """Calibrate on the project's labels, and compare the lanes of its incidents before and after."""
    words = dict(_words(house, project))
    labels = [label for name, matters in words.items() if (label := _label(house, name, matters))]
    calibration = recalibrate(labels)
    if calibration is None:
        return BackTest(labels, None, (), 0)
    part = Part(calibration.model, calibration.focus_from, calibration.said)
    after = Learned({project: part})
    known = list(queries.incidents(house.database, project=project))[:_SCORED]
    before_focus, after_focus = {}, {}
    for incident in known:
        lanes = _lanes(house, incident, (house.classifier, after)) if incident.id not in words else []
        if lanes:
            before_focus[incident.id], after_focus[incident.id] = (lane is Lane.FOCUS for lane in lanes)
    return BackTest(labels, calibration, flips(before_focus, after_focus), len(before_focus))


def audit(house: House, project: str, count: int, seed: str) -> list[tuple[Draw, Incident]]:
    """A sample of what is in the noise lane, for a person to look at; each with the chance it was drawn
    with."""
    aside = {one.id: one for one in queries.incidents(house.database, project=project, lane=Lane.NOISE)}
    chances = {name: one.verdict.score if one.verdict else THRESHOLD for name, one in aside.items()}
    return [(draw, aside[draw.id]) for draw in audit_sample(chances, count, seed)]


def _words(house: House, project: str) -> Iterator[tuple[str, bool]]:
    """The last word said of each incident: noise or not-noise, resolved by a draft that was merged, reopened."""
    last: dict[str, bool] = {}
    acts = queries.acts(house.database)
    undone = {act.before["act"] for act in acts if act.what == "undo"}
    for act in acts:
        if act.id in undone:
            continue
        if act.what == "lane" and act.who != "triage":  # ours is no word on itself
            last[act.subject] = act.after != Lane.NOISE.value
        elif act.what == "status" and act.before in (Status.RESOLVED.value, Status.MUTED.value):
            if act.after in (Status.OPEN.value, Status.REGRESSED.value):
                last[act.subject] = True
        elif act.what == "status" and act.after == Status.RESOLVED.value and _merged(house, act.subject):
            last[act.subject] = True
    for incident in queries.incidents(house.database, project=project):
        if incident.id in last:
            yield incident.id, last[incident.id]


def _merged(house: House, incident_id: str) -> bool:
    try:
        attempt = queries.latest_attempt(house.database, incident_id)
    except NightdeskError:
        return False
    return attempt is not None and any(draft.state == "merged" for draft in attempt.drafts)


def _label(house: House, incident_id: str, matters: bool) -> Label | None:
    incident = queries.incident(house.database, incident_id)
    events = queries.events(house.database, incident.id, limit=1)
    if not events:
        return None
    event = house.as_triaged(incident, events[0])
    before = past(house.database, incident, event)
    done = triage(event, History(past=before), house.sources_for(event), Rules(), lambda: incident.last_seen)
    return Label(incident.id, team_view(event, before, done.verdict), matters)


def _lanes(house: House, incident: Incident, classifiers: Sequence[Classifier]) -> list[Lane]:
    """The lane that each of the classifiers gives it; none where no event of it is kept."""
    events = queries.events(house.database, incident.id, limit=1)
    if not events:
        return []
    event = house.as_triaged(incident, events[0])
    history, sources = house.history(incident, event), house.sources_for(event)
    return [
        triage(event, history, sources, classifier, lambda: incident.last_seen).lane
        for classifier in classifiers
    ]

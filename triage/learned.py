"""The default `Classifier`: named rules first, then a small embedded model that can only demote.

Only a named rule sets aside. Where no rule does, the model says how likely it is that the event matters, from
features that have names; an alert that it finds unlikely waits in the backlog and is not lost. It abstains on
crashes: nothing that it was trained on speaks of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from store.event import Event
from store.incident import Verdict
from triage.analyse import Analysis
from triage.classify import THRESHOLD, Rules
from triage.learning.alerts import Past, escalates, is_alert
from triage.learning.features import Domain, domain, features, team_features
from triage.learning.logistic import Model, sigmoid
from triage.learning.text import level_prior

WEIGHTS = "weights.json"
SHIPPED_NAMES = {Domain.ALERT: "alerts, as shipped", Domain.MESSAGE: "logged messages, as shipped"}
SHIPPED = frozenset(SHIPPED_NAMES.values())


@dataclass(frozen=True)
class Part:
    """The model of one domain (or of one team), with the probability from which something is in focus."""

    model: Model
    focus_from: float
    said: str  # what the threshold promises, in words


class Learned:
    """`teams` are models calibrated on labels of a project's own, by the project's name."""

    name = "learned@1"

    def __init__(self, teams: Mapping[str, Part] | None = None) -> None:
        self._rules = Rules()
        self._teams = dict(teams or {})

    def measured(self) -> dict[str, str]:
        """What each model was measured to keep and to cut, in words: by what the shipped ones judge (`SHIPPED`), and by
        the name of each project that has one of its own."""
        told = {SHIPPED_NAMES[kind]: part.said for kind, part in shipped().items()}
        return told | {project: part.said for project, part in self._teams.items()}

    def classify(self, event: Event, analysis: Analysis) -> Verdict:
        """The rules' verdict; where they set nothing aside, with the model's score. Never raises."""
        verdict = self._rules.classify(event, analysis).model_copy(update={"classifier": self.name})
        if not verdict.signal or (analysis.http_status or 0) >= 500:
            return (
                verdict  # a 5xx that a framework caught is no message that was logged: a request failed by it
            )
        past = Past(analysis.alerts_before, analysis.farthest_before)
        team = self._teams.get(event.project)
        if team is not None:
            weighed = _weighed(verdict, team, team_view(event, past, verdict))
        else:
            part = _part(event)
            if part is None:
                return verdict
            weighed = _weighed(verdict, part, features(event, past))
        return _kept(weighed, past) if is_alert(event) and escalates(event, past) else weighed


def team_view(event: Event, past: Past, verdict: Verdict) -> dict[str, float]:
    """What a team's own model sees of an event that the rules gave this verdict."""
    part = _part(event)
    margin = part.model.margin(features(event, past)) if part is not None else None
    return team_features(event, past, verdict.reasons[0].partition(":")[0], verdict.kind.value, margin)


def _part(event: Event) -> Part | None:
    """The shipped model for an event, with the prior of its level; None where it has no opinion."""
    kind = domain(event)
    part = shipped().get(Domain.MESSAGE if kind is Domain.REPORT else kind)
    if part is None or kind is Domain.ALERT:
        return part
    return replace(part, model=replace(part.model, bias=part.model.bias + level_prior(event.level)))


def score_of(probability: float) -> float:
    """A probability as a score that no model can bring under the rules' threshold."""
    return round(THRESHOLD + (1 - THRESHOLD) * probability, 6)


@cache
def shipped() -> Mapping[Domain, Part]:
    """The models that come with the product, by domain."""
    written = json.loads(files("triage.learning").joinpath(WEIGHTS).read_text("utf-8"))
    return {Domain(name): read_part(part) for name, part in written["parts"].items()}


def read_part(written: Mapping[str, object]) -> Part:
    """A part from its JSON."""
    return Part(
        Model(**written["model"]),  # type: ignore[arg-type]
        float(str(written["focus_from"])),
        str(written["said"]),
    )


def written_part(part: Part) -> dict[str, object]:
    """A part as JSON; weights heaviest first, so that a person can read them."""
    model = part.model
    ordered = dict(sorted(model.weights.items(), key=lambda one: (-abs(one[1]), one[0])))
    return {
        "said": part.said,
        "focus_from": part.focus_from,
        "model": {
            "weights": ordered, "bias": model.bias, "scales": dict(sorted(model.scales.items())),
            "slope": model.slope, "shift": model.shift,
        },
    }  # fmt: skip


def _kept(verdict: Verdict, past: Past) -> Verdict:
    """The verdict of an alert that is worse than before: whatever the model says, it is not demoted."""
    said = f"escalation: farther over its threshold than each of the {past.count} before it"
    score = max(verdict.score, verdict.focus_from)
    return verdict.model_copy(update={"score": score, "reasons": (said, *verdict.reasons)})


def _weighed(verdict: Verdict, part: Part, found: Mapping[str, float]) -> Verdict:
    chance = sigmoid(part.model.slope * part.model.margin(found) + part.model.shift)
    heaviest = part.model.reasons(found)
    parts = ", ".join(f"{name} ({'+' if weight > 0 else '−'})" for name, weight in heaviest)
    said = f"model: {chance:.0%} that it matters"
    return verdict.model_copy(
        update={
            "score": score_of(chance),
            "focus_from": score_of(part.focus_from),
            "reasons": (f"{said}: {parts}" if parts else said, *verdict.reasons),
        }
    )

"""The health page: what `nightdesk doctor` says, what waits, what was heard last, and how long things take."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response

from server.incidents.quoting import Quoter
from server.moments import ago
from server.operating.checks import Check, State, examine
from server.operating.product import product, product_rows
from server.policy import Action
from server.repairs.models import is_asked, spent_today
from server.web.charts import length
from server.web.formats import shown
from server.web.visiting import Visit
from store import overview, tasks
from store.figures import figures
from store.spending import model_steps
from store.tracks import tracks
from triage.learned import SHIPPED, Learned

if TYPE_CHECKING:
    from server.house import House

_GOOD = timedelta(minutes=1)  # how long what was found is shown before it is looked anew
_DAYS = 14  # for which it is told what a model has cost


_NOT_LOOKED: Mapping[str, Any] = {
    "measured": {}, "set_aside": None, "brought_back": None, "spend": None, "times": [], "product": [],
}  # fmt: skip


class Found(NamedTuple):
    """What was seen when every part was looked at."""

    at: datetime
    checks: Sequence[Check]
    figures: Mapping[str, Any]


class Health:
    """The page over one house. Looking at every part takes seconds, so it is done once a minute for everybody, and the
    page does not wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: Found | None = None

    def page(self, visit: Visit) -> Response:
        """The page; with `?look=1` it waits until every part was looked at."""
        visit.require(Action.READ, None)  # it tells of the whole installation
        wants_words = visit.request.url.path != "/health"
        if visit.field("look") or wants_words:
            self._look(visit)
        at, checks, told = self._found or (None, (), _NOT_LOOKED)
        values = {
            "checked_at": at.isoformat() if at else None,
            "checks": [{"part": one.part, "state": one.state.value, "said": one.said} for one in checks],
            **_figures(visit),
            **told,
        }

        def lines(quoter: Quoter) -> Iterator[str]:
            yield "# Health"
            yield from (
                f"- {one.state.value}: {one.part}: {quoter.inline(one.said, 300, source='run')}"
                for one in checks
            )
            yield "## Last event of each project"
            for name, seen in values["last_events"].items():
                yield f"- {quoter.name(name)}: {ago(seen) if seen else 'none yet'}"
            yield f"Waiting: {values['waiting']}"
            yield "## Classifier"
            yield from (f"- {quoter.name(name)}: {said}" for name, said in values["measured"].items())
            yield "## How long things take"
            for stage in values["times"]:
                yield f"- {stage['stage']}: median {length(stage['step_median_s'] or 0)} after the stage before"
            yield "## Figures of the product"
            yield from (f"- {name}: {value}" for name, value in values["product"])

        plain = {
            **values, "last_events": {name: seen.isoformat() if seen else None for name, seen in
                                      values["last_events"].items()},
        }  # fmt: skip
        return shown(
            visit, "health.html", plain, lines, last=values["last_events"], at=at, stale=self._stale(),
            broken=[one for one in checks if one.state is State.BROKEN],
        )  # fmt: skip

    def checks(self, visit: Visit) -> Response:
        """Only the table of parts, looked at now: what the page fetches when it has opened."""
        visit.require(Action.READ, None)
        self._look(visit)
        at, checks, told = self._found or (None, (), _NOT_LOOKED)
        rows = [{"part": one.part, "state": one.state.value, "said": one.said} for one in checks]
        classifier = visit.house.classifier.name
        return visit.page("health_checks.html", checks=rows, at=at, classifier=classifier, **told)

    def _stale(self) -> bool:
        return self._found is None or datetime.now(UTC) - self._found.at > _GOOD

    def _look(self, visit: Visit) -> None:
        with self._lock:  # whoever comes while somebody looks waits for what is found
            if self._stale():
                house = visit.house
                self._found = Found(datetime.now(UTC), list(examine(house)), _of_the_product(house))


def _figures(visit: Visit) -> dict[str, Any]:
    database = visit.house.database
    counted = figures(database)
    return {
        "waiting": {kind.value: number for kind, number in counted.waiting.items()},
        "paused": tasks.paused(database),
        "last_events": {
            name: seen for name, seen in overview.last_events(database).items() if visit.house.sees(name)
        },
        "classifier": visit.house.classifier.name,
        "events": counted.events,
        "repairs": counted.repairs,
    }


def _of_the_product(house: House) -> dict[str, Any]:
    """What is told of the product by figures: goes over every repair."""
    found = product(tracks(house.database))
    today, config = spent_today(house), house.config
    return {
        "measured": measured(house),
        "set_aside": found.set_aside.model_dump(),
        "brought_back": found.brought_back.model_dump(),
        "spend": {
            "model": config.model if is_asked(house) else None,
            "usd": found.model_usd,
            "tokens": found.model_tokens,
            "usd_per_incident": found.model_usd_per_incident,
            "usd_today": today.money,
            "usd_a_day": config.model_day_money,
            "usd_by_day": _by_day(house),
        },
        "times": [stage.model_dump() for stage in found.stages if stage.incidents],
        "product": product_rows(found),
    }


def measured(house: House) -> Mapping[str, str]:
    """What the classifier was measured to cut and to keep, by what it judges: as shipped, and on a team's own labels.
    Empty for a plug-in, which says nothing of itself."""
    classifier = house.classifier
    told = dict(classifier.measured()) if isinstance(classifier, Learned) else {}
    return {name: said for name, said in told.items() if name in SHIPPED or house.sees(name)}


def _by_day(house: House) -> Mapping[str, float]:
    """What a model has cost on each of the last days, in US dollars, the oldest first."""
    today = datetime.now(UTC).date()
    days = {str(today - timedelta(days=back)): 0.0 for back in reversed(range(_DAYS))}
    since = datetime.combine(today - timedelta(days=_DAYS - 1), time.min, UTC)
    for step in model_steps(house.database, since):
        day = str(step.started_at.date())
        if day in days:
            days[day] += float(step.details["model"].get("spent", {}).get("money", 0.0))
    return days

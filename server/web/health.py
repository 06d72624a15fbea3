"""The health page: what `nightdesk doctor` says, what waits, what was heard last, how long things take, and the
product's own figures."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from starlette.responses import Response

from server.checks import Check, State, examine
from server.incident_json import compose
from server.moments import ago
from server.policy import Action
from server.product import Product, product, product_rows
from server.quoting import Quoter
from server.web.formats import shown
from server.web.visiting import Visit
from store import overview, queries, tasks
from store.figures import figures
from store.tasks import TaskKind
from store.tracks import tracks

_GOOD = timedelta(minutes=1)  # how long what was found is shown before it is looked anew
_REPAIRS = 50  # latest repairs whose times are told
_STAGES = (
    ("detected", "triaged"), ("triaged", "diagnosed"), ("triaged", "reproduced"), ("reproduced", "proposed"),
    ("detected", "drafted"), ("drafted", "merged"),
)  # fmt: skip


class Health:
    """The page over one house. Looking at every part takes seconds, so it is done once a minute for everybody, and the
    page does not wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: tuple[datetime, Sequence[Check]] | None = None
        self._product: tuple[datetime, Product] | None = None

    def page(self, visit: Visit) -> Response:
        """The page; with `?look=1` it waits until every part was looked at."""
        visit.require(Action.READ, None)  # it tells of the whole installation
        wants_words = visit.request.url.path != "/health"
        if visit.field("look") or wants_words:
            self._look(visit)
        at, checks = self._found or (None, ())
        values = {
            "checked_at": at.isoformat() if at else None,
            "checks": [{"part": one.part, "state": one.state.value, "said": one.said} for one in checks],
            **_figures(visit),
            "product": self._of_the_product(visit).model_dump(mode="json"),
        }
        rows = product_rows(self._of_the_product(visit))

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
            yield "## Figures of the product"
            yield from (f"- {name}: {value}" for name, value in rows)

        plain = {
            **values, "last_events": {name: seen.isoformat() if seen else None for name, seen in
                                      values["last_events"].items()},
        }  # fmt: skip
        return shown(
            visit, "health.html", plain, lines, last=values["last_events"], at=at, stale=self._stale(),
            product_rows=rows, broken=[one for one in checks if one.state is State.BROKEN],
        )  # fmt: skip

    def checks(self, visit: Visit) -> Response:
        """Only the table of parts, looked at now: what the page fetches when it has opened."""
        visit.require(Action.READ, None)
        self._look(visit)
        at, checks = self._found or (None, ())
        rows = [{"part": one.part, "state": one.state.value, "said": one.said} for one in checks]
        return visit.page("health_checks.html", checks=rows, at=at)

    def _of_the_product(self, visit: Visit) -> Product:
        """The figures, which walk through everything, once a minute for everybody."""
        with self._lock:
            if self._product is None or datetime.now(UTC) - self._product[0] > _GOOD:
                self._product = datetime.now(UTC), product(tracks(visit.house.database))
            return self._product[1]

    def _stale(self) -> bool:
        return self._found is None or datetime.now(UTC) - self._found[0] > _GOOD

    def _look(self, visit: Visit) -> None:
        with self._lock:  # whoever comes while somebody looks waits for what is found
            if self._stale():
                self._found = (datetime.now(UTC), list(examine(visit.house)))


def _figures(visit: Visit) -> dict[str, Any]:
    database = visit.house.database
    waiting = tasks.waiting(database)
    counted = figures(database)
    return {
        "waiting": {kind.value: sum(task.kind is kind for task in waiting) for kind in TaskKind},
        "paused": tasks.paused(database),
        "last_events": {
            name: seen for name, seen in overview.last_events(database).items() if visit.house.sees(name)
        },
        "classifier": visit.house.classifier.name,
        "events": counted.events,
        "repairs": counted.repairs,
        "times": times(visit),
    }


def times(visit: Visit) -> Mapping[str, float]:
    """The median seconds from one milestone to another, over the latest repairs; only those that were reached."""
    spans: dict[str, list[float]] = {}
    for attempt in overview.recent_attempts(visit.house.database, _REPAIRS):
        incident = queries.incident(visit.house.database, attempt.incident_id)
        triage = queries.triage(visit.house.database, incident.id)
        reached = compose(incident, triage, attempt)["times"]
        moments = {name: datetime.fromisoformat(at) for name, at in reached.items() if at}
        for start, end in _STAGES:
            if start in moments and end in moments and moments[end] >= moments[start]:
                took = (moments[end] - moments[start]).total_seconds()
                spans.setdefault(f"{start} → {end}", []).append(took)
    return {name: median(values) for name, values in spans.items()}

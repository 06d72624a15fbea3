"""Every page, over one house: which address shows what."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from server.house import House
from server.http.ending import Ending
from server.incidents.lookup import incident_by_id
from server.moments import Clock
from server.web import acts, connect, help, incident, lists, settings
from server.web import change as changes
from server.web.formats import in_three_forms
from server.web.health import Health
from server.web.live import Live
from server.web.sessions import Sessions
from server.web.setting_up import SECRETS, change
from server.web.visiting import Doorman, Visit

_HERE = Path(__file__).parent


class Pages:
    """Server-rendered HTML. Text is escaped by the template engine, everywhere and always."""

    def __init__(self, house: House, clock: Clock, ending: Ending) -> None:
        self._house = house
        self._doorman = Doorman(house, Sessions(house, clock))
        self._health = Health()
        self._ending = ending

    def routes(self) -> list[BaseRoute]:
        """Every page, what their buttons send, their streams, and what they are drawn with."""
        page, live = self._doorman.page, Live(self._house, self._doorman, self._ending)
        one = "/incidents/{ref:str}"
        return [
            *in_three_forms(self._doorman, "/", lists.now),
            *in_three_forms(self._doorman, "/incidents", lists.lane),
            *in_three_forms(self._doorman, "/noise", lists.noise),
            *in_three_forms(self._doorman, "/search", lists.search),
            *in_three_forms(self._doorman, "/health", self._health.page),
            *in_three_forms(self._doorman, "/connect", connect.page),
            *in_three_forms(self._doorman, "/settings", settings.page),
            *in_three_forms(self._doorman, "/changes/{repo:path}/{sha:str}", changes.page),
            *in_three_forms(self._doorman, "/help", help.page),
            Route("/health/checks", page(self._health.checks)),
            Route("/live", live.stream("now_live.html", lists.now_parts)),
            Route("/connect/live", live.stream("connect_live.html", connect.parts)),
            Route(f"{one}/live", live.stream("incident_live.html", incident.live_parts, _incident_id)),
            Route(f"{one}.json", page(incident.as_json)),
            Route(f"{one}.md", page(incident.as_markdown)),
            Route(one, page(incident.page)),
            Route(one + "/{act:str}", page(acts.act), methods=["POST"]),
            Route("/undo", page(acts.undo), methods=["POST"]),
            Route("/settings/do/{act:str}", page(changed), methods=["POST"]),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ]


def changed(visit: Visit) -> Response:
    """What a button of the settings does; what is shown only once stands on the page that answers it."""
    if visit.request.path_params["act"] in SECRETS:
        return settings.page(visit, SECRETS[visit.request.path_params["act"]](visit))
    return change(visit)


def _incident_id(visit: Visit) -> str | None:
    return incident_by_id(visit.house, visit.request.path_params["ref"]).id
